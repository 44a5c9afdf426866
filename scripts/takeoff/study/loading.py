"""Reading a study or the machine's configuration from YAML, with one message for whatever is wrong."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from takeoff.common.errors import TakeoffError, choices
from takeoff.common.places import configured, configured_names
from takeoff.study.arms import make_arm
from takeoff.study.model import Dataset, Level, Study
from takeoff.study.settings import FACTORS

Model = TypeVar("Model", bound=BaseModel)


def study_path(name_or_path: str) -> Path:
    """The file of a study, given a path or its name in `config/studies`: the working directory's own, or else ours.

    Raises TakeoffError where there is no such study.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml", ".json"}:
        if not path.is_file():
            raise TakeoffError(f"study={name_or_path}: there is no such file")
        return path
    path = configured(f"studies/{name_or_path}.yaml")
    if not path.is_file():
        known = choices(name_or_path, configured_names("studies"))
        raise TakeoffError(f"study={name_or_path}: no such study; {known}, or a path to a file")
    return path


def load_study(path: Path) -> Study:
    """The study in `path`; TakeoffError where it cannot be read, or a key, a level or a value is wrong."""
    study = check(Study, read_yaml(path), path)
    for name, factor in study.factors.items():
        if name not in FACTORS:
            raise TakeoffError(f"{path}: factors.{name}: no such factor; {choices(name, FACTORS)}")
        for role in ("baseline", "treatment"):
            _check_level(study, path, name, role, getattr(factor, role))
    return study


def check_same(first: Mapping[str, Any], second: Mapping[str, Any], source: str) -> None:
    """Refuse, with a TakeoffError, to compare two `study.json` of different images or factors; `source` is the second's
    folder.
    """
    names = [(one.get("dataset") or {}).get("name") for one in (first, second)]
    factors = [one.get("factors") or {} for one in (first, second)]
    if names[0] != names[1] or factors[0] != factors[1]:
        stated = [f"{name} with {', '.join(own) or 'no factors'}" for name, own in zip(names, factors, strict=True)]
        levels = " at other levels" * (stated[0] == stated[1])
        raise TakeoffError(f"{source}: study.json: {stated[1]}{levels}; valid: the study compared, {stated[0]}")


def _check_level(study: Study, path: Path, factor: str, role: str, level: Level) -> None:
    model = FACTORS[factor] or Dataset
    try:
        if model is Dataset:
            Dataset(**study.dataset.model_dump() | {factor: level})
        else:
            make_arm(study, {factor: level})
    except ValidationError as error:
        message = _describe(error, model).partition(": ")[2]
        raise TakeoffError(f"{path}: factors.{factor}.{role}: {message}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; TakeoffError where the file is missing, is no YAML, or holds no mapping."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        raise TakeoffError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TakeoffError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise TakeoffError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets the later of two equal keys win without a word; a study must not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for i, key in enumerate(keys) if key in keys[:i]), None)
        if twice is not None:
            raise yaml.YAMLError(f"key {twice!r} stands twice, line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep)


def check(model: type[Model], content: Any, source: Path | str) -> Model:
    """`content`, which came from `source`, as `model`.

    Raises TakeoffError, in a line that names the file, the key, the value and what would be valid.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise TakeoffError(f"{source}: {_describe(error, model)}") from None


def _describe(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error of pydantic's list: the key, what is wrong, the value, what would be valid."""
    details = error.errors(include_url=False)
    first = _most_specific(details)
    key = ".".join(str(part) for part in _location(first["loc"]))
    value, kind, context = first["input"], first["type"], first.get("ctx", {})
    others = len({tuple(_location(detail["loc"])) for detail in details}) - 1
    more = f" (and {others} more)" if others else ""
    if kind == "extra_forbidden":
        return f"{key}: no such key; {choices(first['loc'][-1], _keys_at(model, first['loc'][:-1]))}{more}"
    if kind == "missing":
        return f"{key}: missing; it has no default{more}"
    if kind == "literal_error":
        valid = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{key}: {value!r} is not valid; {choices(value, valid)}{more}"
    if kind == "value_error":
        return (f"{key}: " if key else "") + str(context["error"])
    return f"{key}: {value!r} is not valid; {first['msg'].removeprefix('Input ')}{more}"


def _most_specific(details: list[Any]) -> Any:
    """The error to report: of a union's several, the one about a bound that the value breaks."""
    # A list whose items are wrong counts as too short as well: the items are reported.
    above = [_location(detail["loc"])[:-1] for detail in details]
    own = [d for d in details if d["type"] != "too_short" or _location(d["loc"]) not in above]
    bounds = [d for d in own if d["type"].startswith(("greater", "less", "too", "string_pattern", "finite"))]
    return (bounds or own)[0]


def _location(location: tuple[int | str, ...]) -> list[int | str]:
    """The path of keys, without pydantic's names for the branches of a union."""
    return [part for part in location if not (isinstance(part, str) and part.startswith(_BRANCHES))]


_BRANCHES = tuple("constrained-int literal[ list[ function- int float str dict[ is-instance".split())


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
