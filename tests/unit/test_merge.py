"""Merging runs, by the command: what is taken and what is left, from folders and packed files, and what is refused."""

import json
import lzma
import tarfile

import pytest


def record(folder, arm, key, **changes):
    path = folder / "arms" / arm / "runs" / f"{key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"run": {"run_key": key, "seed": 0}, "curve": [], "probe": []} | changes))
    return path


@pytest.fixture
def place(tmp_path, write_study):
    """The small study, and results of it: three runs to take, one of another arm, two damaged ones."""
    source, study = tmp_path / "source", write_study()
    for number in range(3):
        record(source, "relu+batch" if number else "relu", f"{number:016x}")
    record(source, "another-arm", f"{3:016x}")
    record(source, "relu", f"{4:016x}", run={"run_key": f"{9:016x}"})
    record(source, "relu", f"{5:016x}").write_text('{"run": ')
    return study, source, tmp_path / "results"


def test_runs_are_taken_once_and_what_is_left_is_counted(place, command):
    study, source, results = place
    line = ("merge", "--study", study, "--results", results)
    said = command.done(*line, source).stdout
    assert said == f"{source}: runs 3 taken, 0 already there, 1 of other arms, 2 damaged\n"
    names = {path.name for path in results.rglob("*") if path.is_file()}
    assert names == {f"{number:016x}.json" for number in range(3)}
    (results / "arms" / "relu" / "runs" / f"{0:016x}.json").write_text("half-writ")
    assert "runs 1 taken, 2 already there" in command.done(*line, source).stdout


def test_packed_runs_are_the_same_bytes_and_merge_alike(place, command, tmp_path):
    study, source, results = place
    packed = [tmp_path / name / "runs.tar.xz" for name in ("one", "two")]
    for path in packed:
        command.done("merge", "--study", study, "--results", source, "--pack", path)
        for file in source.rglob("*.json"):
            file.touch()
    assert packed[0].read_bytes() == packed[1].read_bytes()
    with tarfile.open(packed[0]) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.mtime, member.uid, member.mode) for member in members} == {(0, 0, 0o644)}
    # A folder that holds packed runs, as one that is committed, or the file itself.
    line = ("merge", "--study", study, "--results", results)
    assert "runs 3 taken" in command.done(*line, packed[0].parent).stdout
    assert "runs 0 taken, 3 already there" in command.done(*line, packed[0]).stdout
    run = "arms/relu/runs/0000000000000000.json"
    assert (results / run).read_bytes() == (source / run).read_bytes()


def test_what_cannot_be_merged_is_one_line(place, command, tmp_path):
    study, source, results = place
    line = ("merge", "--study", study, "--results", results)
    empty, torn = tmp_path / "empty", tmp_path / "torn.tar.xz"
    empty.mkdir()
    command.done("merge", "--study", study, "--results", source, "--pack", torn)
    torn.write_bytes(torn.read_bytes()[:-60])
    whole, cut = tmp_path / "whole.tar.xz", tmp_path / "cut.tar"  # between two members
    command.done("merge", "--study", study, "--results", source, "--pack", whole)
    with tarfile.open(whole) as archive:
        last = archive.getmembers()[-1]
    cut.write_bytes(lzma.decompress(whole.read_bytes())[: last.offset])
    wrong = [((empty,), "no arms/"), ((tmp_path / "nowhere",), "no such file"), ((torn,), "damaged")]
    for given, words in [*wrong, ((cut,), "damaged")]:
        assert words in command.refused(*line, *given)
    assert "--pack" in command.refused(*line)
    assert "no arms/" in command.refused("merge", "--study", study, "--results", empty, "--pack", torn)
    assert not results.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"dataset": 5}, "dataset: 5 is not valid; valid: "),
        ({"dataset": {"name": "digits"}, "factors": [1]}, "factors: [1] is not valid; valid: "),
        ({"dataset": {"name": "digits"}, "factors": {"norm": "batch"}}, "factors.norm: 'batch' is not valid; valid: "),
        ({}, "None with no factors; valid: the study compared, digits with norm"),
    ],
)
def test_a_source_whose_study_is_wrong_is_one_line(place, command, content, words):
    study, source, results = place
    (source / "study.json").write_text(json.dumps(content))
    assert f"study.json: {words}" in command.refused("merge", "--study", study, "--results", results, source)
    assert not results.exists()
