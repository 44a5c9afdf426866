"""An interactive page of a study, one file that needs no network: curves with seeds on and off, effects by response,
and tables to sort and search.
"""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert
from itables import options, to_html_datatable
from itables.javascript import generate_init_offline_itables_html

from takeoff.common.table_files import read_table
from takeoff.figures.words import term_words
from takeoff.reporting.found import read_found, table_at
from takeoff.study.model import Study

Chart = alt.LayerChart | alt.FacetChart
LEGEND = alt.Legend(orient="bottom", columns=2, symbolOpacity=1, symbolStrokeWidth=3)
FITS = alt.AutoSizeParams(type="fit-x", contains="padding")
"""A chart is as wide as its page, on a telephone too."""
MEASURES = ("validation_accuracy", "train_accuracy", "validation_loss", "train_loss")
CLAIMS = "verdict statement estimate ci_low ci_high n unit published reason".split()
EFFECTS = "response kind effect estimate ci_low ci_high p_adjusted n_seeds".split()
UNPACK = """
const bytes = Uint8Array.from(atob(packed), letter => letter.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
new Response(stream).text().then(page => { document.open(); document.write(page); document.close(); });
"""
STYLE = """
html { overflow-y: scroll; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 0 auto; max-width: 1320px; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p { max-width: 46rem; color: #555; } .wide { overflow-x: auto; } .vega-embed { width: 100%; }
table.dataTable td { max-width: 20rem; min-width: 4rem; vertical-align: top; overflow-wrap: anywhere; font-size: 13px; }
@media (max-width: 900px) {
  table.dataTable { width: max-content !important; }
  table.dataTable td { max-width: 14rem; }
  table.dataTable td:last-child { max-width: 40rem; }
}
"""


def explore(folder: Path, study: Study) -> str:
    """The page, as HTML; curves are those of the factorial's combinations. What has no table is left out."""
    found, effects, parts = read_found(folder, study), _effects(folder, study), list[str]()
    arms = found.cells["arm"] if len(found.cells) else []
    charts = {"curves": _curve_chart(_curves(folder, arms)), "effects": _effect_chart(effects)}
    words = {
        "curves": (
            "Learning curves",
            "Thick lines are means over seeds. Click an arm in the legend; shift adds another.",
        ),
        "effects": ("Effects", "Treatment minus baseline with its 95% interval, in the units of the response."),
    }
    shown = {name: chart for name, chart in charts.items() if chart is not None}
    for name in shown:
        title, about = words[name]
        parts += [f"<h2>{title}</h2>", f"<p>{about}</p>", f'<div class="wide" id="{name}"></div>']
    tables = {
        "Claims": found.claims[[name for name in CLAIMS if name in found.claims]],
        "Every effect": effects,
        "Choices of learning rate and weight decay": _choices(folder),
    }
    for title, table in tables.items():
        if len(table):
            parts += [f"<h2>{title}</h2>", f'<div class="wide">{_table(table, f"table-{len(parts)}")}</div>']
    return _page(study.title, parts, shown)


def _curves(folder: Path, arms: Iterable[str]) -> pd.DataFrame:
    """A row per arm, seed, epoch and measure."""
    paths = [folder / "arms" / arm / "curves.parquet" for arm in arms]
    tables = [read_table(path) for path in paths if path.is_file()]
    if not tables:
        return pd.DataFrame()
    whole = pd.concat(tables, ignore_index=True)
    kept = [name for name in MEASURES if name in whole]
    long = whole.melt(["arm", "seed", "epoch"], kept, var_name="measure", value_name="value").dropna(subset="value")
    return long.assign(value=long["value"].astype(float).round(5))


def _curve_chart(curves: pd.DataFrame) -> Chart | None:
    if curves.empty:
        return None
    names = list(dict.fromkeys(curves["measure"]))
    measure = alt.param(name="measure", value=names[0], bind=alt.binding_select(options=names, name="measure "))
    seeds = alt.param(name="seeds", value=True, bind=alt.binding_checkbox(name="every seed "))
    chosen = alt.selection_point(name="chosen", fields=["arm"], bind="legend")
    base = (
        alt.Chart(curves)
        .transform_filter("datum.measure == measure")
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("arm:N", sort=list(dict.fromkeys(curves["arm"])), legend=LEGEND),
        )
    )
    scale = alt.Scale(zero=False)
    thin = base.mark_line(strokeWidth=0.8).encode(
        y=alt.Y("value:Q", title="value of the measure", scale=scale),
        detail="seed:N",
        opacity=alt.condition("seeds && (!length(data('chosen_store')) || chosen.arm)", alt.value(0.4), alt.value(0)),
        tooltip=["arm:N", "seed:Q", "epoch:Q", "value:Q"],
    )
    thick = base.mark_line(strokeWidth=2.5).encode(
        y=alt.Y("mean(value):Q", scale=scale),
        opacity=alt.condition(chosen, alt.value(1), alt.value(0.08)),
        tooltip=["arm:N", "epoch:Q", "mean(value):Q"],
    )
    return (
        alt.layer(thin, thick)
        .add_params(measure, seeds, chosen)
        .properties(width="container", height=380, autosize=FITS)
    )


