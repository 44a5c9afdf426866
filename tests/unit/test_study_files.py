"""Files of studies as text: YAML that is read safely, or refused in a line; and what its numbers and truths are."""

from pathlib import Path

import pytest
from takeoff.common.documents import MOST_BYTES, parse_yaml
from unit.planned_studies import TEXT, planned, refused, working_directory


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    return working_directory(tmp_path, monkeypatch)


def bomb(kind: str) -> str:
    """Nine aliases of nine aliases, and so on."""
    inner = {"list": "[{}]", "mapping": "{{{}}}"}[kind]
    lines = ["a0: &a0 [1, 2]"]
    for level in range(1, 10):
        aliases = [f"*a{level - 1}" if kind == "list" else f"k{place}: *a{level - 1}" for place in range(9)]
        lines.append(f"a{level}: &a{level} {inner.format(', '.join(aliases))}")
    return "\n".join(lines) + "\n"


DOCUMENTS: dict[str, str | bytes] = {
    "a bomb of lists": bomb("list") + TEXT,
    "a bomb of mappings": bomb("mapping") + TEXT,
    "a bomb where a value stands": bomb("list") + TEXT.replace("seeds: 2", "seeds: *a9"),
    "a value in itself": TEXT.replace("title: ", "title: &a [*a]\nother: ", 1),
    "no such anchor": TEXT.replace("seeds: 2", "seeds: *none"),
    "a date that there is not": TEXT.replace("seeds: 2", "seeds: 2026-02-30"),
    "a date": TEXT.replace("seeds: 2", "seeds: 2026-02-03"),
    "a tag of a word": TEXT.replace("seeds: 2", "seeds: !!int word"),
    "a tag that fits": TEXT.replace("seeds: 2", "seeds: !!int 2"),
    "a tag of Python's": TEXT.replace("seeds: 2", "seeds: !!python/object/apply:os.getpid []"),
    "a tag of one's own": TEXT.replace("title: ", "title: !mine ", 1),
    "5,000 digits": TEXT.replace("seeds: 2", f"seeds: {'9' * 5000}"),
    "5,000 digits in a level": TEXT.replace("treatment: batch", f"treatment: {'9' * 5000}"),
    "an infinite number": TEXT.replace("margin: 0.01", "margin: 1.0e+999"),
    "no number": TEXT.replace("margin: 0.01", "margin: .nan"),
    "base 8": TEXT.replace("seeds: 2", "seeds: 010"),
    "base 60": TEXT.replace("seeds: 2", "seeds: 1:30"),
    "deep lists": TEXT.replace("title: ", f"title: {'[' * 5000}", 1),
    "deep lists that end": TEXT.replace("seeds: 2", f"seeds: {'[' * 100}{']' * 100}"),
    "deep mappings": "\n".join(f"{' ' * depth}a:" for depth in range(500)),
    "a huge file": TEXT + "# " + "x" * MOST_BYTES,
    "a list as a key": f"{TEXT}? [a]\n: 1\n",
    "a number as a key": f"{TEXT}1: 1\n",
    "a truth as a key": f"{TEXT}yes: 1\n",
    "a key twice": f"{TEXT}seeds: 3\n",
    "a merged key": TEXT.replace("recipe:\n", "recipe:\n  <<: {epochs: 3}\n"),
    "NUL": TEXT.encode() + b"\0",
    "NUL, written out": TEXT.replace("title: ", 'title: "\\0"\nother: ', 1),
    "half a character": TEXT.replace("title: ", 'title: "\\ud800"\nother: ', 1),
    "a character past all": TEXT.replace("title: ", 'title: "\\UFFFFFFFF"\nother: ', 1),
    "a line break in the title": TEXT.replace("title: ", 'title: "a\\nb"\nother: ', 1).replace("other: ", "# "),
    "another encoding": TEXT.replace("Handwritten", "Händ").encode("latin-1"),
    "bytes": bytes(range(256)),
    "two documents": f"{TEXT}---\n{TEXT}",
    "nothing": "",
    "text": "hello",
    "a list": "- a",
    "tabs": TEXT.replace("  resolution", "\tresolution"),
    "a quote without end": TEXT.replace("title: ", "title: 'open ", 1),
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_file_that_is_no_study(text: str | bytes) -> None:
    assert refused(text).startswith("mine.yaml: ")


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.replace("margin: 0.01", "margin: 1e-2"),
        TEXT.replace("margin: 0.01", "margin: 1.0E-2"),
        TEXT.replace("title: Handwritten digits", "title: 2026-02-30"),
        TEXT.replace("  learning_rates:", "  weight_decays: [*d]\n  learning_rates:").replace(
            "weight_decay: ", "weight_decay: &d "
        ),
    ],
)
def test_a_file_that_is_a_study(text: str | bytes) -> None:
    assert planned(text).study.margin == 0.01


def test_numbers_and_truths_are_those_that_a_study_means() -> None:
    numbers = [0.001, 1.5, -2, 1000, 0.5, 3]
    assert parse_yaml("[1e-3, 1.5, -2, 1_000, .5, +3]", "here") == numbers
    assert parse_yaml("[on, no, ~]", "here") == [True, False, None]
    words = ["010", "1:30", "0x10", "2026-02-30", "3", "<<", "="]
    assert parse_yaml("[010, 1:30, 0x10, 2026-02-30, '3', <<, =]", "here") == words
