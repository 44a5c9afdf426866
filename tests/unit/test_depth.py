"""Depth and stability: slopes, ratios and limits of tables with known answers, and the claims that follow."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Results
from takeoff.experiments.depth.design import Design as Depth
from takeoff.experiments.stability.design import Design as Stability
from takeoff.study.arms import distinct
from takeoff.study.loading import load_study
from takeoff.study.model import Study
from unit.measured import analysed, drawn, measured, results, verdict

RATES = (0.01, 0.1, 1.0)
DEEP = 10


@pytest.fixture
def study(write_study: Callable[..., Path]) -> Study:
    return load_study(write_study(seeds=4, tuning={"learning_rates": [0.01, 0.1], "seeds": 3}))


@pytest.fixture
def depth(study: Study) -> Depth:
    return Depth(study, Depth.Options(depths=(5, DEEP)))


def tuning(study: Study, arms: list, accuracy: Callable[..., float]) -> pd.DataFrame:
    """A tuning run per arm, rate and tuning seed."""
    rows = []
    for arm, seed in product(arms, range(4, 14)):
        for rate in arm.learning_rates:
            right = accuracy(arm.network, rate)
            scores = {"train_accuracy": right, "validation_accuracy": right, "train_loss": math.log(10) * (1.1 - right)}
            rows.append({"arm": arm.name, "learning_rate": rate, "seed": seed, "diverged": False} | scores)
    return pd.DataFrame(rows)


def probes(study: Study, arms: list, factor: dict[str, float]) -> pd.DataFrame:
    """Gradients in exact geometric sequences, with a seed's own last factor; changes that fall to the images."""
    rows = []
    for arm, seed, moment in product(arms, study.seed_list, ("start", "end")):
        last = arm.network.depth + 1
        for layer in range(1, last + 1):
            base = factor[arm.network.activation] * (1 + 0.001 * seed)
            # So that no ratio of two activations is the same in every seed.
            change = 2 * base ** (last - 1 - layer) * (1 + 0.001 * seed * layer) ** len(arm.network.activation)
            row = {"arm": arm.name, "seed": seed, "run_key": "", "moment": moment, "layer": layer}
            row |= {"hidden": layer < last, "gradient_norm": 3 * base ** (last - layer), "saturated": 0.5, "dead": 0.0}
            rows.append(row | {"weight_change": change if moment == "end" else math.nan})
    return pd.DataFrame(rows)


GAINS = {"sigmoid": 0.001, "longer": 0.001, "sigmoid+batch": 2.0, "relu": 2.0}
"""By how much a network's training loss falls below that of guessing, in nats; of others by 1.5."""


def runs(study: Study, arms: list, gains: dict[str, float]) -> pd.DataFrame:
    trained = {"learning_rate": 0.1, "at_edge": False, "untuned": False, "diverged": False, "test_accuracy": 0.1}
    rows = []
    for arm, seed in product(arms, study.seed_list):
        kind = "longer" if arm.recipe.epochs > study.recipe.epochs else arm.name.split("+plain")[0]
        loss = math.log(10) - gains.get(kind, 1.5) - 0.0001 * seed
        rows.append({"arm": arm.name, "seed": seed, "train_loss": loss, "train_accuracy": 0.5} | trained)
    return pd.DataFrame(rows)


def results_of(depth: Depth, **gains: float) -> Results:
    study, arms, accuracy = depth.study, depth.networks, {"sigmoid": 0.8, "tanh": 0.5, "relu": 0.9}
    return results(
        runs=runs(study, arms, GAINS | gains),
        tuning=tuning(study, arms, lambda network, rate: accuracy[network.activation] - (rate - 0.1) ** 2 / 10),
        probes=probes(study, [arm for arm in arms if arm.probed], {"sigmoid": 0.3, "tanh": 0.9, "relu": 1.01}),
    )


def test_the_grid_is_what_the_options_say(study: Study, depth: Depth) -> None:
    assert len(depth.arms()) == 2 * 3 * 2 + 1
    assert {arm.network.depth for arm in depth.networks if arm.probed} == {DEEP}
    few = Depth(study, Depth.Options(depths=(5, DEEP), gaussian=True, seeds=2, epochs=3, longer=2)).networks
    assert len(few) == 3 * 2 * 2 + 1 + 1
    assert {arm.seeds for arm in few if arm.network.depth == DEEP} == {(0, 1)}
    assert f"relu+plain{DEEP}+gaussian-0.01+epochs3+decay0" in {arm.name for arm in few}
    assert [arm.name for arm in few if arm.recipe.epochs == 6] == [f"sigmoid+plain{DEEP}+epochs6+decay0"]


