"""Layer by layer: gradients, saturated units and the change of weights, against closed forms."""

import copy
import math

import pytest
import torch
from engine import numbers, train
from takeoff.engine.dataset import Dataset
from takeoff.engine.network import build, weighted_layers
from takeoff.engine.probes import probe
from takeoff.study.arms import Arm, Run
from torch.nn import functional

PLAIN = {"family": "plain", "depth": 6}


def looked_at(images: Dataset, arm: Arm, change: float = 1.0) -> list[dict]:
    model = build(arm.network, *images.shape, 0, torch.device("cpu"))
    drawn = [weights.clone() for weights in weighted_layers(model)]
    with torch.no_grad():
        for weights in weighted_layers(model):
            weights.mul_(change)
    return probe(model, images, torch.arange(200), drawn, trained=True)


SLOPES = {
    "sigmoid": lambda a: a.sigmoid() * (1 - a.sigmoid()),
    "tanh": lambda a: 1 - a.tanh() ** 2,
    "relu": lambda a: (a > 0).double(),
}


def by_hand(model: torch.nn.Sequential, images: Dataset, activation: str) -> list[float]:
    """The gradients' norms, δ_l = (W_{l+1}ᵀ δ_{l+1}) ∘ φ′(a_l) from softmax − one-hot down, in float64."""
    values, before = images.normalised(images.images.take(torch.arange(200))).flatten(1).double(), []
    layers = [copy.deepcopy(m).double() for m in model if isinstance(m, torch.nn.Linear)]
    for layer in layers:
        before.append(layer(values).detach())
        values = getattr(torch, activation)(before[-1])
    delta, norms = before[-1].softmax(1) - functional.one_hot(images.labels[:200], 10), []
    for layer, below in zip(layers[::-1], [*before[-2::-1], None], strict=True):
        norms.append(float(delta.norm(dim=1).square().mean().sqrt()))
        delta = delta @ layer.weight.detach() * SLOPES[activation](below) if below is not None else delta
    return norms[::-1]


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_gradients_are_back_propagations(images, arm, activation: str) -> None:
    network = arm(network=PLAIN, activation=activation).network
    model = build(network, *images.shape, 0, torch.device("cpu"))
    rows = probe(model, images, torch.arange(200), weighted_layers(model), trained=False)
    assert [row["gradient_norm"] for row in rows] == pytest.approx(by_hand(model, images, activation), rel=1e-4)
    found = [(row["layer"], row["hidden"], row["weight_change"]) for row in rows]
    assert found == [(layer, layer < 7, None) for layer in range(1, 8)]


def test_gradients_too_small_to_be_squared_in_float32_are_seen(images, arm) -> None:
    network = arm(network=PLAIN | {"depth": 20}, activation="relu", initialisation="gaussian-0.01").network
    model = build(network, *images.shape, 0, torch.device("cpu"))
    rows = probe(model, images, torch.arange(200), weighted_layers(model), trained=False)
    norms = by_hand(model, images, "relu")
    assert 0 < norms[0] < 1e-23
    assert [row["gradient_norm"] for row in rows] == pytest.approx(norms, rel=1e-3, abs=0)


def test_saturation_and_change_are_what_they_say(images, arm) -> None:
    relu = looked_at(images, arm(network=PLAIN, activation="relu"))
    assert all(0.2 < row["saturated"] < 0.8 for row in relu[:-1])  # half of He's pre-activations are negative
    assert all(row["weight_change"] == 0 for row in relu)
    assert relu[-1]["saturated"] is None
    large = looked_at(images, arm(network=PLAIN, activation="sigmoid"), change=1000)
    assert all(row["saturated"] > 0.9 for row in large[:-1])
    assert all(row["weight_change"] == pytest.approx(999, rel=1e-4) for row in large)
    small = looked_at(images, arm(network=PLAIN, activation="sigmoid"), change=1e-3)
    assert all(row["saturated"] == row["dead"] == 0 for row in small[:-1])


def test_looking_changes_nothing(images, arm, hardware) -> None:
    for levels in ({"norm": "batch"}, {"dropout": 0.5, "norm": "batch", "activation": "tanh"}):
        blind = train(images, arm(**levels), Run(0, 0.05), hardware)
        seen = train(images, arm(probed=True, **levels), Run(0, 0.05), hardware)
        assert numbers(seen) == numbers(blind)
        assert blind[-1].probe == []
        layers = 8  # five convolutions, three linear layers
        assert [row["moment"] for row in seen[-1].probe] == ["start"] * layers + ["end"] * layers
        assert all(math.isfinite(row["gradient_norm"]) for row in seen[-1].probe)
        assert all(row["weight_change"] > 0 for row in seen[-1].probe[layers:])
