"""Studies and configurations changed at random: planned, or refused in a line that says where; in seconds, and nothing
else.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from conftest import small_study
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from takeoff.common.commands import in_one_line
from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import unprintable
from unit.planned_studies import FEW, SECRET, TEXT, planned, working_directory

from faults.bounds import bounded
from faults.hostile import HOSTS, OTHERS, PIECES, SCHEMES, YAML, misspelt, number

SECONDS, MEGABYTES = 5, 2000
STUDY = small_study(
    experiments={
        "factorial": {"threshold": 0.5},
        "depth": {"depths": [2, 3], "rates": [0.01, 0.1]},
        "race": {"width": 0.25, "error": 0.5, "epochs": 2},
        "scaling": {"widths": [0.5, 1]},
    },
    factors=FEW,
    budget={"runs": 100_000, "core_hours": 10**6},
)
Place = tuple[str | int, ...]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    return working_directory(tmp_path, monkeypatch)


def outcome(text: str | bytes | None = None, **config: Any) -> str | None:
    """The line with which it is refused, or None of what is planned; anything else fails."""
    with bounded(SECONDS, MEGABYTES):
        try:
            planned(text, **config)
        except TakeoffError as error:
            line = in_one_line(error)
        else:
            return None
    assert not unprintable(line)
    assert len(line) < 2000
    assert SECRET not in line
    return line


def leaves(value: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """The place of each value that holds no others, and it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from leaves(each, (*at, key))
    if not isinstance(value, dict | list):
        yield at, value


def with_value(at: Place, value: Any) -> dict[str, Any]:
    """The study with another value at a place."""
    study = json.loads(json.dumps(STUDY))
    inner = study
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return study


def pick_place(dice: Random) -> tuple[Place, Any]:
    return dice.choice(list(leaves(STUDY)))


def is_named(at: Place, value: Any, line: str) -> bool:
    """Whether a line names the key at this place, or the value that stands there."""
    keys = [str(key) for key in at if isinstance(key, str)]
    return any(re.search(rf"\b{key}", line) for key in keys[-2:]) or str(value)[:20] in line


@pytest.mark.tries(quick=12, whole=150)
def test_numbers_of_any_size(dice: Random) -> None:
    at, _ = dice.choice([leaf for leaf in leaves(STUDY) if isinstance(leaf[1], int | float)])
    value = number(dice)
    line = outcome(yaml.safe_dump(with_value(at, value)))
    assert line is None or (line.startswith("mine.yaml: ") and is_named(at, value, line))


@pytest.mark.tries(quick=12, whole=150)
def test_values_of_other_kinds(dice: Random) -> None:
    at, old = pick_place(dice)
    value = dice.choice(OTHERS)
    line = outcome(json.dumps(with_value(at, value)))
    assert line is None or (line.startswith("mine.yaml: ") and is_named(at, value, line))
    if isinstance(old, int | float) and isinstance(value, bool | str):
        assert line is not None


@pytest.mark.tries(quick=12, whole=100)
def test_misspelt_keys(dice: Random) -> None:
    at, _ = pick_place(dice)
    depth = dice.choice([depth for depth, key in enumerate(at) if isinstance(key, str)])
    above, key = at[:depth], str(at[depth])
    study = json.loads(json.dumps(STUDY))
    inner = study
    for part in above:
        inner = inner[part]
    wrong = misspelt(dice, key)
    inner[wrong] = inner.pop(key)
    line = outcome(json.dumps(study))
    assert line is not None
    assert line.startswith("mine.yaml: ")
    assert wrong in line
    if len(key) > 4:
        assert f"did you mean {key}?" in line


DOCUMENT = yaml.safe_dump(STUDY, sort_keys=False)


