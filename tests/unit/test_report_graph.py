"""The graph of the report's first page: a node per verb, below those that it depends on."""

from takeoff.reporting.graph import verbs

RULES = {
    "study": [],
    "prepare": [],
    "train_0": ["study", "prepare"],
    "train_1": ["study", "train_0"],
    "fit_classical_0": ["prepare"],
    "analyse_race": ["train_0", "train_1", "fit_classical_0"],
    "judge": ["analyse_race"],
    "all": ["judge"],
}


def test_numbered_rules_are_one_verb() -> None:
    nodes, links = verbs(RULES.items())
    order = [node["verb"] for node in nodes]
    assert sorted(order) == ["analyse", "fit", "judge", "prepare", "study", "train"]
    assert {node["verb"]: node["rule"] for node in nodes} | {"train": "train_0"} == {
        "study": "study", "prepare": "prepare", "train": "train_0", "fit": "fit_classical_0", "analyse": "analyse_race",
        "judge": "judge",
    }  # fmt: skip
    drawn = {(link["sourcerule"], link["targetrule"]) for link in links}
    assert drawn == {
        ("study", "train"), ("prepare", "train"), ("prepare", "fit"), ("train", "analyse"), ("fit", "analyse"),
        ("analyse", "judge"),
    }  # fmt: skip
    assert all(link["source"] < link["target"] for link in links)
    assert all((order[link["source"]], order[link["target"]]) in drawn for link in links)
