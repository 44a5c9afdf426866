"""Reading a study or the machine's configuration from YAML, with one message for whatever is wrong."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from takeoff.common.addresses import check_path, without_secrets
from takeoff.common.documents import check_plain, read_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json
from takeoff.common.places import DOCUMENTS, configured, configured_names
from takeoff.common.spelling import choices, nearest, one_line, shown
from takeoff.study.bounds import check_bounds
from takeoff.study.model import Level, Study
from takeoff.study.settings import FACTORS, Network, Recipe

Model = TypeVar("Model", bound=BaseModel)


def study_path(name_or_path: str) -> Path:
    """The file of a study, given a path or its name in `config/studies`: the working directory's own, or else ours.

    Raises TakeoffError where there is no such study.
    """
    given = f"study={one_line(without_secrets(name_or_path) if '://' in name_or_path else name_or_path)}"
    try:
        if "://" in name_or_path:
            raise ValueError("nothing is read from an address; valid: a name, or a path to a file")
        path = Path(check_path(name_or_path))
    except ValueError as error:
        raise TakeoffError(f"{given}: {error}") from None
    if path.suffix.lower() in DOCUMENTS:
        if path.is_dir():
            raise TakeoffError(f"{given}: it is a folder; valid: a name, or a path to a file")
        if not path.is_file():
            raise TakeoffError(f"{given}: there is no such file; {choices(path.stem, configured_names('studies'))}")
        return path
    path = configured(f"studies/{name_or_path}.yaml")
    if not path.is_file():
        beside = [file for suffix in DOCUMENTS if Path(file := f"{name_or_path}{suffix}").is_file()]
        meant = f"did you mean the file {beside[0]}? " if beside else ""
        known = choices(name_or_path, configured_names("studies"))
        raise TakeoffError(f"{given}: no such study; {meant}{known}, or a path to a file")
    return path


def load_study(path: Path) -> Study:
    """The study in `path`; TakeoffError where it cannot be read, or a key, a level or a value is wrong."""
    return study_of(read_yaml(path), path)


def study_of(content: Any, source: Path | str) -> Study:
    """The study that `content`, which came from `source`, says; TakeoffError where something in it is wrong."""
    study = check(Study, content, source)
    check_bounds(study, source)
    for name, factor in study.factors.items():
        if name not in FACTORS:
            raise TakeoffError(f"{source}: factors.{one_line(name)}: no such factor; {choices(name, FACTORS)}")
        for role in ("baseline", "treatment"):
            _check_level(study, source, name, role, getattr(factor, role))
    return study


def study_keys(path: Path) -> dict[str, Any]:
    """The keys of a `study.json`, of whatever version; TakeoffError where its dataset, or a factor, is none."""
    content = load_json(path)
    for key in ("dataset", "factors"):
        if not isinstance(content.get(key, {}), dict):
            raise TakeoffError(f"{path}: {key}: {shown(content[key])} is not valid; valid: keys with values")
    for name, factor in content.get("factors", {}).items():
        if not isinstance(factor, dict) or not {"baseline", "treatment"} <= factor.keys():
            words = "is not valid; valid: a baseline and a treatment"
            raise TakeoffError(f"{path}: factors.{one_line(name)}: {shown(factor)} {words}")
    return content


def check_results(study: Study, folder: Path, source: str = "") -> None:
    """Refuse, with a TakeoffError, a folder whose `study.json`, if it has one, is of other images or factors than
    `study`; `source` is what the message calls it, its path where left out.
    """
    path = folder / "study.json"
    if path.is_file():
        check_same(study.model_dump(mode="json"), study_keys(path), source or str(folder))


def check_same(first: Mapping[str, Any], second: Mapping[str, Any], source: str) -> None:
    """Refuse, with a TakeoffError, to compare two `study.json` of different images or factors; `source` is the second's
    folder.
    """
    names = [one.get("dataset", {}).get("name") for one in (first, second)]
    factors = [one.get("factors", {}) for one in (first, second)]
    if names[0] != names[1] or factors[0] != factors[1]:
        stated = [f"{name} with {', '.join(own) or 'no factors'}" for name, own in zip(names, factors, strict=True)]
        levels = " at other levels" * (stated[0] == stated[1])
        raise TakeoffError(f"{source}: study.json: {stated[1]}{levels}; valid: the study compared, {stated[0]}")


def _check_level(study: Study, source: Path | str, factor: str, role: str, level: Level) -> None:
    """A level is a value of the setting that it switches, as strict as if it stood there."""
    places: dict[Any, BaseModel] = {Network: study.network, Recipe: study.recipe, None: study.dataset}
    place = places[FACTORS[factor]]
    try:
        check(type(place), place.model_dump(mode="json") | {factor: level}, "")
    except TakeoffError as error:
        message = str(error).removeprefix(": ").removeprefix(f"{factor}: ")
        raise TakeoffError(f"{source}: factors.{factor}.{role}: {message}") from None


def check(model: type[Model], content: Any, source: Path | str) -> Model:
    """`content`, which came from `source`, as `model`: numbers are numbers and text is text, as in JSON.

    Raises TakeoffError, in a line that names the file, the key, the value and what would be valid.
    """
    check_plain(content, str(source))
    try:
        # Snakemake's own reading of a configuration has dates.
        return model.model_validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError as error:
        raise TakeoffError(f"{source}: {described(error, model)}") from None
    except (TypeError, ValueError) as error:  # a key that no text is; more digits than a number has
        raise TakeoffError(f"{source}: {one_line(str(error))}; valid: keys of text") from None


def described(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error of pydantic's list: the key, what is wrong, the value, what would be valid."""
    details = error.errors(include_url=False)
    first = _most_specific(details)
    beside = [d for d in details if d["type"] == "extra_forbidden" and d["loc"][:-1] == first["loc"][:-1]]
    if first["type"] == "missing":
        first = next((d for d in beside if nearest(d["loc"][-1], [str(first["loc"][-1])])), first)
    key = one_line(".".join(str(part) for part in _location(first["loc"])))
    value, kind, context = first["input"], first["type"], first.get("ctx", {})
    others = len({tuple(_location(detail["loc"])) for detail in details}) - 1
    more = f" (and {others} more)" if others else ""
    if kind == "extra_forbidden":
        missing = [str(d["loc"][-1]) for d in details if d["type"] == "missing" and d["loc"][:-1] == first["loc"][:-1]]
        word = nearest(first["loc"][-1], missing) or one_line(str(first["loc"][-1]))
        return f"{key}: no such key; {choices(word, _keys_at(model, first['loc'][:-1]))}{more}"
    if kind == "missing":
        unknown = f"; {one_line(str(beside[0]['loc'][-1]))}, beside it, is no key" if beside else ""
        return f"{key}: missing; it has no default{unknown}{more}"
    if kind == "literal_error":
        valid = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{key}: {shown(value)} is not valid; {choices(value, valid)}{more}"
    if kind == "value_error":
        return (f"{key}: " if key else "") + str(context["error"])
    words = _WORDS.get(kind, first["msg"].removeprefix("Input "))
    place = _location(first["loc"])
    either = [d for d in details if d["type"] == "literal_error" and _location(d["loc"]) == place]
    words += "".join(f", or {detail['ctx']['expected']}".replace("'", "") for detail in either)
    return f"{key}: {shown(value)} is not valid; {words}{more}"


