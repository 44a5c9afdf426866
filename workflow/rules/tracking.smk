"""From files to MLflow: one importer, and a second import changes nothing."""

TRACKED_RUNS = f"{STUDY}/tracked_runs.json"

log_to(PROJECT.tracking_uri)


# Runs go beside the analysis, which takes as long; experiments, with their figures, follow.
rule track_runs:
    input:
        # An arm's curves are written before its runs, and by the same job; the arms' files, with the plan.
        runs=PROJECT.files(PROJECT.arms.values(), "runs.parquet"),
        plan=PLAN,
        card=CARD,
        study=STUDY_FILE,
    output:
        TRACKED_RUNS,
    log:
        f"{STUDY}/logs/track-runs.log",
    benchmark:
        f"{STUDY}/benchmarks/track-runs.tsv"
    priority: 1
    localrule: True
    conda:
        "../../envs/tracking.yaml"
    params:
        verb=verb("track"),
        results=folder_of("study"),
        uri=without_secrets(PROJECT.tracking_uri),
        models=unwatched("" if CONFIG.weights_kept else "--no-models"),
        digest=code_digest("tracking", "jobs/served.py"),
    shell:
        command(
            "--study {input.study:q} --results {params.results:q} --card {input.card:q} --only runs {params.models} --out {output:q}"
        )


rule track:
    input:
        tracked=TRACKED_RUNS,  # all runs, and one process writes at a time
        figures=FIGURES,
        claims=CLAIMS,
        card=CARD,
        study=STUDY_FILE,
    output:
        f"{STUDY}/tracked.json",
    log:
        f"{STUDY}/logs/track.log",
    benchmark:
        f"{STUDY}/benchmarks/track.tsv"
    localrule: True
    conda:
        "../../envs/tracking.yaml"
    params:
        verb=verb("track"),
        results=folder_of("study"),
        uri=without_secrets(PROJECT.tracking_uri),
        models=unwatched("" if CONFIG.weights_kept else "--no-models"),
        digest=code_digest("tracking", "jobs/served.py"),
    shell:
        command(
            "--study {input.study:q} --results {params.results:q} --card {input.card:q} {params.models} --out {output:q}"
        )