def _effects(folder: Path, study: Study) -> pd.DataFrame:
    """Every effect of the factorial, its term in words."""
    table = table_at(folder / "factorial" / "effects.csv")
    if table.empty:
        return table
    levels = {name: (factor.baseline, factor.treatment) for name, factor in study.factors.items()}
    table["effect"] = [f"{_where(term)}{term_words(term, levels)}" for term in table["term"]]
    numbers = table[[name for name in EFFECTS if name in table]]
    return numbers.round(dict.fromkeys(numbers.select_dtypes("float"), 5))


def _where(term: str) -> str:
    """Of a simple effect, the factor whose effect it is; `term_words` says where it is taken."""
    return f"{term.partition('@')[0]}, at " if "@" in term else ""


def _effect_chart(effects: pd.DataFrame) -> Chart | None:
    if effects.empty:
        return None
    responses, kinds = (list(dict.fromkeys(effects[name])) for name in ("response", "kind"))
    response = alt.param(
        name="response", value=responses[0], bind=alt.binding_select(options=responses, name="response ")
    )
    kind = alt.param(name="kind", value=kinds[0], bind=alt.binding_select(options=kinds, name="kind "))
    base = (
        alt.Chart(effects)
        .transform_filter("datum.response == response && datum.kind == kind")
        .encode(y=alt.Y("effect:N", title=None, sort=None, axis=alt.Axis(labelLimit=210)))
    )
    tooltip = ["effect:N", "estimate:Q", "ci_low:Q", "ci_high:Q", "p_adjusted:Q"]
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("ci_low:Q", title="effect"), x2="ci_high:Q", tooltip=tooltip)
    points = base.mark_point(filled=True, size=70).encode(x="estimate:Q", tooltip=tooltip)
    zero = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(color="#999").encode(x="at:Q")
    return (
        alt.layer(zero, bars, points)
        .add_params(response, kind)
        .properties(width="container", height=alt.Step(24), autosize=FITS)
    )


def _choices(folder: Path) -> pd.DataFrame:
    """The tables `choices` of every experiment, each arm's once."""
    tables = [table_at(path, "arm") for path in sorted(folder.glob("*/choices.csv"))]
    return pd.concat(tables, ignore_index=True).drop_duplicates() if tables else pd.DataFrame()


def _table(table: pd.DataFrame, name: str) -> str:
    # Columns of numbers stay such: they are sorted by value, whatever is shown of it.
    words = {name: table[name].fillna("") for name in table.select_dtypes(exclude="number").columns}
    whole = table.assign(**words).rename(columns=lambda column: str(column).replace("_", " "))
    # Of its default layout itables leaves nothing where a table is short.
    layout = {"topStart": "search", "topEnd": "info", "bottomStart": "pageLength", "bottomEnd": "paging"}
    classes = "display compact"
    shown = {"connected": False, "table_id": name, "classes": classes, "showIndex": False, "maxBytes": 0}
    shown |= {"text_in_header_can_be_selected": False}  # a click on it sorts
    with pd.option_context("display.float_format", "{:.4g}".format):
        page = to_html_datatable(whole, **shown, layout=layout, pageLength=25)  # type: ignore[arg-type]
    return page.replace('[\\"NaN\\", ', '[\\"\\", ')  # what is missing is empty


def _page(title: str, parts: Iterable[str], charts: dict[str, Chart]) -> str:
    """One file: styles, scripts and data are in it."""
    with alt.data_transformers.enable("default", max_rows=None):
        specifications = {name: chart.to_dict() for name, chart in charts.items()}
    calls = "\n".join(
        f"vegaEmbed('#{name}', {_json(one)}, {{actions: false}});" for name, one in specifications.items()
    )
    script = vl_convert.javascript_bundle(calls) if charts else ""
    return _packed(title, "\n".join(_lines(title, parts, script)))


def _packed(title: str, page: str) -> str:
    """The page, with all of it packed: a report has it in an address, and browsers open none of more than 2 MB, which
    the libraries alone have.
    """
    data = b64encode(gzip.compress(page.encode(), mtime=0)).decode()
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>\n'
        f'<body><noscript>This page needs JavaScript.</noscript><script>const packed = "{data}";{UNPACK}</script>\n'
        "</body></html>"
    )


def _json(value: object) -> str:
    """JSON that no text in it ends the script it stands in."""
    return json.dumps(value).replace("</", "<\\/")


def _lines(title: str, parts: Iterable[str], script: str) -> Iterator[str]:
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
    yield generate_init_offline_itables_html(options.dt_bundle)
    yield from parts
    yield f'<script type="module">{script}</script></body></html>'
