"""The configuration of this machine: which study, where results and archives are, device, tracking."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from takeoff.common.addresses import expanded, folder_path, place
from takeoff.common.arguments import MOST_THREADS
from takeoff.common.spelling import shown
from takeoff.study.settings import Count, Settings

Folder = Annotated[str, AfterValidator(folder_path)]
DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

SMALL_SIDE = 8
"""Pixels of images up to which the device `auto` is the CPU: a GPU's core waits for most of such small steps."""
HOST_MB = 16_000
"""Images that a job on a CPU keeps in memory, at most, in MB; of larger sets the system caches what it can."""
FULL_PRECISION_SIDE = 8
"""Pixels of images up to which the precision `auto` is float32, so that it is no difference between the machines that
run the default study. Where a CPU multiplies in bfloat16 (AVX-512) its steps take 11% to 19% less time."""


WORDS: dict[object, bool | None] = {"null": None, "true": True, "false": False}
"""What Snakemake's `--config` takes for text."""


def _asked(given: dict[str, int | str]) -> dict[str, int | str]:
    """Numbers as such, which `--config` hands on as text; what Snakemake would refuse is refused before it."""
    found = {name: int(value) if re.fullmatch(r"[0-9]{1,12}", str(value)) else value for name, value in given.items()}
    for name, value in found.items():
        if hasattr(list, name) or re.fullmatch(OF_LISTS, name):
            raise ValueError(f"{name}: Snakemake has no resource of that name; valid: others, as runtime or mem_mb")
        form, valid = next(rule for end, rule in FORMS.items() if name.endswith(end))
        if not re.fullmatch(form, str(value), re.ASCII):
            raise ValueError(f"{name}: {value!r} is not valid; valid: {valid}")
    return found


OF_LISTS = r"get|items|keys|update|size(_\w+)?|temp_size_mb"
"""What Snakemake's list of resources has under a name already, beside what every list has."""
FORMS = {
    "runtime": (r"[1-9]\d{0,6}|(?=.*[1-9])\d{1,6}(\.\d+)? ?(s|m|h|d|w)", "minutes, or text like 90m, 4h, 2d"),
    "_mb": (r"[1-9]\d{0,8}", "a whole number from 1, below a thousand million"),
    "mem": (r"(?=.*[1-9])\d{1,6}(\.\d+)? ?[kKMGT]B", "text like 8 GB"),
    "gpu": (r"\d{1,4}", "a whole number from 0 to 9999"),
    **dict.fromkeys(
        ("threads", "cpus_per_task", "tasks", "nodes"), (r"[1-9]\d{0,4}", "a whole number from 1 to 99999")
    ),
    "tmpdir": (r".*\D.*", "a path"),
    "": (r"[^\x00-\x1f\x7f]+", "a whole number, or text in one line"),
}
"""How the name of a resource ends → what its value looks like, in full, and in words; the first that fits counts."""
Asked = Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], int | str], AfterValidator(_asked)]
"""Snakemake's name of a resource → how much."""
ASKED: Any = Field(default_factory=dict, json_schema_extra={"default": {}})


class Resources(Settings):
    """What jobs ask a cluster for in place of what they would, by Snakemake's names: `runtime`, `mem_mb`,
    `slurm_partition`, `slurm_account`, `slurm_extra`, `gres` and others.
    """

    prepare: Asked = ASKED
    """Of the job that reads the archive."""
    train: Asked = ASKED
    """Of jobs that train networks, and of the one that times their steps."""
    fit: Asked = ASKED
    """Of jobs that fit older methods."""
    rest: Asked = ASKED
    """Of analyses, figures, verdicts and the benchmark."""


