"""The figures: the numbers drawn, words that overlap nothing, and the same bytes each time."""

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from takeoff.experiments import factorial
from takeoff.experiments.plotting import level_words, new_figure, save, switch_words, text_width
from unit.test_factorial import LEVELS, diverge, make_results, make_study


@pytest.fixture(
    scope="module",
    params=[(1, 3), (2, 1), (3, 3), (6, 2)],
    ids=lambda p: f"{p[0]}-factors-{p[1]}-seeds",
)
def drawn(request, tmp_path_factory):
    """A study, its tables as read back from CSV, and its figures, for several numbers of factors and seeds."""
    k, seeds = request.param
    folder = tmp_path_factory.mktemp("study")
    study = make_study(folder, k=k, seeds=seeds)
    results = make_results(study)
    if seeds > 1:
        results = diverge(results, "relu" if k < 4 else results.runs["arm"].iloc[-1], 1)
    tables = {}
    for name, table in factorial.analyse(study, factorial.Options(), results).items():
        table.to_csv(folder / f"{name}.csv", index=False)
        tables[name] = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""])
    figures = {name: rest for name, *rest in factorial.draw(study, factorial.Options(), tables)}
    return study, tables, figures


def test_every_figure_is_drawn_with_its_numbers(drawn):
    study, tables, figures = drawn
    assert list(figures) == list(factorial.FIGURES)
    for figure, numbers in figures.values():
        assert len(numbers)
        assert study.title in figure.texts[0].get_text()
        assert figure.texts[0].get_text().endswith("?")
    points = figures["effects"][1]
    fractions = tables["effects"].query("response == 'test_accuracy'")
    assert points["estimate"].to_numpy() == pytest.approx(100 * fractions["estimate"].to_numpy())
    cells = figures["cells"][1].set_index("arm")["test_accuracy_percent"]
    assert cells.to_dict() == pytest.approx(
        (100 * tables["cells"].set_index("arm")["test_accuracy"]).to_dict()
    )


def test_words_stay_on_the_figure_and_off_each_other(drawn):
    for name, (figure, _) in drawn[2].items():
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        page = figure.bbox
        for axes in figure.axes:
            if not axes.get_visible():
                continue
            labels = [label for label in axes.get_yticklabels() if label.get_text() and label.get_visible()]
            boxes = [label.get_window_extent(renderer) for label in [*labels, axes.title, *axes.texts]]
            boxes = [box for box in boxes if box.width > 0]
            for i, box in enumerate(boxes):
                assert page.x0 - 1 <= box.x0 < box.x1 <= page.x1 + 1, name
                assert not any(
                    box.shrunk(0.9, 0.8).overlaps(other.shrunk(0.9, 0.8)) for other in boxes[:i]
                ), name
        for text in figure.texts:
            assert text.get_window_extent(renderer).x1 <= page.x1, name


def test_collapsed_runs_are_hollow(drawn):
    _, tables, figures = drawn
    spots = [
        spot for axes in figures["cells"][0].axes for spot in axes.collections if hasattr(spot, "get_offsets")
    ]
    hollow = sum((face[:3] == 1).all() for spot in spots for face in spot.get_facecolors())
    assert hollow == tables["runs"]["collapsed"].sum()


def test_one_seed_says_that_there_are_no_intervals(drawn):
    _, tables, figures = drawn
    for figure, _ in figures.values():
        one = (tables["cells"]["n_seeds"] == 1).all()
        assert ("1 seed, so no" in figure.texts[1].get_text()) == one


def test_same_numbers_same_bytes(tmp_path):
    for number in (1, 2):
        figure = new_figure(4, 3, "Why?", "because")
        figure.subplots().plot([1, 2], label="line")
        figure.axes[0].legend()
        save(figure, pd.DataFrame({"x": [1, 2]}), tmp_path / str(number) / "relu+dropout0.5")
    for suffix in ("svg", "png", "csv"):
        first, second = ((tmp_path / number / f"relu+dropout0.5.{suffix}").read_bytes() for number in "12")
        assert first == second
    assert b"dc:date" not in (tmp_path / "1" / "relu+dropout0.5.svg").read_bytes()
    assert len(list((tmp_path / "1").iterdir())) == 3


def test_words_for_levels():
    switches = [switch_words(name, *levels.values()) for name, levels in LEVELS.items()]
    assert switches == [
        "ReLU instead of tanh",
        "batch norm",
        "dropout 0.5",
        "overlapping pooling instead of plain",
        "flips, crops, colour",
        "width 2× instead of 0.5×",
    ]
    assert level_words("train_samples", 50000) == "50,000 images"
    assert level_words("train_samples", "all") == "all images"
    assert level_words("initialisation", "he") == "He initialisation"
    assert level_words("optimiser", "adam") == "optimiser adam"
    assert 0 < text_width("short") < text_width("much longer")
