"""What every other file here uses: the project, its paths, and the slots for GPUs."""

from shlex import quote

from takeoff.common.addresses import without_secrets
from takeoff.common.digests import code_digest
from takeoff.common.gpus import Found
from takeoff.common.parent import is_the_workflow
from takeoff.study.names import short_names
from takeoff.workflow import digests
from takeoff.workflow.following import imports_of
from takeoff.workflow.leftovers import remove_temporary
from takeoff.workflow.patience import be_patient
from takeoff.workflow.project import load_project
from takeoff.workflow.wiring import (
    asked,
    check_finished,
    check_ranks,
    classes_option,
    command,
    fetch_from,
    folder_of,
    log_to,
    memory,
    only_looks,
    only_measures,
    only_reports,
    option,
    printing,
    ranks_asked,
    run_in_this_python,
    unwatched,
    verb,
)

run_in_this_python()
is_the_workflow()
be_patient()

# On a cluster a job reads these rules anew, on a machine that may have what this one lacks.
ELSEWHERE = bool(workflow.remote_exec or workflow.resource_settings.nodes)
PROJECT = load_project(config, ELSEWHERE)
READING = digests.preparing(PROJECT.images)  # looks at every file of a folder
# What can be known before anything is downloaded or trained is refused then; the plan itself is printed first.
if workflow.is_main_process and not {"plan", "--unlock"} & set(sys.argv):
    PROJECT.check_budget()
if PROJECT.changed_study:
    PROJECT.changed_study.write()
# Nothing is downloaded that earlier runs read from a copy.
if workflow.is_main_process and PROJECT.images.remembered:
    where = (
        f"{PROJECT.images.given}, as in earlier runs; {PROJECT.images.origin} says so"
    )
    print(f"archives: {PROJECT.study.dataset.name}: {where}", file=sys.stderr)

STUDY = PROJECT.folder.as_posix()
DATA = PROJECT.images.prepared.as_posix()
CONFIG = PROJECT.configuration
RANKS = CONFIG.gpus_per_run
MACHINE = f"--device {CONFIG.device} --precision {CONFIG.precision}"

# Read by the texts of the report as it is made: what was found stands there in numbers. Snakemake hands them `config`.
if any(word.startswith("--report") for word in sys.argv):
    from takeoff.reporting.graph import draw_verbs
    from takeoff.reporting.pages import Pages

    draw_verbs()
    card = PROJECT.images.prepared / "card.json"
    config["pages"] = Pages(PROJECT.folder, PROJECT.study, card)

# A partial study trains nothing and logs nothing: an import would delete the runs of arms that are missing.
if CONFIG.partial and workflow.is_main_process:
    for name, reason in PROJECT.absent.items():
        print(f"{name} is not analysed: {reason}", file=sys.stderr)
    print(
        "partial: nothing is trained, and nothing is logged to MLflow", file=sys.stderr
    )

# Files are named here rather than by the rule that makes them: a job on a cluster must not run that rule again.
IMAGES = {split: f"{DATA}/{split}.safetensors" for split in ("train", "test")}
CARD = f"{DATA}/card.json"
PLAN = f"{STUDY}/plan.csv"
STUDY_FILE = f"{STUDY}/study.json"  # as planned; jobs that depend on a part of it read its source
SOURCE = PROJECT.source.as_posix()
CRITERIA = f"{STUDY}/criteria.json"
SPEED = f"{STUDY}/speed.csv"
CLAIMS = f"{STUDY}/claims.csv"

# Snakemake looks at dates alone: a finished file that was changed would count as made.
LOOKS = workflow.output_settings.dryrun or only_looks(sys.argv)
MEASURES = only_measures(sys.argv[1:], CONFIG.results)
if workflow.is_main_process and not CONFIG.partial:
    for path, resting in PROJECT.changed().items():
        print(f"{path}: changed, damaged or gone; a run makes it anew", file=sys.stderr)
        for file in [] if LOOKS else [path, *resting]:
            file.unlink(missing_ok=True)
    if not (LOOKS or MEASURES):
        PROJECT.remember_packs()

if CONSOLE:
    at_once = workflow.resource_settings.nodes or workflow.resource_settings.cores or 1
    called = short_names(PROJECT.arms.values())
    commands = PROJECT.commands
    if {"--report", "--report-after-run"} <= set(sys.argv):  # it is made right after
        commands = commands._replace(report=sys.argv[sys.argv.index("--report") + 1])
    CONSOLE.follows(
        PROJECT.study,
        PROJECT.folder,
        at_once // CONFIG.threads,
        called,
        PROJECT.trained_by,
        commands,
    )
    CONSOLE.imports = imports_of(PROJECT)
    CONSOLE.looks = LOOKS

# A job takes GPUs where training will be on one. On a cluster it keeps to what it is given; the machine at hand has
# as many slots as `--resources gpu=N` says, or as it has GPUs. Without a limit `--cores all` would start them all; on a
# cluster, whose jobs `--jobs` limits, it would take GPUs from a job that asks for several.
here = Found(0) if workflow.remote_exec else PROJECT.gpus
GPUS = int(CONFIG.device == "cuda" or here.gpus > 0)
TRAINING_GPUS = 0 if CONFIG.stays_on_cpu(PROJECT.study.dataset.resolution) else GPUS
if not workflow.resource_settings.nodes:
    workflow.global_resources.setdefault("gpu", max(1, here.gpus))
    if TRAINING_GPUS and here.gpus and not (CONFIG.partial or only_looks(sys.argv)):
        check_ranks(RANKS, here.gpus)
if here.unused and workflow.is_main_process:
    print(here.unused, file=sys.stderr)
# A job that trains takes torch's memory and that of the images: once where they lie, for each of its processes, and
# once as they are read. One that fits older methods takes their features', too.
training_mb = lambda ranks: memory(4000 * ranks, 1 + ranks, CONFIG.images_in_memory)
FITTING_MB = memory(4000, 3)
# What measures takes every core, so that nothing else runs beside it; on a cluster, those of any training job.
ALL_THREADS = (
    not workflow.remote_exec and workflow.resource_settings.cores or CONFIG.threads
)


resource_scopes:
    gpu="local",


# The report orders its sections by their names; those of the figures of all claims come first, then the questions.
TITLES = {None: "All claims, judged"}
TITLES |= {name: one.title for name, one in PROJECT.experiments.items()}
section = {
    name: f"{letter}. {title}"
    for letter, (name, title) in zip("ABCDEFGHIJKLMN", TITLES.items())
}.get

# Of the job of a pack of arms; what runs one job has nothing to choose from.
urgency = PROJECT.priority if workflow.is_main_process else lambda pack: 1

# The files of arms, as an input. Those that stand already are no output of planning: Snakemake overlooks what else
# changed for a job whose input is ancient and made anew. Nor does a new label in one of them count.
planned = lambda arms: [
    file if arm.name in PROJECT.unwritten else ancient(file)
    for arm, file in zip(arms, PROJECT.files(arms))
]
