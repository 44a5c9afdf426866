"""What bounds a device: convolutions one by one, forward and backward, copies, and the roofline."""

from types import SimpleNamespace

import pytest
import torch
from takeoff.benchmark import bounds, convolutions
from takeoff.benchmark.setting import Setting
from takeoff.engine import architecture
from takeoff.engine.hardware import Hardware
from takeoff.speed import timing
from takeoff.study.settings import Network

HARDWARE = Hardware(torch.device("cpu"), "float32", "cpu", 1)
TINY = Setting(8, 0.0625, 16)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_convolutions_are_timed_forward_and_backward(monkeypatch) -> None:
    monkeypatch.setattr(bounds, "CALLS", 1)
    network = Setting(32, 0.0625, 8).network
    found = list(convolutions.convolutions(network, 32, 8, HARDWARE))
    assert [row.layer for row in found][:2] == ["3 to 4, 5 × 5, 32 px", "4 to 12, 5 × 5, 16 px"]
    assert len(found) == 5
    assert all(min(row.forward, row.inputs_gradient, row.weights_gradient) > 0 for row in found)


def test_a_convolution_that_does_not_run_here_is_a_row_with_its_reason(monkeypatch) -> None:
    def fails(*_: object) -> float:
        raise RuntimeError("unable to find an engine\nto execute this computation")

    monkeypatch.setattr(convolutions, "rate_of", fails)
    found = list(convolutions.convolutions(TINY.network, 32, 8, HARDWARE))
    assert {(row.forward, row.note) for row in found} == {(None, "unable to find an engine")}


def test_the_roofline_is_that_of_products_and_of_bytes() -> None:
    assert bounds.roofline(flops=2e9, moved=1e6, ceiling=1e12, bandwidth=1e9) == pytest.approx(1 / 0.003)
    plain = Network(family="plain", depth=1, width=1 / 512)  # 64 to 1 to 10
    assert bounds.bytes_per_image(plain, 8, 1, 10, half=True) == 2 * (3 * 64 + 8 * 1 + 3 * 1 + 8 * 10)


def test_operations_and_bytes_are_counted(monkeypatch) -> None:
    """With calls of a second each."""
    monkeypatch.setattr(bounds, "time_calls", lambda *_: 1.0)
    monkeypatch.setitem(bounds.BYTES, "cpu", 1000)
    assert bounds.bandwidth(HARDWARE) == 2000
    found = list(convolutions.convolutions(Setting(32, 0.0625, 8).network, 32, 8, HARDWARE))[1]
    assert found.layer == "4 to 12, 5 × 5, 16 px"
    flops = 2 * 8 * 4 * 12 * 25 * 256
    assert (found.forward, found.inputs_gradient, found.weights_gradient) == (flops, flops, flops)
    one = architecture.Convolution(3, 64, 5, 1, 2, True, 32)
    monkeypatch.setattr(architecture, "layers", lambda *_: [one])
    assert bounds.bytes_per_image(TINY.network, 32, 3, 10, half=True) == 2 * (3 * 3 * 32**2 + 8 * 64 * 32**2)


def test_each_gradient_is_the_one_that_its_column_says(monkeypatch) -> None:
    shapes: list[list[tuple[int, ...]]] = []

    def seen(call, amount: float, *_: object) -> float:
        made = call()
        made = [made] if isinstance(made, torch.Tensor) else made
        shapes.append([tuple(own.shape) for own in made if own is not None])
        return amount

    monkeypatch.setattr(convolutions, "rate_of", seen)
    next(iter(convolutions.convolutions(Setting(32, 0.0625, 8).network, 32, 8, HARDWARE)))
    assert shapes == [[(8, 4, 32, 32)], [(8, 3, 32, 32)], [(4, 3, 5, 5)]]


def test_cudnn_searches_for_the_rows_that_say_so(monkeypatch) -> None:
    """On a GPU alone and six at once; of the most runs the search takes long."""
    gpu, usual = Hardware(torch.device("cuda"), "float32", "a GPU"), convolutions.operands
    monkeypatch.setattr(convolutions, "operands", lambda *what: usual(*what[:3], HARDWARE))
    monkeypatch.setattr(convolutions, "rate_of", lambda _, flops, hardware, searched: float(searched))
    found = list(convolutions.convolutions(TINY.network, 32, 2, gpu))
    assert all((row.forward, row.inputs_gradient, row.weights_gradient) == (row.searched,) * 3 for row in found)
    assert list(dict.fromkeys((row.runs, row.searched) for row in found)) == [
        *[(1, False), (1, True), (6, False), (6, True)],
        (24, False),
    ]


@pytest.mark.parametrize("searched", [True, False])
def test_a_rate_is_that_of_calls_whose_kernels_are_chosen(monkeypatch, searched: bool) -> None:
    """The first three calls choose them, a second each; later ones take a tenth."""
    cudnn, found, clock = torch.backends.cudnn, [], SimpleNamespace(now=0.0)

    def call() -> None:
        clock.now += 1 if len(found) < 3 else 0.1
        found.append((cudnn.benchmark, cudnn.deterministic))

    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    with cudnn.flags(enabled=True):
        assert bounds.rate_of(call, 7, HARDWARE, searched) == pytest.approx(70)
    assert set(found) == {(searched, not searched)}
