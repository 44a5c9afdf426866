"""The graph on the first page of Snakemake's report: a node per verb, not one per numbered rule."""

import json
from collections.abc import Callable, Iterable
from graphlib import TopologicalSorter
from typing import Any

DISTANCE = 50
"""Pixels between two nodes, which stand below each other."""


def draw_verbs() -> None:
    """Let the report that this process makes draw the verbs. Snakemake has no setting for it."""
    from snakemake.report import html_reporter

    html_reporter.rulegraph_spec = _specification
    html_reporter.data.render_rulegraph = _labelled(html_reporter.data.render_rulegraph)


def verb_of(rule: str) -> str:
    """What a rule does.

    >>> [verb_of(rule) for rule in ("train_12", "fit_classical_0", "draw_factorial", "judge")]
    ['train', 'fit', 'draw', 'judge']
    """
    return rule.partition("_")[0]


def verbs(rules: Iterable[tuple[str, Iterable[str]]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """From rules, each with those that it depends on, the nodes and links of their verbs, in Snakemake's terms; a node
    names one of its rules, which the page tells more of, and its verb.
    """
    needs: dict[str, set[str]] = {}
    named: dict[str, str] = {}
    for rule, others in rules:
        if rule != "all":
            needs.setdefault(verb_of(rule), set()).update(map(verb_of, others))
            named.setdefault(verb_of(rule), rule)
    graph = {verb: sorted(others - {verb}) for verb, others in sorted(needs.items())}
    order = {verb: place for place, verb in enumerate(TopologicalSorter(graph).static_order())}
    nodes = [{"rule": named[verb], "verb": verb, "fx": 10, "fy": DISTANCE * place} for verb, place in order.items()]
    links = [
        {"source": order[one], "sourcerule": one, "target": order[verb], "targetrule": verb, "value": 1}
        for verb, others in graph.items()
        for one in others
    ]
    return nodes, links


def _specification(dag: Any) -> tuple[dict[str, Any], int, int]:
    """As `snakemake.report.rulegraph_spec` has it: links between neighbours are drawn straight."""
    jobs = [job for level in dag.toposorted() for job in level]
    nodes, links = verbs((job.rule.name, [other.rule.name for other in dag.dependencies[job]]) for job in jobs)
    direct = [link for link in links if link["target"] - link["source"] == 1]
    others = [link for link in links if link not in direct]
    height = max(node["fy"] for node in nodes)
    return {"nodes": nodes, "links": others, "links_direct": direct}, 100, height


def _labelled(render: Callable[..., str]) -> Callable[..., str]:
    """The graph that Snakemake renders, its nodes labelled with their verbs."""

    def rendered(*given: Any) -> str:
        graph = json.loads(render(*given))
        for mark in graph["marks"]:
            if mark.get("name") == "labels":
                mark["encode"]["enter"]["text"]["field"] = "verb"
        return json.dumps(graph)

    return rendered
