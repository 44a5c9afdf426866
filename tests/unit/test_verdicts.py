"""Verdicts against closed forms, scipy and statsmodels; the error rate of a whole study by simulation."""

from itertools import count, product

import numpy as np
import pytest
from numpy import inf, nan
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW
from takeoff.judging.looks import share_of
from takeoff.statistics.measures import Measure, measures_table, product_of, read_measures
from takeoff.statistics.verdicts import Criterion, Part, judge_claim, judge_parts

pytestmark = pytest.mark.usefixtures("no_collection")

VALUES = [0.8, 1.1, 1.3, 0.7, 1.0, 1.4]
NUMBERS = count()


def part_of(label, values, supports, contradicts=None, ratio=False, slack=(0.0, 0.0), veto=""):
    """A part measured by `values`, one per seed; the only one of its claim."""
    measure = Measure.of(str(next(NUMBERS)), "part", label, values, "ratio" if ratio else "", slack, veto)
    return Part(measure, Criterion(supports, contradicts))


def known(label, estimate, error, freedom, supports, claim=None, contradicts=None):
    """A part with this estimate and error, of a claim of its own where none is named."""
    measure = Measure(claim or str(next(NUMBERS)), "part", label, estimate, error, freedom)
    return Part(measure, Criterion(supports, contradicts))


def times(label, one, other):
    """The part of the product of two parts' ratios, with the criterion of the first."""
    return Part(product_of(label, one.measure, other.measure), one.criterion)


def judged(part, alpha=0.05):
    return judge_parts([part], alpha)[0]


@pytest.mark.parametrize(
    ("line", "supports", "verdict"),
    [
        (0.5, (0.5, inf), "supported"),
        (0.5, (-inf, 0.5), "contradicted"),
        (1.0, (1.0, inf), "undecided"),
        (1.6, (1.6, inf), "contradicted"),
        (1.6, (-inf, 1.6), "supported"),
    ],
)
def test_one_line_is_the_two_sided_t_test(line, supports, verdict):
    found = judged(part_of("x", VALUES, supports))
    test = stats.ttest_1samp(VALUES, line)
    assert found.verdict == verdict
    assert found.p_value == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert found.estimate == pytest.approx(np.mean(VALUES))


def test_a_ratio_is_judged_by_its_logarithm():
    ratios = [2.4, 3.1, 2.8, 3.6]
    found = judged(part_of("x", ratios, (2, inf), ratio=True))
    test = stats.ttest_1samp(np.log(ratios), np.log(2))
    assert found.p_value == pytest.approx(test.pvalue)
    assert found.estimate == pytest.approx(stats.gmean(ratios))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(test.confidence_interval(0.95))))
    # A ratio is never below 0, so that no region lies there.
    for low in (0, -inf, -1):
        assert judged(part_of("x", ratios, (low, 10), ratio=True)).verdict == "supported"
        assert judged(part_of("x", ratios, (low, 1), ratio=True)).verdict == "contradicted"


@pytest.mark.parametrize(("shift", "verdict"), [(-1.05, "supported"), (0, "contradicted"), (-2.1, "contradicted")])
def test_equivalence_is_two_one_sided_tests(shift, verdict):
    values = np.array(VALUES) + shift
    found = judged(part_of("x", values, (-0.45, 0.45)))
    assert found.verdict == verdict
    if verdict == "supported":
        assert found.p_value == pytest.approx(2 * DescrStatsW(values).ttost_mean(-0.45, 0.45)[0])
    else:
        nearer = stats.ttest_1samp(values, 0.45 * np.sign(values.mean()))
        assert found.p_value == pytest.approx(nearer.pvalue)


def test_between_the_regions_nothing_is_decided():
    for value, verdict in ((0.5, "supported"), (0.65, "undecided"), (0.8, "contradicted")):
        ratios = value * np.array([0.99, 1.0, 1.01])
        part = part_of("x", ratios, (-inf, 0.6), contradicts=((0.7, inf),), ratio=True)
        assert judged(part).verdict == verdict
    never = part_of("x", [-5.0, -5.1, -4.9], (0, inf), contradicts=())
    assert judged(never).verdict == "undecided"


