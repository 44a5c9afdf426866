"""The summary of a study: the numbers of its tables, in words."""

import gzip
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import Command
from results_folder import ResultsFolder, make_results
from takeoff.common.errors import TakeoffError
from takeoff.reporting.found import Effect, Found, Gain, gain_words, read_found
from takeoff.study.loading import load_study
from webdriver import chromium

EFFECTS = """term,kind,response,estimate,ci_low,ci_high,n_seeds
activation,main,test_accuracy,0.0312,0.024,0.0384,6
activation,main,test_loss,-0.5,-0.6,-0.4,6
activation,shapley,test_accuracy,0.04,0.03,0.05,6
"""
CELLS = "arm,test_accuracy,n_seeds\ntanh,0.555,2\nrelu,0.605,2\n"
CLAIMS = """claim,statement,unit,estimate,ci_low,ci_high,n,verdict,published,reason,experiment,figure
a,First | claim.,ratio,2.5,1.5,inf,6,undecided,6 times,not trained enough,race,race-ratios
b,Second claim.,points,-3.25,-4,-2.5,12,supported,,2 of 2 parts hold,race,race-ratios
c,Third claim.,,,,,,not tested,,no GPU,race,race-ratios
d,Fourth claim.,points,1.25e-7,,,,undecided,,,race,race-ratios
e,Fifth claim.,points,14.07,9,20,,supported,,,race,race-ratios
f,Sixth claim.,,,,,,not tested,,no GPU,race,race-ratios
"""


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """A study's results, with effects and verdicts."""
    made = make_results(tmp_path)
    (made.results / "factorial" / "effects.csv").write_text(EFFECTS)
    (made.results / "factorial" / "cells.csv").write_text(CELLS)
    (made.results / "claims.csv").write_text(CLAIMS)
    return made


def test_the_summary_has_the_tables_numbers(folder: ResultsFolder, command: Command) -> None:
    out = folder.results / "summary.md"
    images = json.loads(folder.card.read_text()) | {"notes": ["test images from val/", "test/ was left out"]}
    folder.card.write_text(json.dumps(images))
    line = ("--study", folder.study, "--results", folder.results, "--card", folder.card, "--out", out)
    command.done("summarise", *line)
    text = out.read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")
    ]
    assert ["ReLU instead of tanh", "+3.1", "+2.4 to +3.8", "6"] in rows
    # Decided claims come first, a bar does not end a cell, what is not there is a dash.
    verdicts = [row for row in rows if row[0] in {"supported", "undecided"}]
    assert verdicts == [
        ["supported", "Second claim.", "−3.25 points (−4.00 to −2.50), n 12", "–", ""],
        ["supported", "Fifth claim.", "14.1 points (9.0 to 20.0)", "–", ""],
        ["undecided", "First \\| claim.", "2.50× (1.50 to ∞), n 6", "6 times", "not trained enough"],
        ["undecided", "Fourth claim.", "1.25·10⁻⁷ points", "–", ""],
    ]
    assert "Of 6 claims: 2 supported, 2 undecided, 2 not tested." in text
    assert ["Third claim.<br>Sixth claim.", "no GPU"] in rows
    assert "`relu`: 60.5% of the test images" in text
    card = dict(row for row in rows if len(row) == 2)
    assert card["final seeds"] == "2: 0, 1"
    assert card["how they were read"] == "test images from val/; test/ was left out"
    assert card["splits"].startswith("1,297 to learn from, 20% of them")
    assert card["their digest"] == f"`{json.loads(folder.card.read_text())['digest'][:16]}`"
    assert "nan" not in text


def test_what_was_not_analysed_is_not_what_to_read_next(folder: ResultsFolder, command: Command) -> None:
    """As in a partial study."""
    out, measured = folder.results / "summary.md", folder.results / "factorial" / "measured.csv"
    for there in (False, True):
        measured.touch() if there else measured.unlink(missing_ok=True)
        command.done(
            "summarise", "--study", folder.study, "--results", folder.results, "--card", folder.card, "--out", out
        )
        linked = {place for _, place in re.findall(r"\[([^]]+)\]\((figures/[^)]+)\)", out.read_text())}
        effects = {"figures/factorial-effects.svg", "figures/factorial-cells.svg"} if there else set()
        assert linked == effects | {"figures/claims.svg"}


