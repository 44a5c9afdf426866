"""From an address or the user's archive to prepared images."""

DATASET = PROJECT.study.dataset
IMAGE_SOURCE = PROJECT.images
FETCHED = IMAGE_SOURCE.fetched and IMAGE_SOURCE.fetched.as_posix()
ARCHIVE = IMAGE_SOURCE.local or FETCHED


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
            verb=verb("fetch"),
            dataset=option("dataset", IMAGE_SOURCE.entry and IMAGE_SOURCE.entry.name),
            url=fetch_from(IMAGE_SOURCE.given),
            sha256=option("sha256", DATASET.sha256),
        shell:
            command("{params.dataset} {params.sha256} --out {output.archive:q}")


rule prepare:
    input:
        archive=ARCHIVE or [],
    output:
        **IMAGES,
        card=CARD,
    log:
        f"{STUDY}/logs/prepare.log",
    benchmark:
        f"{STUDY}/benchmarks/prepare.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 4
    resources:
        **asked(CONFIG.resources.prepare, mem_mb=2000, runtime="4h"),
    params:
        verb=verb("prepare"),
        archive=option("archive", ARCHIVE),
        sha256=option("sha256", IMAGE_SOURCE.local and DATASET.sha256),
        classes=classes_option(DATASET.classes or ()),
        remember=unwatched(option("remember", IMAGE_SOURCE.to_remember)),
        dataset=DATASET.name,
        resolution=DATASET.resolution,
        damaged="--leave-out-damaged" if CONFIG.leave_out_damaged else "",
        out=folder_of(),
        digest=READING,
    shell:
        command(
            "{params.archive} {params.sha256} {params.classes} {params.damaged} {params.remember} "
            "--dataset {params.dataset:q} "
            "--resolution {params.resolution} --threads {threads} --out {params.out:q}"
        )
