"""From runs to tables, and from tables to figures: an experiment at a time."""

FIGURES = []


for experiment, arms in PROJECT.arms.items():
    code = PROJECT.experiment(experiment)
    tables = [f"{STUDY}/{experiment}/{table}.csv" for table in code.TABLES]
    figures = [f"{STUDY}/figures/{experiment}-{figure}" for figure in code.FIGURES]
    FIGURES += [f"{figure}.svg" for figure in figures]

    rule:
        name:
            f"analyse_{experiment}"
        input:
            runs=[f"{PROJECT.arm_folder(arm).as_posix()}/runs.parquet" for arm in arms],
            curves=[
                f"{PROJECT.arm_folder(arm).as_posix()}/curves.parquet" for arm in arms
            ],
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
                    labels={
                        "figure": code.FIGURES[
                            Path(figure).name.removeprefix(f"{experiment}-")
                        ]
                    },
                )
                for figure in figures
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
