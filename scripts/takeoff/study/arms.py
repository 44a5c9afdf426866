"""Arms and runs: a fully stated network or older method, and one training of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from takeoff.study.model import Level, Study
from takeoff.study.settings import FACTORS, Network, Recipe, Settings

Features = Literal["pixels", "hog", "kmeans", "fisher"]
Learner = Literal["logistic", "linear-svm", "rbf-svm"]


class _Arm(Settings):
    """What every arm has."""

    name: str
    """Readable, and the folder of its results: `relu+batch+dropout0.5`, `hog-linear-svm+n500`."""
    train_samples: int | None = None
    """Images that the arm may see, validation included; None: every training image of the dataset."""
    seeds: tuple[int, ...] | None = None
    """Seeds of its final runs; None: the study's."""
    choice_from: str | None = None
    """The arm, tuned itself, whose choice this one takes instead of tuning."""


class Arm(_Arm):
    """One fully stated network, recipe and training-set size: the unit of results."""

    network: Network
    recipe: Recipe
    learning_rate: float | None = None
    """A fixed rate: the arm is not tuned. Where `choice_from` names an arm that has the same rate, its runs count."""
    learning_rates: tuple[float, ...] | None = None
    """The grid that the rate is chosen from; None: the study's."""
    tuning_seeds: int | None = None
    """On how many seeds each block tries a setting, more than the study's number; None: just that."""
    target: float | None = None
    """The training accuracy that the chosen rate is to reach soonest; None: choose by validation accuracy."""
    probed: bool = False
    """Whether gradients, saturated units and the change of weights are measured by layer, too."""

    @property
    def tuned(self) -> bool:
        """Whether the arm's own runs choose its rate."""
        return self.learning_rate is None and self.choice_from is None

    @property
    def levels(self) -> dict[str, Any]:
        """The level of every setting that can be a factor."""
        settings = {**self.network.model_dump(), **self.recipe.model_dump()}
        return {factor: settings.get(factor, self.train_samples) for factor in FACTORS}


class ClassicalArm(_Arm):
    """One older method, hand-made features and a learner, and a training-set size."""

    features: Features
    learner: Learner

    @property
    def method(self) -> str:
        """Features and learner, whatever the number of images."""
        return f"{self.features}-{self.learner}"


AnyArm = Arm | ClassicalArm


@dataclass(frozen=True)
class Run:
    """One training of one arm with one seed at one learning rate."""

    seed: int
    learning_rate: float
    final: bool = True
    """False for a run that only tunes: it never reads the test images."""


def make_arm(
    study: Study,
    levels: Mapping[str, Level],
    *,
    network: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    **more: Any,
) -> Arm:
    """The arm of `study` with `levels` of its factors, and what else differs.

    Args:
        study: gives every setting that is not named here.
        levels: factor → level; `train_samples` among them. One that does not exist is a ValueError of pydantic's.
        network: settings that are no factors: family, depth.
        recipe: settings of training that differ.
        more: other fields of the arm: seeds, choice_from, learning_rate, learning_rates, target, probed.

    """
    changes = {k: v for k, v in levels.items() if FACTORS[k] is Network} | dict(network or {})
    if changes.get("family", study.network.family) != study.network.family:
        changes = {"stem_stride": None} | changes  # another family has a first convolution of its own
    training = {k: v for k, v in levels.items() if FACTORS[k] is Recipe} | dict(recipe or {})
    arm = Arm(
        name="unnamed",
        network=Network(**(study.network.model_dump() | changes)),
        recipe=Recipe(**(study.recipe.model_dump() | training)),
        train_samples=_samples(study, levels.get("train_samples")),
        **more,
    )
    return arm.model_copy(update={"name": arm_name(study, arm)})


def make_classical(
    study: Study,
    features: Features,
    learner: Learner,
    train_samples: int | str | None = None,
    seeds: tuple[int, ...] | None = None,
    choice_from: str | None = None,
) -> ClassicalArm:
    """The arm of an older method; without `train_samples` on all the images that the study allows."""
    more: dict[str, Any] = {"train_samples": _samples(study, train_samples), "seeds": seeds}
    arm = ClassicalArm(name="unnamed", features=features, learner=learner, choice_from=choice_from, **more)
    return arm.model_copy(update={"name": "+".join([arm.method, *_size_word(study, arm)])})


