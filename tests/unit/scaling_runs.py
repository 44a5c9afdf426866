"""Made-up studies and runs of the scaling experiment, whose answers are known."""

import numpy as np
import pandas as pd
from takeoff.experiments.scaling.design import Design, Options
from takeoff.study.arms import seeds_of
from unit import measured
from unit.measured import made_up, results

FULL, IMAGES = 48_000, 10_000
CARD = {"images": {"train": FULL, "test": IMAGES}, "images_per_class": {"train": [4800] * 10, "test": [1000] * 10}}
LAWS = {
    "pixels-logistic": (1.2, 0.1, 0.2),
    "pixels-linear-svm": (1.5, 0.2, 0.45),
    "hog-linear-svm": (2.5, 0.45, 0.38),
    "pixels-rbf-svm": (2.0, 0.25, 0.3),
    "hog-rbf-svm": (2.5, 0.5, 0.25),
    "kmeans-linear-svm": (6.0, 0.6, 0.24),
    "fisher-linear-svm": (5.0, 0.55, 0.27),
    "network-0.5x": (4.0, 0.4, 0.15),
    "network-1x": (5.0, 0.4, 0.08),
    "network-2x": (6.0, 0.4, 0.02),
    "network-2x-3x": (5.9, 0.4, 0.02),
}
"""α, β and γ of each method's error."""


def make_study(folder, seeds=6, **dataset):
    """A study of `FULL` images."""
    dataset = {"name": "made-up", "resolution": 32, "train_samples": FULL} | dataset
    return made_up(folder, dataset=dataset, recipe={"epochs": 4, "batch_size": 64}, seeds=seeds)


def law(member, seed, rng, noise):
    """The error of a method's law, times log-normal noise."""
    alpha, beta, gamma = LAWS[member.method]
    return (alpha * member.size**-beta + gamma) * np.exp(noise * rng.normal())


def make_results(study, noise=0.0, options=None, error_of=law):
    rng, rows, curves = np.random.default_rng(0), [], []
    for member in Design(study, options or Options()).members:
        for seed in seeds_of(study, member.arm):
            error = float(np.clip(error_of(member, seed, rng, noise), 0, 1))
            row = {"arm": member.arm.name, "seed": seed, "diverged": False, "flops": 1e9, "learning_rate": 0.1}
            accuracies = {"test_accuracy": 1 - error, "validation_accuracy": 1 - error}
            rows.append(row | accuracies | {"at_edge": False, "untuned": False, "seconds": 1.0})
            early = (1 - error) / (1 + (member.size > 1500))  # half of the rest came in the last quarter
            curve = {"arm": member.arm.name, "seed": seed, "epoch": range(5)}
            curves.append(pd.DataFrame(curve | {"validation_accuracy": [0.1, early, early, early, 1 - error]}))
    return results(CARD, runs=rows, curves=pd.concat(curves))


def analysed(study, folder, options=None, **how):
    """The tables as they are read back from their files."""
    design = Design(study, options or Options())
    return measured.analysed(design, make_results(study, options=design.options, **how), folder)


def judged(study, tables, options=None):
    """What is measured of each claim, by its name and its parts', and the verdict of each part alone."""
    found = measured.measured(Design(study, options or Options()), tables, CARD)
    verdicts = {claim: [measured.verdict([one]) for one in own if one.part] for claim, own in found.items()}
    return {claim: {one.part: one for one in own} for claim, own in found.items()}, verdicts


def reasons_of(measured):
    """The reason of each claim, which all its parts share."""
    assert all(len({one.reason for one in parts.values()}) == 1 for parts in measured.values())
    return {claim: next(iter(parts.values())).reason for claim, parts in measured.items()}


def copied(member, seed, rng, noise):
    """Older methods err alike in every seed at the full size, where all see the same images."""
    scatter = 0 if member.size == FULL and member.kind == "older" else noise
    return law(member, seed, rng, scatter)
