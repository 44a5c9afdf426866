"""The figure of the judged claims: words that fit and overlap nothing, scales and numbers, of made-up claims."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from numpy import inf
from takeoff.figures.style import PUBLISHED
from takeoff.judging.figure import ENDS, draw_claims, number_words, scale_of
from takeoff.judging.judge import COLUMNS, JudgedClaim
from takeoff.statistics.measures import Measure
from takeoff.statistics.verdicts import Criterion, Part, judge_claim, judge_parts
from unit.made_up_claims import RATIOS, claim, part

LONG = "The network nearly halved the best hand-made error, as everyone says who was there since"
SHAPES = [
    part("supported ratio", RATIOS, (2, inf), "ratio"),
    part("smaller is better", [-1.2, -1.3, -1.1], (-inf, 0)),
    part("equivalent", [0.001, 0.002, -0.001, 0], (-0.01, 0.01)),
    part("between", [1e6, 1.1e6, 1.2e6], (316228, 3162278), "ratio"),
    part("a gap", [0.9, 0.91, 0.92], (-inf, 0.6), "ratio", ((0.7, inf),)),
    part("a bound", RATIOS, (2, inf), "ratio", bound=(0, inf)),
    part("nothing known", RATIOS, (2, inf), "ratio", bound=(inf, inf)),
    part("vetoed", [-1.2, -1.3, -1.1], (-inf, 0), "points", veto="any"),
    part("vetoed equivalence", [-0.1, 0.2, 0.1], (-1, 1), "points", ((1, inf),), veto="any"),
    part("may not contradict", [1.2, 1.3, 1.1], (-inf, 0), "points", ()),
    part("across", [-1.0, 2.0, 0.5]),
    part("one seed", [1.0]),
    part("on the line", [0.0, 0.0]),
    Part(Measure.missing("made-up", "why", "x", "not measured", "ratio"), Criterion((1, inf))),
]


def claims_like_these(n, untested=2):
    """So many judged claims of every shape, and some that were not tested."""
    parts = [SHAPES[i % len(SHAPES)] for i in range(n)]
    judged = []
    for i, judgement in enumerate(judge_parts(parts)):
        words = {"statement": LONG, "quantity": LONG.lower(), "published": f"{LONG} (1989)"} if i % 3 else {}
        marked = (None, 6.0, -1e4)[i % 3] if not judgement.part.measure.ratio or i % 3 < 2 else 1e-9
        stated = claim(f"claim-{i}", published_value=marked, **words)
        more = judge_parts([SHAPES[(i + k) % len(SHAPES)] for k in range(1, 1 + i % 4)])
        judgements = (judgement, *more)
        verdict = judge_claim([judgement])[0]
        judged.append(JudgedClaim(stated, "above 2", verdict, judgements, changed=i % 3 == 1, look=1 + i % 2))
    off = [
        JudgedClaim(claim(f"off-{i}", statement=LONG), "above 2", "not tested", reason=f"{LONG}; {LONG}")
        for i in range(untested)
    ]
    return [*off, *judged]


class Titled:
    title = "Digits"
    dataset = SimpleNamespace(name="digits")


class Own:
    title = "My pictures"
    dataset = SimpleNamespace(name="pictures")


def test_no_published_figure_of_other_images_stands_beside_ones_own():
    for study, shown in ((Titled, True), (Own, False)):
        figure, numbers = draw_claims(study, claims_like_these(15))
        marks = [spots for axes in figure.axes for spots in axes.collections if _is(spots, PUBLISHED)]
        diamonds = [x for spots in marks for x in spots.get_offsets()[:, 0] if np.isfinite(x)]
        assert bool(diamonds) == shown
        assert ("◇" in figure.texts[-1].get_text()) == shown
        assert len(numbers) == 17


def _is(spots, colour):
    edges = spots.get_edgecolor()
    return len(edges) > 0 and to_hex(edges[0]) == to_hex(colour)


def words_of(figure):
    """On the axes, where there are any, and below them."""
    own = [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels())]
    return [*own, *(text for text in figure.texts if text.get_text().startswith("each row"))]


@pytest.mark.parametrize(("tested", "untested"), [(15, 2), (1, 0), (0, 3)])
def test_words_stay_on_the_figure_and_off_each_other(tested, untested):
    figure, numbers = draw_claims(Titled, claims_like_these(tested, untested))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    assert len(numbers) == tested + untested
    texts = [text for text in dict.fromkeys([*figure.texts, *words_of(figure)]) if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    inner = [box.shrunk(0.95, 0.7) for box in boxes]
    for i, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text.get_text()
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text.get_text()
        for other, words in zip(inner[:i], texts, strict=False):
            assert not inner[i].overlaps(other), (text.get_text(), words.get_text())


def test_a_claim_shows_the_part_that_decides():
    parts = [part(f"{LONG}, {LONG}, {LONG}", RATIOS, (2, inf)), part("open", [-1.0, 2.0], unit="points")]
    for several in (parts, parts[:1]):
        judgements = tuple(judge_parts(several))
        judged = JudgedClaim(
            claim("a"), "above 2", *judge_claim(judgements)[:1], judgements, judge_claim(judgements)[1]
        )
        figure, _ = draw_claims(Titled, [judged])
        (label,) = (text.get_text() for text in figure.axes[0].get_yticklabels())
        assert label.endswith("open above 0 points") if len(several) == 2 else label.endswith(" …")
        assert any("n 2, part 2 of 2" in text.get_text() for text in words_of(figure)) == (len(several) == 2)


def test_verdicts_stand_in_words_and_in_order():
    judged = claims_like_these(12)
    figure, numbers = draw_claims(Titled, judged)
    assert list(numbers) == COLUMNS
    order = ["supported", "contradicted", "undecided", "not tested"]
    assert list(numbers["verdict"]) == sorted(numbers["verdict"], key=order.index)
    lines = [line for text in words_of(figure) for line in text.get_text().splitlines()]
    counts = []
    for verdict, symbol in zip(order, "✓✗?–", strict=True):
        wanted = (numbers["verdict"] == verdict).sum()
        # Claims with one reason for not being tested stand together.
        assert sum(line.startswith(f"{symbol} ") for line in lines) == (wanted if verdict != "not tested" else 1) > 0
        counts.append(f"{symbol} {wanted} {verdict}")
    assert sum("criterion changed" in line for line in lines) == sum(one.changed for one in judged) > 0
    subtitle = figure.texts[1].get_text()
    assert subtitle.startswith(" · ".join(counts))
    assert subtitle.endswith("look 2")
    assert figure.get_figheight() < 0.6 * figure.get_figwidth()  # a screen's


def test_a_vetoed_interval_is_hollow_and_says_so():
    for veto in ("", "any"):
        (judgement,) = judge_parts([part("x", [-1.2, -1.3, -1.1], (-inf, 0), veto=veto)])
        verdict = judge_claim([judgement])[0]
        figure, _ = draw_claims(Titled, [JudgedClaim(claim("a"), "below 0", verdict, (judgement,))])
        faces = [spots.get_facecolor() for spots in figure.axes[0].collections if isinstance(spots, PathCollection)]
        words = [text.get_text() for text in words_of(figure)]
        assert verdict == ("undecided" if veto else "supported")
        assert any((face[:, :3] == 1).all() for face in faces if len(face)) == bool(veto)
        assert any("−1.2" in word for word in words)
        assert any(word.endswith("n 3, vetoed") for word in words) == bool(veto)


def test_what_speaks_for_a_claim_stands_right_of_its_line():
    for one in SHAPES:
        judgement, scaled = judge_parts([one])[0], one.measure.scaled
        share, interval = scale_of(judgement, None), (judgement.low, judgement.high)
        ends = [end for end in one.criterion.supports if np.isfinite(scaled(end))]
        assert share(scaled(ends[0])) == pytest.approx(0)
        places = sorted(share(scaled(end)) for end in interval)
        if judgement.verdict == "supported":
            assert places[0] > 0
        if len(ends) == 2:  # with room beyond the far end
            assert 0 < share(scaled(ends[1])) < ENDS[1] - 0.15
        if one.measure.label == "a gap":
            assert places[1] < 0
        assert all(ENDS[0] < share(scaled(end)) < ENDS[1] for end in interval if np.isfinite(scaled(end)))
    ratio = judge_parts(SHAPES[:1])[0]
    assert scale_of(ratio, 6)(np.log(6)) < ENDS[1]
    assert scale_of(ratio, 1e9)(np.log(1e9)) == ENDS[1]
    # Logarithmic: as far from 2 to 4 as from 4 to 8.
    steps = np.diff([scale_of(ratio, 9)(np.log(value)) for value in (2, 4, 8)])
    assert steps[0] == pytest.approx(steps[1])
    # An end of two values that is as good as none does not shrink the axis.
    wild = judge_parts([part("x", [1.0, 1000.0], (1, inf), "ratio", bound=(0, inf))])[0]
    assert wild.low < 1e-9
    assert scale_of(wild, None)(wild.part.measure.estimate) > 0.2


def test_numbers_have_the_digits_that_are_known():
    def words(values, unit="", **keys):
        return number_words(judge_parts([part("x", values, (0.1, inf), unit, **keys)])[0])

    assert words([0.031, 0.033, 0.032]) == ("0.0320", "[0.0295, 0.0345] n 3")
    assert words([0.031, 0.033, 0.032], veto="any") == ("0.0320", "[0.0295, 0.0345] n 3, vetoed")
    assert words([-12.0, -14.0, -13.0]) == ("−13.0", "[−15.5, −10.5] n 3")
    assert words([2.0] * 6, "ratio") == ("2.00×", "[2.00, 2.00] n 6")
    assert words([2.0] * 3, "ratio") == ("2.00×", "[0, ∞] n 3")
    assert words([2.0] * 3, "ratio", bound=(inf, inf)) == ("2.00×", "[0, ∞] n 3")
    assert words([2e6] * 6, "ratio") == ("2.00·10⁶×", "[2.00·10⁶, 2.00·10⁶] n 6")
    assert words([2e-7] * 3, "ratio")[0] == "2.00·10⁻⁷×"
    assert words([1.0]) == ("1.00", "no interval")
    assert number_words(judge_parts(SHAPES[-1:])[0]) == ("–", "not measured")
    assert words([-1.0, 1.0, 1e-9, -1e-9])[0] == "0.0"
    # No difference of percentages is above 100, none of correlations above 2.
    assert words([-90, 90], "points") == ("0 points", "[−100, 100] n 2")
    unlike = replace(part("x", [0.2]).measure, error=1.0, freedom=2, most=2)
    assert number_words(judge_parts([Part(unlike, Criterion((-inf, 0)))])[0]) == ("0.2", "[−2.0, 2.0] n 3")
    # Degrees of freedom that are no whole number say nothing of how many values there are.
    pooled = replace(unlike, freedom=2.5)
    assert number_words(judge_parts([Part(pooled, Criterion((-inf, 0)))])[0]) == ("0.2", "[−2.0, 2.0]")
