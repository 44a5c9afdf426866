"""From runs to tables, from tables to figures, an experiment at a time; and from all tables to verdicts."""

FIGURES = []
TABLES = []


for experiment, arms in PROJECT.arms.items():
    code = PROJECT.experiment(experiment)
    folders = {
        kind: PROJECT.folders(arms, kind)
        for kind in ("all", "network", "classical", "probed")
    }
    tables = [
        f"{STUDY}/{experiment}/{table}.csv" for table in PROJECT.tables(experiment)
    ]
    labels = PROJECT.figures(experiment)
    figures = [f"{STUDY}/figures/{experiment}-{figure}" for figure in labels]
    TABLES += tables
    FIGURES += [f"{figure}.svg" for figure in figures]

    rule:
        name:
            f"analyse_{experiment}"
        input:
            runs=[f"{folder}/runs.parquet" for folder in folders["all"]],
            curves=[f"{folder}/curves.parquet" for folder in folders["network"]],
            rates=[f"{folder}/learning_rate.json" for folder in folders["network"]],
            settings=[f"{folder}/tuning.json" for folder in folders["classical"]],
            probes=[f"{folder}/probe.parquet" for folder in folders["probed"]],
            speed=SPEED if PROJECT.reads_speed(experiment) else [],
            card=CARD,
            study=STUDY_FILE,
        output:
            tables,
        log:
            f"{STUDY}/logs/analyse-{experiment}.log",
        benchmark:
            f"{STUDY}/benchmarks/analyse-{experiment}.tsv"
        conda:
            "../../envs/analysis.yaml"
        params:
            experiment=experiment,
            digest=PROJECT.analysis_digest(experiment),
            data=folder_of("card"),
            results=folder_of("study"),
            out=folder_of(),
        shell:
            command(
                "analyse",
                "experiment {params.experiment} --study {input.study:q} --data {params.data:q} "
                "--results {params.results:q} --out {params.out:q}",
            )

    rule:
        name:
            f"draw_{experiment}"
        input:
            tables=tables,
            study=STUDY_FILE,
        output:
            svg=[
                report(
                    f"{figure}.svg",
                    caption=f"../report/{Path(figure).name}.rst",
                    category=code.TITLE,
                    labels={"figure": label},
                )
                for figure, label in zip(figures, labels.values())
            ],
            png=[f"{figure}.png" for figure in figures],
            csv=[f"{figure}.csv" for figure in figures],
        log:
            f"{STUDY}/logs/draw-{experiment}.log",
        benchmark:
            f"{STUDY}/benchmarks/draw-{experiment}.tsv"
        conda:
            "../../envs/analysis.yaml"
        params:
            experiment=experiment,
            digest=PROJECT.analysis_digest(experiment),
            tables=folder_of("tables"),
            out=folder_of(),
        shell:
            command(
                "draw",
                "{params.experiment} --study {input.study:q} --tables {params.tables:q} "
                "--out {params.out:q}",
            )


rule judge:
    input:
        tables=TABLES,
        card=CARD,
        study=STUDY_FILE,
        criteria=CRITERIA,
    output:
        claims=CLAIMS,
        parts=f"{STUDY}/claims_parts.csv",
        svg=report(
            f"{STUDY}/figures/claims.svg",
            caption="../report/claims.rst",
            category="All claims, judged",
            labels={"figure": "Every claim, its estimate and its verdict"},
        ),
        png=f"{STUDY}/figures/claims.png",
        csv=f"{STUDY}/figures/claims.csv",
    log:
        f"{STUDY}/logs/judge.log",
    benchmark:
        f"{STUDY}/benchmarks/judge.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        digest=PROJECT.verdicts_digest,
        data=folder_of("card"),
        results=folder_of("study"),
        out=folder_of(),
    shell:
        command(
            "judge",
            "--study {input.study:q} --data {params.data:q} --results {params.results:q} --out {params.out:q}",
        )
