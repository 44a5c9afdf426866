"""MLflow's own UI over an imported study: what its users look for is where they look."""

import sys
from urllib.parse import quote

import pytest
import track
from mlflow import MlflowClient
from mlflow_server import mlflow_server
from results_folder import make_results
from takeoff.tracking.server import address_of
from webdriver import chromium

pytestmark = pytest.mark.slow

NAMES = "return [...document.querySelectorAll('a[href*=\"/runs/\"]')].map(a => a.innerText.trim()).filter(t => t)"
ARMS = quote("tags.`takeoff.role` = 'arm'")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A browser, the experiment's page, and a client of its server."""
    folder = make_results(tmp_path_factory.mktemp("ui"))
    with chromium(tmp_path_factory.mktemp("browser")) as browser, mlflow_server(folder.root) as uri:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", folder.command(uri)[1:])
            track.main()
        yield browser, f"{uri}/#/experiments/1", MlflowClient(uri)


def test_table_shows_the_experiment_and_the_arms_with_their_seeds_folded(study):
    browser, page, _ = study
    browser.open(f"{page}/runs")
    browser.wait_for("return document.body.innerText.includes('factorial')")
    assert browser.run(NAMES) == ["factorial", "relu", "tanh"]


def test_the_address_opens_the_arms_sorted_with_factors_and_accuracy(study):
    browser, page, _ = study
    server, experiment = page.partition("/#")[0], page.rpartition("/")[2]
    address = address_of(server, experiment)
    browser.open(address.replace("CHART", "TABLE"))
    browser.wait_for("return document.body.innerText.includes('relu')")
    assert browser.run(NAMES) == ["relu", "tanh"]
    for column in ("activation", "test_accuracy", "test_ci_low", "n_seeds"):
        browser.wait_for("return document.body.innerText.includes(arguments[0])", column)
    browser.open(address)
    for arm in ("relu", "tanh"):
        browser.wait_for("return document.body.innerText.includes(arguments[0])", arm)


def test_charts_draw_a_curve_per_arm(study):
    browser, page, _ = study
    browser.open(f"{page}/runs?compareRunsMode=CHART&searchFilter={ARMS}")
    for arm in ("relu", "tanh"):  # in the legend
        browser.wait_for("return document.body.innerText.includes(arguments[0])", f"{arm} (batch_loss)")
    assert set(browser.run(NAMES)) == {"relu", "tanh"}


def test_a_figure_is_shown_in_its_run(study):
    browser, page, client = study
    run = client.search_runs(["1"], "attributes.run_name = 'factorial'")[0].info.run_id
    browser.open(f"{page}/runs/{run}/artifacts/figures/factorial-effects.png")
    shown = "return [...document.images].some(i => i.naturalWidth == 120 && i.naturalHeight == 80)"
    browser.wait_for(shown)