@pytest.mark.tries(quick=12, whole=100)
def test_yaml_as_a_value(dice: Random) -> None:
    lines = DOCUMENT.splitlines()
    row = dice.choice([row for row, line in enumerate(lines) if re.search(r": \S|- \S", line)])
    hostile = dice.choice(YAML)
    lines[row] = re.sub(r"(: |- )\S.*", lambda found: f"{found[1]}{hostile}", lines[row], count=1)
    line = outcome("\n".join(lines) + "\n")
    assert line is None or line.startswith("mine.yaml: ")
    if hostile.startswith(("!!", "*")):
        assert line is not None


@pytest.mark.tries(quick=12, whole=100)
def test_bytes_of_a_file(dice: Random) -> None:
    data = bytearray(DOCUMENT.encode())
    for _ in range(dice.choice([1, 1, 2, 5, 40])):
        start = dice.randrange(len(data))
        stop = min(len(data), start + dice.choice([1, 1, 3, 30]))
        piece = data[start:stop]
        sign = bytes([dice.choice(b" :-#[{&*!\n\t'\"|>%@,~")])
        data[start:stop] = dice.choice([b"", piece + piece, dice.randbytes(1), sign, b"\xff\xfe"])
    if not dice.randrange(5):
        data = data[: dice.randrange(len(data))]
    line = outcome(bytes(data))
    assert line is None or line.startswith("mine.yaml: ")


KEYS = ("results", "archives", "tracking_uri", "study", "studies", "against", "archive")


@pytest.mark.tries(quick=12, whole=200)
def test_paths_and_addresses(dice: Random) -> None:
    scheme = dice.choice(SCHEMES)
    host = [dice.choice(HOSTS)] if "//" in scheme else []
    text = scheme + "/".join([*host, *dice.choices(PIECES, k=dice.randrange(1, 4))])
    key = dice.choice(KEYS)
    if key == "archive":
        images = STUDY["dataset"] | {"name": "birds", "archive": text}
        line = outcome(json.dumps(STUDY | {"dataset": images}))
        assert line is None or line.startswith("mine.yaml: ")
        return
    value = {"archives": {"digits": text}, "studies": [text]}.get(key, text)
    Path("mine.yaml").write_text(TEXT)
    line = outcome(**{"study": "mine.yaml", key: value})
    if line is not None:
        assert key in line


@pytest.mark.tries(quick=12, whole=100)
def test_keys_of_the_configuration(dice: Random) -> None:
    keys = (
        "threads gpus_per_run image_memory_mb arms_per_job resources checkpoint_minutes partial tracking_minutes "
        "log_models leave_out_damaged device precision set study archives"
    ).split()
    key = dice.choice(keys)
    value = dice.choice([*OTHERS, number(dice), number(dice), dice.choice(YAML)])
    wrong = misspelt(dice, key) if not dice.randrange(4) else key
    if key == "set":
        given = dice.choice(["seeds", "recipe.epochs", "a", "", "network", "title"])
        value = f"{given}={dice.choice([*YAML, number(dice)])}"
    Path("mine.yaml").write_text(TEXT)
    line = outcome(**{"study": "mine.yaml", wrong: value})
    if wrong != key:
        assert line is not None
        assert wrong in line
    elif line is not None:
        assert key in line or is_named((key,), value, line)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
EDITS = st.lists(st.tuples(st.sampled_from([at for at, _ in leaves(STUDY)]), VALUES), min_size=1, max_size=3)


@pytest.mark.own_tries(quick=30, whole=300)
def test_whatever_hypothesis_thinks_of(tries: int, tried: Callable[[], None]) -> None:
    @settings(
        max_examples=tries, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(EDITS)
    def changed_at_once(edits: list[tuple[Place, Any]]) -> None:
        tried()
        study = json.loads(json.dumps(STUDY))
        for at, value in edits:
            inner = study
            for key in at[:-1]:
                inner = inner[key]
            inner[at[-1]] = value
        line = outcome(json.dumps(study))
        assert line is None or line.startswith("mine.yaml: ")

    changed_at_once()