def stability_of(study: Study, **options: Any) -> Stability:
    """Rates at 5 layers, the greatest depth of 5 and `DEEP`."""
    grid = {"depths": (5, DEEP), "rates_at": 5, "rates": RATES, "deep_rates": RATES, "tuning_seeds": 6}
    return Stability(study, Stability.Options(**grid | options))


def test_stability_trains_nothing_that_depth_does_not(study: Study, depth: Depth) -> None:
    wanted = depth.arms()
    shared = distinct([*wanted, *stability_of(study).arms()])
    assert [(arm.name, arm.seeds) for arm in shared] == [(arm.name, arm.seeds) for arm in wanted]
    wider = distinct([*wanted, *stability_of(study, deep_rates=(0.1, 10)).arms()])
    assert (0.01, 0.1, 1.0, 10.0) in {arm.learning_rates for arm in wider}
    assert {arm.tuning_seeds for arm in shared if arm.network.activation == "relu"} == {6}


def test_slopes_are_those_of_geometric_sequences(depth: Depth) -> None:
    tables = depth.analyse(results_of(depth))
    drawn(depth, tables)
    for row in tables["slopes"].itertuples():
        base = {"sigmoid": 0.3, "tanh": 0.9, "relu": 1.01}[row.activation] * (1 + 0.001 * row.seed)
        assert row.slope == pytest.approx(math.log(base))
    change, means = tables["change"], tables["layers"]
    sigmoid = change.query("activation == 'sigmoid' and seed == 0")
    assert sigmoid["ratio"].tolist() == pytest.approx([0.3 ** (DEEP - 1)] * 2)
    logs = [math.log(0.3 * (1 + 0.001 * seed)) for seed in range(4)]
    first = means.query("activation == 'sigmoid' and layer == 1")
    assert first["gradient_norm"].tolist() == pytest.approx([3 * math.exp(DEEP * np.mean(logs))] * 4)


def test_no_gradient_no_change_and_no_loss_have_a_number_too(depth: Depth) -> None:
    found = results_of(depth)
    lost = found.runs["seed"].eq(1)
    runs = found.runs.assign(diverged=lost, train_loss=found.runs["train_loss"].mask(lost))
    probes = found.probes.assign(gradient_norm=0.0, weight_change=0.0)
    tables = depth.analyse(replace(found, runs=runs, probes=probes))
    assert tables["slopes"]["slope"].abs().max() < 1e-9
    assert (tables["change"]["ratio"] == 1).all()
    assert (tables["runs"].query("seed == 1")["gained"] == 0).all()


@pytest.mark.parametrize(
    ("gains", "learns", "norm"),
    [
        ({}, "supported", "supported"),
        ({"sigmoid": 1.0}, "contradicted", "contradicted"),
        ({"longer": 1.0}, "contradicted", "contradicted"),
        # It may have begun to learn.
        ({"sigmoid": 0.05}, "undecided", "undecided"),
        # What has not learned yet contradicts nothing.
        ({"relu": 0.0}, "undecided", "supported"),
        ({"sigmoid+batch": 0.0}, "supported", "undecided"),
    ],
)
def test_depths_claims_follow_the_tables(
    depth: Depth, tmp_path: Path, gains: dict[str, float], learns: str, norm: str
) -> None:
    tables = analysed(depth, results_of(depth, **gains), tmp_path)
    found = measured(depth, tables)
    assert {claim: verdict(own) for claim, own in found.items()} == {
        "sigmoid-gradients-shrink": "supported",
        "early-sigmoid-layers-learn-slowly": "supported",
        "deep-sigmoid-networks-do-not-learn": learns,
        "batch-norm-makes-deep-sigmoid-networks-learn": norm,
    }
    # The shallow network shows whether it is depth that keeps the other from learning.
    shallow = tables["accuracy"].set_index("arm").loc["sigmoid+plain5+decay0"]
    assert (shallow["learning_rate"], shallow["at_edge"], shallow["train_accuracy"]) == (0.1, False, pytest.approx(0.8))
    reasons = {one.reason for one in found["deep-sigmoid-networks-do-not-learn"]}
    assert reasons == {f"at {DEEP} hidden layers; with 5, sigmoid's tuning runs reach 80.0%"}
    learning = tables["learning"].set_index(["activation", "norm", "times"])["gained"]
    assert learning["sigmoid", "none", 4] == pytest.approx((GAINS | gains)["longer"] + 0.00015)


