"""The table that judges the claims, and its figure, by the command, of made-up experiments."""

import gc
import json
import sys
from types import ModuleType

import judge
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy import inf, nan
from scipy import stats
from takeoff.errors import TakeoffError
from takeoff.experiments import plotting, registry
from takeoff.experiments.claims import Claim, Finding
from takeoff.experiments.claims_figure import draw_claims
from takeoff.experiments.claims_scale import AXIS, Scale, number_words
from takeoff.experiments.judging import JudgedClaim
from takeoff.statistics.verdicts import Part, judge_claim, judge_parts
from takeoff.study.settings import Settings

RATIOS = [2.9, 3.1, 3.4, 2.8]
DESIGN = "claim,source,statement,quantity,estimate,ci_low,ci_high,criterion,verdict,published,experiment,figure,reason"
PARTS = "claim,part,n,estimate,ci_low,ci_high,level,supports,contradicts,p_value,p_adjusted,verdict"


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch):
    """Statsmodels collects garbage at every correction."""
    monkeypatch.setattr(gc, "collect", lambda *_: 0)


def claim(name, scope="any", published_value=None, **changes):
    """A claim; its words say which field they are."""
    words = {
        "statement": f"{name} holds",
        "source": "Someone 1989",
        "quantity": "epochs",
        "criterion": "above 2",
        "published": "6×",
        "figure": "race-ratios",
    }
    return Claim(name, **(words | changes), scope=scope, published_value=published_value)


def fake(monkeypatch, name, claims, find):
    """An experiment that judges its claims by `find`, given its only table, `values`."""
    module = ModuleType(f"takeoff.experiments.{name}")

    class Options(Settings):
        line: float = 2.0

    module.Options, module.TABLES, module.FIGURES, module.CLAIMS = Options, ("values",), {}, tuple(claims)
    module.judge = lambda study, options, tables, card: find(tables["values"], options, card)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def place(monkeypatch, tmp_path, write_study):
    """A place with two experiments, `race` and `scaling`, of which a study may switch on either."""

    def race(values, options, card):
        faster = Part.of("epochs", values["faster"], (options.line, inf), ratio=True)
        cheaper = Part.of("seconds", values["cheaper"], (-inf, 1), ratio=True)
        both = (Part.of("gap", values["cheaper"], (0, inf)), Part.of("error", values["zero"], (0, inf)))
        return [
            Finding("gpu", reason="no GPU was measured"),
            Finding("faster", (faster,), "epochs, not seconds"),
            Finding("cheaper", (cheaper,)),
            Finding("both", both),
        ]

    names = ("faster", "cheaper", "both")
    claims = [*map(claim, names), claim("gpu", "gpu")]
    large = [claim("large", "much data"), claim("small")]
    monkeypatch.setattr(registry, "EXPERIMENTS", ("race", "silent", "scaling"))
    fake(monkeypatch, "race", claims, race)
    fake(monkeypatch, "silent", [], None)
    fake(
        monkeypatch,
        "scaling",
        large,
        lambda values, *_: [
            Finding(n, (Part.of("gain", values["gain"], (0, inf)),)) for n in ("large", "small")
        ],
    )
    results, data = tmp_path / "results", tmp_path / "data"
    for name in ("race", "scaling"):
        (results / name).mkdir(parents=True)
    table = {"faster": RATIOS, "cheaper": [1.2, 1.3, 1.25, 1.28], "zero": [-1.0, 1.0, 0.5, -0.5]}
    pd.DataFrame(table).to_csv(results / "race" / "values.csv", index=False)
    pd.DataFrame({"gain": [1.0, 1.1, 0.9]}).to_csv(results / "scaling" / "values.csv", index=False)
    data.mkdir()
    (data / "card.json").write_text(json.dumps({"images": {"train": 50_000, "test": 10}}))

    def run(experiments=None, drawn=False, **changes):
        if not drawn:
            monkeypatch.setattr(plotting, "save", lambda *_: None)
        switched = {"race": None, "scaling": {}} if experiments is None else experiments
        study = write_study(experiments=switched, **changes)
        line = ["--study", study, "--data", data, "--results", results, "--out", tmp_path / "out"]
        monkeypatch.setattr(sys, "argv", ["judge.py", *map(str, line)])
        judge.main()
        read = [
            pd.read_csv(tmp_path / "out" / f"{name}.csv", keep_default_na=False, na_values=[""])
            for name in ("claims", "claims_parts")
        ]
        return read[0].set_index("claim", drop=False), read[1].set_index("claim", drop=False)

    run.results, run.data, run.out = results, data, tmp_path / "out"
    return run


