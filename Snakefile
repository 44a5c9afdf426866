"""Takeoff: which factor made deep learning take off? The whole study, from an archive of images to a report."""

from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/classical.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/tracking.smk"
include: "workflow/rules/benchmark.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    study,
    plan,


rule all:
    default_target: True
    input:
        PLAN,
        FIGURES,
        CLAIMS,
        f"{STUDY}/tracked.json",
