"""What `measured.csv` may hold, as judging reads it: one row a part, of numbers that can have been measured."""

import pandas as pd
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.judging.claims import load_claims
from takeoff.statistics.measures import Measure, read_measures
from unit.judging_place import judging_place, race


@pytest.fixture
def place(monkeypatch, tmp_path, write_study):
    return judging_place(monkeypatch, tmp_path, write_study)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("unit", ["ratioo", ""]),
        ("estimate", ["inf", "-inf"]),
        ("standard_error", ["nan", "inf", "-0.1", ""]),
        ("degrees_of_freedom", ["-1", "0", "nan", ""]),
        ("n", ["0", "-3", "1.5", "1e30", "5", ""]),
        ("values", ["nan nan nan nan", "1 2 3", "1 2 3 inf", "1 2 3 x"]),
        ("bound_below", ["-1", "nan"]),
        ("bound_above", ["", "-inf"]),
        ("most", ["0", ""]),
    ],
)
def test_a_number_that_cannot_have_been_measured_is_named(place, name, values):
    place()
    table = place.results / "race" / "measured.csv"
    good = pd.read_csv(table, dtype=str, keep_default_na=False)
    units = load_claims(place.claims).units
    assert len(read_measures(table, units)) == len(good)
    for value in values:
        good.assign(**{name: good[name].where(good["claim"] != "faster", value)}).to_csv(table, index=False)
        with pytest.raises(TakeoffError, match=r"race/measured\.csv: faster\.epochs: column ") as raised:
            read_measures(table, units)
        assert f"column {name}: {value!r} is not valid; valid: " in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_part_that_was_measured_twice_is_refused(place):
    place.measured(race=race() * 2)
    with pytest.raises(TakeoffError, match=r"race/measured\.csv: two rows with claim gpu.*valid: "):
        place()
    assert not place.out.exists()


def test_a_single_value_and_what_was_not_measured_are_read(place):
    """They have no error, and decide nothing."""
    none = Measure.missing("both", "it diverged", "gap", "gap", "points")
    gap, error = none, Measure.of("both", "error", "error", [2.0], "points")
    place.measured(race=[*race()[:3], gap, error])
    assert place()[0].loc["both", "verdict"] == "undecided"
