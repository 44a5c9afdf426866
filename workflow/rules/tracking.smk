"""From files to MLflow: one importer, and a second import changes nothing."""


rule track:
    input:
        runs=[
            f"{PROJECT.arm_folder(arm).as_posix()}/runs.parquet"
            for arm in PROJECT.all_arms
        ],
        curves=[
            f"{PROJECT.arm_folder(arm).as_posix()}/curves.parquet"
            for arm in PROJECT.network_arms
        ],
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
        results=folder_of("study"),
        uri=PROJECT.tracking_uri,
        digest=code_digest("tracking"),
    shell:
        command(
            "track",
            "--study {input.study:q} --results {params.results:q} --card {input.card:q} "
            "--tracking-uri {params.uri:q} --out {output:q}",
        )
