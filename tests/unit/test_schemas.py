"""The generated schemas and tables: in step with the models, and of one mind with them about a study."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, Command
from jsonschema import Draft202012Validator
from takeoff.common.errors import TakeoffError
from takeoff.experiments.registry import enabled
from takeoff.judging.claims import load_claims
from takeoff.study.loading import load_study
from takeoff.study.settings import FACTORS
from takeoff.workflow.schemas import CONFIG, README, STUDY, generated, with_tables

STUDIES = sorted((REPOSITORY / "config" / "studies").glob("*.yaml"))


def validator(path: str) -> Draft202012Validator:
    schema = json.loads((REPOSITORY / path).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(path: str, content: Any) -> list[str]:
    return [error.message for error in validator(path).iter_errors(content)]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_generated_files_are_in_step(command: Command) -> None:
    command.done("schemas", "--check")


def test_published_figures_stand_in_one_table() -> None:
    """Each number of a claim's published figure, and each file that quotes one."""
    claims, words = load_claims().claims, dict.fromkeys(load_claims().claims, "")
    for row in read(REPOSITORY / "config" / "published.yaml")["published"]:
        for name in row["quoted"]:
            assert name in claims or (REPOSITORY / name).is_file(), name
            words[name] = words.get(name, "") + str(row)
    for name, claim in claims.items():
        assert set(re.findall(r"\d[\d.]*", claim.published)) <= set(re.findall(r"\d[\d.]*", words[name])), name


def test_what_is_out_of_step_is_named_and_written_anew(command: Command, tmp_path: Path) -> None:
    # A copy of the repository, since the command writes beside itself.
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "config").mkdir()
    shutil.copy(REPOSITORY / README, tmp_path / README)
    copy = str(tmp_path / "scripts" / "schemas")
    assert f": {STUDY}, {CONFIG};" in command.refused(copy, "--check")
    assert not (tmp_path / STUDY).exists()
    assert command.done(copy).stdout == f"wrote {STUDY}\nwrote {CONFIG}\n"
    assert (tmp_path / STUDY).read_bytes() == (REPOSITORY / STUDY).read_bytes()
    command.done(copy, "--check")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_that_comes_along_fits_the_schema(path: Path) -> None:
    assert faults(STUDY, read(path)) == []
    assert path.read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema=../../{STUDY}\n"), (
        "an editor finds the schema by this line"
    )


def test_the_configuration_fits_its_schema() -> None:
    assert faults(CONFIG, read(REPOSITORY / "config" / "config.yaml")) == []
    assert "'stduy' was unexpected" in faults(CONFIG, {"stduy": "digits"})[0]


def test_every_key_of_the_schemas_is_explained() -> None:
    def unexplained(schema: Any, place: str = "") -> list[str]:
        if not isinstance(schema, dict):
            return []
        own = [
            f"{place}.{key}"
            for key, of_key in schema.get("properties", {}).items()
            if not of_key.get("description") and "$ref" not in of_key
        ]
        return own + [fault for key, inner in schema.items() for fault in unexplained(inner, f"{place}.{key}")]

    for path in (STUDY, CONFIG):
        schema = json.loads((REPOSITORY / path).read_text(encoding="utf-8"))
        assert unexplained(schema) == []
        assert all(of_key["description"] for of_key in schema.get("$defs", {}).values())


def test_the_schema_knows_every_factor() -> None:
    factors = validator(STUDY).schema["properties"]["factors"]["properties"]
    assert list(factors) == list(FACTORS)
    assert factors["train_samples"]["properties"]["baseline"]["anyOf"][1]["const"] == "all"


def test_the_worked_example_is_a_study(tmp_path: Path) -> None:
    text = (REPOSITORY / README).read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(title: .*?)```", text, re.DOTALL)
    assert example
    file = tmp_path / "birds.yaml"
    file.write_text(example[1], encoding="utf-8")
    study = load_study(file)
    assert enabled(study, "birds")
    assert faults(STUDY, read(file)) == []
    arms, rates = 2 ** len(study.factors), len(study.tuning.learning_rates)
    runs = arms * (rates * study.tuning.seeds + len(study.seed_list))
    assert f"{arms} × ({rates} × {study.tuning.seeds} + {len(study.seed_list)}) = {runs} runs" in text
    assert runs <= study.budget.runs


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("table: tuning", "table: tunings"), "table: tunings --> is unknown; valid: .*tuning"),
        (("<!-- table: tuning -->", ""), "table: tuning --> stands 0 times"),
    ],
)
def test_a_table_that_is_wrong_in_the_readme_is_named(change: tuple[str, str], words: str) -> None:
    text = (REPOSITORY / README).read_text(encoding="utf-8")
    assert generated(REPOSITORY)[REPOSITORY / README] == with_tables(text, README) == text
    with pytest.raises(TakeoffError, match=words):
        with_tables(text.replace(*change), README)
