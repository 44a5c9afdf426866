"""Whether this machine trains right, and how fast: the engine against plain loops, with a figure. No study needs it."""

from takeoff.benchmark.machine import measured_digest

SPEEDS = f"{CONFIG.results}/benchmark/{'cuda' if GPUS else 'cpu'}"


# The target.
rule benchmark:
    input:
        f"{SPEEDS}/throughput.svg",
        f"{SPEEDS}/throughput.png",
    localrule: True


rule measure:
    output:
        # Other tables stand beside it: what says that numbers are wrong outlives the job that fails by it.
        throughput=f"{SPEEDS}/throughput.csv",
    log:
        f"{SPEEDS}/logs/measure.log",
    benchmark:
        f"{SPEEDS}/logs/measure.tsv"
    conda:
        "../../envs/training.yaml"
    threads: ALL_THREADS
    resources:
        **asked(CONFIG.resources.rest, gpu=GPUS, mem_mb=8000, runtime="1h"),
    params:
        verb=verb("benchmark"),
        digest=lambda wildcards: measured_digest(),
        device=CONFIG.device,
        threads=CONFIG.threads,
        out=folder_of(),
    shell:
        command(
            "--device {params.device} --threads {params.threads} --out {params.out:q}"
        )


rule draw_benchmark:
    input:
        throughput=f"{SPEEDS}/throughput.csv",
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
        verb=verb("draw_benchmark"),
        digest=lambda wildcards: code_digest("benchmark/figure.py"),
        folder=folder_of("throughput"),
    shell:
        command("{params.folder:q}")
