"""Over several results: one verdict on each claim, and two results side by side."""

POOL = f"{CONFIG.results}/pool/claims"
POOLED = f"{POOL}.svg" if PROJECT.pooled else []

if workflow.is_main_process:
    for target, key, given in (
        ("compare", "against=PATH", PROJECT.against),
        ("pool", "'studies=[A, B]'", PROJECT.pooled),
    ):
        if target in sys.argv[1:] and not given:
            sys.exit(
                f"error: {target}: nothing is named; valid: snakemake {target} --config {key}"
            )


rule pool:
    input:
        claims=[f"{folder.as_posix()}/claims.csv" for folder in PROJECT.pooled],
    output:
        csv=f"{POOL}.csv",
        svg=report(
            f"{POOL}.svg",
            caption="../report/pool.rst",
            category=section(None),
            labels={"figure": "Every claim, over several studies"},
        ),
        png=f"{POOL}.png",
    log:
        f"{CONFIG.results}/pool/logs/pool.log",
    benchmark:
        f"{CONFIG.results}/pool/logs/pool.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        **asked(CONFIG.resources.rest),
    params:
        verb=verb("analyse"),
        digest=digests.pooling(),
        results=" ".join(quote(folder.as_posix()) for folder in PROJECT.pooled),
    shell:
        command("pool --results {params.results} --out {output.csv:q}")


# For people: it prints, whatever is up to date.
rule compare:
    input:
        claims=CLAIMS,
        effects=(
            f"{STUDY}/factorial/effects.csv" if "factorial" in PROJECT.analysed else []
        ),
        study=STUDY_FILE,
    log:
        f"{STUDY}/logs/compare.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        verb=verb("analyse"),
        results=folder_of("study"),
        against=quote(PROJECT.against.as_posix()) if PROJECT.against else "",
    shell:
        printing(
            "compare --results {params.results:q} --out {params.results:q}/compare --against {params.against}"
        )
