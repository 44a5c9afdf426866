"""The study: one typed YAML file that says what is compared, on which images, with which networks."""

from math import ceil
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from takeoff.study.settings import Count, LearningRate, Network, Recipe, Resolution, Settings, WeightDecay, ascending

Level = str | int | float
SMALLEST_MAP = 8
"""Pixels that the first convolution must leave, for three poolings."""
TUNING_SEED = 1_000_000
"""Tuning draws its seeds from here upwards, where no final run may."""
MOST_TUNING_SEEDS = 100
"""Of a block."""


class Dataset(Settings):
    """Which images, at which size, and how many of them may be learned from."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """An entry of the catalogue, or a name for your own images (then `archive` says where they are)."""
    resolution: Resolution
    """The side, in pixels, to which images are brought."""
    archive: str | None = None
    """A path or an address of your own archive or folder; `archives` in config.yaml goes before it."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The checksum of `archive`."""
    classes: list[str] | None = None
    """Only these classes; all of them when left out."""
    train_samples: Count | Literal["all"] = "all"
    """How many training images there are to learn from, validation images counted among them."""
    test_samples: Count | Literal["all"] = "all"
    """How many test images are read, once, at the end of a run."""
    validation_fraction: Annotated[float, Field(gt=0, le=0.2)] = 0.2
    """The share of `train_samples` held out: rates are chosen on it, no run ever trains on it."""


class Tuning(Settings):
    """How learning rates, and weight decays, are chosen: with the same grid and as many runs for every arm."""

    learning_rates: Annotated[list[LearningRate], Field(min_length=1), AfterValidator(ascending)]
    """The grid."""
    weight_decays: Annotated[list[WeightDecay], Field(min_length=1), AfterValidator(ascending)] | None = None
    """Weight decays that each rate is tried with; left out, the recipe's alone. Arms with a grid of their own keep to
    the recipe's."""
    search: Literal["grid", "line"] = "grid"
    """Which of them are tried: with `grid` every rate with every decay; with `line` every rate with the recipe's decay,
    then the best of them with the other decays, which are fewer runs, and as many for every arm."""
    blocks: Count = 1
    """In how many blocks the final seeds choose, each for itself, on tuning seeds of its own; a seed belongs to the
    block of its remainder. With as many blocks as seeds each chooses alone, and intervals over seeds contain what the
    choice adds."""
    seeds: Annotated[Count, Field(lt=MOST_TUNING_SEEDS)] = 2
    """Runs per setting and block, on seeds that no final run uses."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How long tuning runs are, as a share of the epochs of final ones, to the nearest epoch. Arms with a grid of their
    own are tuned in full."""
    decay_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """How long the runs are that choose the weight decay of a `line`, likewise; left out, as long as the others. Short
    runs may prefer another decay than long ones: where this is more, all decays are tried anew with the best rate."""
    first_seed: Annotated[int, Field(ge=TUNING_SEED, strict=True)] = TUNING_SEED
    """The first of these seeds, a million or above. Another one gives a second run of the study with choices of its
    own, to show how far these carry."""

    @model_validator(mode="after")
    def _line_has_start(self) -> "Tuning":
        if self.search == "line" and len(self.weight_decays or ()) < 2:
            raise ValueError("tuning.search: line is for two weight_decays or more")
        if self.decay_share is not None and (self.search != "line" or self.decay_share < self.share):
            raise ValueError("tuning.decay_share: only a line has it, and it is share or more")
        return self


class Factor(Settings):
    """Something switched, from a baseline to a treatment."""

    baseline: Level
    """The level before."""
    treatment: Level
    """The level that is said to help."""


class Budget(Settings):
    """What the study may cost; `plan` refuses what exceeds it."""

    runs: Count
    """Trainings, those for tuning included."""
    core_hours: Annotated[float, Field(gt=0)]
    """Processor time, as `plan` expects it on this machine."""


class Study(Settings):
    """A study: a dataset, a network, a recipe, factors, seeds, and the experiments to run on them."""

    title: str
    """What the figures and the report call it."""
    dataset: Dataset
    network: Network = Network()
    """The settings that hold wherever a factor does not say otherwise."""
    recipe: Recipe = Recipe()
    """The training that holds wherever a factor does not say otherwise."""
    tuning: Tuning
    seeds: Count | Annotated[list[Annotated[int, Field(strict=True)]], Field(min_length=1)]
    """Seeds of the final runs: how many, from 0 up, or which."""
    factors: Annotated[dict[str, Factor], Field(min_length=1)]
    """The factors: activation, norm, dropout, response_norm, pooling, augmentation, initialisation, width, stem_stride,
    train_samples."""
    experiments: Annotated[dict[str, dict[str, Any] | None], Field(min_length=1)]
    """Which experiments run, each with its own options."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Differences in accuracy smaller than this count as none (a fraction)."""
    budget: Budget

    @field_validator("seeds")
    @classmethod
    def _usable_seeds(cls, seeds: int | list[int]) -> int | list[int]:
        if isinstance(seeds, list):
            if len(set(seeds)) < len(seeds):
                raise ValueError("a seed stands twice in the list")
            if min(seeds) < 0 or max(seeds) >= TUNING_SEED:
                raise ValueError(f"seeds lie between 0 and {TUNING_SEED - 1}; those above are for tuning")
        return seeds

    @model_validator(mode="after")
    def _levels_exist(self) -> "Study":
        for name, factor in self.factors.items():
            if factor.baseline == factor.treatment:
                raise ValueError(f"factors.{name}: baseline and treatment are both {factor.baseline}")
        decay, decays = self.recipe.weight_decay, self.tuning.weight_decays
        if self.tuning.search == "line" and decay not in (decays or ()):
            raise ValueError(f"tuning.weight_decays: {decays}: a line starts at recipe.weight_decay, {decay:g}")
        strides = {f"factors.stem_stride.{role}": level for role, level in self.factors.get("stem_stride", ())}
        side, most = self.dataset.resolution, max(1, self.dataset.resolution // SMALLEST_MAP)
        for key, stride in {"network.stem_stride": self.network.stem_stride, **strides}.items():
            if isinstance(stride, int) and stride > most:
                raise ValueError(f"{key}: {stride} leaves too small a map of {side} px; at most {most}")
        return self

    @property
    def seed_list(self) -> list[int]:
        """The seeds of the final runs."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def tuning_seeds(self) -> list[int]:
        """The seeds of the first block, on which older methods choose their settings."""
        return self.tuning_seeds_of(0, self.tuning.seeds)

    def tuning_seeds_of(self, block: int, runs: int) -> list[int]:
        """The seeds on which a block chooses, so many."""
        first = self.tuning.first_seed + block * MOST_TUNING_SEEDS
        return list(range(first, first + runs))

    def tuning_epochs(self, recipe: Recipe) -> int:
        """How many epochs a tuning run with this recipe trains: those of its warm-up at least."""
        return _epochs(recipe, self.tuning.share)

    def decay_epochs(self, recipe: Recipe) -> int:
        """And one that chooses its weight decay."""
        return _epochs(recipe, self.tuning.decay_share or self.tuning.share)


def _epochs(recipe: Recipe, share: float) -> int:
    """That share of the recipe's epochs, to the nearest, and its warm-up at least."""
    return max(ceil(recipe.warmup_epochs), round(share * recipe.epochs), 1)
