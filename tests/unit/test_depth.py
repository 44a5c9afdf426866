"""Depth and stability: slopes, ratios and limits of tables with known answers, and the claims that follow."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.experiments.base import Results
from takeoff.experiments.depth.design import Design as Depth
from takeoff.experiments.stability.design import Design as Stability
from takeoff.study.arms import distinct, tuning_seeds_of
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
    return pd.DataFrame(
        {
            "arm": arm.name,
            "learning_rate": rate,
            "seed": seed,
            "train_accuracy": accuracy(arm.network, rate, seed),
            "validation_accuracy": accuracy(arm.network, rate, seed),
            "diverged": False,
        }
        for arm, rate in product(arms, RATES)
        for seed in tuning_seeds_of(study, arm)
    )


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


def runs(study: Study, arms: list, accuracy: dict[str, float]) -> pd.DataFrame:
    trained = {"learning_rate": 0.1, "at_edge": False, "untuned": False, "test_accuracy": 0.1, "diverged": False}
    return pd.DataFrame(
        {"arm": arm.name, "seed": seed, "train_accuracy": accuracy[arm.network.activation] + 0.001 * seed} | trained
        for arm, seed in product(arms, study.seed_list)
    )


def results_of(depth: Depth, accuracy: dict[str, float]) -> Results:
    study, arms = depth.study, depth.networks
    return results(
        runs=runs(study, arms, accuracy),
        tuning=tuning(study, arms, lambda network, rate, seed: accuracy[network.activation] - rate / 100),
        probes=probes(study, [arm for arm in arms if arm.probed], {"sigmoid": 0.3, "tanh": 0.9, "relu": 1.01}),
    )


ACCURACY = {"sigmoid": 0.1, "tanh": 0.5, "relu": 0.9}


def test_the_grid_is_what_the_options_say(study: Study, depth: Depth) -> None:
    assert len(depth.arms()) == 2 * 3 * 2
    assert {arm.network.depth for arm in depth.networks if arm.probed} == {DEEP}
    options = Depth.Options(depths=(5, DEEP), batch_everywhere=False, gaussian=True, seeds=2)
    few = Depth(study, options).networks
    names = {arm.name for arm in few}
    assert len(few) == 3 + 1 + 6 + 1
    assert "relu+batch+plain5+decay0" in names
    assert "sigmoid+batch+plain5+decay0" not in names
    assert f"relu+plain{DEEP}+gaussian-0.01+decay0" in names
    assert {arm.seeds for arm in few if arm.network.depth == DEEP} == {(0, 1)}


def test_stability_trains_nothing_that_depth_does_not(study: Study, depth: Depth) -> None:
    wanted = depth.arms()
    shared = distinct([*wanted, *Stability(study, Stability.Options(depths=(5, DEEP))).arms()])
    assert [arm.name for arm in shared] == [arm.name for arm in wanted]
    assert [arm.seeds for arm in shared] == [arm.seeds for arm in wanted]
    assert {arm.tuning_seeds for arm in shared} == {4}
    other = Stability(study, Stability.Options(depths=(DEEP,), rates=(0.1, 10)))
    wider = distinct([*wanted, *other.arms()])
    relu = next(arm for arm in wider if arm.name == f"relu+plain{DEEP}+decay0")
    assert relu.learning_rates == (0.01, 0.1, 1.0, 10.0)


def test_slopes_are_those_of_geometric_sequences(depth: Depth) -> None:
    tables = depth.analyse(results_of(depth, ACCURACY))
    for row in tables["slopes"].itertuples():
        base = {"sigmoid": 0.3, "tanh": 0.9, "relu": 1.01}[row.activation] * (1 + 0.001 * row.seed)
        assert row.slope == pytest.approx(math.log(base))
    change, means = tables["change"], tables["layers"]
    sigmoid = change[(change["activation"] == "sigmoid") & (change["seed"] == 0)]
    assert sigmoid["ratio"].tolist() == pytest.approx([0.3 ** (DEEP - 1)] * 2)
    logs = [math.log(0.3 * (1 + 0.001 * seed)) for seed in range(4)]
    first = means[(means["activation"] == "sigmoid") & (means["layer"] == 1)]
    assert first["gradient_norm"].tolist() == pytest.approx([3 * math.exp(DEEP * np.mean(logs))] * 4)


def test_no_gradient_and_no_change_have_a_logarithm_too(depth: Depth) -> None:
    found = results_of(depth, ACCURACY)
    still = replace(found, probes=found.probes.assign(gradient_norm=0.0, weight_change=0.0))
    tables = depth.analyse(still)
    assert tables["slopes"]["slope"].abs().max() < 1e-9
    assert (tables["change"]["ratio"] == 1).all()


@pytest.mark.parametrize(
    ("accuracy", "learns"),
    [
        (ACCURACY, "supported"),
        ({"sigmoid": 0.6, "tanh": 0.5, "relu": 0.9}, "contradicted"),
        ({"sigmoid": 0.1, "tanh": 0.5, "relu": 0.1}, "contradicted"),
        # Below the majority rate a network has learned nothing either, but it is not equivalent to it.
        ({"sigmoid": 0.05, "tanh": 0.5, "relu": 0.9}, "undecided"),
    ],
)
def test_depths_claims_follow_the_tables(depth: Depth, tmp_path: Path, accuracy: dict[str, float], learns: str) -> None:
    tables = analysed(depth, results_of(depth, accuracy), tmp_path)
    found = measured(depth, tables)
    assert {claim: verdict(own) for claim, own in found.items()} == {
        "sigmoid-gradients-shrink": "supported",
        "early-sigmoid-layers-learn-slowly": "supported",
        "deep-sigmoid-networks-do-not-learn": learns,
    }
    # The shallow network shows whether it is depth that keeps the other from learning.
    shallow = tables["accuracy"].set_index("arm").loc["sigmoid+plain5+decay0"]
    # At the rate of the final runs, though another did a little better.
    assert (shallow["learning_rate"], shallow["at_edge"]) == (0.1, False)
    assert shallow["train_accuracy"] == pytest.approx(accuracy["sigmoid"] - 0.001)
    reasons = {one.reason for one in found["deep-sigmoid-networks-do-not-learn"]}
    reached = f"{100 * accuracy['sigmoid'] - 0.1:.1f}"
    assert reasons == {f"at {DEEP} hidden layers; with 5, sigmoid's tuning runs reach {reached}%"}
    remedies = tables["remedies"].set_index(["change", "activation", "norm"])
    gain = remedies.loc[("ReLU for sigmoid", "relu", "none"), "gain"]
    assert gain == pytest.approx(accuracy["relu"] - accuracy["sigmoid"])
    assert remedies.loc[("batch norm", "relu", "batch"), "gain"] == 0


def test_every_figure_is_drawn(depth: Depth) -> None:
    drawn(depth, depth.analyse(results_of(depth, ACCURACY)))


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
    tables = analysed(depth, results_of(depth, ACCURACY), tmp_path)
    change = tables["change"]
    plain = change["activation"].eq(activation) & change["norm"].eq("none")
    change[f"{layer}_still"] = plain & change["initialisation"].eq("by-activation")
    slowly = measured(depth, tables)["early-sigmoid-layers-learn-slowly"]
    assert [one.bound for one in slowly] == [own, both]
    assert verdict(slowly) == ("undecided" if math.inf in (own[1], both[1]) else "supported")


def test_claims_without_both_activations_say_so(study: Study, tmp_path: Path) -> None:
    depth = Depth(study, Depth.Options(depths=(5, DEEP), activations=("tanh", "relu")))
    tables = analysed(depth, results_of(depth, ACCURACY), tmp_path)
    for own in measured(depth, tables).values():
        assert [one.part for one in own] == [""]
        assert "depth.activations" in own[0].reason
    drawn(depth, tables)


# Stability -------------------------------------------------------------------------------------------


def limits_of(study: Study, tmp_path: Path, none: Callable, batch: Callable) -> tuple[pd.DataFrame, list]:
    """The map, and what is measured of both limits."""
    stability = Stability(study, Stability.Options(depths=(5, DEEP), tuning_seeds=6))

    def accuracy(network, rate: float, seed: int) -> float:
        trains = (batch if network.norm == "batch" else none)(network.depth, rate)
        return 0.9 if trains else 0.1

    runs = tuning(study, stability.networks, accuracy)
    tables = analysed(stability, results(tuning=runs), tmp_path)
    drawn(stability, tables)
    return tables["map"], measured(stability, tables)["batch-norm-allows-more"]


def test_a_limit_lies_between_points_of_the_grid(study: Study, tmp_path: Path) -> None:
    table, (rate, deep) = limits_of(study, tmp_path, lambda d, r: r < 0.05, lambda d, r: r < 0.5)
    # Without norm in [0.01, 0.1), with it in [0.1, 1): the ratio lies in (1, 100).
    assert math.exp(rate.estimate) == pytest.approx(10)
    assert [math.exp(end) for end in rate.bound] == pytest.approx([10, 10])
    assert verdict([rate]) == "undecided"
    # Both train at the greatest depth: nothing is known.
    assert deep.bound == (math.inf, math.inf)
    cell = table[(table["norm"] == "none") & (table["learning_rate"] == 0.1)].iloc[0]
    assert (cell["collapsed"], cell["runs"], cell["trained"]) == (6, 6, 0)
    assert cell["ci_high"] == 1


def test_two_steps_apart_is_decided(study: Study, tmp_path: Path) -> None:
    _, (rate, deep) = limits_of(study, tmp_path, lambda d, r: r < 0.05 and d < 8, lambda d, r: True)
    # Without norm nothing trains at the greatest depth: rates are compared at 5 layers, where its limit lies in
    # [0.01, 0.1), batch norm's above 1.
    assert math.exp(rate.estimate) == pytest.approx(100)
    assert rate.bound == (pytest.approx(math.log(10)), math.inf)
    assert verdict([rate]) == "supported"
    assert math.exp(deep.estimate) == pytest.approx(DEEP / 5)
    assert deep.bound == (pytest.approx(math.log(DEEP / 5)), math.inf)


def test_batch_norm_that_hurts_contradicts(study: Study, tmp_path: Path) -> None:
    _, (rate, _) = limits_of(study, tmp_path, lambda d, r: True, lambda d, r: False)
    assert verdict([rate]) == "contradicted"


def test_cells_that_were_not_tried_stay_empty(study: Study) -> None:
    """Another experiment has tried more learning rates of one network."""
    stability = Stability(study, Stability.Options(depths=(5, DEEP)))
    runs = tuning(study, stability.networks, lambda network, rate, seed: 0.9)
    runs = runs[(runs["learning_rate"] < 1) | runs["arm"].str.startswith("relu+plain5")]
    drawing = next(iter(drawn(stability, stability.analyse(results(tuning=runs))).values()))
    assert [len(axes.texts) for axes in drawing.figure.axes[:2]] == [5, 4]


def test_a_line_below_chance_is_refused(study: Study) -> None:
    stability = Stability(study, Stability.Options(trains=0.11))
    with pytest.raises(TakeoffError, match=r"stability\.trains 0\.11 is no better than guessing"):
        stability.analyse(results())
