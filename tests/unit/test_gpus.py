"""Which GPUs are used: those that the driver shows, and that torch has code for."""

import pytest
from gpu_driver import make_driver
from takeoff.common.gpus import Driver, Found, Gpu, driver, lets_one_in, runs_on, usable

BUILT = ["sm_75", "sm_80", "sm_90", "sm_120"]
H200, K80 = Gpu("NVIDIA H200", (9, 0)), Gpu("Tesla K80", (3, 7))


def test_the_driver_says_what_there_is(tmp_path) -> None:
    path = make_driver(tmp_path, gpus=[K80[:2], H200[:2]], version=12080)
    assert driver(str(path)) == Driver((12, 8), (K80, H200))


@pytest.mark.parametrize(("mode", "exclusive"), [(0, False), (2, False), (3, True)])
def test_a_gpu_that_lets_one_process_in_is_known(tmp_path, mode: int, exclusive: bool) -> None:
    own = driver(str(make_driver(tmp_path, mode=mode)))
    assert own is not None
    assert [gpu.exclusive for gpu in own.gpus] == [exclusive]


@pytest.mark.parametrize(("mode", "first"), [(0, False), (3, True)])
def test_whether_a_gpu_lets_one_process_in_is_asked_of_its_driver(
    tmp_path, monkeypatch, mode: int, first: bool
) -> None:
    """Of a number that the driver does not show, nothing is known."""
    own = driver(str(make_driver(tmp_path, mode=mode)))
    monkeypatch.setattr("takeoff.common.gpus.driver", lambda: own)
    assert [lets_one_in(number) for number in (0, 1)] == [first, False]


@pytest.mark.parametrize(
    "own", [None, Driver((0, 0), (), "error 999"), Driver((13, 2), (H200, H200._replace(exclusive=True)))]
)
def test_each_gpu_has_a_mode_of_its_own(monkeypatch, own: Driver | None) -> None:
    """Without a driver, or with one that does not work, there is none that lets one process in."""
    monkeypatch.setattr("takeoff.common.gpus.driver", lambda: own)
    assert [lets_one_in(number) for number in (0, 1)] == [False, bool(own and own.gpus)]


@pytest.mark.parametrize("library", ["nowhere.so", "libm.so.6"])
def test_without_a_driver_there_is_none(library: str) -> None:
    assert driver(library) is None


@pytest.mark.parametrize("init", [100, 34])  # no device, and a library to link against
def test_a_driver_without_a_gpu_is_no_fault(tmp_path, init: int) -> None:
    assert driver(str(make_driver(tmp_path, init=init))) is None


@pytest.mark.parametrize("fails", ["init", "counting"])
def test_a_driver_that_does_not_work_says_why(tmp_path, fails: str) -> None:
    own = driver(str(make_driver(tmp_path, **{fails: 999})))
    assert own is not None
    assert own.gpus == ()
    assert "error 999, unknown error" in str(own.error)
    assert usable(own, "13.2", BUILT) == Found(0, own.error)


@pytest.mark.parametrize(
    ("own", "cuda", "gpus", "words"),
    [
        (Driver((13, 2), (H200, H200)), "13.2", 2, None),
        (Driver((13, 0), (H200,)), "13.2", 1, None),  # an earlier driver of the same major version
        (Driver((14, 1), (H200,)), "13.2", 1, None),
        (Driver((12, 9), (H200,)), "13.2", 0, "CUDA 12.9"),
        (Driver((13, 2), (H200,)), None, 0, "without CUDA"),
        (Driver((13, 2), (K80,)), "13.2", 0, "Tesla K80 (3.7)"),
        (Driver((13, 2), (K80, H200)), "13.2", 1, "Tesla K80 (3.7)"),
        (Driver((13, 2), ()), "13.2", 0, None),
    ],
)
def test_what_torch_can_use(own: Driver, cuda: str | None, gpus: int, words: str | None) -> None:
    found = usable(own, cuda, BUILT)
    assert found.gpus == gpus
    assert (found.unused is None) if words is None else words in str(found.unused)


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80", "sm_86"], False),
        ((9, 0), ["sm_80", "compute_80"], True),
        ((7, 0), ["compute_75"], False),
        ((12, 1), ["sm_120"], True),
        ((10, 3), ["sm_100a"], False),
        ((9, 0), [], False),
    ],
)
def test_what_code_runs_where(capability: tuple[int, int], architectures: list[str], runs: bool) -> None:
    assert runs_on(capability, architectures) == runs
