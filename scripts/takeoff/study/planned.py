"""Planned arms: each whole, with nothing left to look up, one file each: `arms/<arm>/arm.json`."""

from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar

from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json, write_json
from takeoff.common.spelling import choices
from takeoff.study.arms import AnyArm, Arm, ClassicalArm, blocks_of, distinct, seeds_of
from takeoff.study.loading import check
from takeoff.study.model import Study
from takeoff.study.settings import Count, Resolution, Settings

ARM = "arm.json"
FILES = (ARM, "learning_rate.json", "tuning.json", "runs.parquet", "curves.parquet", "probe.parquet")
"""An arm's files that may be named in place of its folder."""
LARGE = 40_000
"""Training images of a large study."""
NEEDED = {"network": ("learning_rate.json", "curves.parquet"), "classical": ("tuning.json",)}
"""What an arm has when it is done, beside `runs.parquet` and, if it is probed, `probe.parquet`."""


class Images(Settings):
    """The images that an arm learns from and is tested on."""

    dataset: str
    """The dataset's name."""
    resolution: Resolution
    """Their side, in pixels."""
    test_samples: Count | Literal["all"]
    """How many test images are read."""
    validation_fraction: float
    """The share of the arm's training images held out."""


class Block(Settings):
    """Final seeds that share a choice, and the seeds that it is made on."""

    number: int
    seeds: tuple[int, ...]
    """Of final runs; none where only arms that take this arm's choice have some."""
    tuning_seeds: tuple[int, ...]


class PlannedArm(Arm):
    """A network's arm, whole."""

    kind: Literal["network"] = "network"
    images: Images
    seeds: tuple[int, ...]
    """Of its final runs."""
    learning_rates: tuple[float, ...]
    """The grid that its learning rate is chosen from, with"""
    weight_decays: tuple[float, ...]
    """each of these,"""
    search: Literal["grid", "line"]
    """or these with the best rate alone."""
    tuning_epochs: Count
    """Of the runs that this is chosen by,"""
    decay_epochs: Count
    """and of those that compare all weight decays of a line; as many where there the other decays are tried alone."""
    blocks: tuple[Block, ...]
    """Its final seeds, in the blocks that choose."""
    experiments: tuple[str, ...]
    """The experiments that want it."""

    @property
    def grid(self) -> list[tuple[float, float]]:
        """The learning rates and weight decays that are tried first: all of a `grid`, those of the recipe's decay of a
        `line`.
        """
        line = self.search == "line"
        return list(product(self.learning_rates, (self.recipe.weight_decay,) if line else self.weight_decays))

    @property
    def later_decays(self) -> tuple[float, ...]:
        """The weight decays that are tried with the best of those rates alone: for longer all of them."""
        first = {decay for _, decay in self.grid} if self.decay_epochs == self.tuning_epochs else set()
        return tuple(decay for decay in self.weight_decays if decay not in first) if self.search == "line" else ()


class PlannedClassicalArm(ClassicalArm):
    """An older method's arm, whole."""

    kind: Literal["classical"] = "classical"
    images: Images
    seeds: tuple[int, ...]
    """Of its final fits."""
    tuning_seeds: tuple[int, ...]
    """The seeds that every setting of its grid is tried on."""
    mirrored: bool
    """Whether learners get a mirrored copy of each training image, too: where the study mirrors images."""
    large: bool
    """Whether the study is so large that k-means gets as many features as in Coates 2011."""
    experiments: tuple[str, ...]
    """The experiments that want it."""


AnyPlannedArm = PlannedArm | PlannedClassicalArm
Planned = TypeVar("Planned", PlannedArm, PlannedClassicalArm)
_KINDS: dict[object, type[AnyPlannedArm]] = {"network": PlannedArm, "classical": PlannedClassicalArm}


def planned_arms(
    study: Study, wanted: Mapping[str, Iterable[AnyArm]], train_images: int | None = None
) -> list[AnyPlannedArm]:
    """Every arm that an experiment wants, once and whole: the study gives what an arm leaves open, and the dataset how
    many training images it has, where that is known.

    Raises ValueError where two arms of one name differ.
    """
    experiments: dict[str, dict[str, None]] = {}
    for name, arms in wanted.items():
        for arm in arms:
            experiments.setdefault(arm.name, {})[name] = None
    everything = distinct(arm for arms in wanted.values() for arm in arms)
    taking: dict[str, set[int]] = {}
    for arm in everything:
        taking.setdefault(arm.choice_from or arm.name, set()).update(blocks_of(study, seeds_of(study, arm)))
    samples = study.dataset.train_samples
    large = ((train_images or 0) if samples == "all" else samples) >= LARGE
    return [_whole(study, arm, tuple(experiments[arm.name]), taking.get(arm.name, set()), large) for arm in everything]


