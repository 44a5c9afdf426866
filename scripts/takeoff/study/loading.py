"""Reading a study or the machine's configuration from YAML, with one message for whatever is wrong."""

from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from takeoff.errors import TakeoffError, choices
from takeoff.study.arms import make_arm
from takeoff.study.model import FACTORS, Level, Study

Model = TypeVar("Model", bound=BaseModel)
STUDIES = Path(__file__).parents[3] / "config" / "studies"


def study_path(name_or_path: str, folder: Path = STUDIES) -> Path:
    """The file of a study, given its name in `config/studies` or a path.

    Raises:
        TakeoffError: there is no such study.

    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml", ".json"}:
        if not path.is_file():
            raise TakeoffError(f"study={name_or_path}: there is no such file")
        return path
    if (folder / f"{name_or_path}.yaml").is_file():
        return folder / f"{name_or_path}.yaml"
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    raise TakeoffError(
        f"study={name_or_path}: no such study; {choices(name_or_path, known)}, or a path to a file"
    )


def load_study(path: Path) -> Study:
    """The study in `path`, its factors' levels checked.

    Raises:
        TakeoffError: the file cannot be read, or a key, a level or a value is wrong.

    """
    study = check(Study, read_yaml(path), path)
    for name, factor in study.factors.items():
        if name not in FACTORS:
            raise TakeoffError(f"{path}: factors.{name}: no such factor; {choices(name, FACTORS)}")
        for role in ("baseline", "treatment"):
            _check_level(study, path, name, role, getattr(factor, role))
    return study


def _check_level(study: Study, path: Path, factor: str, role: str, level: Level) -> None:
    key = f"factors.{factor}.{role}"
    if factor == "train_samples":
        allowed = study.dataset.train_samples
        if level == allowed:
            return
        if not isinstance(level, int) or level < 1 or (isinstance(allowed, int) and level > allowed):
            raise TakeoffError(
                f"{path}: {key}: {level!r} is not possible; valid: a whole number of images up to "
                f"dataset.train_samples ({allowed})"
            )
        return
    try:
        make_arm(study, {factor: level})
    except ValidationError as error:
        message = _describe(error, type(study.network) if FACTORS[factor] is None else FACTORS[factor])
        raise TakeoffError(f"{path}: {key}: {message.split(': ', 1)[1]}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        TakeoffError: the file is missing, is no YAML, or holds no mapping.

    """
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
    """Validate `content`, which came from `source`, as `model`.

    Raises:
        TakeoffError: one line naming the file, the key, the value and what would be valid.

    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise TakeoffError(f"{source}: {_describe(error, model)}") from None


def _describe(error: ValidationError, model: type[BaseModel] | None) -> str:
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
    """The error to tell: of a union's several, the one about a bound that the value breaks."""
    # A list whose items are wrong counts as too short as well: the items are told.
    above = [_location(detail["loc"])[:-1] for detail in details]
    own = [d for d in details if d["type"] != "too_short" or _location(d["loc"]) not in above]
    bounds = [d for d in own if d["type"].startswith(("greater", "less", "too", "string_pattern", "finite"))]
    return (bounds or own)[0]


def _location(location: tuple[int | str, ...]) -> list[int | str]:
    """The path of keys, without pydantic's names for the branches of a union."""
    names = (
        "constrained-int",
        "literal[",
        "list[",
        "function-",
        "int",
        "float",
        "str",
        "dict[",
        "is-instance",
    )
    return [part for part in location if not (isinstance(part, str) and part.startswith(names))]


def _keys_at(model: type[BaseModel] | None, location: tuple[int | str, ...]) -> list[str]:
    """The keys that are valid at a place in a nested model."""
    for part in location:
        if model is None or part not in model.model_fields:
            # Inside a mapping of models: its values' model has the keys.
            continue
        annotation = model.model_fields[str(part)].annotation
        models = [a for a in (annotation, *_nested(annotation)) if isinstance(a, type)]
        model = next((a for a in models if issubclass(a, BaseModel)), None)
    return list(model.model_fields) if model else []


def _nested(annotation: Any) -> list[Any]:
    arguments = list(get_args(annotation))
    return arguments + [inner for argument in arguments for inner in _nested(argument)]
