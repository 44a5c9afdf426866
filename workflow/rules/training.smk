"""The plan, a job for each pack of networks, tuned, then trained, and how fast their steps are."""


# An arm's file changes where the arm does, and what settles a claim is written down once.
rule study:
    input:
        card=CARD,
    output:
        plan=PLAN,
        power=f"{STUDY}/power.csv",
        study=STUDY_FILE,
        arms=[f"{STUDY}/arms/{name}/arm.json" for name in sorted(PROJECT.unwritten)],
        criteria=[] if PROJECT.criteria_stand else update(CRITERIA),
    log:
        f"{STUDY}/logs/study.log",
    benchmark:
        f"{STUDY}/benchmarks/study.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        verb=verb("plan"),
        source=unwatched(SOURCE),
        criteria=unwatched(CRITERIA),
        arms=unwatched(f"{STUDY}/arms"),
        figures=unwatched(f"{STUDY}/figures"),
        machine=unwatched(f"--precision {CONFIG.precision} --threads {CONFIG.threads}"),
        digest=digests.planning(PROJECT.study, PROJECT.arms.values()),
    shell:
        command(
            "--study {params.source:q} --card {input.card:q} --out {output.plan:q} --power-out {output.power:q} "
            "--study-out {output.study:q} --criteria-out {params.criteria:q} --arms-out {params.arms:q} "
            "--figures {params.figures:q} {params.machine}"
        )


# For people: it prints, whatever is up to date. Counts come from the catalogue where nothing is prepared yet.
rule plan:
    input:
        card=[] if IMAGE_SOURCE.entry else CARD,
    log:
        f"{STUDY}/logs/plan.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        verb=verb("plan"),
        source=SOURCE,
        card=option("card", (Path(CARD).exists() or not IMAGE_SOURCE.entry) and CARD),
        results=STUDY,
        # A GPU's steps are not timed beforehand.
        machine=f"--precision {CONFIG.precision} --threads {CONFIG.threads}"
        + " --measure" * (not TRAINING_GPUS),
    shell:
        printing(
            "--study {params.source:q} {params.card} --results {params.results:q} {params.machine}"
        )


# A rule per pack, with every file of its arms. Its digest is that of its own arms: planned anew, the others do not run
# again, and the command keeps the finished runs of those that do. Jobs that make runs go before those that analyse
# some, and the longest first.
for number, pack in enumerate(PROJECT.packs):

    rule:
        name:
            f"train_{number}"
        input:
            **IMAGES,
            card=CARD,
            arms=planned(pack),
            choices=PROJECT.files(PROJECT.choosers(pack), "learning_rate.json"),
        output:
            rates=PROJECT.files(pack, "learning_rate.json"),
            runs=PROJECT.files(pack, "runs.parquet"),
            curves=PROJECT.files(pack, "curves.parquet"),
            probes=PROJECT.files([arm for arm in pack if arm.probed], "probe.parquet"),
        log:
            f"{STUDY}/logs/train-{number}.log",
        benchmark:
            f"{STUDY}/benchmarks/train-{number}.tsv"
        priority: urgency(pack)
        conda:
            "../../envs/training.yaml"
        threads: CONFIG.threads * RANKS
        resources:
            **asked(
                CONFIG.resources.train,
                gpu=TRAINING_GPUS * RANKS,
                mem_mb=training_mb(RANKS),
                runtime="12h",
                **ranks_asked(RANKS, CONFIG.threads, TRAINING_GPUS),
            ),
        params:
            verb=verb("train"),
            digest=digests.training(pack, CONFIG),
            data=folder_of("card"),
            machine=MACHINE,
            threads_each=CONFIG.threads,
            ranks=unwatched(RANKS),
            images=unwatched(option("image-memory-mb", CONFIG.image_memory_mb)),
            checkpoint_minutes=unwatched(CONFIG.checkpoint_minutes),
            weights=unwatched(CONFIG.weights_kept),
        shell:
            command(
                "--data {params.data:q} {params.machine} --threads {params.threads_each} --gpus-per-run {params.ranks} "
                "{params.images} --checkpoint-minutes {params.checkpoint_minutes} --keep-weights {params.weights} {input.arms:q}"
            )


if not CONFIG.partial and any(
    experiment.reads_speed() for experiment in PROJECT.experiments.values()
):

    # It goes first, when no core must fall idle before it.
    rule probe:
        input:
            **IMAGES,
            card=CARD,
            arms=planned(PROJECT.timed),
        output:
            SPEED,
        log:
            f"{STUDY}/logs/probe.log",
        benchmark:
            f"{STUDY}/benchmarks/probe.tsv"
        priority: 1 + max(map(urgency, PROJECT.packs), default=0)
        conda:
            "../../envs/training.yaml"
        threads: ALL_THREADS
        resources:
            **asked(
                CONFIG.resources.train, gpu=GPUS, mem_mb=training_mb(1), runtime="1h"
            ),
        params:
            verb=verb("probe"),
            source=unwatched(SOURCE),
            digest=digests.timing(PROJECT.study, PROJECT.timed, CONFIG),
            data=folder_of("card"),
            gpu=GPUS,  # one that was not there before is measured
            steps=CONFIG.threads,
            images=unwatched(option("image-memory-mb", CONFIG.image_memory_mb)),
            machine=MACHINE,
        shell:
            command(
                "--study {params.source:q} --data {params.data:q} {params.machine} --threads {threads} "
                "--step-threads {params.steps} {params.images} --out {output:q} {input.arms:q}"
            )