def images_of(study: Study) -> Images:
    """The images of every arm of a study."""
    settings = study.dataset.model_dump(include=set(Images.model_fields))
    return Images(dataset=study.dataset.name, **settings)


def _whole(study: Study, arm: AnyArm, experiments: tuple[str, ...], taken: set[int], large: bool) -> AnyPlannedArm:
    """The arm, with blocks for the final seeds of those that take its choice, too."""
    seeds = tuple(seeds_of(study, arm))
    common = arm.model_dump() | {"images": images_of(study), "seeds": seeds, "experiments": experiments}
    if not isinstance(arm, Arm):
        common |= {"mirrored": study.recipe.augmentation != "none", "large": large}
        return PlannedClassicalArm(**common | {"tuning_seeds": tuple(study.tuning_seeds)})
    tuning, decay = study.tuning, arm.recipe.weight_decay
    own = arm.learning_rate or arm.learning_rates
    alone = own or decay != study.recipe.weight_decay or tuning.weight_decays is None
    runs, blocks = max(arm.tuning_seeds or 0, tuning.seeds), []
    for number in sorted({*taken, *blocks_of(study, seeds)}):
        within = tuple(seed for seed in seeds if seed % tuning.blocks == number)
        blocks.append(Block(number=number, seeds=within, tuning_seeds=tuple(study.tuning_seeds_of(number, runs))))
    common["network"]["stem_stride"] = arm.network.stride_at(study.dataset.resolution)
    common |= {"learning_rates": arm.learning_rates or tuple(tuning.learning_rates), "tuning_seeds": runs}
    common |= {"weight_decays": (decay,) if alone else tuple(tuning.weight_decays or ()), "blocks": tuple(blocks)}
    common["search"] = "grid" if alone else tuning.search
    whole = own or arm.target
    common["tuning_epochs"] = arm.recipe.epochs if whole else study.tuning_epochs(arm.recipe)
    common["decay_epochs"] = arm.recipe.epochs if whole else study.decay_epochs(arm.recipe)
    return PlannedArm(**common)


def arm_path(results: Path, name: str) -> Path:
    """Where an arm of the study with these results is written down."""
    return results / "arms" / name / ARM


def written(path: Path) -> dict[str, Any]:
    """What an arm's file says; nothing where it is missing or damaged."""
    try:
        return load_json(path)
    except TakeoffError:
        return {}


def write_arm(path: Path, arm: AnyPlannedArm) -> None:
    """Write an arm unless the file says the same already."""
    content = arm.model_dump(mode="json")
    if written(path) != content:
        write_json(path, content)


def read_arm(path: Path) -> AnyPlannedArm:
    """The arm in `arm.json`; TakeoffError where there is no such file, or it is no arm's."""
    if not path.is_file():
        raise TakeoffError(f"{path}: there is no such file; plan.py --arms-out writes it")
    content = load_json(path)
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise TakeoffError(f"{path}: kind: {kind!r} is not valid; {choices(kind, _KINDS)}")
    return check(_KINDS[kind], content, path)


def choices_in(path: Path) -> list[dict[str, Any]]:
    """An arm's choices, one per block of its final seeds; TakeoffError where the file is damaged, or of older code."""
    try:
        return list(load_json(path)["choices"])
    except (KeyError, TypeError):
        raise TakeoffError(f"{path}: choices: no such key; train this arm again") from None


def arms_at(paths: Iterable[Path], kind: type[Planned]) -> list[tuple[Path, Planned]]:
    """The folder of each arm and the arm, those that take another's choice last; a path may be a file in it.

    Raises TakeoffError where a folder has no `arm.json`, or that of another kind of arm.
    """
    # An arm's name may well end in something like a suffix (`dropout0.5`).
    folders = [path.parent if path.name in FILES else path for path in paths]
    found = []
    for folder in dict.fromkeys(folders):
        arm = read_arm(folder / ARM)
        if not isinstance(arm, kind):
            own = kind.model_fields["kind"].default
            raise TakeoffError(f"{folder / ARM}: kind: {arm.kind!r} is not valid here; valid: {own!r}")
        found.append((folder, arm))
    return sorted(found, key=lambda pair: pair[1].choice_from is not None)