def test_every_claim_has_a_row(place, capsys):
    claims, parts = place(dataset=dataset("all"))
    assert ",".join(claims.columns) == DESIGN
    assert ",".join(parts.columns) == PARTS
    assert list(claims.index) == ["faster", "cheaper", "both", "gpu", "large", "small"]
    assert claims["verdict"].to_dict() == {
        "faster": "supported",
        "cheaper": "contradicted",
        "both": "undecided",
        "gpu": "not tested",
        "large": "supported",
        "small": "supported",
    }
    assert (claims["experiment"] == ["race"] * 4 + ["scaling"] * 2).all()
    assert claims.loc["faster", ["source", "statement", "published", "figure"]].to_list() == [
        "Someone 1989",
        "faster holds",
        "6×",
        "race-ratios",
    ]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert printed[0].startswith("supported    faster: 3.04× [")
    assert printed[3] == "not tested   gpu: no GPU was measured"


def test_numbers_are_in_the_quantitys_own_units(place):
    claims, parts = place(dataset=dataset("all"))
    faster = parts.loc["faster"]
    assert faster["estimate"] == pytest.approx(stats.gmean(RATIOS))
    test = stats.ttest_1samp(np.log(RATIOS), np.log(2))
    assert faster["p_value"] == pytest.approx(test.pvalue)
    expected = np.exp(test.confidence_interval(1 - faster["level"]))
    assert faster[["ci_low", "ci_high"]].to_list() == pytest.approx(list(expected))
    shown = claims.loc["faster", ["estimate", "ci_low", "ci_high"]]
    assert shown.to_list() == faster[["estimate", "ci_low", "ci_high"]].to_list()
    assert faster[["supports", "contradicts"]].to_list() == ["(2, inf)", "(-inf, 2)"]
    assert len(parts) == 6  # two of `both`, none of `gpu`
    assert parts["level"].min() == pytest.approx(0.05 / 6)  # all of the study share the error rate


def test_reasons_say_which_part_decides(place):
    claims, parts = place()
    assert claims.loc["both", "estimate"] == pytest.approx(0)  # the open part, not the first
    assert claims.loc["both", "reason"].startswith(
        "1 of 2 parts hold; shown: error; the interval does not lie"
    )
    assert list(parts.loc["both", "verdict"]) == ["supported", "undecided"]
    assert claims.loc["faster", "reason"] == "epochs, not seconds; it rests on 4 values"
    assert claims.loc["cheaper", "reason"] == "it rests on 4 values"


def test_an_experiment_that_is_off_is_named_with_how_to_run_it(place):
    claims, parts = place({"scaling": {}}, dataset=dataset("all"))
    off = claims[claims["experiment"] == "race"]
    assert (off["verdict"] == "not tested").all()
    assert (
        off["reason"]
        == "experiment race is not switched on in this study: add `race: {}` below `experiments` in its file"
    ).all()
    assert off[["estimate", "ci_low", "ci_high"]].isna().all(axis=None)
    assert list(parts.index) == ["large", "small"]
    assert parts["level"].max() == 0.05  # only what is tested shares it


def test_little_data_tests_no_claim_about_much(place):
    for samples, images in ((10_000, "10,000"), ("all", "39,999")):
        if samples == "all":
            (place.data / "card.json").write_text(json.dumps({"images": {"train": 39_999}}))
        claims, parts = place(dataset=dataset(samples))
        assert claims.loc["large", "verdict"] == "not tested"
        assert f"this study has {images};" in claims.loc["large", "reason"]
        assert "cifar10" in claims.loc["large", "reason"]
        assert claims.loc["small", "verdict"] == "supported"
        assert "large" not in parts.index
    (place.data / "card.json").write_text(json.dumps({"images": {"train": 40_000}}))
    assert place(dataset=dataset("all"))[0].loc["large", "verdict"] == "supported"


def test_options_reach_the_criterion(place):
    claims, _ = place({"race": {"line": 4.0}})
    assert claims.loc["faster", "verdict"] == "contradicted"


def test_one_seed_is_too_few(place):
    table = pd.DataFrame({"faster": [9.0], "cheaper": [0.5], "zero": [1.0]})
    table.to_csv(place.results / "race" / "values.csv", index=False)
    claims, parts = place({"race": {}})
    assert (claims.loc[["faster", "cheaper", "both"], "verdict"] == "undecided").all()
    assert claims.loc["faster", "reason"] == "epochs, not seconds; too few seeds for an interval"
    assert parts[["ci_low", "ci_high", "p_value"]].isna().all(axis=None)


