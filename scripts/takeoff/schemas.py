"""The JSON schemas of a study and of config.yaml, and the tables of config/README.md: all from the typed models.

Editors complete and check a study with them; what the workflow itself checks is the models.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from takeoff.data.catalogue import Entry, entries
from takeoff.errors import TakeoffError
from takeoff.experiments import registry
from takeoff.study.configuration import Configuration
from takeoff.study.model import Dataset, Factor, Study
from takeoff.study.settings import FACTORS

Schema = dict[str, Any]

STUDY = "workflow/schemas/study.schema.json"
CONFIG = "workflow/schemas/config.schema.json"
README = "config/README.md"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def generated(repository: Path) -> dict[Path, str]:
    """What each generated file should hold; of the README, its tables change and its prose stays.

    Raises:
        TakeoffError: the README is missing, or names a table that there is not.

    """
    readme = repository / README
    try:
        prose = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise TakeoffError(f"{readme}: {error.strerror}") from None
    return {
        repository / STUDY: json_text(study_schema()),
        repository / CONFIG: json_text(configuration_schema()),
        readme: with_tables(prose, str(readme)),
    }


def json_text(schema: Schema) -> str:
    """The schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def study_schema() -> Schema:
    """The schema of a study, with the options of every experiment and the levels of every factor."""
    schema = _schema_of(Study)
    definitions = schema.pop("$defs")
    del definitions["Factor"]  # each factor has a schema of its own, with its own levels
    properties = schema["properties"]
    properties["factors"] |= _closed({name: _factor(name) for name in FACTORS})
    experiments = {}
    for name in registry.EXPERIMENTS:
        module = registry.experiment(name)
        options = _schema_of(module.Options)
        definitions |= options.pop("$defs", {})
        options |= {"title": module.TITLE, "description": _question(name)}
        experiments[name] = {"anyOf": [options, {"type": "null"}], "description": options["description"]}
    properties["experiments"] |= _closed(experiments)
    return {"$schema": DIALECT, **schema, "$defs": definitions}


def configuration_schema() -> Schema:
    """The schema of config/config.yaml."""
    return {"$schema": DIALECT, **_schema_of(Configuration)}


class _Generator(GenerateJsonSchema):
    """Without a title per key: it would only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


def _schema_of(model: type[BaseModel]) -> Schema:
    return _on_one_line(model.model_json_schema(schema_generator=_Generator))


def _on_one_line(value: Any) -> Any:
    """The schema with each description on a line of its own, however its docstring is folded."""
    if isinstance(value, dict):
        return {
            key: " ".join(inner.split())
            if key == "description" and isinstance(inner, str)
            else _on_one_line(inner)
            for key, inner in value.items()
        }
    return [_on_one_line(inner) for inner in value] if isinstance(value, list) else value


def _closed(properties: Mapping[str, Schema]) -> Schema:
    return {"properties": dict(properties), "additionalProperties": False}


def _setting(factor: str) -> Schema:
    """The schema of the setting that a factor switches."""
    return _schema_of(FACTORS[factor] or Dataset)["properties"][factor]


def _level(factor: str) -> Schema:
    """What a level of a factor may be."""
    return {key: value for key, value in _setting(factor).items() if key not in {"default", "description"}}


def _factor(name: str) -> Schema:
    schema = _schema_of(Factor)
    schema["properties"] = {
        role: _level(name) | {"description": told["description"]}
        for role, told in schema["properties"].items()
    }
    return schema | {"title": name, "description": _setting(name)["description"]}


def _question(experiment: str) -> str:
    """What an experiment asks: the first paragraph of its module's docstring."""
    return " ".join((registry.experiment(experiment).__doc__ or "").partition("\n\n")[0].split())


