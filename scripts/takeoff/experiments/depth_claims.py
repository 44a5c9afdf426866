"""The claims of `depth`: gradients shrink in sigmoid networks, whose early layers, and which, hardly learn."""

from math import inf
from typing import TYPE_CHECKING

from takeoff.experiments.claims import Claim, Finding
from takeoff.statistics.verdicts import Part

if TYPE_CHECKING:
    import pandas as pd

UNIT = "per layer"
CLAIMS = (
    Claim(
        name="sigmoid-gradients-shrink",
        statement="Sigmoid gradients shrink with every layer; ReLU keeps them.",
        source="Hochreiter 1991; Glorot & Bengio 2010",
        quantity="by how much the natural logarithm of the gradient's norm (of pre-activations) changes per hidden "
        "layer towards the images, before training, at the greatest depth",
        criterion="supported where sigmoid's interval lies below 0, and |slope| is smaller for ReLU with He's "
        "initialisation; contradicted where either lies on the other side",
        published="σ′ ≤ 0.25, so at most 0.25^10 = 9.5e-7 over ten layers: a slope of −1.39 from the activation alone",
        figure="depth-gradients",
        published_value=-1.386,
    ),
    Claim(
        name="early-sigmoid-layers-learn-slowly",
        statement="Early layers of deep sigmoid networks learn slowly or stop.",
        source="Hochreiter 1991; Glorot & Bengio 2010",
        quantity="relative change of the weights by training, first hidden layer over the last",
        criterion="supported where sigmoid's ratio lies below 1, and below ReLU's; contradicted where either lies "
        "above",
        published="",
        figure="depth-layers",
    ),
    Claim(
        name="deep-sigmoid-networks-do-not-learn",
        statement="Deep plain sigmoid networks do not learn, ReLU ones do.",
        source="Ioffe & Szegedy 2015, section 4.2.1",
        quantity="training accuracy at the greatest depth above that of always answering the most frequent class",
        criterion="supported where sigmoid's is equivalent to 0 within the study's margin, and ReLU's lies above the "
        "margin; contradicted where sigmoid's lies above the margin, or ReLU's below it",
        published="sigmoid Inception stays at chance (0.1%); with batch norm it reaches 69.8%",
        figure="depth-accuracy",
        published_value=0.0,
    ),
)


def findings(tables: "dict[str, pd.DataFrame]", margin: float) -> list[Finding]:
    """What `slopes`, `change`, `runs` and `accuracy`, read back, say of each claim."""
    slopes = tables["slopes"]
    return [
        _shrink(slopes[slopes["moment"] == "start"]),
        _slowly(tables["change"], tables["runs"]),
        _learn(tables["runs"], tables["accuracy"], margin),
    ]


def _plain(table: "pd.DataFrame", activation: str, column: str) -> "pd.Series":
    """The values of plain networks with one activation, by seed."""
    own = table["activation"].eq(activation) & table["norm"].eq("none")
    own &= table["initialisation"].eq("by-activation")
    return table[own].set_index("seed")[column].dropna().astype(float)


def _pair(table: "pd.DataFrame", column: str) -> "tuple[pd.Series, pd.Series] | None":
    """Sigmoid's and ReLU's values of the seeds that both have."""
    sigmoid, relu = _plain(table, "sigmoid", column), _plain(table, "relu", column)
    common = sigmoid.index.intersection(relu.index)
    return (sigmoid[common], relu[common]) if len(common) else None


def _missing(claim: str, what: str) -> Finding:
    return Finding(claim, reason=f"{what}; list both sigmoid and relu below depth.activations")