def test_the_page_to_explore_has_curves_effects_and_tables_and_needs_no_network(
    folder: ResultsFolder, command: Command, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In a browser, from a file."""
    (folder.results / "factorial" / "effects.csv").write_text(EFFECTS)
    page = folder.results / "explore.html"
    line = ("--study", folder.study, "--results", folder.results, "--card", folder.card)
    command.done("summarise", *line, "--out", folder.results / "summary.md", "--explore-out", page)
    packed = re.search(r'packed = "([^"]+)"', page.read_text())
    assert packed
    whole = gzip.decompress(b64decode(packed[1])).decode()
    assert not re.search(r"<(script|link)[^>]+(src|href)=.http", whole)
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        browser.open(page.as_uri())
        browser.wait_for("return document.querySelectorAll('#curves canvas, #curves svg').length > 0")
        browser.wait_for("return document.querySelectorAll('#effects canvas, #effects svg').length > 0")
        browser.wait_for("return document.querySelectorAll('table.dataTable').length >= 2")
        options = browser.run("return [...document.querySelectorAll('#effects option')].map(o => o.textContent.trim())")
        assert {"test_accuracy", "test_loss", "main", "shapley"} <= set(options)
        rows = "return document.querySelectorAll('table.dataTable')[0].querySelectorAll('tbody tr').length"
        assert browser.run(rows) == 6
        # Numbers are sorted as such, by a click on a column's name; small ones are no zeros.
        table = "document.querySelectorAll('table.dataTable')[0]"
        cells = f"return [...{table}.querySelectorAll('tbody tr')].map(r => r.cells[2].textContent)"
        browser.run(f"[...{table}.querySelectorAll('th')].find(h => h.textContent.trim() == 'estimate').click()")
        browser.wait_for(f"{cells}.filter(cell => cell)[0] == '-3.25'")
        assert [cell for cell in browser.run(cells) if cell] == ["-3.25", "1.25e-07", "2.5", "14.07"]
        browser.run(
            "const i = document.querySelector('input[type=search]');"
            "i.value = 'Second'; i.dispatchEvent(new Event('input', {bubbles: true}))"
        )
        browser.wait_for(f"{rows} == 1")
        # As a report has it: in an address, of which browsers open none of more than 2 MB.
        address = f"data:text/html;base64,{b64encode(page.read_bytes()).decode()}"
        assert len(address) < 1_500_000
        browser.open(address)
        browser.wait_for("return document.querySelectorAll('#curves canvas, #curves svg').length > 0")
        browser.wait_for("return document.querySelectorAll('table.dataTable').length >= 2")


def test_what_is_not_there_is_left_out(tmp_path: Path, command: Command) -> None:
    folder = make_results(tmp_path)
    (folder.results / "factorial" / "effects.csv").unlink()
    found = read_found(folder.results, load_study(folder.study))
    assert (found.effects, found.gains, found.counts) == ([], {}, "")
    out = folder.results / "summary.md"
    command.done("summarise", "--study", folder.study, "--results", folder.results, "--card", folder.card, "--out", out)
    assert "## How to do it again" in out.read_text()


@pytest.mark.parametrize(
    ("table", "content", "words"),
    [
        ("study.json", "junk", "not valid JSON"),
        ("study.json", "{}", "None with no factors; valid: "),
        ("plan.csv", "", "not a table"),
        ("plan.csv", "junk", "no column arm"),
        ("plan.csv", "{}", "no column arm"),
        ("claims.csv", "", "not a table"),
        ("claims.csv", CLAIMS.replace("verdict", "verdicts", 1), "no column verdict; did you mean verdicts?"),
        ("claims.csv", "{}", "no column statement"),
        ("factorial/effects.csv", "junk", "no column term"),
    ],
)
def test_a_wrong_table_is_refused_and_nothing_is_written(
    folder: ResultsFolder, run_here: Callable[..., None], table: str, content: str, words: str
) -> None:
    study = folder.root / "study.json"  # the given one is not what is tried
    study.write_bytes(folder.study.read_bytes())
    (folder.results / table).write_text(content)
    out = [folder.root / name for name in ("summary.md", "explore.html")]
    given = ("--study", study, "--results", folder.results, "--card", folder.card, "--out", out[0])
    with pytest.raises(TakeoffError, match=f"{re.escape(table)}: .*{re.escape(words)}"):
        run_here("summarise", *given, "--explore-out", out[1])
    assert not any(path.exists() for path in out)


def test_no_results_are_no_summary(folder: ResultsFolder, command: Command, tmp_path: Path) -> None:
    line = ("--study", folder.study, "--card", folder.card, "--out", tmp_path / "out" / "summary.md")
    nowhere = tmp_path / "nothere"
    assert f"{nowhere}: no study.json in it; valid: " in command.refused("summarise", *line, "--results", nowhere)
    # Both pages, or neither.
    (folder.results / "factorial" / "choices.csv").write_text("junk")
    both = ("--results", folder.results, "--explore-out", tmp_path / "out" / "explore.html")
    assert "choices.csv: no column arm" in command.refused("summarise", *line, *both)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (Gain(3.449, 2.64, float("inf"), "none", 8), "3.45 (2.64 to ∞)"),
        (Gain(4.0, 4.0, float("inf"), "lower", 8), "at least 4.00 (4.00 to ∞)"),
        (Gain(0.5, 0.0, 0.5, "upper", 8), "at most 0.50 (0.00 to 0.50)"),
        (Gain(1.5, float("nan"), float("nan"), "none", 8), "1.50"),
        (None, ""),
    ],
)
def test_a_gain_is_said_with_its_bound(gain: Gain | None, words: str) -> None:
    assert gain_words(gain) == words


def test_gains_are_read_by_factor(folder: ResultsFolder) -> None:
    row = {"factor": "activation", "gain": 0.6, "gain_low": 0.0, "gain_high": 0.75, "bound": "none", "epochs": 8}
    (folder.results / "gain").mkdir()
    pd.DataFrame([row]).to_csv(folder.results / "gain" / "summary.csv", index=False)
    found = read_found(folder.results, load_study(folder.study))
    assert found.gains == {"activation": Gain(0.6, 0.0, 0.75, "none", 8)}


@pytest.mark.parametrize(("seeds", "warns"), [([1], False), ([2, 6], True), ([3], True), ([4], False), ([], False)])
def test_intervals_over_very_few_seeds_come_with_a_warning(seeds: list[int], warns: bool) -> None:
    effects = [Effect(f"factor {n}", "", 1.0, 0.0, 2.0, n) for n in seeds]
    assert bool(Found(effects, {}, pd.DataFrame(), pd.DataFrame()).warning) == warns
