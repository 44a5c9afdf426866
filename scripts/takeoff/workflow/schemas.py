"""The JSON schemas of a study and of config.yaml, and the tables of config/README.md: all from the typed models.

Editors complete and check a study with them; what the workflow itself checks is the models.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from takeoff.common.documents import read_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.markdown import markdown_table
from takeoff.common.places import configured
from takeoff.data.catalogue import Entry, entries
from takeoff.experiments.registry import EXPERIMENTS, design
from takeoff.study.bounds import MOST
from takeoff.study.configuration import Configuration
from takeoff.study.model import Dataset, Factor, Study
from takeoff.study.settings import FACTORS

Schema = dict[str, Any]

STUDY = "workflow/schemas/study.schema.json"
CONFIG = "workflow/schemas/config.schema.json"
README = "config/README.md"
DIALECT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def generated(repository: Path) -> dict[Path, str]:
    """What each generated file should hold; of the README, its tables change and its prose stays.

    Raises TakeoffError where the README is missing, or a table of it.
    """
    readme = repository / README
    try:
        prose = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise TakeoffError(f"{readme}: {error.strerror}") from None
    schemas = {STUDY: study_schema(), CONFIG: DIALECT | _schema_of(Configuration)}
    files = {repository / name: json_text(schema) for name, schema in schemas.items()}
    return files | {readme: with_tables(prose, str(readme))}


def json_text(schema: Schema) -> str:
    """The schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def study_schema() -> Schema:
    """The schema of a study, with the options of every experiment and the levels of every factor."""
    schema = _bounded(_schema_of(Study))
    definitions = schema.pop("$defs")
    del definitions["Factor"]  # each factor has a schema of its own, with its own levels
    experiments = {}
    for name in EXPERIMENTS:
        options, question = _schema_of(design(name).Options), _question(name)
        definitions |= options.pop("$defs", {})
        options |= {"title": design(name).title, "description": question}
        experiments[name] = {"anyOf": [options, {"type": "null"}], "description": question}
    closed = {"factors": {name: _factor(name) for name in FACTORS}, "experiments": experiments}
    for key, properties in closed.items():
        schema["properties"][key] |= {"properties": properties, "additionalProperties": False}
    return DIALECT | schema | {"$defs": definitions}


def _bounded(schema: Schema) -> Schema:
    """A study's schema with the bounds that no type has."""
    for key, most in MOST.items():
        *above, last = key.split(".")
        place = schema
        for name in above:
            place = schema["$defs"][place["properties"][name]["$ref"].rpartition("/")[2]]
        of_key = place["properties"][last]
        for branch in of_key.get("anyOf", [of_key]):
            if bound := _MOST.get(branch.get("type")):
                branch[bound] = most
    return schema


_MOST = {
    "integer": "maximum",
    "number": "maximum",
    "array": "maxItems",
    "string": "maxLength",
    "object": "maxProperties",
}


class _Generator(GenerateJsonSchema):
    """Without a title per key: it would only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


def _schema_of(model: type[BaseModel]) -> Schema:
    schema: Schema = _on_one_line(model.model_json_schema(schema_generator=_Generator))
    return schema


def _on_one_line(value: Any) -> Any:
    """The schema with each description on a line of its own, however its docstring is folded."""
    if isinstance(value, dict):
        return {
            key: " ".join(inner.split()) if key == "description" and isinstance(inner, str) else _on_one_line(inner)
            for key, inner in value.items()
        }
    return [_on_one_line(inner) for inner in value] if isinstance(value, list) else value


def _setting(factor: str) -> tuple[Schema, str]:
    """What a level of a factor may be, and what the setting that it switches means."""
    setting = _schema_of(FACTORS[factor] or Dataset)["properties"][factor]
    return {k: v for k, v in setting.items() if k not in {"default", "description"}}, setting["description"]


def _factor(name: str) -> Schema:
    schema, (level, meaning) = _schema_of(Factor), _setting(name)
    roles = schema["properties"].items()
    properties = {role: level | {"description": key["description"]} for role, key in roles}
    return schema | {"properties": properties, "title": name, "description": meaning}


def _question(experiment: str) -> str:
    """What an experiment answers: the first paragraph of its module's docstring."""
    text = sys.modules[design(experiment).__module__].__doc__ or ""
    return " ".join(text.partition("\n\n")[0].split())