def with_tables(text: str, source: str) -> str:
    """`text` with what stands between `<!-- table: NAME -->` and `<!-- end -->` made anew.

    Raises:
        TakeoffError: there is no such table, or `text`, which came from `source`, lacks one.

    """
    tables = _tables()
    marker = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
    named = [match[2] for match in marker.finditer(text)]
    for name in named:
        if name not in tables:
            raise TakeoffError(f"{source}: there is no table {name}; valid: {', '.join(tables)}")
    for name in tables:
        if named.count(name) != 1:
            raise TakeoffError(
                f"{source}: <!-- table: {name} --> stands {named.count(name)} times; valid: once"
            )
    return marker.sub(lambda match: f"{match[1]}\n{tables[match[2]]()}\n{match[3]}", text)


def _tables() -> dict[str, Callable[[], str]]:
    models = {name: field.annotation for name, field in Study.model_fields.items()}
    return {
        "configuration": partial(_keys, Configuration),
        "study": partial(_keys, Study),
        **{name: partial(_keys, model) for name, model in models.items() if _is_model(model)},
        "factors": _factors,
        "experiments": _experiments,
        "catalogue": _catalogue,
    }


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _keys(model: Any) -> str:
    """A table with a row per key of a model."""
    return _table(("key", "valid", "default", "meaning"), _rows(_schema_of(model)))


def _rows(schema: Schema, prefix: str = "") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for key, told in schema["properties"].items():
        part = schema["$defs"][told["$ref"].rpartition("/")[2]] if "$ref" in told else {}
        valid = "keys: see below" if part else _valid(told)
        default = "required" if key in schema.get("required", ()) else _default(told.get("default"))
        meaning = told.get("description") or part.get("description", "")
        rows.append((f"`{prefix}{key}`", valid, default, meaning))
    return rows


def _default(value: Any) -> str:
    return "those below" if value and isinstance(value, dict) else f"`{json.dumps(value)}`".replace('"', "")


def _factors() -> str:
    rows = [(f"`{name}`", _valid(_level(name)), _setting(name)["description"]) for name in FACTORS]
    return _table(("factor", "levels", "meaning"), rows)


def _experiments() -> str:
    rows: list[tuple[str, ...]] = []
    for name in registry.EXPERIMENTS:
        rows.append((f"`{name}`", "options, or nothing", "not run", _question(name)))
        rows += _rows(_schema_of(registry.experiment(name).Options), f"{name}.")
    return _table(("key", "valid", "default", "meaning"), rows)


def _catalogue() -> str:
    rows = [
        (
            f"`{entry.name}`",
            entry.title,
            f"{entry.classes:,}",
            f"{entry.train:,} + {entry.test:,}",
            _origin(entry),
        )
        for entry in entries().values()
    ]
    return _table(("name", "title", "classes", "training + test images", "comes"), rows)


def _origin(entry: Entry) -> str:
    if entry.addresses:
        return "by download" + (f", {entry.size / 1e6:,.0f} MB" if entry.size else "")
    return "with scikit-learn" if entry.layout == "scikit-learn" else "as your own copy"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _valid(schema: Schema) -> str:
    """What a schema allows, in words."""
    if "anyOf" in schema:
        return " or ".join(_valid(branch) for branch in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum") or [schema["const"]])
    return _WORDS[schema["type"]](schema)


def _number(schema: Schema) -> str:
    word = "whole number" if schema["type"] == "integer" else "number"
    bounds = [f"{word} {schema[bound]:g}" for bound, word in _BOUNDS.items() if bound in schema]
    return f"{word} {', '.join(bounds)}".rstrip()


def _text(schema: Schema) -> str:
    return f"text like `{schema['pattern']}`" if "pattern" in schema else "text"


def _list(schema: Schema) -> str:
    item = re.sub(r"^((whole )?number)\b", r"\1s", _valid(schema["items"]))
    return f"a list of {'names' if item == 'text' else item}"


def _mapping(schema: Schema) -> str:
    each: Any = schema.get("additionalProperties")
    plain = isinstance(each, dict) and each.get("type") == "string"
    return f"names, each with {_valid(each)}" if plain else "keys: see below"


_WORDS: dict[str, Callable[[Schema], str]] = {
    "array": _list,
    "boolean": lambda _: "`true`, `false`",
    "integer": _number,
    "null": lambda _: "`null`",
    "number": _number,
    "object": _mapping,
    "string": _text,
}
_BOUNDS = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "up to"}
