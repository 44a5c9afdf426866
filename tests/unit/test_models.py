"""The AlexNet family against torchvision's own AlexNet, torch's counter, and the formulas of the papers."""

import copy
import math
from typing import Any

import pytest
import torch
from takeoff.engine import architecture, layers
from takeoff.engine.layers import (
    GradientProductConv2d,
    SmallMapConv2d,
    batched_linear,
    convolution_with_gradient_product,
    flattened_apart,
    small_map_convolution,
)
from takeoff.engine.network import LocalResponseNorm, SeededDropout, build, standard_deviation
from takeoff.engine.streams import draw_masks
from takeoff.study.settings import Activation, Network, Norm
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

CPU = torch.device("cpu")
FAMILIES: dict[str, dict[str, Any]] = {
    "alexnet": {},
    "alexnet-local": {"response_norm": "local"},
    "four-layer": {"family": "four-layer", "response_norm": "local"},
    "plain": {"family": "plain", "depth": 3},
}
ALEXNET = Network(activation="relu", norm="none", dropout=0.5, pooling="overlapping")


def assert_same_gradients(found, expected, upstream=None, **near: float) -> None:
    """What both, each with what it was made from, send back."""
    both = [torch.autograd.grad(made, list(given), upstream) for made, given in (found, expected)]
    torch.testing.assert_close(*both, **near)


def layers_of(model: nn.Sequential) -> list[nn.Module]:
    return [m for m in model if isinstance(m, nn.Conv2d | nn.Linear)]


def test_at_224_pixels_it_is_torchvisions_alexnet() -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.alexnet(weights=None).eval()
    ours = build(ALEXNET, 224, 3, 1000, seed=0, device=CPU).eval()
    assert sum(p.numel() for p in ours.parameters()) == 61_100_840
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(other)
        images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
        ours.to(memory_format=torch.contiguous_format)
        assert torch.equal(ours(images), theirs(images))


def test_alexnet_takes_0_71_billion_products() -> None:
    layers = architecture.layers(ALEXNET, 224, 3, 1000)
    assert architecture.forward_flops(layers) / 2 == pytest.approx(0.714e9, rel=1e-3)


@pytest.mark.parametrize("resolution", [8, 16, 32, 64, 128, 224])
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("pooling", ["plain", "overlapping"])
@pytest.mark.parametrize("family", FAMILIES)
def test_counts_agree_with_torch(resolution: int, norm: str, pooling: str, family: str) -> None:
    network = Network(norm=norm, pooling=pooling, dropout=0.5, width=0.0625, **FAMILIES[family])  # type: ignore[arg-type]
    layers = architecture.layers(network, resolution, 3, 10)
    model = build(network, resolution, 3, 10, seed=0, device=CPU)
    images = torch.randn(2, 3, resolution, resolution)
    assert architecture.parameters(layers) == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as forward:
        logits = model(images)
    assert logits.shape == (2, 10)
    assert architecture.forward_flops(layers) * 2 == forward.get_total_flops()
    with FlopCounterMode(display=False) as both:
        model(images).sum().backward()
    assert architecture.training_flops(layers) * 2 == both.get_total_flops()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("runs", [1, 3])