@pytest.mark.parametrize(
    ("activation", "layer", "own", "both"),
    [
        ("sigmoid", "first", (math.inf, 0), (math.inf, 0)),
        ("sigmoid", "last", (0, math.inf), (0, math.inf)),
        # ReLU's layers bound the second part alone, and on the other side.
        ("relu", "first", (0, 0), (0, math.inf)),
        ("relu", "last", (0, 0), (math.inf, 0)),
    ],
)
def test_a_layer_that_stands_still_leaves_a_bound(
    depth: Depth, tmp_path: Path, activation: str, layer: str, own: tuple, both: tuple
) -> None:
    tables = analysed(depth, results_of(depth), tmp_path)
    change = tables["change"]
    plain = change["activation"].eq(activation) & change["norm"].eq("none")
    change[f"{layer}_still"] = plain & change["initialisation"].eq("by-activation")
    slowly = measured(depth, tables)["early-sigmoid-layers-learn-slowly"]
    assert [one.bound for one in slowly] == [own, both]
    assert verdict(slowly) == ("undecided" if math.inf in (own[1], both[1]) else "supported")


def test_claims_without_both_activations_say_so(study: Study, tmp_path: Path) -> None:
    depth = Depth(study, Depth.Options(depths=(5, DEEP), activations=("tanh", "relu")))
    tables = analysed(depth, results_of(depth), tmp_path)
    for own in measured(depth, tables).values():
        assert [one.part for one in own] == [""]
        assert "depth.activations" in own[0].reason
    drawn(depth, tables)


# Stability -------------------------------------------------------------------------------------------


def limits_of(study: Study, tmp_path: Path, none: Callable, batch: Callable) -> tuple[pd.DataFrame, list, list]:
    """The map, and what is measured of both limits: of the rates by sigmoid and ReLU, of ReLU's depth."""
    stability = stability_of(study)
    runs = tuning(
        study, stability.networks, lambda net, r: max(0.1, (none if net.norm == "none" else batch)(net.depth, r))
    )
    tables = analysed(stability, results(tuning=runs), tmp_path)
    drawn(stability, tables)
    rates, _, deep = measured(stability, tables).values()
    return tables["map"], rates, deep


def test_a_limit_lies_between_points_of_the_grid(study: Study, tmp_path: Path) -> None:
    table, rates, deep = limits_of(study, tmp_path, lambda d, r: r < 0.05, lambda d, r: r < 0.5)
    # Without norm in [0.01, 0.1), with it in [0.1, 1): the ratio lies in (1, 100).
    for rate in rates:
        assert [math.exp(known) for known in (rate.estimate, *rate.bound)] == pytest.approx([10, 10, 10])
    assert verdict(rates) == "undecided"
    assert [one.bound for one in deep] == [(math.inf, math.inf)]  # both train at the greatest depth
    cell = table.query("norm == 'none' and learning_rate == 0.1").iloc[0]
    assert tuple(cell[["collapsed", "runs", "trained", "ci_high"]]) == (10, 10, 0, 1)


def test_limits_apart_are_decided(study: Study, tmp_path: Path) -> None:
    _, rates, deep = limits_of(study, tmp_path, lambda d, r: r < 0.05 and d < 8, lambda d, r: True)
    # Without norm the largest rate is 0.01 to 0.1, the greatest depth 5 to 9; with it 1 or more, and 10 or more.
    for measures, ratio, step in ((rates, 100, 10), (deep, DEEP / 5, 9 / 5)):
        assert math.exp(measures[0].estimate) == pytest.approx(ratio)
        assert measures[0].bound == (pytest.approx(math.log(step)), math.inf)
        assert verdict(measures) == "supported"


@pytest.mark.parametrize(("reached", "deeper"), [(0.1, "contradicted"), (0.3, "undecided")])
def test_batch_norm_that_hurts_contradicts_unless_more_steps_may_help(
    study: Study, tmp_path: Path, reached: float, deeper: str
) -> None:
    _, rates, deep = limits_of(study, tmp_path, lambda d, r: True, lambda d, r: reached)
    assert verdict(rates) == "contradicted"
    assert verdict(deep) == deeper


def test_only_the_experiments_own_cells_count(study: Study) -> None:
    """Another experiment has tried more learning rates and seeds of one network; what was not tried stays empty."""
    stability = stability_of(study, deep_rates=(0.01, 0.1))
    runs = tuning(study, stability.networks, lambda network, rate: 0.9)
    other = runs[runs["arm"].str.startswith("relu+plain5")]
    more = pd.concat([runs, other.assign(learning_rate=9.0), other.assign(seed=99)])
    own, wider = (stability.analyse(results(tuning=rows)) for rows in (runs, more))
    assert all(wider[name].equals(table) for name, table in own.items())
    assert [len(axes.texts) for axes in drawn(stability, own)["map"].figure.axes[:4]] == [5] * 4


def test_a_line_below_chance_is_refused(study: Study) -> None:
    stability = Stability(study, Stability.Options(trains=0.11))
    with pytest.raises(TakeoffError, match=r"stability\.trains 0\.11 is no better than guessing"):
        stability.analyse(results())