class Configuration(Settings):
    """How this machine works; never what is studied."""

    study: Annotated[str, AfterValidator(expanded)] = "digits"
    """A name in `config/studies`, or a path to your own file."""
    set: str = ""
    """Keys of the study with other values, as `seeds=8 recipe.epochs=20`; results go under a name that has them."""
    results: Folder = "results"
    """The folder that everything made is written to. In this and every path `~` and `$VARIABLE` are written out."""
    archives: Annotated[dict[str, Annotated[str, AfterValidator(place)]], Field(max_length=1000)] = Field(
        default_factory=dict, json_schema_extra={"default": {}}
    )
    """Dataset → path of an archive or folder that you already have; it is read in place of a download."""
    leave_out_damaged: bool = False
    """Whether damaged files, and those that are no images, are left out and counted in the report; else they are named,
    and nothing is prepared."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` is the GPU where there is one, but the CPU for images of 8 px, whose steps are too small
    for a GPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products and convolutions; `auto` is bfloat16 where the hardware computes in it, but float32 for images
    of 8 px, so that the default study has one precision on every machine."""
    threads: Annotated[Count, Field(le=MOST_THREADS)] = 1
    """Threads of a training job on a CPU; sums are ordered by it, so another number rounds differently."""
    gpus_per_run: Annotated[Count, Field(le=1024)] = 1
    """GPUs that train each run together, each a part of every batch; on a CPU as many processes. More jobs at a time
    finish a study sooner: this is for runs that alone take too long. Numbers differ by rounding alone."""
    image_memory_mb: Annotated[Count, Field(le=100_000_000)] | None = None
    """Images that a job keeps on its device, at most, in MB; larger sets are read from disk as they train, to the same
    numbers. Null: 60% of what a GPU has free, or less, so that a run of the network has room beside them; on a CPU
    16,000."""
    arms_per_job: Annotated[Count, Field(le=10_000)] | None = None
    """Arms that share a job, to share its start-up; null: of small ones as many as train for most of a minute, on a
    GPU for five. Which arms share one changes no result. Of thousands more do."""
    resources: Resources = Resources()
    """What jobs ask a cluster for. Left out, those that train or fit ask for 12 hours, and for memory by the images,
    twice and three times as much at the second and third try."""
    checkpoint_minutes: Annotated[float, Field(gt=0, le=10_080)] = 10
    """A run longer than this keeps a checkpoint this often, and goes on from it after a kill."""
    partial: bool = False
    """Whether to train nothing, and report the experiments whose arms are all there; of the others the claims are not
    tested, and nothing is logged."""
    studies: Annotated[tuple[Folder, ...], Field(max_length=100)] = ()
    """Studies whose claims are pooled, names in the results or folders; then `snakemake pool`, and the report, have one
    verdict over them."""
    against: Folder | None = None
    """Other results of the study, a folder or a name; `snakemake compare` sets both side by side."""
    tracking_uri: str | None = None
    """Where runs are logged: SQLite, PostgreSQL, or an MLflow server's address; null for `mlflow.db` (SQLite)
    among the results, `off` for nowhere. A password in it stays out of jobs' command lines, logs
    and results; give it in a file, since Snakemake shows what `--config` says."""

    log_models: bool | None = None
    """Whether the best network of each arm that is trained from now on is kept, and logged to MLflow (3 or newer) as a
    model that predicts; null: where it has a million parameters at most."""
    tracking_minutes: Annotated[float, Field(ge=0, le=10_080)] = 5
    """How often arms that are finished are logged while others train and progress is shown; 0: all at the end."""

    @property
    def images_in_memory(self) -> int:
        """MB of images that a job keeps, at most, as a cluster is asked for memory."""
        return HOST_MB if self.image_memory_mb is None else self.image_memory_mb

    def stays_on_cpu(self, resolution: int) -> bool:
        """Whether images of so many pixels' side train on the CPU though there may be a GPU."""
        return self.device == "cpu" or (self.device == "auto" and resolution <= SMALL_SIDE)

    @property
    def weights_kept(self) -> int:
        """Parameters of a network, at most, whose weights are kept."""
        return {None: 10**6, True: 10**12, False: 0}[False if self.tracking_uri in {"off", ""} else self.log_models]

    @field_validator("archives", mode="before")
    @classmethod
    def _by_dataset(cls, given: Any) -> Any:
        valid = "valid: dataset: path, with a space after the colon, as in {cifar10: /data/cifar-10-python.tar.gz}"
        if not isinstance(given, dict):
            raise ValueError(f"{shown(given)} is not valid; {valid}")
        if (wrong := next((name for name in given if not DATASET.fullmatch(name)), None)) is not None:
            raise ValueError(f"{shown(wrong)} is no dataset's name; {valid}")
        return given

    @field_validator("tracking_uri", mode="before")
    @classmethod
    def _off(cls, given: Any) -> Any:
        """YAML takes the word `off` for false."""
        return "off" if given is False else given

    @field_validator("tracking_uri")
    @classmethod
    def _written_out(cls, given: str | None) -> str | None:
        """In the path of a database's file; a password elsewhere may have a dollar sign."""
        if given and not given.strip():
            raise ValueError(f"{shown(given)} is not valid; valid: an address, or off")
        kind, slashes, path = (given or "").strip().partition(":///")
        return f"{kind}{slashes}{expanded(path)}" if slashes and kind.startswith("sqlite") else given
