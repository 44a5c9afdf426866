"""The benchmark's checks of numbers: what computes wrongly, or otherwise each time, is found before it is timed."""

from dataclasses import replace
from itertools import count

import pytest
import torch
from takeoff.benchmark import checks
from takeoff.engine.dataset import Dataset
from takeoff.engine.hardware import Hardware
from takeoff.jobs.ways import Way
from takeoff.study.arms import Arm
from torch import nn

HARDWARE = Hardware(torch.device("cpu"), "float32", "cpu", 1)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_device_that_computes_wrongly_is_found_before_it_is_timed(monkeypatch) -> None:
    """Gradients of the last layer that are a twentieth too large, and a way whose runs share a rate."""
    monkeypatch.setattr(checks, "NETWORKS", {"relu": {}})
    assert all(check.right for check in checks.checks(HARDWARE, 0.0625))
    usual = checks._of

    def larger(model: nn.Module, *what: torch.Tensor) -> list[torch.Tensor]:
        *first, last = usual(model, *what)
        return [*first, last * (1.05 if last.dtype == torch.float32 else 1)]

    monkeypatch.setattr(checks, "_of", larger)
    moves = checks.moves
    alike = [replace(run, learning_rate=0.01) for run in checks.RUNS]
    monkeypatch.setattr(checks, "moves", lambda way, *a: moves(way, *a[:2], alike if way.fused else a[2], *a[3:]))
    assert {check.what for check in checks.checks(HARDWARE, 0.0625) if not check.right} == {"gradients", "3 fused"}


def test_what_is_no_number_is_wrong(monkeypatch) -> None:
    """In any layer, and in any run, also where each run alone is none."""
    monkeypatch.setattr(checks, "NETWORKS", {"relu": {}})
    usual, moves = checks._of, checks.moves

    def spoilt(model: nn.Module, *what: torch.Tensor) -> list[torch.Tensor]:
        found = usual(model, *what)
        return [*found[:3], found[3] * (torch.nan if found[3].dtype == torch.float32 else 1), *found[4:]]

    with monkeypatch.context() as patched:
        patched.setattr(checks, "_of", spoilt)
        assert [check.right for check in checks.checks(HARDWARE, 0.0625)] == [False, True, True]
    monkeypatch.setattr(checks, "moves", lambda *given: [torch.nan * own for own in moves(*given)])
    assert [check.right for check in checks.checks(HARDWARE, 0.0625)] == [True, False, False]


def test_what_gives_other_bits_is_known(monkeypatch) -> None:
    monkeypatch.setattr(checks, "NETWORKS", {"relu": {}})
    moves, calls = checks.moves, count()

    def restless(way: Way, *given: object) -> list[torch.Tensor]:
        return [own * (1 + 1e-6 * (next(calls) % 2)) for own in moves(way, *given)]

    monkeypatch.setattr(checks, "moves", restless)
    ways = [check for check in checks.checks(HARDWARE, 0.0625) if check.what != "gradients"]
    assert [(check.right, check.repeats) for check in ways] == [(True, False)] * 2
    monkeypatch.setattr(checks, "moves", moves)
    assert all(check.repeats for check in checks.checks(HARDWARE, 0.0625) if check.what != "gradients")


def test_no_gradients_at_all_are_wrong_in_either_precision() -> None:
    assert all(limit < 1 for limit in checks.FAR.values())


def test_a_way_that_crops_and_mirrors_no_image_is_wrong(monkeypatch) -> None:
    monkeypatch.setattr(checks, "NETWORKS", {"relu": {}})
    moves = checks.moves

    def less(way: Way, data: Dataset, arm: Arm, *given: object) -> list[torch.Tensor]:
        recipe = arm.recipe.model_copy(update={"augmentation": "none"} if way.fused else {})
        return moves(way, data, arm.model_copy(update={"recipe": recipe}), *given)

    monkeypatch.setattr(checks, "moves", less)
    assert [check.what for check in checks.checks(HARDWARE, 0.0625) if not check.right] == ["3 fused"]
