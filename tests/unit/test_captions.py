"""Captions begin with what a figure shows, in the numbers of the study's tables."""

import re
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import REPOSITORY
from jinja2 import Environment
from takeoff.reporting.pages import Pages
from takeoff.study.loading import load_study

CAPTIONS = REPOSITORY / "workflow" / "report"
DIGITS = REPOSITORY / "config" / "studies" / "digits.yaml"
EFFECTS = """term,kind,response,estimate,ci_low,ci_high,n_seeds
activation,main,test_accuracy,0.0312,0.024,1.0,6
activation,main,test_accuracy_log_odds,0.214,0.1,0.328,6
activation,simple,test_accuracy_log_odds,0.9,0.1,0.328,6
"""
GAINS = """factor,gain,gain_low,gain_high,bound,epochs,points,points_low,points_high
activation,3.449,2.64,inf,none,8,1.25,0.5,2
"""
FIXED = """term,kind,response,tuned,fixed,rate
activation,main,test_accuracy,0.031,-0.012,0.02
"""
CELLS = "arm,test_accuracy,n_seeds\ntanh,0.555,2\nrelu,0.605,2\nbatch,0.6,2\n"
CLAIMS = """claim,experiment,figure,statement,unit,estimate,ci_low,ci_high,n,verdict,published,reason
a,race,race-ratios,First claim.,ratio,2.5,1.5,inf,6,undecided,,
b,race,race-ratios,Second claim.,,,,,,not tested,,
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    folder = tmp_path_factory.mktemp("study")
    tables = {"factorial/effects": EFFECTS, "factorial/fixed": FIXED, "factorial/cells": CELLS, "gain/summary": GAINS}
    for name, text in (tables | {"claims": CLAIMS}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).with_suffix(".csv").write_text(text)
    return Pages(folder, load_study(DIGITS), folder / "card.json")


@pytest.mark.parametrize(
    ("figure", "sentences"),
    [
        ("claims", ["Of 2 claims: 1 undecided, 1 not tested."]),
        ("factorial-effects", ["ReLU instead of tanh: +3.1 points (+2.4 to +100.0)."]),  # no accuracy gains more
        ("factorial-log-odds", ["ReLU instead of tanh: +0.21 in log-odds (+0.10 to +0.33)."]),
        ("factorial-rates", ["ReLU instead of tanh: +3.1 points with tuned rates, −1.2 with 0.02 for all."]),
        ("factorial-cells", ["Best: relu, 60.5%; worst: tanh, 55.5% of the test images."]),
        ("gain-curves", ["ReLU instead of tanh: 3.45 (2.64 to ∞) times less computation."]),
        ("gain-effects", ["ReLU instead of tanh: +1.2 points (+0.5 to +2.0) at 8 epochs."]),
        ("race-ratios", ["Undecided: First claim. 2.50× (1.50 to ∞), n 6", "Not tested: Second claim."]),
        ("race-curves", ["Undecided: First claim. 2.50× (1.50 to ∞), n 6", "Not tested: Second claim."]),
        ("depth-layers", []),
    ],
)
def test_a_caption_begins_with_the_tables_numbers(pages: Pages, figure: str, sentences: list[str]) -> None:
    assert re.findall(r"\*\*(.*?)\*\*", pages.caption(figure)) == sentences


def test_every_figure_of_a_study_with_its_tables_has_results(tmp_path: Path) -> None:
    with tarfile.open(REPOSITORY / "tests" / "golden" / "tables.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    pages = Pages(tmp_path, load_study(DIGITS), tmp_path / "card.json")
    figures = [path.stem for path in (tmp_path / "figures").glob("*.csv")]
    assert len(figures) > 20
    for figure in figures:
        own = (CAPTIONS / f"{figure}.rst").read_text()
        assert f'pages.caption("{figure}")' in own
        assert pages.caption(figure), figure


def caption(figure: str, **config: Any) -> str:
    """A figure's caption, as Snakemake makes it for its report."""
    template = Environment(trim_blocks=True, lstrip_blocks=True).from_string((CAPTIONS / f"{figure}.rst").read_text())
    return template.render(snakemake=SimpleNamespace(config=config))


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ("claims", "Diamonds are published figures."),
        ("factorial-effects", "Mishkin 2017"),
        ("factorial-interaction", "Mishkin 2017"),
        ("factorial-rates", "Garbin 2020"),
        ("factorial-speed-up", "Ioffe & Szegedy 2015"),
        ("moment-errors", "Krizhevsky 2012"),
        ("moment-ratio", "Krizhevsky 2012"),
        ("race-ratios", "Krizhevsky 2012"),
    ],
)
def test_captions_name_published_figures_but_not_beside_ones_own_images(pages: Pages, figure: str, words: str) -> None:
    """Nor where another workflow, which uses this one as a module, makes the report: it has no pages."""
    mine = pages.study.model_copy(update={"dataset": pages.study.dataset.model_copy(update={"name": "mine"})})
    for own, published in ((pages, True), (replace(pages, study=mine), False)):
        said = caption(figure, pages=own)
        assert said.startswith(own.caption(figure))
        assert (words in said) == published
    alone = caption(figure)
    assert words not in alone
    assert alone.strip()