def test_slack_widens_the_interval():
    plain, wide = (part_of("x", VALUES, (0.5, inf), slack=slack) for slack in ((0, 0), (0.2, 0.3)))
    ends = judged(plain).low - 0.2, judged(plain).high + 0.3
    assert (judged(wide).low, judged(wide).high) == pytest.approx(ends)
    assert judged(wide).p_value == pytest.approx(stats.ttest_1samp(np.array(VALUES) - 0.2, 0.5).pvalue)
    ratio = judged(part_of("x", [3] * 6, (1, inf), ratio=True, slack=(np.log(2), 0)))
    assert (ratio.low, ratio.high, ratio.verdict) == (pytest.approx(1.5), pytest.approx(3), "supported")


def test_a_bound_decides_only_on_its_own_side():
    below = judged(part_of("x", VALUES, (0.5, inf), slack=(inf, 0)))
    assert (below.verdict, below.low, below.p_value) == ("undecided", -inf, 1)
    above = judged(part_of("x", VALUES, (0.5, inf), slack=(0, inf)))
    assert (above.verdict, above.high) == ("supported", inf)
    assert judged(part_of("x", VALUES, (2, inf), slack=(0, inf))).verdict == "undecided"
    assert judged(part_of("x", VALUES, (2, inf), slack=(inf, 0))).verdict == "contradicted"
    ratio = judged(part_of("x", [3, 3.1, 2.9], (2, inf), ratio=True, slack=(inf, inf)))
    assert (ratio.low, ratio.high, ratio.verdict) == (0, inf, "undecided")


def test_without_an_error_nothing_is_decided():
    for part in (part_of("x", [5.0], (0, inf)), known("x", 5, 0.1, 0, (0, inf)), known("x", nan, 0.1, 5, (0, inf))):
        found = judged(part)
        assert found.verdict == "undecided"
        assert np.isnan([found.low, found.high, found.p_value, found.p_adjusted]).all()


def test_equal_values_decide_no_more_than_their_number():
    """Three networks that all answer alike are three of three, not certainty: p = 1/4."""
    for n, verdict, low in ((3, "undecided", -inf), (5, "undecided", -inf), (6, "supported", 0.3)):
        found = judged(part_of("x", [0.3] * n, (0.1, inf)))
        assert (found.verdict, found.p_value) == (verdict, stats.binomtest(n, n).pvalue)
        assert found.low == pytest.approx(low)
    assert not part_of("x", [0.3] * 2, (0.1, inf)).measure.testable
    # After Holm a step of the step-down asks for more of them.
    others = [known("x", 1, 1, inf, (0, inf))] * 4
    for n, verdict in ((6, "undecided"), (8, "supported")):
        assert judge_parts([part_of("x", [0.3] * n, (0.1, inf)), *others])[0].verdict == verdict


