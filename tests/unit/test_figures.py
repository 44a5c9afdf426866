"""The figures: the numbers drawn, words that overlap nothing, and the same bytes each time."""

from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
from conftest import REPOSITORY
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from takeoff.experiments.factorial.design import Design, Options
from takeoff.experiments.factorial.figures import draw_cells
from takeoff.figures.style import PUBLISHED, new_figure, save, text_width
from takeoff.figures.words import level_words, switch_words
from unit.factorial_runs import LEVELS, diverge, fixed_criteria, make_results, make_study
from unit.measured import reread


def drawn_of(factorial, tables, criteria):
    """Each figure and its numbers, by name."""
    return {drawing.name: (drawing.figure, drawing.numbers) for drawing in factorial.draw(tables, criteria)}


@pytest.fixture(
    scope="module",
    params=[(1, 3, None), (2, 1, None), (3, 3, 0.03), (6, 2, None), (8, 2, 0.03)],
    ids=lambda p: f"{p[0]}-factors-{p[1]}-seeds",
)
def drawn(request, tmp_path_factory):
    """A study, its tables as read back from CSV, and its figures, for several numbers of factors and seeds."""
    k, seeds, rate = request.param
    folder = tmp_path_factory.mktemp("study")
    study, options = make_study(folder, k=k, seeds=seeds), Options(fixed_rate=rate)
    results = make_results(study, options=options)
    if seeds > 1:
        results = diverge(results, "relu" if k < 4 else results.runs["arm"].iloc[-1], 1)
    factorial = Design(study, options)
    tables = reread(factorial.analyse(results), folder)
    figures = drawn_of(factorial, tables, fixed_criteria(study, options))
    assert list(figures) == list(factorial.figures())
    return study, tables, figures


def test_every_figure_is_drawn_with_its_numbers(drawn):
    study, tables, figures = drawn
    for name, (figure, numbers) in figures.items():
        assert len(numbers)
        assert study.title in figure.texts[0].get_text()
        assert figure.texts[0].get_text().endswith("?")
        assert (REPOSITORY / "workflow" / "report" / f"factorial-{name}.rst").is_file()
    points = figures["effects"][1]
    fractions = tables["effects"].query("response == 'test_accuracy'")
    assert points["estimate"].to_numpy() == pytest.approx(100 * fractions["estimate"].to_numpy())
    logs = figures["log-odds"][1]
    wanted = tables["effects"].query("response == 'test_accuracy_log_odds' and kind != 'simple'")
    assert logs["estimate"].to_numpy() == pytest.approx(wanted["estimate"].to_numpy())
    cells = figures["cells"][1].set_index("arm")["test_accuracy_percent"]
    assert cells.to_dict() == pytest.approx((100 * tables["cells"].set_index("arm")["test_accuracy"]).to_dict())


def words_of(figure):
    return [text.get_text() for text in (*figure.texts, *(t for axes in figure.axes for t in axes.texts))]


def published_in(axes):
    """Where the diamonds of published values stand along an axis."""
    marks = [spots for spots in axes.collections if same_colour(spots.get_edgecolor(), PUBLISHED)]
    return [x for spots in marks for x in spots.get_offsets()[:, 0]]


def same_colour(colours, colour):
    return len(colours) > 0 and to_hex(colours[0]) == to_hex(colour)


def test_runs_that_took_another_weight_decay_have_a_marker_of_their_own(tmp_path):
    study = make_study(tmp_path)
    tables = Design(study, Options()).analyse(make_results(study))
    runs = tables["runs"].copy()
    others = runs["arm"].eq("tanh") & runs["seed"].gt(runs["seed"].min())
    runs.loc[others, "weight_decay"] = 0.005
    for changed, counts in ((tables["runs"], [len(runs)]), (runs, [others.sum(), (~others).sum()])):
        figure = draw_cells(Design(study, Options()), tables | {"runs": changed})[0]
        shapes = Counter()
        for points in figure.findobj(PathCollection):
            shapes[len(points.get_paths()[0].vertices)] += len(points.get_offsets())
        assert sorted(shapes.values()) == counts


def test_a_mark_says_which_effects_are_shown_to_be_small(drawn):
    study, tables, figures = drawn
    figure, points = figures["effects"]
    small = tables["equivalence"].query("response == 'test_accuracy' and equivalent == 'equivalent'")
    assert set(points.loc[points["small"], "term"]) == set(small["term"])
    # Main effects have a row each; simple effects only where they are few.
    rows = small if len(study.factors) < 4 else small[small["kind"] == "main"]
    marks = [words for words in words_of(figure) if words == " ≈"]
    assert len(marks) == len(rows)
    assert any("shown to be smaller than 1 point" in words for words in words_of(figure)) == bool(marks)


def test_tuned_and_fixed_rates_are_drawn_side_by_side(drawn):
    _, tables, figures = drawn
    if "fixed" not in tables:
        assert "rates" not in figures
        return
    figure, numbers = figures["rates"]
    main = tables["fixed"].query("response == 'test_accuracy' and kind == 'main'")
    for hollow, side in ((False, "tuned"), (True, "fixed")):
        dots = [
            spots.get_offsets()[:, 0]
            for spots in figure.axes[0].collections
            if isinstance(spots, PathCollection) and len(spots.get_offsets())
            if same_colour(spots.get_facecolor(), "white") == hollow
        ]
        assert [x for xs in dots for x in xs][: len(main)] == pytest.approx(100 * main[side].to_numpy())
    assert numbers["difference"].to_numpy() == pytest.approx((numbers["tuned"] - numbers["fixed"]).to_numpy())
    assert any("0.03 for all" in words for words in words_of(figure))