def with_tables(text: str, source: str) -> str:
    """`text`, from `source`, with what stands between `<!-- table: NAME -->` and `<!-- end -->` made anew.

    Raises TakeoffError where it names another table, or one not just once.
    """
    tables = _tables()
    found = re.findall(r"<!-- table: ([\w-]+) -->", text)
    for name in [*found, *tables]:
        wrong = f"stands {found.count(name)} times" if name in tables else "is unknown"
        if name not in tables or found.count(name) != 1:
            valid = ", ".join(tables)
            raise TakeoffError(f"{source}: <!-- table: {name} --> {wrong}; valid: once each of {valid}")
    marker = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return marker.sub(lambda match: f"{match[1]}\n{tables[match[2]]}\n{match[3]}", text)


def _tables() -> dict[str, str]:
    """The tables of the README, by name."""
    models: dict[str, type[BaseModel]] = {"configuration": Configuration, "study": Study}
    for name, field in (Configuration.model_fields | Study.model_fields).items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            models[name] = field.annotation
    keys = {name: markdown_table(_KEYS, _rows(_schema_of(model))) for name, model in models.items()}
    settings = {name: _setting(name) for name in FACTORS}
    factors = [(f"`{name}`", _valid(level), meaning) for name, (level, meaning) in settings.items()]
    experiments: list[tuple[str, ...]] = []
    for name in EXPERIMENTS:
        experiments.append((f"`{name}`", "options, or nothing", "not run", _question(name)))
        experiments += _rows(_schema_of(design(name).Options), f"{name}.")
    catalogue = [
        (f"`{e.name}`", e.title, f"{e.classes:,}", f"{e.train:,} + {e.test:,}", _origin(e)) for e in entries().values()
    ]
    published = [
        (one["figure"], one["source"], one.get("seen", "remembered"), one.get("caveat", ""), ", ".join(one["quoted"]))
        for one in read_yaml(configured("published.yaml"))["published"]
    ]
    return keys | {
        "published": markdown_table(("figure", "source", "seen", "caveat", "quoted in"), published),
        "factors": markdown_table(("factor", "levels", "meaning"), factors),
        "experiments": markdown_table(_KEYS, experiments),
        "catalogue": markdown_table(("name", "title", "classes", "training + test images", "comes"), catalogue),
    }


_KEYS = ("key", "valid", "default", "meaning")


def _rows(schema: Schema, prefix: str = "") -> list[tuple[str, ...]]:
    """A row per key of a model."""
    rows: list[tuple[str, ...]] = []
    for key, of_key in schema["properties"].items():
        part = schema["$defs"][of_key["$ref"].rpartition("/")[2]] if "$ref" in of_key else {}
        valid = "keys: see below" if part else _valid(of_key)
        default = "required" if key in schema.get("required", ()) else _default(of_key.get("default"))
        rows.append((f"`{prefix}{key}`", valid, default, of_key.get("description") or part.get("description", "")))
    return rows


def _default(value: Any) -> str:
    return "those below" if value and isinstance(value, dict) else f"`{json.dumps(value)}`".replace('"', "")


def _origin(entry: Entry) -> str:
    if entry.addresses:
        return "by download" + (f", {entry.size / 1e6:,.0f} MB" if entry.size else "")
    return f"with {entry.package}" if entry.package else "as your own copy"


def _valid(schema: Schema) -> str:
    """What a schema allows, in words."""
    match schema:
        case {"anyOf": branches}:
            return " or ".join(map(_valid, branches))
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            return f"`{value}`"
        case {"type": "integer" | "number"}:
            word = "whole number" if schema["type"] == "integer" else "number"
            bounds = [f"{to} {schema[bound]:g}" for bound, to in _BOUNDS.items() if bound in schema]
            return f"{word} {', '.join(bounds)}".rstrip()
        case {"type": "array"}:
            item = re.sub(r"^((whole )?number)\b", r"\1s", _valid(schema["items"]))
            return f"a list of {'names' if item == 'text' else item}"
        case {"type": "object", "additionalProperties": {"type": "string"} as each}:
            return f"names, each with {_valid(each)}"
        case {"type": "object", "patternProperties": dict() as patterns}:
            return f"names, each with {' or '.join(map(_valid, patterns.values()))}"
        case {"type": "string", "pattern": pattern}:
            return f"text like `{pattern}`"
    return {"boolean": "`true`, `false`", "null": "`null`", "string": "text", "object": "keys: see below"}[
        schema["type"]
    ]


_BOUNDS = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "up to"}
