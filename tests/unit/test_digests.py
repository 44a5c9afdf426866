"""Digests: what changes a result changes them, what only people read does not."""

from pathlib import Path

import pytest
from takeoff import digests

SOURCE = (
    '"""A module."""\n\nRATE = 1\n"""Of learning."""\n\n\ndef f(x):\n    """Double."""\n    return 2 * x\n'
)


@pytest.fixture
def digest_of_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(digests, "PACKAGE", tmp_path)
    (tmp_path / "engine").mkdir()

    def digest(source: str, name: str = "a.py") -> str:
        for old in (tmp_path / "engine").iterdir():
            old.unlink()
        (tmp_path / "engine" / name).write_text(source)
        digests.code_digest.cache_clear()
        return digests.code_digest("engine")

    yield digest
    digests.code_digest.cache_clear()


def test_comments_docstrings_and_layout_do_not_count(digest_of_source) -> None:
    same = SOURCE.replace("A module", "Another").replace("Double", "Twice").replace("= 1", "= 1  # why")
    same = same.replace("return 2 * x", "return (\n        2 * x\n    )")
    assert digest_of_source(same) == digest_of_source(SOURCE)


def test_code_counts(digest_of_source) -> None:
    whole = digest_of_source(SOURCE)
    assert digest_of_source(SOURCE.replace("2 * x", "3 * x")) != whole
    assert digest_of_source(SOURCE, name="b.py") != whole


def test_figures_and_tables_are_no_part_of_the_engine() -> None:
    assert digests.ENGINE == ("models", "training", "data/splits.py", "randomness.py")