def test_the_product_of_two_ratios_adds_their_logarithms_variances():
    """Against scipy's Welch interval of a difference: the logarithm of the product with the inverse."""
    rng = np.random.default_rng(5)
    one, other = np.exp(rng.normal(0.5, 0.2, 6)), np.exp(rng.normal(0.1, 0.1, 9))
    left, right = (part_of("x", values, (1, inf), ratio=True) for values in (one, other))
    found = judged(times("x", left, right))
    welch = stats.ttest_ind(np.log(one), -np.log(other), equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((np.exp(welch.low), np.exp(welch.high)))
    # Three equal ratios are no more certain for being multiplied with six that vary.
    equal = part_of("x", [2, 2, 2], (1, inf), ratio=True)
    assert judged(times("x", equal, right)).verdict == judged(times("x", right, equal)).verdict == "undecided"


def test_without_variance_the_interval_has_no_width():
    for value, verdict in ((0.3, "supported"), (0.1, "undecided"), (0.0, "contradicted")):
        found = judged(part_of("x", [value] * 6, (0.1, inf)))
        assert found.verdict == verdict  # on the line whatever rounding says
        assert (found.low, found.high) == pytest.approx((value, value))
    for value in (2, 1 / 3):
        assert judged(part_of("x", [value] * 7, (value, inf), ratio=True)).verdict == "undecided"
    rounding = part_of("x", [0.1 + 0.2, 0.3, 0.3], (0, inf))
    assert rounding.measure.error == 0


def with_p(p, claim=None, contradicts=None):
    """A part above its line whose two-sided p-value is `p`; below it where that is negative."""
    return known("x", np.sign(p) * stats.norm.isf(abs(p) / 2), 1, inf, (0, inf), claim, contradicts)


def test_levels_step_down_until_one_is_undecided():
    found = judge_parts([with_p(p) for p in (0.03, 0.001, 0.5, 0.014)])
    assert [one.level for one in found] == pytest.approx([0.025, 0.0125, 0.025, 0.05 / 3])
    assert [one.verdict for one in found] == ["undecided", "supported", "undecided", "supported"]
    # 0.02 would be below its level, but comes after one that is not.
    found = judge_parts([with_p(p) for p in (0.02, 0.018, 0.019)])
    assert [one.level for one in found] == pytest.approx([0.05 / 3] * 3)
    assert {one.verdict for one in found} == {"undecided"}


def test_interval_adjusted_p_and_verdict_agree():
    rng = np.random.default_rng(2012)
    for _ in range(30):
        p_values = rng.uniform(size=8) ** 4
        found = judge_parts([with_p(p) for p in p_values])
        rejected, adjusted = multipletests(p_values, 0.05, "holm")[:2]
        assert [one.p_adjusted for one in found] == pytest.approx(list(adjusted))
        assert [one.verdict == "supported" for one in found] == list(rejected)
        assert [one.low > 0 for one in found] == list(rejected)


def test_a_part_without_interval_still_counts():
    found = judge_parts([with_p(0.03), part_of("x", [1.0], (0, inf))])
    assert (found[0].level, found[0].verdict) == (0.025, "undecided")
    assert judge_parts([]) == []


@pytest.mark.parametrize(
    ("p_values", "verdict", "shown", "adjusted", "levels"),
    [
        ((0.01, 0.04, 0.03, 0.02), "supported", 0, 0.04, [0.05] * 4),  # of the largest, not of four times the least
        ((0.01, 0.06), "undecided", 1, 0.06, [0.05, 0.025]),
        ((0.01, -0.02, 0.9), "undecided", 1, 0.06, [0.05, 0.05 / 3, 0.05 / 3]),  # of three times the least against it
        ((0.9, 0.9, -0.016), "contradicted", 2, 0.048, [0.05 / 3] * 3),
    ],
)
def test_a_claim_needs_every_part_and_one_contradicts_it(p_values, verdict, shown, adjusted, levels):
    found = judge_parts([with_p(p, "claim") for p in p_values])
    assert judge_claim(found) == (verdict, shown)
    assert [one.p_adjusted for one in found] == pytest.approx([adjusted] * len(found))
    assert [one.level for one in found] == pytest.approx(levels)
    # Beside another claim, which takes its own step.
    again = judge_parts([*(with_p(p, "claim") for p in p_values), with_p(0.001)])
    assert [one.level for one in again] == pytest.approx([*levels, 0.025])
    with pytest.raises(ValueError, match="without parts"):
        judge_claim([])


def test_parts_that_cannot_contradict_are_not_corrected_for():
    parts = [with_p(-0.04, "claim"), with_p(0.9, "claim", ()), with_p(-0.001, "claim", ())]
    assert [one.verdict for one in judge_parts(parts)] == ["contradicted", "undecided", "undecided"]


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("correlation", [0, 0.8])
@pytest.mark.parametrize("strong", [False, True])
def test_a_study_seldom_decides_a_claim_wrongly(parts, correlation, strong):
    """Six claims on their line, where each verdict is wrong, and two that hold by far; `strong`: as all parts but the
    first do. Intervals lie on the side that verdicts name.
    """
    rng, studies, claims = np.random.default_rng(3), 400, 8
    wrong = missed = 0
    for _ in range(studies):
        shared = np.sqrt(correlation) * rng.normal(size=6)
        values = shared + np.sqrt(1 - correlation) * rng.normal(size=(claims, parts, 6))
        values[6:] += 40
        values[:6, 1:] += 40 * strong
        means, errors = values.mean(axis=2), values.std(axis=2, ddof=1) / np.sqrt(6)
        pairs = product(range(claims), range(parts))
        found = judge_parts([known("x", means[i, j], errors[i, j], 5, (0, inf), f"claim {i}") for i, j in pairs])
        verdicts = [judge_claim(found[i : i + parts])[0] for i in range(0, len(found), parts)]
        wrong += verdicts[:6] != ["undecided"] * 6 or "contradicted" in verdicts
        missed += verdicts[6:] != ["supported"] * 2
        sides = {"supported": (1, 1), "contradicted": (-1, -1), "undecided": (-1, 1)}
        assert all((np.sign(one.low), np.sign(one.high)) == sides[one.verdict] for one in found)
    spread = np.sqrt(0.05 * 0.95 / studies)
    assert wrong / studies < 0.05 + 3 * spread
    assert wrong / studies > 0.05 - 3 * spread or parts > 1 or correlation  # independent claims of one part use it up
    assert missed / studies < 0.02


def test_looks_share_the_error_rate():
    """A claim on its line, judged at 6, 9 and 12 seeds: 10% are decided where each look takes 5%."""
    assert [share_of(1), sum(map(share_of, range(1, 30)))] == pytest.approx([0.8, 1])
    wrong, values = np.zeros((2, 2000), dtype=bool), np.random.default_rng(5).normal(size=(2000, 12))
    for look, seeds in enumerate((6, 9, 12), 1):
        parts = [part_of("x", own[:seeds], (0, inf)) for own in values]
        for row, share in enumerate((share_of(look), 1)):
            terms = {one.measure.claim: (one.measure.claim, share) for one in parts}  # a family each
            wrong[row] |= [one.verdict != "undecided" for one in judge_parts(parts, terms=terms)]
    assert wrong[0].mean() < 0.05
    assert 0.08 < wrong[1].mean() < 0.12


def test_a_sign_flip_test_stands_beside_t():
    values = np.array([*VALUES, 0.2, 1.6, -0.1])
    signs = np.array(list(product((1, -1), repeat=9)))
    for line in (0.1, 0.5, 0.85):
        expected = 2 * ((signs * (values - line)).mean(axis=1) >= (values - line).mean() - 1e-12).mean()
        assert judged(part_of("x", values, (line, inf))).p_sign_flip == pytest.approx(min(expected, 1))
        assert judged(part_of("x", values, (-inf, line))).p_sign_flip == pytest.approx(min(expected, 1))
    ratios = judged(part_of("x", [3.0] * 9, (2, 9), ratio=True))
    assert ratios.p_sign_flip == ratios.p_value == 2 / 2**9
    assert judged(part_of("x", values, (0.1, inf), slack=(inf, 0))).p_sign_flip == 1
    assert np.isnan(judged(part_of("x", values[:8], (0.1, inf))).p_sign_flip)


def test_a_veto_takes_the_verdict_and_leaves_the_interval():
    free = judged(part_of("x", VALUES, (0.5, inf)))
    vetoed = judged(part_of("x", VALUES, (0.5, inf), veto="any"))
    assert (free.verdict, vetoed.verdict) == ("supported", "undecided")
    assert (vetoed.estimate, vetoed.low, vetoed.high) == (free.estimate, free.low, free.high)
    assert vetoed.p_value == 1
    assert judged(part_of("x", VALUES, (-inf, 0.5), veto="any")).verdict == "undecided"  # nor does it contradict


def test_measures_are_read_as_they_were_written(tmp_path):
    measures = [
        Measure.of("a", "ratio", "x", [2.9, 3.1, 3.4], "ratio", (0.0, inf), "any", "not trained enough"),
        Measure("a", "agreement", "y", 0.1 + 0.2, 1 / 3, 2.5, most=2.0),
        Measure.missing("b", "no GPU was measured"),
    ]
    measures_table(measures).to_csv(tmp_path / "measured.csv", index=False)
    read = read_measures(tmp_path / "measured.csv", {})
    assert repr(read) == repr(measures)  # to the bit, NaN included


def test_what_is_no_criterion():
    for keys in (
        {"supports": (1, 1)},
        {"supports": (2, 1)},
        {"supports": (-inf, inf)},
        {"supports": (0, inf), "ratio": True},
        {"supports": (0.5, inf), "contradicts": ((-inf, 0.6),)},
        {"supports": (0.5, inf), "slack": (-1, 0)},
        {"supports": (0.5, inf), "slack": (0, nan)},
    ):
        with pytest.raises(ValueError, match=r"gap: |side of a criterion|both supports and contradicts"):
            part_of("gap", [1.0, 2.0], **keys)
    for values in ([], [1, nan], [1, inf]):
        with pytest.raises(ValueError, match="finite"):
            part_of("gap", values, (0, inf))
    for values in ([1, 0], [1, -1], [1, nan]):
        with pytest.raises(ValueError, match="gap: a ratio is above 0"):
            part_of("gap", values, (1, inf), ratio=True)
