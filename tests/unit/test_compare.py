"""Two results of a study side by side, by the command: distances, what is outside, verdicts, and what is refused."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from takeoff.common.tables import write_csv

FACTORS = {"norm": {"baseline": "none", "treatment": "batch"}}
STUDY = {"title": "Made up", "dataset": {"name": "made-up"}, "factors": FACTORS}
EFFECTS = {  # the first, then the second
    "near": ((2.0, 1.0, 3.0), (2.5, 1.5, 3.5)),
    "one-sided": ((2.0, 1.0, 3.0), (3.5, 1.5, 5.5)),
    "apart": ((2.0, 1.0, 3.0), (-4.0, -5.0, -3.0)),
    "no interval": ((2.0, None, None), (9.0, 8.0, 10.0)),
}
RATIO = ((2.0, 1.0, 4.0), (1.0, 0.5, 2.0))


@pytest.fixture
def place(tmp_path):
    """The first results as a study's own, the second as they are committed: flat."""

    def write(folder, which, flat, verdict, study=STUDY):
        folder.mkdir(parents=True)
        (folder / "study.json").write_text(json.dumps(study))
        names = ["estimate", "ci_low", "ci_high"]
        rows = [
            {"term": term, "kind": "main", "response": "test_accuracy"} | dict(zip(names, both[which], strict=True))
            for term, both in EFFECTS.items()
        ]
        write_csv(pd.DataFrame(rows), folder / ("factorial-effects.csv" if flat else "factorial/effects.csv"))
        claim = {"claim": "faster", "verdict": verdict, "reason": ""}
        write_csv(pd.DataFrame([claim, {"claim": "same", "verdict": "undecided", "reason": ""}]), folder / "claims.csv")
        part = claim | {"part": f"epochs to {which}%", "unit": "ratio"} | dict(zip(names, RATIO[which], strict=True))
        write_csv(pd.DataFrame([part]), folder / "claims_parts.csv")
        return folder

    own = write(tmp_path / "results" / "small", 0, False, "supported")
    return write, own, write(tmp_path / "results" / "reference" / "small", 1, True, "contradicted")


def test_distances_are_in_half_widths_and_what_is_outside_both_is_marked(place, command):
    _, own, other = place
    done = command.done("analyse", "compare", "--results", own, "--against", other, "--out", own / "compare")
    stem = own / "compare" / "reference-small"
    for suffix in (".svg", ".png"):
        assert stem.with_suffix(suffix).stat().st_size > 1000
    table = pd.read_csv(stem.with_suffix(".csv")).set_index("part")
    assert table.loc["near", ["distance", "inside", "outside_both"]].tolist() == [0.5, True, False]
    assert table.loc["one-sided", ["distance", "inside", "outside_both"]].tolist() == [1.5, False, False]
    assert table.loc["apart", ["distance", "inside", "outside_both"]].tolist() == [-6.0, False, True]
    assert pd.isna(table.loc["no interval", "distance"])
    # Half of log 4 is log 2, and a ratio of 1 lies as far from 2.
    part = table.loc["epochs to 0%"]
    assert part["distance"] == pytest.approx(-1)
    assert part[["verdict", "verdict_against"]].tolist() == ["supported", "contradicted"]
    lines = done.stdout.splitlines()
    assert "1 of 3 effects (33.3%)" in lines[0]
    assert "6.00 half-widths" in lines[1]
    assert lines[2].startswith("1 of 5 ")
    assert lines[-1].split() == ["faster:", "supported,", "against", "contradicted"]


def test_the_same_results_lie_nowhere_apart(place, command):
    """Whether or not a claim was tested."""
    _, own, _ = place
    header = (own / "claims_parts.csv").read_text().splitlines()[0]
    (own / "claims_parts.csv").write_text(header + "\n")
    copy = Path(shutil.copytree(own, own.parent / "copied" / own.name))
    command.done("analyse", "compare", "--results", own, "--against", copy, "--out", own / "compare")
    table = pd.read_csv(own / "compare" / "copied-small.csv")
    assert (table["distance"].dropna() == 0).all()
    assert not table["outside_both"].any()


def test_results_with_nothing_in_common_say_so(place, command):
    _, own, other = place
    (own / "factorial" / "effects.csv").unlink()
    header = (own / "claims_parts.csv").read_text().splitlines()[0]
    (own / "claims_parts.csv").write_text(header + "\n")
    done = command.done("analyse", "compare", "--results", own, "--against", other, "--out", own / "compare")
    assert "in common" in done.stdout.splitlines()[0]
    assert " of 0 " not in done.stdout


@pytest.mark.parametrize(
    "keys", [{"dataset": {"name": "birds"}}, {"factors": {"norm": {"baseline": "batch", "treatment": "none"}}}]
)
def test_another_study_is_refused(place, command, keys):
    write, own, _ = place
    other = write(own.parent / "other", 1, True, "supported", STUDY | keys)
    line = ("analyse", "compare", "--results", own, "--out", own / "compare", "--against")
    assert "valid: the study compared" in command.refused(*line, other)
    assert "no such folder" in command.refused(*line, other / "nowhere")
    assert "--against" in command.refused(*line)
    assert not (own / "compare").exists()