def test_a_fraction_says_what_its_effects_are_mixed_up_with(drawn):
    study, _, figures = drawn
    said = [words for words in words_of(figures["effects"][0]) if "mixed up" in words]
    assert len(said) == (len(study.factors) > 6)
    if said:
        assert "main effects are mixed up with interactions of 4 or more factors" in said[0]
        assert "those of two are mixed up with interactions of 3 or more" in said[0]
        panels = [axes for axes in figures["curves"][0].axes if axes.get_visible()]
        assert len(panels) == 12
        # All arms in grey, and training, validation and the threshold.
        assert [len(axes.lines) for axes in panels] == [64 + 3] * 12
        assert "the best 12 of 64 arms" in figures["curves"][0].texts[1].get_text()


def test_the_claims_lines_and_published_values_are_drawn(drawn):
    study, _, figures = drawn
    assert ("speed-up" in figures) == (2 <= len(study.factors) <= 6)
    if "speed-up" in figures:
        figure, numbers = figures["speed-up"]
        lines = [line.get_xdata()[0] for line in figure.axes[1].lines if len(set(line.get_xdata())) == 1]
        for expected in (1, 31.0 / 13.3):
            assert any(line == pytest.approx(expected) for line in lines)
        # A seed's height is fixed on the others.
        quantities = ["epochs", "seconds per step", "seconds"] if len(study.seed_list) > 1 else ["seconds per step"]
        assert numbers["quantity"].tolist() == quantities
        if len(quantities) > 1:
            product = numbers["ratio"].iloc[0] * numbers["ratio"].iloc[1]
            assert numbers["ratio"].iloc[2] == pytest.approx(product)
    if "interaction" in figures:
        figure, numbers = figures["interaction"]
        assert len(numbers) == 6
        without, given, both = numbers.query("unit == 'points'")["estimate"]
        assert both == pytest.approx((given - without) / 2)
        assert sorted(published_in(figure.axes[0])) == [-8.8, -1.4, 1.4]


def test_no_published_value_of_other_images_stands_beside_ones_own(tmp_path):
    study = make_study(tmp_path, k=3, seeds=3)
    own = study.model_copy(update={"dataset": study.dataset.model_copy(update={"name": "pictures"})})
    for known, one in ((True, study), (False, own)):
        factorial = Design(one, Options())
        tables = reread(factorial.analyse(make_results(one)), tmp_path)
        figures = drawn_of(factorial, tables, fixed_criteria(one, Options()))
        assert bool(published_in(figures["interaction"][0].axes[0])) == known
        lines = figures["speed-up"][0].axes[1].lines
        assert any(line.get_xdata()[0] == pytest.approx(31.0 / 13.3) for line in lines) == known


@pytest.mark.parametrize("case", ["all at chance", "never reached", "one seed, not timed"])
def test_claims_figures_of_runs_that_show_nothing(tmp_path, case):
    study = make_study(tmp_path, k=3, seeds=1 if case == "one seed, not timed" else 3)
    factorial, results = Design(study, Options()), make_results(study)
    if case == "all at chance":
        results.curves[["train_accuracy", "validation_accuracy"]] = 0.1
        results.runs[["test_accuracy", "train_accuracy", "validation_accuracy"]] = 0.1
    elif case == "never reached":
        results.curves.loc[results.curves["seed"] == 1, "validation_accuracy"] *= 0.5
    else:
        results = replace(results, speed=None)
    tables = factorial.analyse(results)
    # A study that was planned before there were these claims has no criteria of theirs.
    for criteria in ({}, fixed_criteria(study)):
        figures = drawn_of(factorial, tables, criteria)
        for name, (figure, _) in figures.items():
            check_words(name, figure)
    ratios = figures["speed-up"][1].set_index("quantity")
    if case == "never reached":
        assert ratios.loc["epochs", "bound"] == "unknown"
    elif case == "one seed, not timed":
        assert not len(ratios)
    if case == "all at chance":
        ticks = figures["effects"][0].axes[1].get_xticklabels()
        assert len({tick.get_text() for tick in ticks}) == len(ticks) > 2


def test_words_stay_on_the_figure_and_off_each_other(drawn):
    for name, (figure, _) in drawn[2].items():
        check_words(name, figure)


def check_words(name, figure):
    """Words lie on the page, and no tick's name, title or text of an axes lies on another."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    page = figure.bbox
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        for axis in (axes.yaxis, axes.xaxis):
            ticks = [tick for tick in axis.get_ticklabels() if tick.get_text() and tick.get_visible()]
            low, high = sorted(axis.get_view_interval())
            places = [label.get_position()[axis.axis_name == "y"] for label in ticks]
            labels = [label for label, at in zip(ticks, places, strict=True) if low <= at <= high]
            words = [*labels, axis.label, *(axes.texts if axis is axes.yaxis else []), axes.title]
            boxes = [label.get_window_extent(renderer) for label in words if label.get_text().strip()]
            for i, box in enumerate(box for box in boxes if box.width > 0):
                assert page.x0 - 1 <= box.x0 < box.x1 <= page.x1 + 1, name
                assert not any(box.shrunk(0.9, 0.8).overlaps(other.shrunk(0.9, 0.8)) for other in boxes[:i]), name
    for text in figure.texts:
        assert text.get_window_extent(renderer).x1 <= page.x1, name


def test_collapsed_runs_are_hollow(drawn):
    _, tables, figures = drawn
    spots = [spot for axes in figures["cells"][0].axes for spot in axes.collections if hasattr(spot, "get_offsets")]
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
