"""The configuration of this machine: which study, where results and archives are, device, tracking."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from takeoff.study.settings import Count, Settings

FULL_PRECISION_SIDE = 8
"""Pixels of images up to which the precision `auto` is float32, so that it is no difference between the machines that
run the default study. Where a CPU multiplies in bfloat16 (AVX-512) its steps take 11% to 19% less time."""


class Configuration(Settings):
    """How this machine works; never what is studied."""

    study: str = "digits"
    """A name in `config/studies`, or a path to your own file."""
    set: str = ""
    """Keys of the study with other values, as `seeds=8 recipe.epochs=20`; results go under a name that has them."""
    results: str = "results"
    """The folder that everything made is written to."""
    archives: dict[str, str] = Field(default_factory=dict, json_schema_extra={"default": {}})
    """Dataset → path of an archive or folder that you already have; it is read in place of a download."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` is the GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products and convolutions; `auto` is bfloat16 where the hardware computes in it, but float32 for images
    of 8 px, so that the default study has one precision on every machine."""
    threads: Count = 1
    """Threads of a training job on a CPU; sums are ordered by it, so another number rounds differently."""
    arms_per_job: Count | None = None
    """Arms that share a job, to share its start-up; null: of small ones as many as train for most of a minute. Which
    arms share one changes no result. Of thousands more do."""
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 10
    """A run longer than this keeps a checkpoint this often, and goes on from it after a kill."""
    partial: bool = False
    """Whether to train nothing, and report the experiments whose arms are all there; of the others the claims are not
    tested, and nothing is logged."""
    studies: tuple[str, ...] = ()
    """Studies whose claims are pooled, names in the results or folders; then `snakemake pool`, and the report, have one
    verdict over them."""
    against: str | None = None
    """Other results of the study, a folder or a name; `snakemake compare` sets both side by side."""
    tracking_uri: str | None = None
    """Where runs are logged: SQLite, PostgreSQL, or an MLflow server's address; null for `mlflow.db` (SQLite)
    among the results, `off` for nowhere. A password in it stays out of jobs' command lines, logs
    and results; give it in a file, since Snakemake shows what `--config` says."""

    log_models: bool | None = None
    """Whether the best network of each arm that is trained from now on is kept, and logged to MLflow (3 or newer) as a
    model that predicts; null: where it has a million parameters at most."""
    tracking_minutes: Annotated[float, Field(ge=0)] = 5
    """How often arms that are finished are logged while others train and progress is shown; 0: all at the end."""

    @property
    def weights_kept(self) -> int:
        """Parameters of a network, at most, whose weights are kept."""
        return {None: 10**6, True: 10**12, False: 0}[False if self.tracking_uri in {"off", ""} else self.log_models]

    @field_validator("tracking_uri", mode="before")
    @classmethod
    def _off(cls, given: Any) -> Any:
        """YAML takes the word `off` for false."""
        return "off" if given is False else given