def _shrink(slopes: "pd.DataFrame") -> Finding:
    pair = _pair(slopes, "slope")
    if pair is None:
        return _missing(CLAIMS[0].name, "no slopes of sigmoid and ReLU networks")
    sigmoid, relu = pair
    parts = (
        Part.of("sigmoid: change of ln gradient per layer towards the images", sigmoid, (-inf, 0), unit=UNIT),
        Part.of("|slope| of sigmoid less that of ReLU", sigmoid.abs() - relu.abs(), (0, inf), unit=UNIT),
    )
    return Finding(CLAIMS[0].name, parts, f"ReLU's slope: {relu.mean():+.3f}", arms=())


def _slowly(change: "pd.DataFrame", runs: "pd.DataFrame") -> Finding:
    pair = _pair(change, "ratio")
    if pair is None:
        return _missing(CLAIMS[1].name, "no change of weights of sigmoid and ReLU networks")
    sigmoid, relu = pair
    # A layer that stands still has changed by less than float32 can tell: a ratio with it is a bound.
    still = {
        (activation, layer): bool(_plain(change, activation, f"{layer}_still").any())
        for activation in ("sigmoid", "relu")
        for layer in ("first", "last")
    }
    own = (still["sigmoid", "first"], still["sigmoid", "last"])
    both = (own[0] or still["relu", "last"], own[1] or still["relu", "first"])
    label = "sigmoid: change of the first hidden layer over the last, ratio"
    parts = (
        Part.of(label, sigmoid, (0, 1), ratio=True, slack=_unbounded(own)),
        Part.of("that ratio, sigmoid over ReLU", sigmoid / relu, (0, 1), ratio=True, slack=_unbounded(both)),
    )
    lost = len(
        runs[runs["norm"].eq("none") & runs["activation"].isin(["sigmoid", "relu"]) & runs["diverged"]]
    )
    reasons = [f"{lost} runs diverged, and have no change of weights to compare"] * (lost > 0)
    reasons += ["layers that do not change at all count as 1e-07, so the ratio is a bound"] * any(
        still.values()
    )
    reason = "; ".join(reasons)
    return Finding(CLAIMS[1].name, parts, reason, _compared(change))


def _unbounded(ends: tuple[bool, bool]) -> tuple[float, float]:
    """How far a value may lie below and above what was measured, where it is a bound on that side."""
    return (inf if ends[0] else 0.0, inf if ends[1] else 0.0)


def _learn(runs: "pd.DataFrame", accuracy: "pd.DataFrame", margin: float) -> Finding:
    pair = _pair(runs.assign(above=runs["train_accuracy"] - runs["majority"]), "above")
    if pair is None:
        return _missing(CLAIMS[2].name, "no runs of sigmoid and ReLU networks")
    sigmoid, relu = (100 * values for values in pair)
    edge, words = 100 * margin, "training accuracy above the majority rate"
    parts = (
        Part.of(f"sigmoid: {words}", sigmoid, (-edge, edge), contradicts=((edge, inf),), unit="points"),
        Part.of(f"ReLU: {words}", relu, (edge, inf), unit="points"),
    )
    depth = int(runs["depth"].max())
    reason = f"at {depth} hidden layers{_shallowest(accuracy, depth)}"
    return Finding(CLAIMS[2].name, parts, reason, _compared(runs))


def _shallowest(accuracy: "pd.DataFrame", deepest: int) -> str:
    """What the sigmoid network of the fewest layers reaches: where that learns, depth keeps the other from it."""
    own = accuracy[accuracy["activation"].eq("sigmoid") & accuracy["norm"].eq("none")]
    own = own[own["initialisation"].eq("by-activation") & own["depth"].lt(deepest)]
    if own.empty:
        return ""
    first = own.sort_values("depth").iloc[0]
    return f"; with {int(first['depth'])}, sigmoid's tuning runs reach {100 * first['train_accuracy']:.1f}%"


def _compared(table: "pd.DataFrame") -> tuple[str, ...]:
    """The plain networks with sigmoid and ReLU in a table."""
    own = table["activation"].isin(["sigmoid", "relu"]) & table["norm"].eq("none")
    return tuple(table.loc[own & table["initialisation"].eq("by-activation"), "arm"].unique())
