"""What made a study's files: Snakemake's own records are not copied with results."""

import shutil
from pathlib import Path

import pytest
from takeoff.workflow.provenance import FILE, Provenance

DIGESTS = {"study.json": "a", "claims.csv": "b", "race/measured.csv": "c"}


def make(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(file)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place in which a study was run to its end."""
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    made = Provenance(Path("study"), DIGESTS)
    assert made.outdated() == []
    made.begin()
    make(Path("study"), *DIGESTS)
    made.end(since=0)
    return tmp_path / "there"


def copied(there: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]) -> Provenance:
    """The same results in another place, where some rules have another digest."""
    shutil.copytree(there / "study", there.with_name("here") / "study")
    monkeypatch.chdir(there.with_name("here"))
    return Provenance(Path("study"), DIGESTS | changed)


def test_snakemake_looks_after_what_it_has_records_of(there: Path) -> None:
    assert Provenance(Path("study"), DIGESTS | {"claims.csv": "other"}).outdated() == []


def test_a_clone_may_move_with_its_records(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move(there, there.with_name("moved"))
    monkeypatch.chdir(there.with_name("moved"))
    assert Provenance(Path("study"), DIGESTS | {"claims.csv": "other"}).outdated() == []


def test_results_that_were_renamed_beside_have_no_records(there: Path) -> None:
    shutil.move("study", "renamed")
    assert Provenance(Path("renamed"), DIGESTS | {"claims.csv": "other"}).outdated() == [Path("renamed/claims.csv")]


@pytest.mark.parametrize("changed", [{}, {"claims.csv": "other"}, {"study.json": "x", "race/measured.csv": "y"}])
def test_of_a_copy_what_other_code_or_another_study_has_made_is_found(
    there: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]
) -> None:
    made = copied(there, monkeypatch, changed)
    outdated = made.outdated()
    assert outdated == [Path("study") / file for file in changed]
    # Until it is made anew here, it is found again by each run; then Snakemake has its record.
    made.begin()
    assert Provenance(Path("study"), DIGESTS | changed).outdated() == outdated
    make(Path("study"), *changed)
    made.end(since=min((path.stat().st_mtime for path in outdated), default=float("inf")))
    assert Provenance(Path("study"), DIGESTS | {"claims.csv": "third"}).outdated() == (
        [] if "claims.csv" in changed else [Path("study/claims.csv")]
    )


def test_of_a_run_that_was_killed_a_copy_trusts_nothing(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("study")
    Provenance(Path("study"), DIGESTS).begin()
    make(Path("study"), "study.json", "claims.csv")
    assert Provenance(Path("study"), DIGESTS).outdated() == []
    made = copied(there, monkeypatch, {})
    assert made.outdated() == [Path("study/study.json"), Path("study/claims.csv")]


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"study.json": 1}'])
def test_a_damaged_list_vouches_for_nothing(there: Path, damage: str) -> None:
    (Path("study") / FILE).write_text(damage)
    assert len(Provenance(Path("study"), DIGESTS).outdated()) == len(DIGESTS)


def test_results_without_a_list_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("study"), *DIGESTS)
    made = Provenance(Path("study"), DIGESTS)
    assert made.outdated() == []
    made.begin()
    assert Provenance(Path("study"), DIGESTS).outdated() == []
    assert Provenance(Path("study"), DIGESTS | {"claims.csv": "other"}).outdated() == [Path("study/claims.csv")]
