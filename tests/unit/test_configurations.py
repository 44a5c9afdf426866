"""Keys and values of configurations and studies, as users write them: wrong ones are refused before a job starts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, small_study
from takeoff.workflow.project import project_of
from unit.planned_studies import SECRET, TEXT, changed, planned, refused, switched, working_directory


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    return working_directory(tmp_path, monkeypatch)


TYPES = [
    ("network.width", True),
    ("network.dropout", "0"),
    ("network.dropout", False),
    ("recipe.epochs", "5"),
    ("recipe.epochs", True),
    ("recipe.momentum", "0.9"),
    ("recipe.warmup_epochs", True),
    ("seeds", "3"),
    ("seeds", True),
    ("seeds", [True]),
    ("seeds", ["1"]),
    ("seeds", 2.5),
    ("tuning.learning_rates", ["0.1", "0.2"]),
    ("tuning.learning_rates", [True, 0.1]),
    ("tuning.share", True),
    ("margin", "0.01"),
    ("budget.core_hours", "1"),
    ("dataset.train_samples", "100"),
    ("dataset.train_samples", 100.5),
    ("dataset.resolution", "8"),
    ("dataset.validation_fraction", True),
    ("title", 5),
    ("title", None),
    ("network", []),
    ("experiments.factorial", False),
    ("experiments.factorial.threshold", "0.5"),
    ("experiments.factorial.threshold", True),
    ("experiments.factorial.scores", True),
    ("factors", {"dropout": {"baseline": "0", "treatment": 0.5}}),
    ("factors", {"dropout": {"baseline": 0, "treatment": True}}),
    ("factors", {"width": {"baseline": True, "treatment": 2}}),
    ("factors", {"train_samples": {"baseline": "100", "treatment": 200}}),
    ("factors", {"train_samples": {"baseline": 100, "treatment": 200.0}}),
    ("factors", {"norm": {"baseline": False, "treatment": "batch"}}),
]


@pytest.mark.parametrize(("key", "value"), TYPES)
def test_truths_and_quoted_numbers_are_no_numbers(key: str, value: Any) -> None:
    assert key in refused(changed(**{key.replace(".", "__"): value})).replace("factorial: ", "factorial.")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network__width", 1),
        ("tuning__learning_rates", [1, 2]),
        ("seeds", [3, 5]),
        ("factors", {"dropout": {"baseline": 0, "treatment": 0.5}}),
        ("factors", {"width": {"baseline": 1, "treatment": 0.5}}),
        ("experiments__factorial", {"threshold": 0.9, "fixed_rate": 1}),
    ],
)
def test_whole_numbers_are_numbers(key: str, value: Any) -> None:
    assert planned(changed(**{key: value}))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"threads": True}, "threads"),
        ({"threads": "2"}, "threads"),
        ({"partial": 1}, "partial"),
        ({"partial": "yes"}, "partial"),
        ({"checkpoint_minutes": "10"}, "checkpoint_minutes"),
        ({"tracking_minutes": True}, "tracking_minutes"),
        ({"studies": "digits"}, "studies"),
        ({"study": 5}, "study"),
        ({"study": ["digits"]}, "study"),
        ({"tracking_uri": [f"http://me:{SECRET}@host"]}, "tracking_uri"),
        ({"threads": 10**9}, "threads"),
        ({"arms_per_job": 10**9}, "arms_per_job"),
        ({"tracking_minutes": 1e9}, "tracking_minutes"),
        ({"studies": ["x"] * 1000}, "studies"),
        ({"archives": {f"d{number}": "/x" for number in range(2000)}}, "archives"),
        ({"Device": "cpu"}, "did you mean device?"),
        ({"device": "CUDA"}, "did you mean cuda?"),
        ({"resources": {"train": {"keys": 1}}}, "keys: "),
        ({"resources": {"fit": {"append": 1}}}, "append: "),
        ({"resources": {"fit": {"mem_mb": 0}}}, "mem_mb: 0"),  # of Slurm a whole node
        ({"set": "seeds=true"}, "seeds"),
        ({"set": "seeds=!!int x"}, "seeds"),
        ({"set": f"seeds={'9' * 5000}"}, "seeds"),
        ({"set": f"title={'[' * 3000}"}, "title"),
        ({"set": "seeds=1000000"}, "seeds"),
        ({"set": "dataset.train_samples=99999"}, "set=dataset.train_samples=99999"),
        ({"set": "recipe.epoch=5"}, "did you mean epochs?"),
        ({"set": "experiments.factorial.thresholt=0.9"}, "did you mean threshold?"),
    ],
)
def test_the_configuration_is_as_strict(config: dict[str, Any], key: str) -> None:
    assert key in refused(**{"study": "digits"} | config)


def test_a_configuration_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(5000):
        inner["a"] = inner = {}
    assert "nested" in refused(archives=deep)


def test_words_that_snakemake_leaves_are_what_they_say() -> None:
    config = {
        "arms_per_job": "null",
        "log_models": "true",
        "partial": "false",
        "against": "null",
        "tracking_uri": "off",
    }
    machine = planned(TEXT, **config).configuration
    assert (machine.arms_per_job, machine.log_models, machine.partial, machine.against) == (None, True, False, None)
    assert project_of(["study=mine.yaml", "tracking_uri=off", "archives={cifar10: /x}"]).tracking_uri == ""


@pytest.mark.parametrize(
    ("key", "spelt"),
    [
        ("seeds", "sedes"),
        ("seeds", "Seeds"),
        ("title", "titl"),
        ("dataset", "datase"),
        ("tuning", "tuningg"),
        ("factors", "factor"),
        ("experiments", "experiment"),
        ("budget", "buget"),
        ("dataset.name", "nahme"),
        ("dataset.resolution", "resolutoin"),
        ("tuning.learning_rates", "learning_rate"),
        ("budget.core_hours", "corehours"),
        ("factors.norm.treatment", "treatmnt"),
        ("recipe.epochs", "epoch"),
    ],
)
def test_a_misspelt_key_is_named_with_the_right_one(key: str, spelt: str) -> None:
    study = small_study()
    *above, last = key.split(".")
    place = study
    for part in above:
        place = place[part]
    place[spelt] = place.pop(last)
    message = refused(json.dumps(study))
    assert f"{'.'.join([*above, spelt])}: no such key; did you mean {last}?" in message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (changed(network__activation="ReLU"), "relu"),
        (changed(dataset__name="CIFAR-10"), "cifar10"),
        (changed(experiments={"Factorial": {}}), "factorial"),
        (changed(factors={"Dropout": {"baseline": 0, "treatment": 0.5}}), "dropout"),
    ],
)
def test_capitals_hide_no_suggestion(text: str, word: str) -> None:
    assert f"did you mean {word}?" in refused(text)


def test_a_study_beside_one_is_suggested_and_its_file_may_end_in_yml(place: Path) -> None:
    (place / "mine.yaml").write_text(TEXT)
    assert "did you mean the file mine.yaml?" in refused(study="mine")
    assert "did you mean digits?" in refused(study="Digits")
    assert planned(TEXT, "other.yml").folder == Path("results/other")
    (place / "config" / "studies").mkdir(parents=True)
    (place / "config" / "studies" / "own.yml").write_text(TEXT)
    assert planned(study="own").folder == Path("results/own")
    assert "did you mean own?" in refused(study="owm")


MANY = [
    changed(seeds=10**9),
    changed(seeds=10**6),
    changed(seeds=list(range(5000))),
    changed(title="x" * 10**4),
    changed(recipe__epochs=10**9),
    changed(recipe__epoch_images=10**15),
    changed(recipe__batch_size=10**12),
    changed(tuning__blocks=10**9),
    changed(tuning__learning_rates=[place / 10**4 for place in range(1, 500)]),
    changed(tuning__weight_decays=[place / 10**4 for place in range(1, 500)]),
    changed(tuning__first_seed=10**30),
    changed(dataset__train_samples=10**12),
    changed(dataset__test_samples=10**12),
    changed(budget={"runs": 10**15, "core_hours": 1}),
    changed(budget={"runs": 10, "core_hours": 1e300}),
    switched(depth={"epochs": 10**9}),
    switched(depth={"longer": 10**9}),
    switched(depth={"tuning_seeds": 10**7}),
    switched(depth={"rates": [place / 100 for place in range(1, 1000)]}),
    switched(depth={"depths": [2] * 10**4}),
    switched(depth={"depths": [2, 2]}),
    switched(stability={"tuning_seeds": 10**7}),
    switched(scaling={"draws": 10**9}),
    switched(scaling={"widths": [1e9, 1]}),
    switched(factorial={"threshold": 0.9, "scores": 10**9}),
    switched(race={"epochs": 10**9}),
    switched(dropout={"steps": [1, 2, 10**9]}),
    switched(gain={"epochs": list(range(1, 5000))}),
    switched(moment={"methods": ["hog-linear-svm"] * 2}),
    switched(synergy={"plain": ["tanh", "tanh"]}),
]


@pytest.mark.parametrize("text", MANY)
def test_counts_have_an_end(text: str) -> None:
    assert refused(text).startswith("mine.yaml: ")


def test_runs_are_counted_before_they_are_listed() -> None:
    rates = [place / 100 for place in range(1, 90)]
    text = changed(seeds=900, tuning={"learning_rates": rates, "seeds": 90, "blocks": 900})
    assert "runs at least" in refused(text)


def test_an_arm_that_cannot_be_is_refused_in_a_line() -> None:
    """An option fits, and so does the study; together they do not."""
    text = json.dumps(json.loads(switched(scaling={"widths": [1, 16]})) | {"network": {"width": 2}})
    assert "width" in refused(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("against: 2026-02-30", "looks like a date"),
        ("threads: yes", "threads: True"),
        ("checkpoint_minutes: 1:30", "checkpoint_minutes: '1:30'"),
        ("resources: {train: {runtime: 4:00:00}}", "runtime: '4:00:00'"),
    ],
)
def test_snakemake_says_it_in_a_line_too(place: Path, text: str, words: str) -> None:
    (place / "config").mkdir()
    (place / "config" / "config.yaml").write_text(text)
    line = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--cores", "1", "--dry-run"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [one for one in done.stderr.splitlines() if "error" in one.lower()] == [done.stderr.splitlines()[-1]]
    assert words in done.stderr.splitlines()[-1]


def test_a_batch_has_an_image_for_each_process_that_trains_a_run() -> None:
    assert planned(TEXT, gpus_per_run=128).configuration.gpus_per_run == 128
    assert "valid: 1 to 128" in refused(TEXT, gpus_per_run=129)
