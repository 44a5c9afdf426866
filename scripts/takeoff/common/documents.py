"""Reading YAML and JSON as a study needs them: text, numbers, true and false, null, lists, keys with values, no more.

What else YAML has is refused, or is plain text: dates, tags, merged keys, numbers to other bases. So are files without
end, values nested without end, and aliases that stand for more than anybody wrote.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import one_line, shown, unprintable

MOST_BYTES = 200_000
"""Of a file: many times as many as the longest here has, read in seconds."""
MOST_VALUES, DEEPEST = 300_000, 30
"""In a file, aliases written out; and how deep they are nested."""
WHOLE = r"[-+]?(?:0|[1-9][0-9_]*)"
FRACTION = (
    r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|"
    r"\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
"""As in YAML 1.2: `1e-3` is a number, and `010` none."""
LONGEST_NUMBER = 60
"""Digits: what is longer is text."""


class _Loader(yaml.SafeLoader):
    """SafeLoader, without what a study has no use for; keys are text, and each stands once."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as PyYAML has it)
        first: [(tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] in {"bool", "null"}]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse what has a tag."""
        event = self.peek_event()
        if tag := getattr(event, "tag", None):
            raise yaml.YAMLError(f"line {event.start_mark.line + 1} has the tag {tag}; valid: a value without a tag")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """YAML lets the later of two equal keys win without a word; a study must not."""
        keys: set[str] = set()
        for key_node, _ in node.value:
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise yaml.YAMLError(
                    f"line {line} has the key {key!r}; valid: text, in quotes where it looks otherwise"
                )
            if key in keys:
                raise yaml.YAMLError(f"key {key!r} stands twice, line {line}")
            keys.add(key)
        return super().construct_mapping(node, deep)


for kind, numbers in (("int", WHOLE), ("float", FRACTION)):
    pattern = re.compile(rf"(?=.{{1,{LONGEST_NUMBER}}}$)(?:{numbers})$")
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", pattern, list("-+.0123456789"))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a file of YAML, or of JSON; TakeoffError where there is no such file, or it holds no mapping."""
    try:
        if not path.is_file():  # a device or a pipe has no end
            kind = "a folder" if path.is_dir() else "no regular file" if path.exists() else None
            raise TakeoffError(f"{path}: {f'is {kind}' if kind else 'there is no such file'}; valid: a file of YAML")
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise TakeoffError(f"{one_line(str(path))}: {getattr(error, 'strerror', None) or error}") from None
    content = (_parse_json if path.suffix == ".json" else parse_yaml)(text, str(path))
    if not isinstance(content, dict):
        raise TakeoffError(f"{path}: expected keys and values, found {type(content).__name__}")
    return content


def parse_yaml(text: str | bytes, source: str) -> Any:
    """The value of a YAML text, which came from `source`; TakeoffError where it is no YAML, or too much of it."""
    return _checked(lambda: yaml.load(text, Loader=_Loader), text, source, "YAML")


def _parse_json(text: bytes, source: str) -> Any:
    """Not every JSON is YAML: it may be indented by tabs, and write a character as two."""
    return _checked(lambda: json.loads(text, object_pairs_hook=_once), text, source, "JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    for key, number in Counter(key for key, _ in pairs).items():
        if number > 1:
            raise ValueError(f"key {key!r} stands twice")
    return dict(pairs)


def _checked(read: Callable[[], Any], text: str | bytes, source: str, kind: str) -> Any:
    """What is read of a text, if it is neither too long nor wrong."""
    if len(text) > MOST_BYTES:
        raise TakeoffError(f"{source}: too long; valid: up to {MOST_BYTES:,} bytes")
    try:
        content = read()
    except RecursionError:
        raise TakeoffError(f"{source}: nested too deep; valid: up to {DEEPEST} levels") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two of a character that there is not
        raise TakeoffError(f"{source}: not valid {kind}: {one_line(str(error))}") from None
    check_plain(content, source)
    return content


def check_plain(content: Any, source: str) -> None:
    """Refuse, with a TakeoffError, values that are too many, nested too deep, or text that no line can show."""
    left, count = [("", content, 0)], 1
    while left:
        where, value, depth = left.pop()
        inner = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list | tuple) else {}
        count += len(inner)
        if depth > DEEPEST:
            raise TakeoffError(f"{source}: nested too deep; valid: up to {DEEPEST} levels")
        if count > MOST_VALUES:
            raise TakeoffError(f"{source}: too many values, aliases written out; valid: up to {MOST_VALUES:,}")
        for text in (value, *inner):
            if isinstance(text, str) and unprintable(text.replace("\n", " ").replace("\t", " ")):
                words = f"{shown(text)} has characters that cannot be printed; valid: others"
                raise TakeoffError(f"{source}: {one_line(where.removeprefix('.'))}: {words}")
        left += [(f"{where}.{key}", each, depth + 1) for key, each in inner.items()]
