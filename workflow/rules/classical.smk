"""The older methods: a job for each pack of them, on the CPU, beside those that train."""

# As in training.smk, but for how results depend on code.
for number, pack in enumerate(PROJECT.classical_packs):
    folders = [PROJECT.arm_folder(arm) for arm in pack]
    lenders = [PROJECT.arm_folder(arm) for arm in PROJECT.lenders(pack)]

    rule:
        name:
            f"fit_classical_{number}"
        input:
            train=f"{DATA}/train.safetensors",
            test=f"{DATA}/test.safetensors",
            card=CARD,
            study=STUDY_FILE,
            plan=PLAN,
            lent=[f"{folder}/tuning.json" for folder in lenders],
        output:
            settings=[f"{folder}/tuning.json" for folder in folders],
            runs=[f"{folder}/runs.parquet" for folder in folders],
        log:
            f"{STUDY}/logs/fit-classical-{number}.log",
        benchmark:
            f"{STUDY}/benchmarks/fit-classical-{number}.tsv"
        priority: 1 + PROJECT.lends(pack)
        conda:
            "../../envs/classical.yaml"
        threads: CONFIG.threads
        resources:
            mem_mb=PROJECT.training_mb,
            runtime="12h",
        params:
            digest=PROJECT.classical_digest,
            demands=PROJECT.demands(pack),
            data=folder_of("card"),
        shell:
            command(
                "fit_classical",
                "--study {input.study:q} --data {params.data:q} --threads {threads} {output.runs:q}",
            )
