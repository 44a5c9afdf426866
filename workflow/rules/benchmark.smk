"""How fast this machine trains: the engine against plain loops, start-up costs, and a figure. No study needs it."""

from takeoff.benchmarking.machine import measured_digest

SPEEDS = f"{CONFIG.results}/benchmark/{'cuda' if GPUS else 'cpu'}"


localrules:
    benchmark,


# The target.
rule benchmark:
    input:
        f"{SPEEDS}/throughput.svg",
        f"{SPEEDS}/throughput.png",
        f"{SPEEDS}/throughput.md",
        f"{SPEEDS}/startup.csv",
        f"{SPEEDS}/runs.csv",


# It takes every core, so that nothing else runs beside what is timed; on a cluster, those of any training job.
rule measure:
    output:
        throughput=f"{SPEEDS}/throughput.csv",
        startup=f"{SPEEDS}/startup.csv",
        runs=f"{SPEEDS}/runs.csv",
        machine=f"{SPEEDS}/machine.json",
        words=f"{SPEEDS}/throughput.md",
    log:
        f"{SPEEDS}/logs/measure.log",
    benchmark:
        f"{SPEEDS}/logs/measure.tsv"
    conda:
        "../../envs/training.yaml"
    threads: not workflow.remote_exec and workflow.resource_settings.cores or CONFIG.threads
    resources:
        gpu=GPUS,
        mem_mb=8000,
        runtime="1h",
    params:
        digest=lambda wildcards: measured_digest(),
        data=f"{CONFIG.results}/data",
        device=CONFIG.device,
        out=folder_of(),
    shell:
        command(
            "benchmark",
            "--device {params.device} --threads {threads} --data {params.data:q} --out {params.out:q}",
        )


rule draw_benchmark:
    input:
        throughput=f"{SPEEDS}/throughput.csv",
        machine=f"{SPEEDS}/machine.json",
    output:
        svg=report(
            f"{SPEEDS}/throughput.svg",
            caption="../report/throughput.rst",
            category="How fast does it train?",
            labels={"figure": "Images per second, the engine against plain loops"},
        ),
        png=f"{SPEEDS}/throughput.png",
    log:
        f"{SPEEDS}/logs/draw.log",
    benchmark:
        f"{SPEEDS}/logs/draw.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        digest=lambda wildcards: code_digest("benchmarking", "experiments/plotting.py"),
        folder=folder_of("throughput"),
    shell:
        command("draw_benchmark", "{params.folder:q}")
