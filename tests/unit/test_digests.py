"""Digests: what changes a result changes them, what only people read does not."""

import subprocess
import sys
from pathlib import Path

import pytest
from takeoff.common import digests

SOURCE = '"""A module."""\n\nRATE = 1\n"""Of learning."""\n\n\ndef f(x):\n    """Double."""\n    return 2 * x\n'


def clear() -> None:
    for cached in (digests.code_digest, digests.closure, digests._syntax):
        cached.cache_clear()


@pytest.fixture
def digest_of_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(digests, "PACKAGE", tmp_path)
    (tmp_path / "engine").mkdir()

    def digest(source: str, name: str = "a.py") -> str:
        for old in (tmp_path / "engine").iterdir():
            old.unlink()
        (tmp_path / "engine" / name).write_text(source)
        clear()
        return digests.code_digest("engine")

    yield digest
    clear()


def test_comments_docstrings_and_layout_do_not_count(digest_of_source) -> None:
    same = SOURCE.replace("A module", "Another").replace("Double", "Twice").replace("= 1", "= 1  # why")
    same = same.replace("return 2 * x", "return (\n        2 * x\n    )")
    assert digest_of_source(same) == digest_of_source(SOURCE)


def test_code_counts(digest_of_source) -> None:
    whole = digest_of_source(SOURCE)
    assert digest_of_source(SOURCE.replace("2 * x", "3 * x")) != whole
    assert digest_of_source(SOURCE, name="b.py") != whole


def test_what_is_imported_counts(digest_of_source, tmp_path: Path) -> None:
    (tmp_path / "statistics").mkdir()
    (tmp_path / "statistics" / "__init__.py").write_text("")
    other = tmp_path / "statistics" / "crossing.py"
    for source, depends in (
        ("from takeoff.statistics.crossing import first\n", True),
        ("def f():\n    from takeoff.statistics import crossing\n", True),
        ("import takeoff.statistics.crossing\n", True),
        ("if TYPE_CHECKING:\n    from takeoff.statistics import crossing\n", False),
        ("import statistics\n", False),
    ):
        other.write_text("first = 1\n")
        before = digest_of_source(source)
        other.write_text("first = 2\n")
        assert (digest_of_source(source) != before) == depends


def test_the_engines_digest_covers_what_it_imports_and_nothing_else() -> None:
    modules = [f"takeoff.engine.{p.stem}" for p in (digests.PACKAGE / "engine").glob("[!_]*.py")]
    code = f"import sys, {', '.join(modules)}\nprint(*(m for m in sys.modules if m.startswith('takeoff.')))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=digests.PACKAGE.parent
    )
    covered = {name.removesuffix(".py").replace("/", ".") for name in digests.closure(digests.ENGINE)}
    imported = {name.removeprefix("takeoff.") for name in done.stdout.split()}
    assert {name.removesuffix(".__init__") for name in covered} == imported
    assert not {name.split(".")[0] for name in imported} & {"experiments", "jobs", "figures", "workflow"}