_WORDS = {
    "bool_type": "should be true or false",
    "string_type": "should be text, in quotes where it looks otherwise",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "dict_type": "should be keys with values",
    "model_type": "should be keys with values",
}


def _most_specific(details: list[Any]) -> Any:
    """The error to report: of a union's several, the one about a bound that the value breaks."""
    # A list whose items are wrong counts as too short as well: the items are reported.
    above = [_location(detail["loc"])[:-1] for detail in details]
    own = [d for d in details if d["type"] != "too_short" or _location(d["loc"]) not in above]
    bounds = [d for d in own if d["type"].startswith(("greater", "less", "too", "string_pattern", "finite"))]
    return (bounds or own)[0]


def _location(location: tuple[int | str, ...]) -> list[int | str]:
    """The path of keys, without pydantic's names for the branches of a union."""
    return [part for part in location if not (isinstance(part, str) and _BRANCH.fullmatch(part))]


_BRANCH = re.compile(
    r"(constrained-)?(int|str|float|bool)|(literal|list|tuple|dict|function-\w+|is-instance)\b.*|\[key\]"
)


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that are valid at a place in a nested model; inside a mapping, those of its values' model."""
    for part in location:
        if part in model.model_fields:
            model = next(_models(model.model_fields[str(part)].annotation), BaseModel)
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
