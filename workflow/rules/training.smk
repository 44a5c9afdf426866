"""The plan, a job for each pack of networks, tuned, then trained, and how fast their steps are."""


rule study:
    input:
        card=CARD,
    output:
        plan=PLAN,
        study=STUDY_FILE,
        # Kept when the study is planned again: what settles a claim is written down once.
        criteria=update(CRITERIA),
    log:
        f"{STUDY}/logs/study.log",
    benchmark:
        f"{STUDY}/benchmarks/study.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        source=PROJECT.source.as_posix(),
        digest=PROJECT.study_digest,
    shell:
        command(
            "plan",
            "--study {params.source:q} --card {input.card:q} --out {output.plan:q} "
            "--study-out {output.study:q} --criteria-out {output.criteria:q}",
        )


# For people: it prints, whatever is up to date. Counts come from the catalogue where nothing is prepared yet.
rule plan:
    input:
        card=[] if PROJECT.counted else CARD,
    log:
        f"{STUDY}/logs/plan.log",
    conda:
        "../../envs/data.yaml"
    params:
        source=PROJECT.source.as_posix(),
        card=option("card", (Path(CARD).exists() or not PROJECT.counted) and CARD),
    shell:
        f"python {script('plan')} --study {{params.source:q}} {{params.card}} | tee {{log:q}}"


# A rule per pack, each with every file of its arms. Its params tell of its arms only what experiments ask of them
# beyond the study's own grid and seeds; the command keeps finished runs beside these files, so that packing arms
# otherwise trains nothing again. Jobs that give runs go before those that analyse some, and first of all those that
# others wait for: what comes last of all, logging every run, waits for them.
for number, pack in enumerate(PROJECT.packs):
    folders = [PROJECT.arm_folder(arm) for arm in pack]
    probed = [PROJECT.arm_folder(arm) for arm in pack if arm.probed]
    lenders = [PROJECT.arm_folder(arm) for arm in PROJECT.lenders(pack)]

    rule:
        name:
            f"train_{number}"
        input:
            train=f"{DATA}/train.safetensors",
            test=f"{DATA}/test.safetensors",
            card=CARD,
            study=STUDY_FILE,
            plan=PLAN,
            lent=[f"{folder}/learning_rate.json" for folder in lenders],
        output:
            rates=[f"{folder}/learning_rate.json" for folder in folders],
            runs=[f"{folder}/runs.parquet" for folder in folders],
            curves=[f"{folder}/curves.parquet" for folder in folders],
            probes=[f"{folder}/probe.parquet" for folder in probed],
        log:
            f"{STUDY}/logs/train-{number}.log",
        benchmark:
            f"{STUDY}/benchmarks/train-{number}.tsv"
        priority: 1 + PROJECT.lends(pack)
        conda:
            "../../envs/training.yaml"
        threads: CONFIG.threads
        resources:
            gpu=GPUS,
            mem_mb=PROJECT.training_mb,
            runtime="12h",
        params:
            recipe=PROJECT.recipe_digest,
            demands=PROJECT.demands(pack),
            data=folder_of("card"),
            machine=f"--device {CONFIG.device} --precision {CONFIG.precision}",
            checkpoint_minutes=CONFIG.checkpoint_minutes,
        shell:
            command(
                "train",
                "--study {input.study:q} --data {params.data:q} {params.machine} --threads {threads} "
                "--checkpoint-minutes {params.checkpoint_minutes} {output.runs:q}",
            )


if PROJECT.timed:

    # It takes every core, so that nothing else runs beside what is timed; on a cluster, those of any training job. It
    # goes first, when no core must fall idle before it.
    rule probe:
        input:
            train=f"{DATA}/train.safetensors",
            test=f"{DATA}/test.safetensors",
            card=CARD,
            study=STUDY_FILE,
        output:
            SPEED,
        log:
            f"{STUDY}/logs/probe.log",
        benchmark:
            f"{STUDY}/benchmarks/probe.tsv"
        priority: 3
        conda:
            "../../envs/training.yaml"
        threads: not workflow.remote_exec and workflow.resource_settings.cores or CONFIG.threads
        resources:
            gpu=GPUS,
            mem_mb=PROJECT.training_mb,
            runtime="1h",
        params:
            digest=PROJECT.speed_digest,
            data=folder_of("card"),
            gpu=GPUS,  # one that was not there before is measured
            steps=CONFIG.threads,
            machine=f"--device {CONFIG.device} --precision {CONFIG.precision}",
        shell:
            command(
                "probe",
                "--study {input.study:q} --data {params.data:q} {params.machine} --threads {threads} "
                "--step-threads {params.steps} --out {output:q}",
            )
