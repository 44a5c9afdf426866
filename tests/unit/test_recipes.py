"""Runs whose recipe differs: as many steps on fewer images, and the best epoch's weights."""

from collections.abc import Callable

import pytest
from engine import train
from takeoff.study.arms import Arm, Run
from takeoff.training.hardware import Hardware
from takeoff.training.resident import Resident


def test_sets_of_all_sizes_make_as_many_steps(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = Resident.batch
    monkeypatch.setattr(
        Resident,
        "batch",
        lambda self, chosen, *rest: (seen.extend(chosen[0].tolist()), original(self, chosen, *rest))[1],
    )
    recipe = {"epoch_images": 1038}
    for samples, batch in ((50, 40), (400, 128), (1000, 128)):
        seen.clear()
        last = train(images, arm(recipe, train_samples=samples), Run(0, 0.05), hardware)[-2].values
        assert last["step"] == 2 * (1038 // 128)
        assert len(seen) == last["step"] * batch
        passes = 2 * -(-8 // ((samples - samples // 5) // batch))
        assert max(seen.count(image) for image in set(seen)) <= passes
        assert set(seen) <= set(images.split(samples, 0)[0].tolist())
    epoch = train(images, arm(train_samples=1000), Run(0, 0.05), hardware)[-2].values
    assert epoch["step"] == 2 * (800 // 128)


def test_the_best_epochs_weights_are_kept(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware
) -> None:
    # A rate that ruins what was learned: constant, and large.
    recipe = {"epochs": 8, "schedule": "constant", "warmup_epochs": 0}
    run = Run(3, 0.45)
    *curve, last = train(images, arm(recipe), run, hardware)
    *same, best = train(images, arm(recipe | {"keep": "best"}), run, hardware)
    accuracies = [epoch.values["validation_accuracy"] for epoch in curve]
    assert accuracies == [epoch.values["validation_accuracy"] for epoch in same]
    assert accuracies[-1] < max(accuracies)
    assert last.values["best_epoch"] == 8
    assert best.values["best_epoch"] == accuracies.index(max(accuracies))
    assert best.values["validation_accuracy"] == max(accuracies)
    assert last.values["validation_accuracy"] == accuracies[-1]
    early = train(images, arm(recipe | {"epochs": best.values["best_epoch"]}), run, hardware)[-1]
    assert best.values["test_accuracy"] == early.values["test_accuracy"]
    assert best.values["train_loss"] == early.values["train_loss"]


def test_every_image_that_was_right_is_remembered(
    images: Resident, arm: Callable[..., Arm], hardware: Hardware
) -> None:
    import numpy as np

    values = train(images, arm(norm="batch"), Run(0, 0.05), hardware)[-1].values
    number = len(images.test_labels)
    first = np.unpackbits(np.frombuffer(values["test_correct"], np.uint8), count=number)
    five = np.unpackbits(np.frombuffer(values["test_top5_correct"], np.uint8), count=number)
    assert first.mean() == pytest.approx(values["test_accuracy"])
    assert five.mean() == pytest.approx(values["test_top5_accuracy"])
    assert (first <= five).all()
