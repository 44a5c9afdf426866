"""The older methods: a job for each pack of them, on the CPU, beside those that train."""

# As in training.smk, but for how results depend on code.
for number, pack in enumerate(PROJECT.classical_packs):

    rule:
        name:
            f"fit_classical_{number}"
        input:
            **IMAGES,
            card=CARD,
            arms=planned(pack),
            choices=PROJECT.files(PROJECT.choosers(pack), "tuning.json"),
        output:
            settings=PROJECT.files(pack, "tuning.json"),
            runs=PROJECT.files(pack, "runs.parquet"),
        log:
            f"{STUDY}/logs/fit-classical-{number}.log",
        benchmark:
            f"{STUDY}/benchmarks/fit-classical-{number}.tsv"
        priority: urgency(pack)
        conda:
            "../../envs/classical.yaml"
        threads: CONFIG.threads
        resources:
            **asked(CONFIG.resources.fit, mem_mb=FITTING_MB, runtime="12h"),
        params:
            verb=verb("fit_classical"),
            digest=digests.fitting(pack, CONFIG),
            data=folder_of("card"),
        shell:
            command("--data {params.data:q} --threads {threads} {input.arms:q}")
