"""The plan, and a job for each pack of arms: tuned, then trained."""


rule study:
    input:
        card=CARD,
    output:
        plan=PLAN,
        study=STUDY_FILE,
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
            "--study-out {output.study:q}",
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


# A rule per pack, each with every file of its arms. Nothing in `params` tells which arms are in it, so that
# packing them otherwise retrains nothing; the command keeps finished runs beside these files.
for number, pack in enumerate(PROJECT.packs):
    folders = [PROJECT.arm_folder(arm).as_posix() for arm in pack]

    rule:
        name:
            f"train_{number}"
        input:
            train=f"{DATA}/train.safetensors",
            test=f"{DATA}/test.safetensors",
            card=CARD,
            study=STUDY_FILE,
            plan=PLAN,
        output:
            rates=[f"{folder}/learning_rate.json" for folder in folders],
            runs=[f"{folder}/runs.parquet" for folder in folders],
            curves=[f"{folder}/curves.parquet" for folder in folders],
        log:
            f"{STUDY}/logs/train-{number}.log",
        benchmark:
            f"{STUDY}/benchmarks/train-{number}.tsv"
        conda:
            "../../envs/training.yaml"
        threads: CONFIG.threads
        resources:
            gpu=GPUS,
            mem_mb=PROJECT.training_mb,
            runtime="12h",
        params:
            recipe=PROJECT.recipe_digest,
            data=folder_of("card"),
            machine=f"--device {CONFIG.device} --precision {CONFIG.precision}",
            checkpoint_minutes=CONFIG.checkpoint_minutes,
        shell:
            command(
                "train",
                "--study {input.study:q} --data {params.data:q} {params.machine} --threads {threads} "
                "--checkpoint-minutes {params.checkpoint_minutes} {output.runs:q}",
            )
