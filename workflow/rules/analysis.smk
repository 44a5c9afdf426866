"""From runs to tables, from tables to figures, an experiment at a time; and from all tables to verdicts."""

FIGURES = []
MEASURED = []


for name, experiment in PROJECT.analysed.items():
    arms = [arm for arm in PROJECT.arms.values() if name in arm.experiments]
    networks = [arm for arm in arms if arm.kind == "network"]
    tables = [
        f"{STUDY}/{name}/{table}.csv"
        for table in (*experiment.tables(), "choices", "measured")
    ]
    figures = {
        f"{STUDY}/figures/{name}-{figure}": label
        for figure, label in experiment.figures().items()
    }
    MEASURED.append(f"{STUDY}/{name}/measured.csv")
    FIGURES += [
        f"{figure}.{kind}" for kind in ("svg", "png", "csv") for figure in figures
    ]

    rule:
        name:
            f"analyse_{name}"
        input:
            runs=PROJECT.files(arms, "runs.parquet"),
            curves=PROJECT.files(networks, "curves.parquet"),
            rates=PROJECT.files(networks, "learning_rate.json"),
            settings=PROJECT.files(
                [arm for arm in arms if arm.kind == "classical"], "tuning.json"
            ),
            probes=PROJECT.files(
                [arm for arm in networks if arm.probed], "probe.parquet"
            ),
            speed=SPEED if experiment.reads_speed() else [],
            card=CARD,
        output:
            tables,
        log:
            f"{STUDY}/logs/analyse-{name}.log",
        benchmark:
            f"{STUDY}/benchmarks/analyse-{name}.tsv"
        conda:
            "../../envs/analysis.yaml"
        resources:
            **asked(CONFIG.resources.rest),
        params:
            verb=verb("analyse"),
            experiment=name,
            source=unwatched(SOURCE),
            digest=digests.analysing(experiment),
            data=folder_of("card"),
            results=unwatched(STUDY),
            out=folder_of(),
        shell:
            command(
                "experiment {params.experiment} --study {params.source:q} --data {params.data:q} "
                "--results {params.results:q} --out {params.out:q}"
            )

    rule:
        name:
            f"draw_{name}"
        input:
            tables=tables,
            criteria=CRITERIA,
        output:
            svg=[
                report(
                    f"{figure}.svg",
                    caption=f"../report/{Path(figure).name}.rst",
                    category=section(name),
                    labels={"figure": label},
                )
                for figure, label in figures.items()
            ],
            png=[f"{figure}.png" for figure in figures],
            csv=[f"{figure}.csv" for figure in figures],
        log:
            f"{STUDY}/logs/draw-{name}.log",
        benchmark:
            f"{STUDY}/benchmarks/draw-{name}.tsv"
        conda:
            "../../envs/analysis.yaml"
        resources:
            **asked(CONFIG.resources.rest),
        params:
            verb=verb("draw"),
            experiment=name,
            source=unwatched(SOURCE),
            digest=digests.drawing(experiment),
            results=folder_of("criteria"),
            out=folder_of(),
        shell:
            command(
                "{params.experiment} --study {params.source:q} --results {params.results:q} --out {params.out:q}"
            )


# What was found, and how to do it again, for people.
rule summary:
    input:
        claims=CLAIMS,
        measured=MEASURED,
        card=CARD,
        study=STUDY_FILE,
    output:
        summary=f"{STUDY}/summary.md",
        page=report(
            f"{STUDY}/explore.html",
            caption="../report/explore.rst",
            category=section(None),
            labels={"figure": "Curves, effects and tables to explore"},
        ),
    log:
        f"{STUDY}/logs/summary.log",
    benchmark:
        f"{STUDY}/benchmarks/summary.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        verb=verb("summarise"),
        results=folder_of("study"),
        digest=code_digest("reporting"),
    shell:
        command(
            "--study {input.study:q} --results {params.results:q} --card {input.card:q} "
            "--out {output.summary:q} --explore-out {output.page:q}"
        )


rule judge:
    input:
        measured=MEASURED,
        card=CARD,
        study=STUDY_FILE,
        criteria=CRITERIA,
    output:
        claims=CLAIMS,
        parts=f"{STUDY}/claims_parts.csv",
        svg=report(
            f"{STUDY}/figures/claims.svg",
            caption="../report/claims.rst",
            category=section(None),
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
    resources:
        **asked(CONFIG.resources.rest),
    params:
        verb=verb("judge"),
        digest=digests.judging(PROJECT.study),
        data=folder_of("card"),
        results=folder_of("study"),
        out=folder_of(),
        untested=" ".join(
            f"--untested {quote(f'{name}={reason}')}"
            for name, reason in PROJECT.absent.items()
        ),
    shell:
        command(
            "{params.untested} --study {input.study:q} --data {params.data:q} --results {params.results:q} --out {params.out:q}"
        )
