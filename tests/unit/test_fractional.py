"""Fractions of 2^k designs: resolution by brute force, aliases against the full design, effects against OLS."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.linear_model import OLS
from takeoff.common.errors import TakeoffError
from takeoff.statistics.contrasts import interaction_weights
from takeoff.statistics.design import design_of
from takeoff.statistics.effects import effects_table
from takeoff.statistics.fractional import (
    aliases_of,
    aliases_table,
    defining_relation,
    fraction_contrasts,
    fraction_rows,
    resolution_of,
)

NAMES = "abcdefghi"


@pytest.mark.parametrize(
    ("k", "resolution", "cells"), [(8, 5, 64), (8, 4, 16), (7, 5, 64), (7, 4, 16), (7, 3, 8), (9, 5, 128), (3, 3, 4)]
)
def test_a_fraction_has_the_resolution_that_was_asked_for(k, resolution, cells):
    rows = np.array(fraction_rows(k, resolution))
    assert rows.shape == (cells, k)
    assert len(np.unique(rows, axis=0)) == cells
    assert not rows[0].any()  # all baselines
    assert (rows.mean(axis=0) == 0.5).all()
    # Strength: in every resolution − 1 columns each combination of levels is met equally often, in some `resolution`
    # columns it is not (Box & Hunter 1961).
    signs = 2 * rows - 1
    for columns in combinations(range(k), resolution - 1):
        assert not signs[:, columns].prod(axis=1).sum(), columns
    lengths = [len(word) for word in defining_relation(rows)]
    assert len(lengths) == 2**k / cells - 1
    assert resolution_of(rows) == min(lengths) >= resolution


def test_a_known_fraction():
    """2^(4−1) with d = abc, here with the cell of all baselines: resolution IV, ab mixed up with cd."""
    rows = np.array(fraction_rows(4, 4))
    assert defining_relation(rows) == {(0, 1, 2, 3): 1}
    assert aliases_of({(0, 1, 2, 3): 1}, [0, 1]) == {(2, 3): 1}
    table = aliases_table("abcd", rows)
    assert table["term"].tolist() == ["a", "b", "c", "d", "a:b", "a:c", "a:d"]
    assert table["aliases"].tolist() == "+ b:c:d|+ a:c:d|+ a:b:d|+ a:b:c|+ c:d|+ b:d|+ b:c".split("|")
    assert table["lowest_order"].tolist() == [3, 3, 3, 3, 2, 2, 2]
    assert aliases_table("abc", fraction_rows(3, 3)).loc[0].tolist() == ["a", "main", "- b:c", 2]
    assert resolution_of([[0, 0], [0, 1], [1, 0], [1, 1]]) is None


@pytest.mark.parametrize(("k", "resolution"), [(5, 4), (7, 4), (8, 5), (7, 3)])
def test_a_contrast_is_the_signed_sum_of_its_aliases_in_the_full_design(k, resolution):
    full = np.random.default_rng(k).normal(size=2**k)
    rows = fraction_rows(k, resolution)
    relation = defining_relation(rows)
    for contrast in fraction_contrasts(NAMES[:k], rows):
        members = [NAMES.index(name) for name in contrast.term.split(":")]
        expected = interaction_weights(k, members) @ full
        for word, sign in aliases_of(relation, members).items():
            expected += sign * (interaction_weights(k, word) @ full)
        assert contrast.weights @ full == pytest.approx(expected), contrast.term


def make_runs(rows, truth, noise=0.1, seeds=4):
    rng = np.random.default_rng(3)
    levels = [dict(zip(NAMES, row, strict=False)) for row in rows]
    return pd.DataFrame(
        [
            {**cell, "seed": seed, "accuracy": truth(cell) + noise * rng.normal()}
            for cell in levels
            for seed in range(seeds)
        ]
    )


def test_effects_of_a_fraction_are_those_of_ordinary_least_squares():
    rows = fraction_rows(7, 5)
    runs = make_runs(rows, lambda cell: 0.2 * cell["a"] + 0.1 * cell["b"] - 0.3 * cell["a"] * cell["c"])
    factors = list(NAMES[:7])
    design = design_of(runs, factors, dict.fromkeys(factors, 0), wanted=rows)
    table = effects_table(design, {"accuracy": runs["accuracy"]}, contrasts=fraction_contrasts(factors, rows))
    signs = 2.0 * runs[factors].to_numpy() - 1
    columns = [np.ones(len(runs))]
    for term in table["term"]:
        columns.append(signs[:, [factors.index(name) for name in term.split(":")]].prod(axis=1))
    fit = OLS(runs["accuracy"].to_numpy(), np.column_stack(columns)).fit()
    assert table["estimate"].to_numpy() == pytest.approx(2 * fit.params[1:])
    assert len(table) == 7 + 21
    assert set(table["kind"]) == {"main", "interaction"}
    main = table.set_index("term")["estimate"]
    assert main["b"] == pytest.approx(0.1, abs=0.05)
    assert main["a:c"] == pytest.approx(-0.15, abs=0.05)
    assert (table["p_adjusted"] >= table["p_value"]).all()


def test_a_fraction_lacks_no_cell():
    rows = fraction_rows(7, 4)
    runs = make_runs(rows, lambda _: 0.5)
    factors = list(NAMES[:7])
    with pytest.raises(TakeoffError, match=r"valid: every combination of the factors' levels \(16 of 128"):
        design_of(runs, factors)
    with pytest.raises(TakeoffError, match=r"valid: every cell of the fraction \(15 of 16 are there"):
        design_of(runs[4:], factors, dict.fromkeys(factors, 0), wanted=rows)
    one_seed_less = runs[1:].reset_index(drop=True)
    notes = design_of(one_seed_less, factors, dict.fromkeys(factors, 0), wanted=rows).unpaired()
    assert len(notes) == 1
    assert "seed 0: left out" in notes[0]
