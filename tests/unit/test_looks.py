"""Looks: each time that claims are judged on other data spends its share of the error rate."""

import json

import pytest
from takeoff.common.errors import TakeoffError
from unit.judging_place import judging_place, race
from unit.made_up_claims import RATIOS


@pytest.fixture
def place(monkeypatch, tmp_path, write_study):
    return judging_place(monkeypatch, tmp_path, write_study)


def test_each_look_at_other_data_has_its_share_of_the_error_rate(place):
    """The same data are no new look, and a claim whose data stay has its first share."""
    seeds = [*RATIOS, 3.0, 3.2]
    levels, numbers = [], []
    for ratios in (RATIOS, RATIOS, seeds, RATIOS, [*seeds, 3.3]):
        place.measured(race=race(faster=ratios))
        claims, parts = place({"race": {}})
        levels.append(parts.loc[["faster", "cheaper"], "level"].to_list())
        numbers.append(claims.loc["faster", "look"])
        assert claims.loc["faster", "verdict"] == "supported"
    assert numbers == [1, 1, 2, 1, 3]
    assert claims.loc["cheaper", "look"] == 1
    assert claims.loc["faster", "reason"].startswith("look 3, which may spend 0.032 of the error rate; ")
    first, second = 0.05 * 0.8, 0.05 * 0.8 * 0.2
    half = 1 / 2  # of two claims of results; the other of times is a family of its own
    assert levels[:4] == [pytest.approx([one * half, first]) for one in (first, first, second, first)]
    looks = json.loads((place.results / "looks.json").read_text())["looks"]
    assert [look["claims"]["faster"]["n"] for look in looks] == [[4], [6], [7]]
    assert [look["claims"]["faster"]["verdict"] for look in looks] == ["supported"] * 3
    assert {"time", "commit", "study", "criteria", "code"} <= looks[0].keys()
    assert not {"gpu", "large"} & looks[0]["claims"].keys()  # what was not tested was not looked at
    (place.results / "looks.json").write_text('{"looks": null}')
    with pytest.raises(TakeoffError, match=r"looks\.json: looks: None is not valid"):
        place({"race": {}})