def first_seeds(study: Study, number: int | None) -> tuple[int, ...] | None:
    """The first `number` of the study's seeds; None, which is all of them, where it has no more."""
    seeds = study.seed_list
    return None if number is None or number >= len(seeds) else tuple(seeds[:number])


def seeds_of(study: Study, arm: AnyArm) -> list[int]:
    """The seeds of the arm's final runs."""
    return study.seed_list if arm.seeds is None else list(arm.seeds)


def blocks_of(study: Study, seeds: Iterable[int]) -> list[int]:
    """The blocks of seeds, each of which chooses for itself, that final seeds belong to."""
    return sorted({seed % study.tuning.blocks for seed in seeds})


def _samples(study: Study, given: Level | None) -> int | None:
    samples = study.dataset.train_samples if given is None else given
    return None if samples == "all" else int(samples)


def arm_name(study: Study, arm: Arm) -> str:
    """The arm's readable name: its activation, what it adds, and what differs from the study's settings."""
    network, recipe = arm.network, arm.recipe
    parts: list[str] = [network.activation]
    if network.norm != "none":
        parts.append(network.norm)
    if network.dropout:
        parts.append(f"dropout{_plain(network.dropout)}")
    if network.response_norm != "none":
        parts.append("response-norm")
    if (network.family, network.depth) != (study.network.family, study.network.depth):
        parts.append(f"{network.family}{network.depth or ''}")
    usual = study.network.model_dump() | study.recipe.model_dump()
    own = network.model_dump() | recipe.model_dump()
    for key, word in _WORDS.items():
        if own[key] not in {None, usual[key]}:
            unaugmented = (key, own[key]) == ("augmentation", "none")
            parts.append("unaugmented" if unaugmented else word + _plain(own[key]))
    if arm.learning_rate is not None:
        parts.append(f"rate{_plain(arm.learning_rate)}")
    if arm.target is not None:
        parts.append(f"soonest{_plain(arm.target)}")
    return "+".join(parts + _size_word(study, arm))


def _size_word(study: Study, arm: AnyArm) -> list[str]:
    return [] if arm.train_samples in {None, study.dataset.train_samples} else [f"n{arm.train_samples}"]


def _plain(value: Any) -> str:
    """A number in full, without a needless `.0`: different settings must have different names."""
    return value if isinstance(value, str) else repr(value).removesuffix(".0")


_WORDS = {
    "pooling": "",
    "initialisation": "",
    "width": "width",
    "stem_stride": "stride",
    "augmentation": "",
    "epochs": "epochs",
    "epoch_images": "images",
    "batch_size": "batch",
    "momentum": "momentum",
    "weight_decay": "decay",
    "schedule": "",
    "warmup_epochs": "warmup",
    "keep": "",
}
"""What stands before the value of a setting that differs from the study's; settings that are not here are above."""


def distinct(arms: Iterable[AnyArm]) -> list[AnyArm]:
    """Each arm once, in the order met: an arm that several experiments want is one arm, with all seeds wanted.

    Where one experiment tunes it and another would take another arm's choice, it is tuned.

    Raises:
        ValueError: two arms of one name differ otherwise.

    """
    found: dict[str, AnyArm] = {}
    for arm in arms:
        found[arm.name] = _merged(found[arm.name], arm) if arm.name in found else arm
    return list(found.values())


def _merged(one: AnyArm, other: AnyArm) -> AnyArm:
    seeds = None
    if one.seeds is not None and other.seeds is not None:
        seeds = tuple(sorted({*one.seeds, *other.seeds}))
    choice_from = one.choice_from if other.choice_from is not None else None
    shared: dict[str, Any] = {"seeds": seeds, "choice_from": choice_from}
    if isinstance(one, Arm) and isinstance(other, Arm):
        shared["probed"] = one.probed or other.probed
        # Where one has the study's grid and the other its own, it is tuned on its own.
        shared["learning_rates"] = tuple(sorted({*(one.learning_rates or ()), *(other.learning_rates or ())})) or None
        shared["tuning_seeds"] = max((n for n in (one.tuning_seeds, other.tuning_seeds) if n), default=None)
    merged = one.model_copy(update=shared)
    if merged != other.model_copy(update=shared):
        raise ValueError(f"two different arms are called {one.name}")
    return merged
