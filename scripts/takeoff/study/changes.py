"""A study changed from the command line: values that go before those of its file, under a name that says so."""

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from takeoff.common.addresses import without_secrets
from takeoff.common.documents import parse_yaml, read_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.files import digest_of, write_text
from takeoff.common.spelling import one_line, shown
from takeoff.study.loading import study_of
from takeoff.study.model import Study

FOLDER = "studies"
"""Of the results: where changed studies are written."""
PLAIN = re.compile(r"[A-Za-z0-9.=_+-]+")
"""What stands in the name of a file as it is."""
VALID = "valid: key=value, as in 'seeds=8 recipe.epochs=20'"
LONGEST = 100
"""Characters of a name."""


class ChangedStudy(NamedTuple):
    """A study with changes, and the file among the results that it goes to."""

    path: Path
    study: Study
    text: str

    def write(self) -> None:
        """Write the file where it does not say the same already."""
        if not self.path.is_file() or self.path.read_text(encoding="utf-8") != self.text:
            write_text(self.path, self.text)


def changed_study(path: Path, changes: str, results: Path) -> ChangedStudy:
    """The study in `path` with `changes` (`seeds=8 recipe.epochs=20`), and a file named after it with the changes,
    sorted by key.

    Raises TakeoffError where a change is no key with a value, goes below a key that holds none, or is not valid.
    """
    content, made = read_yaml(path), _parsed(changes)
    address = str(made.get("dataset.archive", ""))
    if re.match(r"https?:", address, re.IGNORECASE) and without_secrets(address) != address:
        raise TakeoffError(
            "set: dataset.archive: the changes name files and commands, so that an address in them has no password and "
            "no query; valid: such an address in a study's file, or in archives of config.yaml"
        )
    for key, value in made.items():
        _put(content, key, value)
    study = study_of(content, f"set={one_line(changes)}")
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return ChangedStudy(results / FOLDER / f"{_name(path.stem, made)}.yaml", study, text)


def _parsed(changes: str) -> dict[str, Any]:
    """The values by their dotted keys, in the order of these."""
    found: dict[str, Any] = {}
    try:
        words = shlex.split(changes)
    except ValueError as error:
        raise TakeoffError(f"set={one_line(changes)}: {error}; {VALID}") from None
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not re.fullmatch(r"[a-z_0-9]+(\.[a-z_0-9-]+)*", key):
            raise TakeoffError(f"set={one_line(changes)}: {one_line(word)}: {VALID}")
        if key in found:
            raise TakeoffError(f"set={one_line(changes)}: {key} stands twice; valid: each key once")
        found[key] = parse_yaml(text, f"set={one_line(changes)}: {key}: {shown(text)}")
    return dict(sorted(found.items()))


def _put(study: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    place: Any = study
    for name in above:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise TakeoffError(f"set={key}: {name} is {place!r}, and has no keys below it")
    place[last] = value


def _name(study: str, changes: dict[str, Any]) -> str:
    words = [f"{key}={_text(value)}" for key, value in changes.items()]
    name = ",".join([study, *words])
    if len(name) <= LONGEST and all(map(PLAIN.fullmatch, words)):
        return name
    return f"{study},{'+'.join(changes)[: LONGEST // 2]},{digest_of(changes)[:8]}"


def _text(value: Any) -> str:
    return "+".join(map(_text, value)) if isinstance(value, list) else str(value)
