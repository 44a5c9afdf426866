"""From an address or the user's archive to prepared images."""

ARCHIVE = PROJECT.local_archive or (
    PROJECT.fetched_archive and PROJECT.fetched_archive.as_posix()
)


if PROJECT.fetched_archive:

    rule fetch:
        output:
            archive=protected(PROJECT.fetched_archive.as_posix()),
        log:
            f"{STUDY}/logs/fetch.log",
        benchmark:
            f"{STUDY}/benchmarks/fetch.tsv"
        retries: 2
        localrule: True
        conda:
            "../../envs/data.yaml"
        params:
            dataset=f"--dataset {PROJECT.study.dataset.name}" if PROJECT.entry else "",
            url=f"--url '{PROJECT.given_archive}'" if PROJECT.given_archive else "",
            sha256=(
                f"--sha256 {PROJECT.study.dataset.sha256}"
                if PROJECT.study.dataset.sha256
                else ""
            ),
        shell:
            command(
                "fetch",
                "{params.dataset} {params.url} {params.sha256} --out {output.archive}",
            )


rule prepare:
    input:
        archive=[ARCHIVE] if ARCHIVE else [],
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
        archive=f"--archive '{ARCHIVE}'" if ARCHIVE else "",
        sha256=(
            f"--sha256 {PROJECT.study.dataset.sha256}"
            if PROJECT.local_archive and PROJECT.study.dataset.sha256
            else ""
        ),
        classes=(
            f"--classes '{','.join(PROJECT.study.dataset.classes)}'"
            if PROJECT.study.dataset.classes
            else ""
        ),
        dataset=PROJECT.study.dataset.name,
        resolution=PROJECT.study.dataset.resolution,
        out=folder_of(),
        code=PROJECT.preparation_digest,
    shell:
        command(
            "prepare",
            "{params.archive} {params.sha256} {params.classes} --dataset {params.dataset} "
            "--resolution {params.resolution} --threads {threads} --out {params.out}",
        )
