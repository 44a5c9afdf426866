"""Layer by layer: gradients, saturated units and the change of weights, against closed forms."""

import math

import pytest
import torch
from engine import numbers, train
from takeoff.engine.network import build, weighted_layers
from takeoff.engine.probes import probe
from takeoff.engine.resident import Resident
from takeoff.study.arms import Arm, Run
from torch.nn import functional

PLAIN = {"family": "plain", "depth": 6}


def looked_at(images: Resident, arm: Arm, change: float = 1.0) -> list[dict]:
    model = build(arm.network, *images.shape, 0, torch.device("cpu"))
    drawn = [weights.clone() for weights in weighted_layers(model)]
    with torch.no_grad():
        for weights in weighted_layers(model):
            weights.mul_(change)
    return probe(model, images, torch.arange(200), drawn, trained=True)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_gradients_are_back_propagations(images, arm, hardware, activation: str) -> None:
    """δ_l = (W_{l+1}ᵀ δ_{l+1}) ∘ φ′(a_l), by hand, from softmax − one-hot down."""
    network = arm(network=PLAIN, activation=activation).network
    model = build(network, *images.shape, 0, hardware.device)
    rows = probe(model, images, torch.arange(200), weighted_layers(model), trained=False)
    values = images.normalised(images.images[:200]).flatten(1)
    slopes = {
        "sigmoid": lambda a: a.sigmoid() * (1 - a.sigmoid()),
        "tanh": lambda a: 1 - a.tanh() ** 2,
        "relu": lambda a: (a > 0).float(),
    }
    before = []
    for layer in (m for m in model if isinstance(m, torch.nn.Linear)):
        before.append(functional.linear(values, layer.weight.detach(), layer.bias.detach()))
        values = getattr(torch, activation)(before[-1])
    delta = before[-1].softmax(1) - functional.one_hot(images.labels[:200], 10)
    for place in range(6, -1, -1):
        assert rows[place]["gradient_norm"] == pytest.approx(float(delta.norm(dim=1).square().mean().sqrt()), rel=1e-4)
        assert rows[place]["layer"] == place + 1
        assert rows[place]["hidden"] is (place < 6)
        if place:
            delta = delta @ weighted_layers(model)[place] * slopes[activation](before[place - 1])
    assert [row["weight_change"] for row in rows] == [None] * 7


def test_gradients_too_small_to_be_squared_in_float32_are_seen(images, arm) -> None:
    network = arm(network=PLAIN | {"depth": 20}, activation="relu", initialisation="gaussian-0.01").network
    model = build(network, *images.shape, 0, torch.device("cpu"))
    rows = probe(model, images, torch.arange(200), weighted_layers(model), trained=False)
    # By hand and in float64.
    values = images.normalised(images.images[:200]).flatten(1).double()
    before, weights = [], [layer.weight.detach().double() for layer in model if hasattr(layer, "weight")]
    for matrix in weights:
        before.append(values @ matrix.T)
        values = before[-1].relu()
    delta = before[-1].softmax(1) - functional.one_hot(images.labels[:200], 10)
    norms = []
    for place in range(20, -1, -1):
        norms.append(float(delta.norm(dim=1).square().mean().sqrt()))
        if place:
            delta = delta @ weights[place] * (before[place - 1] > 0)
    assert 0 < norms[-1] < 1e-23
    assert [row["gradient_norm"] for row in reversed(rows)] == pytest.approx(norms, rel=1e-3, abs=0)


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
