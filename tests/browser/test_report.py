"""The HTML report in a browser: its figures can be found, seen and read about."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import small_study
from webdriver import Browser, chromium
from workflow.test_workflow import run_snakemake

pytestmark = pytest.mark.slow

FIND = "[...document.querySelectorAll('*')].find(e => !e.children.length && e.innerText?.trim() === arguments[0])"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The report of a small study, opened."""
    folder: Path = tmp_path_factory.mktemp("report")
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        study = folder / "small.yaml"
        study.write_text(yaml.safe_dump(small_study()))
        config = (f"study={study}", "tracking_uri=''")
        for arguments in (("--cores", "all"), ("--report", "results/small/report.html")):
            done = run_snakemake(folder / "here", *arguments, config=config)
            assert done.returncode == 0, done.stderr
        browser.open((folder / "here" / "results" / "small" / "report.html").as_uri())
        yield browser


def click(browser: Browser, words: str) -> None:
    """Click what says `words`, once it is there."""
    browser.wait_for(f"const found = {FIND}; found?.click(); return Boolean(found)", words)


def test_a_figure_is_found_by_its_question_and_comes_with_its_caption(report: Browser) -> None:
    report.wait_for(f"return Boolean({FIND})", "All claims, judged")
    click(report, "Which factor mattered?")
    for label in ("Effects and Shapley shares", "Every combination", "Learning curves"):
        report.wait_for(f"return Boolean({FIND})", label)
    row = f"{FIND}.closest('tr')"
    report.run(f"{row}.querySelector('a[iconname=eye]').click()", "Effects and Shapley shares")
    report.wait_for(
        "return [...document.images, ...document.querySelectorAll('svg, object, embed, iframe')]"
        ".some(e => e.getBoundingClientRect().width > 300 && e.getBoundingClientRect().height > 80)"
    )
    report.run(f"{row}.querySelector('a[iconname=information-circle]').click()", "Effects and Shapley shares")
    report.wait_for("return document.body.innerText.includes('Student t over paired seeds')")
