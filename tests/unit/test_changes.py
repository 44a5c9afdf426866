"""Studies changed from the command line: what is written, under which name, and what is refused."""

from pathlib import Path

import pytest
from conftest import REPOSITORY
from takeoff.common.errors import TakeoffError
from takeoff.study.changes import changed_study
from takeoff.study.loading import load_study

DIGITS = REPOSITORY / "config" / "studies" / "digits.yaml"


def test_a_changed_study_has_its_values_and_a_name_that_says_so(tmp_path: Path) -> None:
    changed = changed_study(DIGITS, "seeds=8 recipe.epochs=20 tuning.learning_rates=[0.1,0.2]", tmp_path)
    changed.write()
    path = changed.path
    assert path.stem == "digits,recipe.epochs=20,seeds=8,tuning.learning_rates=0.1+0.2"
    before, after = load_study(DIGITS), load_study(path)
    assert (after.seeds, after.recipe.epochs, after.tuning.learning_rates) == (8, 20, [0.1, 0.2])
    assert before.factors == after.factors
    written = path.stat().st_mtime_ns
    again = changed_study(DIGITS, "recipe.epochs=20  tuning.learning_rates=[0.1,0.2] seeds=8", tmp_path)
    again.write()
    assert again == changed
    assert path.stat().st_mtime_ns == written


def test_a_name_that_no_file_can_have_is_a_digest(tmp_path: Path) -> None:
    made = {changed_study(DIGITS, f"title='a/{word} {{b}}'", tmp_path).path for word in ("x", "y")}
    assert len(made) == 2
    assert all(path.parent == tmp_path / "studies" and path.stem.startswith("digits,title,") for path in made)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("seeds", "seeds: valid: key=value"),
        ("seeds=8 'open", "No closing quotation"),
        ("recipe.epchs=20", "recipe.epchs: no such key; did you mean epochs?"),
        ("seeds=many", "seeds: 'many' is not valid"),
        ("seeds=3 margin=0.1 seeds=4", "seeds stands twice"),
        ("seeds.more=2", "seeds is 6, and has no keys below it"),
        ("seeds=[", "not valid YAML"),
        ("../x=2", "valid: key=value"),
        ("dataset.name=birds dataset.archive=https://me:s3cret@host/x.tgz", "dataset.archive"),
        ("dataset.name=birds dataset.archive=https://host/x.tgz?key=s3cret", "dataset.archive"),
    ],
)
def test_a_change_that_is_wrong_is_refused_and_writes_nothing(tmp_path: Path, changes: str, words: str) -> None:
    with pytest.raises(TakeoffError) as refused:
        changed_study(DIGITS, changes, tmp_path)
    assert words in str(refused.value)
    assert str(refused.value).startswith("set")
    assert "s3cret" not in str(refused.value)
    assert not any(tmp_path.iterdir())
