"""From an address or the user's archive to prepared images."""

DATASET = PROJECT.study.dataset
FETCHED = PROJECT.fetched_archive and PROJECT.fetched_archive.as_posix()
ARCHIVE = PROJECT.local_archive or FETCHED


if FETCHED:

    rule fetch:
        output:
            archive=protected(FETCHED),
        log:
            f"{STUDY}/logs/fetch.log",
        benchmark:
            f"{STUDY}/benchmarks/fetch.tsv"
        retries: 2
        localrule: True
        conda:
            "../../envs/data.yaml"
        params:
            dataset=option("dataset", PROJECT.entry and PROJECT.entry.name),
            url=option("url", PROJECT.given_archive),
            sha256=option("sha256", DATASET.sha256),
        shell:
            command(
                "fetch",
                "{params.dataset} {params.url} {params.sha256} --out {output.archive:q}",
            )


rule prepare:
    input:
        archive=ARCHIVE or [],
    output:
        train=f"{DATA}/train.safetensors",
        test=f"{DATA}/test.safetensors",
        card=CARD,
    log:
        f"{STUDY}/logs/prepare.log",
    benchmark:
        f"{STUDY}/benchmarks/prepare.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 4
    resources:
        mem_mb=2000,
        runtime="4h",
    params:
        archive=option("archive", ARCHIVE),
        sha256=option("sha256", PROJECT.local_archive and DATASET.sha256),
        classes=option("classes", ",".join(DATASET.classes or ())),
        dataset=DATASET.name,
        resolution=DATASET.resolution,
        out=folder_of(),
        digest=PROJECT.preparation_digest,
    shell:
        command(
            "prepare",
            "{params.archive} {params.sha256} {params.classes} --dataset {params.dataset:q} "
            "--resolution {params.resolution} --threads {threads} --out {params.out:q}",
        )