def test_convolutions_of_small_maps_are_torchs(runs: int, bias: bool) -> None:
    draw = torch.Generator().manual_seed(runs)
    inputs = torch.randn(5, runs * 4, 2, 2, generator=draw).requires_grad_()
    weight = torch.randn(runs * 6, 4, 3, 3, generator=draw).requires_grad_()
    biases = torch.randn(runs * 6, generator=draw).requires_grad_() if bias else None
    given = [tensor for tensor in (inputs, weight, biases) if tensor is not None]
    expected = functional.conv2d(inputs, weight, biases, padding=1, groups=runs)
    found = small_map_convolution(inputs, weight, biases, runs)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert small_map_convolution(inputs, weight, biases, runs).dtype == torch.bfloat16
    upstream = torch.randn(expected.shape, generator=draw)
    assert_same_gradients((found, given), (expected, given), upstream, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("side", [3, 4])
def test_gradients_as_products_are_torchs(side: int, bias: bool) -> None:
    draw = torch.Generator().manual_seed(side)
    inputs = torch.randn(5, 4, side, side, generator=draw).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(6, 4, 3, 3, generator=draw).requires_grad_()
    biases = torch.randn(6, generator=draw).requires_grad_() if bias else None
    given = [tensor for tensor in (inputs, weight, biases) if tensor is not None]
    expected = functional.conv2d(inputs, weight, biases, padding=1)
    found = convolution_with_gradient_product(inputs, weight, biases)
    assert torch.equal(found, expected)
    upstream = torch.randn(expected.shape, generator=draw)
    assert_same_gradients((found, given), (expected, given), upstream, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_network_learns_the_same_with_gradients_as_products(norm: Norm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps in bfloat16 with and without AMX, which only rounds otherwise: the logits stay as near to each other
    as to those of steps in float32.
    """
    images, labels = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10

    def after_training(amx: bool, half: bool) -> torch.Tensor:
        monkeypatch.setattr(layers, "_amx", lambda: amx)
        model = build(Network(norm=norm, width=0.25, stem_stride=2), 32, 3, 10, 0, CPU)
        assert sum(isinstance(layer, GradientProductConv2d) for layer in model) == 3
        optimiser = torch.optim.SGD(model.parameters(), lr=0.02)
        for _ in range(10):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = functional.cross_entropy(model(images).float(), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return model.eval()(images).detach()

    exact, plain, product = after_training(False, False), after_training(False, True), after_training(True, True)
    assert not torch.equal(product, plain)
    assert (product - exact).norm() < 1.5 * (plain - exact).norm() + 1e-3 * exact.norm()


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_pooling_before_the_activation_changes_nothing(activation: Activation, norm: Norm) -> None:
    """Against the layers in the order in which the paper, and the list of layers, has them."""
    network = Network(activation=activation, norm=norm)
    model = build(network, 32, 3, 10, 0, CPU).double().train()
    kinds = [type(layer) for layer in architecture.layers(network, 32, 3, 10)]
    reordered = copy.deepcopy(model)
    for place, kind in enumerate(kinds):
        if kind is architecture.Nonlinearity and kinds[place + 1] is architecture.MaxPool:
            pooled_first = isinstance(model[place], nn.MaxPool2d)
            assert pooled_first == (activation != "gelu")
            if pooled_first:
                reordered[place], reordered[place + 1] = reordered[place + 1], reordered[place]
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    mine, theirs = model(images), reordered(images)
    torch.testing.assert_close(mine, theirs)
    assert_same_gradients((mine.square().sum(), model.parameters()), (theirs.square().sum(), reordered.parameters()))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("autocast", [True, False])
def test_batched_layers_are_each_runs_own(bias: bool, autocast: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(3, 5, 7, generator=draw).requires_grad_()
    weight = torch.randn(3, 4, 7, generator=draw).requires_grad_()
    biases = torch.randn(3, 4, generator=draw).requires_grad_() if bias else None
    given = [tensor for tensor in (values, weight, biases) if tensor is not None]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = batched_linear(values, weight, biases)
        apart = [functional.linear(values[r], weight[r], None if biases is None else biases[r]) for r in range(3)]
    expected = torch.stack(apart)
    assert found.dtype == expected.dtype
    near = {"rtol": 0.02, "atol": 0.05} if autocast else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(found, expected, **near)
    upstream = torch.randn(expected.shape, generator=draw).to(expected.dtype)
    sent = torch.autograd.grad(found, given, upstream, retain_graph=True)
    assert [own.stride() for own in sent] == [tensor.stride() for tensor in given]
    assert_same_gradients((found, given), (expected, given), upstream, **near)


@pytest.mark.parametrize("runs", [1, 3])
def test_what_layers_send_back_lies_in_memory_as_their_maps_do(runs: int) -> None:
    inputs = torch.randn(5, 4 * runs, 2, 2).to(memory_format=torch.channels_last).requires_grad_()
    maps = small_map_convolution(inputs, torch.randn(6 * runs, 4, 3, 3), torch.randn(6 * runs), runs)
    sent: list[torch.Tensor] = []
    maps.register_hook(sent.append)
    active = functional.relu_(maps)  # of a view it would send its gradient back in another order
    flat = flattened_apart(active, runs)
    assert torch.equal(flat[-1], active[:, -6:].flatten(1))
    upstream = torch.randn_like(flat)
    of_inputs, of_active = torch.autograd.grad(flat, (inputs, active), upstream)
    assert torch.equal(of_active[:, -6:].flatten(1), upstream[-1])
    for gradient in (of_inputs, of_active, *sent):
        assert gradient.is_contiguous(memory_format=torch.channels_last)
        assert not gradient.is_contiguous()


def test_small_maps_are_those_of_8_pixels_alone() -> None:
    sides = {
        resolution: sum(isinstance(layer, SmallMapConv2d) for layer in build(ALEXNET, resolution, 3, 10, 0, CPU))
        for resolution in (8, 32, 64)
    }
    assert sides == {8: 3, 32: 0, 64: 0}


@pytest.mark.parametrize(("resolution", "stride"), [(16, 2), (32, 2), (32, 4)])
def test_a_stems_stride_shrinks_every_map(resolution: int, stride: int) -> None:
    network = Network(width=0.125, stem_stride=stride)
    layers = architecture.layers(network, resolution, 3, 10)
    sides = [layer.side for layer in layers if isinstance(layer, architecture.Convolution)]
    assert sides == [resolution // stride // part for part in (1, 2, 4, 4, 4)]
    logits = build(network, resolution, 3, 10, 0, CPU)(torch.zeros(2, 3, resolution, resolution))
    assert logits.shape == (2, 10)
    half = architecture.forward_flops(architecture.layers(Network(width=0.125), 32, 3, 10))
    assert half / architecture.forward_flops(architecture.layers(Network(width=0.125, stem_stride=2), 32, 3, 10)) > 3


@pytest.mark.parametrize(
    ("network", "resolution", "channels", "units"),
    [
        (Network(width=0.25), 32, 3, [16, 48, 96, 64, 64, 256, 256, 10]),
        (Network(family="plain", depth=7, width=0.125), 8, 1, [64] * 7 + [10]),
        (Network(family="four-layer"), 32, 3, [32, 32, 64, 10]),  # cuda-convnet's
    ],
)
def test_layers_have_the_units_of_the_papers_times_the_width(
    network: Network, resolution: int, channels: int, units: list[int]
) -> None:
    layers = architecture.layers(network, resolution, channels, 10)
    weighted = [c for c in layers if isinstance(c, architecture.Convolution | architecture.Linear)]
    assert [layer.outputs for layer in weighted] == units
    if network.family == "four-layer":
        assert [(c.kernel, c.side) for c in weighted[:-1]] == [(5, 32), (5, 16), (5, 8)]
        assert weighted[-1].inputs == 64 * 4 * 4


@pytest.mark.parametrize("wrong", [{"family": "plain"}, {"depth": 3}, {"family": "plain", "depth": 0}])
def test_depth_belongs_to_plain_networks(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="depth"):
        Network(**wrong)


def test_pooling_changes_no_parameter_count() -> None:
    for resolution in architecture.STEMS:
        counts = {
            architecture.parameters(architecture.layers(Network(pooling=pooling), resolution, 3, 10))  # type: ignore[arg-type]
            for pooling in ("plain", "overlapping")
        }
        assert len(counts) == 1


@pytest.mark.parametrize(
    ("initialisation", "activation", "expected"),
    [
        ("by-activation", "sigmoid", math.sqrt(2 / (300 + 500))),
        ("by-activation", "tanh", math.sqrt(2 / (300 + 500))),
        ("by-activation", "relu", math.sqrt(2 / 300)),
        ("by-activation", "gelu", math.sqrt(2 / 300)),
        ("xavier", "relu", math.sqrt(2 / (300 + 500))),
        ("he", "tanh", math.sqrt(2 / 300)),
        ("gaussian-0.01", "relu", 0.01),
    ],
)
def test_weights_start_as_the_papers_say(initialisation: str, activation: str, expected: float) -> None:
    deviation = standard_deviation(torch.Size([500, 300]), initialisation, activation)  # type: ignore[arg-type]
    assert deviation == pytest.approx(expected)
    # A 5 × 5 kernel counts 25 times.
    kernel = standard_deviation(torch.Size([20, 12, 5, 5]), initialisation, activation)  # type: ignore[arg-type]
    assert kernel == pytest.approx(expected)


def test_drawn_weights_have_that_deviation() -> None:
    model = build(Network(activation="relu", norm="batch"), 32, 3, 10, seed=3, device=CPU)
    for layer in layers_of(model)[1:-1]:
        fan_in = layer.weight[0].numel()
        assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_in), rel=0.01)
        assert layer.bias is None


def test_one_seed_draws_the_same_weights_in_every_arm() -> None:
    plain = layers_of(build(Network(activation="relu"), 8, 1, 10, seed=7, device=CPU))
    for other in (Network(activation="tanh"), Network(norm="batch"), Network(dropout=0.5, pooling="plain")):
        for mine, theirs in zip(plain, layers_of(build(other, 8, 1, 10, 7, CPU)), strict=True):
            rescaled = theirs.weight * (mine.weight.norm() / theirs.weight.norm())
            torch.testing.assert_close(rescaled, mine.weight, rtol=1e-4, atol=1e-7)
    another = layers_of(build(Network(activation="relu"), 8, 1, 10, seed=8, device=CPU))
    assert not torch.allclose(plain[0].weight, another[0].weight)


def test_local_response_norm_is_the_papers() -> None:
    maps = torch.randn(2, 7, 3, 3, dtype=torch.float64)
    expected = torch.empty_like(maps)
    for i in range(7):
        window = maps[:, max(0, i - 2) : i + 3]
        expected[:, i] = maps[:, i] / (2 + 1e-4 * window.square().sum(1)) ** 0.75
    torch.testing.assert_close(LocalResponseNorm()(maps), expected)


def test_local_response_norm_pools_nowhere() -> None:
    """On a GPU the backward pass of torch's pooling over channels adds up in another order each time."""
    seen: list[str] = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, call, types, args=(), kwargs=None):
            seen.append(str(call))
            return call(*args, **(kwargs or {}))

    def pooled(module: nn.Module) -> list[str]:
        seen.clear()
        with Seen():
            module(torch.rand(2, 8, 4, 4, requires_grad=True)).sum().backward()
        return [name for name in seen if "pool" in name]

    assert pooled(nn.LocalResponseNorm(5))
    assert not pooled(LocalResponseNorm())


def test_local_response_norm_follows_the_first_two_activations() -> None:
    layers = architecture.layers(Network(response_norm="local"), 32, 3, 10)
    places = [i for i, layer in enumerate(layers) if isinstance(layer, architecture.LocalResponseNorm)]
    assert len(places) == 2
    assert all(isinstance(layers[i - 1], architecture.Nonlinearity) for i in places)
    assert all(isinstance(layers[i + 1], architecture.MaxPool) for i in places)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_masks_are_what_torch_draws(rate: float, kind: torch.dtype) -> None:
    mine, theirs = ([torch.Generator().manual_seed(seed) for seed in (3, 5)] for _ in range(2))
    expected = torch.stack(
        [torch.empty(64, 300, dtype=kind).bernoulli_(1 - rate, generator=own) / (1 - rate) for own in theirs]
    )
    assert torch.equal(draw_masks(torch.empty(2, 64, 300, dtype=kind), rate, mine), expected)
    assert all(torch.equal(own.get_state(), other.get_state()) for own, other in zip(mine, theirs, strict=True))


def test_dropout_keeps_the_mean_and_follows_its_own_stream() -> None:
    ones = torch.ones(200, 500)
    dropout = SeededDropout(0.3, 1, 0, CPU).train()
    dropped = dropout(ones)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(dropped.max()) == pytest.approx(1 / 0.7)
    torch.manual_seed(99)
    torch.rand(10)
    assert torch.equal(SeededDropout(0.3, 1, 0, CPU).train()(ones), dropped)
    assert not torch.equal(SeededDropout(0.3, 2, 0, CPU).train()(ones), dropped)
    assert torch.equal(dropout.eval()(ones), ones)
