"""The figure of the judged claims: words that fit and overlap nothing, scales and numbers, of made-up claims."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy import inf, nan
from takeoff.experiments.claims_figure import draw_claims
from takeoff.experiments.claims_scale import AXIS, Scale, number_words
from takeoff.experiments.judging import JudgedClaim
from takeoff.statistics.verdicts import Part, judge_claim, judge_parts
from unit.made_up_claims import RATIOS, claim

pytestmark = pytest.mark.usefixtures("no_collection")

LONG = "The network nearly halved the best hand-made error, as has been told by everyone who was there since"
SHAPES = [
    Part.of("supported ratio", RATIOS, (2, inf), ratio=True),
    Part.of("smaller is better", [-1.2, -1.3, -1.1], (-inf, 0)),
    Part.of("equivalent", [0.001, 0.002, -0.001, 0], (-0.01, 0.01)),
    Part.of("between", [1e6, 1.1e6, 1.2e6], (10**5.5, 10**6.5), ratio=True),
    Part.of("a gap", [0.9, 0.91, 0.92], (-inf, 0.6), contradicts=((0.7, inf),), ratio=True),
    Part.of("a bound", RATIOS, (2, inf), ratio=True, slack=(0, inf)),
    Part.of("nothing known", RATIOS, (2, inf), ratio=True, slack=(inf, inf)),
    Part.of("across", [-1.0, 2.0, 0.5], (0, inf)),
    Part.of("one seed", [1.0], (0, inf)),
    Part.of("on the line", [0.0, 0.0], (0, inf)),
    Part("not measured", nan, nan, nan, (1, inf), ratio=True, slack=(inf, inf)),
]


def claims_like_these(n, untested=2):
    """So many judged claims of every shape, and some that were not tested."""
    parts = [SHAPES[i % len(SHAPES)] for i in range(n)]
    judged = []
    for i, judgement in enumerate(judge_parts(parts)):
        words = {"statement": LONG, "quantity": LONG.lower(), "published": f"{LONG} (1989)"} if i % 3 else {}
        marked = (None, 6.0, -1e4)[i % 3] if not judgement.part.ratio or i % 3 < 2 else 1e-9
        stated = claim(f"claim-{i}", published_value=marked, **words)
        more = judge_parts([SHAPES[(i + k) % len(SHAPES)] for k in range(1, 1 + i % 4)])
        judgements = (judgement, *more)
        verdict = judge_claim([judgement])[0]
        judged.append(JudgedClaim(stated, "race", verdict, judgements, changed=i % 3 == 1))
    off = [
        JudgedClaim(claim(f"off-{i}", statement=LONG), "race", "not tested", reason=f"{LONG}; {LONG}")
        for i in range(untested)
    ]
    return [*off, *judged]


class Titled:
    title = "Digits"


@pytest.mark.parametrize(("tested", "untested"), [(12, 2), (1, 0), (0, 3)])
def test_words_stay_on_the_figure_and_off_each_other(tested, untested):
    figure, numbers = draw_claims(Titled, claims_like_these(tested, untested))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    assert len(numbers) == tested + untested
    texts = [text for text in (*figure.texts, *figure.axes[0].texts) if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    inner = [box.shrunk(0.95, 0.7) for box in boxes]
    for i, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text.get_text()
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text.get_text()
        for other, words in zip(inner[:i], texts, strict=False):
            assert not inner[i].overlaps(other), (text.get_text(), words.get_text())


def test_a_claim_shows_each_of_its_parts():
    parts = [
        Part.of(f"{LONG}, {LONG}, {LONG}", RATIOS, (2, inf)),
        Part.of("open", [-1.0, 2.0], (0, inf), unit="points"),
    ]
    for several in (parts, parts[:1]):
        judgements = tuple(judge_parts(several))
        judged = JudgedClaim(claim("a"), "race", *judge_claim(judgements)[:1], judgements, len(several) - 1)
        figure, _ = draw_claims(Titled, [judged])
        words = [text.get_text() for text in figure.axes[0].texts]
        assert any(line.startswith("The network nearly") for line in words)
        assert sum(line.endswith(" …") for line in words) == 1  # cut, as the tables have it
        assert ("open" in words) == any(line.endswith(" points") for line in words) == (len(several) == 2)
        assert sum(line.startswith("> ") for line in words) == len(several)  # a line of criterion each


def test_verdicts_stand_in_words_and_in_order():
    judged = claims_like_these(10)
    figure, numbers = draw_claims(Titled, judged)
    order = ["supported", "contradicted", "undecided", "not tested"]
    assert list(numbers["verdict"]) == sorted(numbers["verdict"], key=order.index)
    words = [text.get_text() for text in figure.axes[0].texts]
    for verdict in order[:3]:
        assert words.count(verdict) == (numbers["verdict"] == verdict).sum() > 0
    assert {"✓", "✗", "?", "–"} <= set(words)
    assert words.count("criterion changed") == sum(one.changed for one in judged) > 0
    counts = [f"{(numbers['verdict'] == verdict).sum()} {verdict}" for verdict in order]
    assert figure.texts[1].get_text().startswith(" · ".join(counts))


def test_what_speaks_for_a_claim_stands_right_of_its_line():
    for part in SHAPES:
        judgement = judge_parts([part])[0]
        scale = Scale.of(judgement, None)
        ends = [end for end in part.supports if np.isfinite(part.scaled(end))]
        assert scale.place(part.scaled(ends[0])) == pytest.approx(scale.line)
        places = sorted(scale.place(part.scaled(end)) for end in (judgement.low, judgement.high))
        if judgement.verdict == "supported":
            assert places[0] > scale.line
        if len(ends) == 2:  # with room for words beyond the far end
            assert scale.line < scale.place(part.scaled(ends[1])) < sum(AXIS) - 0.4
        if part.label == "a gap":
            assert places[1] < scale.line
        finite = [part.scaled(end) for end in (judgement.low, judgement.high)]
        assert all(scale.holds(end) for end in finite if np.isfinite(end))
    ratio = judge_parts(SHAPES[:1])[0]
    assert Scale.of(ratio, 6).holds(np.log(6))
    assert not Scale.of(ratio, 1e9).holds(np.log(1e9))
    # Logarithmic: as far from 2 to 4 as from 4 to 8.
    scale = Scale.of(ratio, 9)
    steps = np.diff([scale.place(np.log(value)) for value in (2, 4, 8)])
    assert steps[0] == pytest.approx(steps[1])


def test_an_interval_of_two_values_without_a_usable_end_does_not_shrink_its_axis():
    wild = judge_parts([Part.of("x", [1.0, 1000.0], (1, inf), ratio=True, slack=(0, inf))])[0]
    assert wild.low < 1e-9
    scale = Scale.of(wild, None)
    assert scale.place(wild.part.estimate) > scale.line + 0.5


def test_numbers_have_the_digits_that_are_known():
    def words(values, **keys):
        return number_words(judge_parts([Part.of("x", values, **({"supports": (0.1, inf)} | keys))])[0])

    assert words([0.031, 0.033, 0.032]) == ("0.0320", "[0.0295, 0.0345] n 3")
    assert words([-12.0, -14.0, -13.0]) == ("−13.0", "[−15.5, −10.5] n 3")
    assert words([2.0] * 6, ratio=True) == ("2.00×", "[2.00, 2.00] n 6")
    assert words([2.0] * 3, ratio=True) == ("2.00×", "[0, ∞] n 3")
    assert words([2.0] * 3, ratio=True, slack=(inf, inf)) == ("2.00×", "[0, ∞] n 3")
    assert words([2e6] * 6, ratio=True) == ("2.00·10⁶×", "[2.00·10⁶, 2.00·10⁶] n 6")
    assert words([2e-7] * 3, ratio=True)[0] == "2.00·10⁻⁷×"
    assert words([1.0]) == ("1.00", "no interval")
    assert number_words(judge_parts(SHAPES[-1:])[0]) == ("–", "not measured")
    assert words([-1.0, 1.0, 1e-9, -1e-9])[0] == "0.0"
    # No difference of percentages is above 100, none of correlations above 2.
    assert words([-90, 90], unit="points") == ("0 points", "[−100, 100] n 2")
    unlike = Part("x", 0.2, 1.0, 2, (-inf, 0), most=2)
    assert number_words(judge_parts([unlike])[0]) == ("0.2", "[−2.0, 2.0] n 3")
