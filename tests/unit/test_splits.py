"""Splits: which images a run trains on, which it is validated on, which it is tested on."""

import numpy as np
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.data.splits import split, subset

LABELS = np.repeat(np.arange(10), 100)


def test_validation_images_are_never_trained_on_by_any_run() -> None:
    trained, validated = set(), set()
    for seed in (0, 1, 2, 1_000_000):
        for samples in (None, 50, 500):
            training, validation = split(LABELS, samples, 0.2, seed)
            trained |= set(training.tolist())
            validated |= set(validation.tolist())
            assert len(validation) == int(0.2 * (samples or 1000))
            assert len(training) + len(validation) == (samples or 1000)
    assert not trained & validated


def test_small_sets_lie_within_large_ones_and_hold_every_class() -> None:
    small, small_validation = split(LABELS, 100, 0.2, seed=4)
    large, large_validation = split(LABELS, 1000, 0.2, seed=4)
    assert set(small.tolist()) <= set(large.tolist())
    assert set(small_validation.tolist()) <= set(large_validation.tolist())
    assert set(np.bincount(LABELS[small]).tolist()) <= {7, 8, 9}
    assert not np.array_equal(np.sort(small), np.sort(split(LABELS, 100, 0.2, seed=5)[0]))


def test_the_first_seeds_share_no_image_while_sets_are_small() -> None:
    for seeds, samples in ((2, 500), (4, 250), (8, 125)):
        sets = [set(split(LABELS, samples, 0.2, seed)[0].tolist()) for seed in range(seeds)]
        assert len(set.union(*sets)) == seeds * len(sets[0])
    half, whole = (set(split(LABELS, samples, 0.2, 1)[0].tolist()) for samples in (500, 1000))
    assert half < whole


def test_an_uneven_share_still_uses_every_image() -> None:
    training, validation = split(np.repeat(np.arange(3), 37), None, 0.15, seed=0)
    assert sorted([*training, *validation]) == list(range(111))


@pytest.mark.parametrize(("samples", "words"), [(1001, "has 1000"), (1, "too few"), (4, "too few")])
def test_impossible_splits_are_refused(samples: int, words: str) -> None:
    with pytest.raises(TakeoffError, match=words):
        split(LABELS, samples, 0.2, 0)


def test_test_images_are_the_same_for_every_run() -> None:
    assert subset(LABELS, 1000).tolist() == list(range(1000))
    assert np.bincount(LABELS[subset(LABELS, 50)]).tolist() == [5] * 10
    assert np.array_equal(subset(LABELS, 50), subset(LABELS, 50))
    with pytest.raises(TakeoffError, match="has 1000 test images"):
        subset(LABELS, 1001)
