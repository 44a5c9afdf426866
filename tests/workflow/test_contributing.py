"""What CONTRIBUTING shows works: experiment and factor, copied as they stand, run from images to a verdict."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import REPOSITORY
from snakemake_command import clone, run_snakemake


def example(kind: str, language: str = "python") -> tuple[str, str]:
    """What an example is for, a path or a name, and its text."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    ((name, code),) = re.findall(rf"<!-- {kind}: (\S+) -->\n```{language}\n(.*?)```", text, re.DOTALL)
    return name, code


@pytest.mark.slow
def test_the_experiment_and_the_factor_in_contributing_run(tmp_path: Path, write_study: Callable[..., Path]) -> None:
    home = clone(tmp_path / "clone")
    name, code = example("example")
    assert code.count("\n") <= 45
    experiment = (home / name).parent.name
    (home / name).parent.mkdir()
    (home / name).write_text(code, encoding="utf-8")
    registry = home / "scripts" / "takeoff" / "experiments" / "registry.py"
    listed = registry.read_text(encoding="utf-8").replace("EXPERIMENTS = (", f'EXPERIMENTS = (\n    "{experiment}",')
    registry.write_text(listed, encoding="utf-8")
    path, claim = example("claim", "yaml")
    with (home / path).open("a", encoding="utf-8") as claims:
        claims.write(claim)
    (home / "workflow" / "report" / f"{experiment}-gains.rst").write_text("Gains.", encoding="utf-8")
    factor, line = example("factor")
    settings = home / "scripts" / "takeoff" / "study" / "settings.py"
    place = settings.read_text(encoding="utf-8").partition('    "activation": Network,\n')
    settings.write_text(place[0] + line + place[1] + place[2], encoding="utf-8")
    study = write_study(
        experiments={experiment: {}, "factorial": {"threshold": 0.5}},
        factors={factor: {"baseline": 0, "treatment": 0.9}},
        seeds=3,
    )
    run_snakemake(
        tmp_path / "here", "--cores", "all", config=(f"study={study}", "tracking_uri=off"), snakefile=home / "Snakefile"
    )
    results = tmp_path / "here" / "results" / "small"
    assert (results / "figures" / f"{experiment}-gains.svg").stat().st_size > 2000
    gains = pd.read_csv(results / experiment / "gains.csv")
    claims = pd.read_csv(results / "claims.csv").set_index("claim")
    row = claims.loc["momentum-helps"]
    assert row["estimate"] == pytest.approx(100 * gains["gain"].mean())
    assert row["verdict"] in {"supported", "contradicted", "undecided"}
    assert set(claims["verdict"].drop("momentum-helps")) == {"not tested"}
    effects = pd.read_csv(results / "factorial" / "effects.csv")
    (effect,) = effects.query("response == 'test_accuracy' and kind == 'main'").itertuples()
    runs = pd.concat(pd.read_parquet(path) for path in sorted(results.glob("arms/*/runs.parquet")))
    means = runs[runs["activation"] == "relu"].groupby(factor)["test_accuracy"].mean()
    assert effect.term == factor
    assert effect.estimate == pytest.approx(means[0.9] - means[0])