def test_what_the_user_can_put_right(place):
    (place.results / "scaling" / "values.csv").unlink()
    with pytest.raises(TakeoffError, match=r"scaling/values\.csv: .*analyse\.py experiment scaling --study"):
        place()
    place({"race": {}})
    (place.results / "race" / "values.csv").write_text("")
    with pytest.raises(TakeoffError, match=r"race/values\.csv: not a table"):
        place({"race": {}})
    with pytest.raises(TakeoffError, match=r"experiments\.rice: no such experiment; did you mean race"):
        place({"rice": {}})
    (place.data / "card.json").write_text("{}")
    with pytest.raises(TakeoffError, match=r"card\.json: images\.train"):
        place()
    (place.data / "card.json").unlink()
    with pytest.raises(TakeoffError, match=r"card\.json: there is no such file"):
        place()


@pytest.mark.parametrize(
    "findings", [[], ["small"], ["large", "small", "small"], ["large", "small", "other"]], ids=len
)
def test_an_experiment_judges_each_of_its_claims_once(place, monkeypatch, findings):
    module = sys.modules["takeoff.experiments.scaling"]
    monkeypatch.setattr(module, "judge", lambda *_: [Finding(name, reason="none") for name in findings])
    with pytest.raises(RuntimeError, match=r"scaling\.py: judge must give one finding for each claim"):
        place()


def test_no_two_claims_share_a_name(place, monkeypatch):
    monkeypatch.setattr(sys.modules["takeoff.experiments.silent"], "CLAIMS", (claim("small"),))
    with pytest.raises(RuntimeError, match="two claims are called small"):
        place({"race": {}})


def test_the_same_results_give_the_same_bytes(place):
    written = []
    for _ in range(2):
        place(drawn=True)
        files = sorted(path for path in place.out.rglob("*") if path.is_file())
        written.append({path.relative_to(place.out).as_posix(): path.read_bytes() for path in files})
    assert written[0] == written[1]
    names = ["claims.csv", "claims_parts.csv", *(f"figures/claims.{end}" for end in ("csv", "png", "svg"))]
    assert sorted(written[0]) == sorted(names)


# The figure.

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
        judged.append(JudgedClaim(stated, "race", judge_claim([judgement])[0], (judgement,)))
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


def test_a_claim_shows_the_part_that_decides():
    parts = [Part.of(f"{LONG}, {LONG}, {LONG}", RATIOS, (2, inf)), Part.of("open", [-1.0, 2.0], (0, inf))]
    for several, expected in ((parts, "1 of 2 parts hold; shown: open"), (parts[:1], "The network nearly")):
        judgements = tuple(judge_parts(several))
        judged = JudgedClaim(claim("a"), "race", *judge_claim(judgements)[:1], judgements, len(several) - 1)
        figure, _ = draw_claims(Titled, [judged])
        words = [text.get_text() for text in figure.axes[0].texts]
        assert any(line.startswith(expected) for line in words)
        assert sum(line.endswith(" …") for line in words) == (len(several) == 1)  # cut, as the tables have it


def test_verdicts_stand_in_words_and_in_order():
    judged = claims_like_these(10)
    figure, numbers = draw_claims(Titled, judged)
    order = ["supported", "contradicted", "undecided", "not tested"]
    assert list(numbers["verdict"]) == sorted(numbers["verdict"], key=order.index)
    words = [text.get_text() for text in figure.axes[0].texts]
    for verdict in order[:3]:
        assert words.count(verdict) == (numbers["verdict"] == verdict).sum() > 0
    assert {"✓", "✗", "?", "–"} <= set(words)
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


def test_numbers_have_the_digits_that_are_known():
    def words(values, **keys):
        return number_words(judge_parts([Part.of("x", values, **({"supports": (0.1, inf)} | keys))])[0])

    assert words([0.031, 0.033, 0.032]) == ("0.0320", "[0.0295, 0.0345]")
    assert words([-12.0, -14.0, -13.0]) == ("−13.0", "[−15.5, −10.5]")
    assert words([2.0] * 3, ratio=True) == ("2.00×", "[2.00, 2.00]")
    assert words([2.0] * 3, ratio=True, slack=(inf, inf)) == ("2.00×", "[0, ∞]")
    assert words([2e6] * 3, ratio=True) == ("2.00·10⁶×", "[2.00·10⁶, 2.00·10⁶]")
    assert words([2e-7] * 3, ratio=True)[0] == "2.00·10⁻⁷×"
    assert words([1.0]) == ("1.00", "no interval")
    assert number_words(judge_parts(SHAPES[-1:])[0]) == ("–", "not measured")
    assert words([-1.0, 1.0, 1e-9, -1e-9])[0] == "0.0"


def dataset(samples):
    return {
        "name": "digits",
        "resolution": 8,
        "archive": None,
        "sha256": None,
        "classes": None,
        "train_samples": samples,
        "test_samples": "all",
        "validation_fraction": 0.2,
    }
