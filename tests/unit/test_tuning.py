"""How an arm gets its rate: by validation, by the soonest crossing, from a lender, or fixed."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from takeoff.errors import TakeoffError
from takeoff.files import load_json
from takeoff.study.arms import Arm, make_arm
from takeoff.study.loading import load_study
from takeoff.training.hardware import Hardware
from takeoff.training.jobs import ArmJob
from takeoff.training.resident import Resident
from takeoff.training.tuning import choose_soonest


def row(rate: float, seed: int, epochs: float | None, accuracy: float) -> dict:
    return {
        "learning_rate": rate,
        "seed": seed,
        "epochs_to_target": epochs,
        "train_accuracy": accuracy,
        "validation_accuracy": accuracy,
        "validation_loss": 1.0,
        "diverged": False,
    }


def test_the_soonest_rate_wins_whatever_it_ends_at() -> None:
    rows = [row(0.1, 1, 2.0, 0.8), row(0.1, 2, 2.5, 0.8), row(0.01, 1, 3.0, 0.99), row(0.01, 2, 3.0, 0.99)]
    choice = choose_soonest(rows, horizon=10)
    assert choice.learning_rate == 0.1
    assert choice.grid[1]["epochs_to_target"] == pytest.approx(2.25)
    assert [run["epochs_to_target"] for run in choice.runs] == [3.0, 3.0, 2.0, 2.5]


def test_a_rate_that_crosses_once_goes_before_one_that_never_does() -> None:
    rows = [row(0.1, 1, None, 0.7), row(0.1, 2, None, 0.7), row(0.3, 1, 9.0, 0.8), row(0.3, 2, None, 0.1)]
    choice = choose_soonest(rows, horizon=10)
    assert (choice.learning_rate, choice.untuned) == (0.3, False)
    never = choose_soonest([row(0.1, 1, None, 0.7), row(0.3, 1, None, 0.1)], horizon=10)
    assert (never.learning_rate, never.untuned) == (0.1, True)


@pytest.fixture
def job(
    images: Resident, hardware: Hardware, write_study: Callable[..., Path], tmp_path: Path
) -> Callable[..., tuple[ArmJob, list[str]]]:
    study = load_study(write_study())

    def make(**more: object) -> tuple[ArmJob, list[str]]:
        arm: Arm = make_arm(study, {"norm": "batch"}, recipe={"epochs": 1}, **more)
        said: list[str] = []
        return ArmJob(study, arm, images, hardware, tmp_path / "arms" / arm.name, say=said.append), said

    return make


def test_a_target_is_reached_in_passes_however_often_it_is_looked_for(
    images: Resident, hardware: Hardware, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    study = load_study(write_study())
    found = {}
    for parts in (1, 4):
        # 16 steps of 64 images are a pass.
        recipe = {"batch_size": 64, "schedule": "constant", "warmup_epochs": 0, "epochs": 6 * parts}
        recipe |= {"epoch_images": 1024 // parts}
        arm = make_arm(study, {"norm": "batch"}, recipe=recipe, target=0.9, rates=(0.0001, 0.02))
        folder = tmp_path / "arms" / str(parts)
        choice = ArmJob(study, arm, images, hardware, folder, say=lambda _: None).tune()
        assert choice.learning_rate == 0.02
        runs = {(run["learning_rate"], run["seed"]): run["epochs_to_target"] for run in choice.runs}
        assert runs[0.0001, 1_000_000] is None
        found[parts] = runs[0.02, 1_000_000]
        # Runs that never reach it count as a little more than the whole time they had.
        assert (
            6
            < choice.spread + min(row["epochs_to_target"] for row in choice.grid if row["epochs_to_target"])
            < 7
        )
    # The same steps, looked at four times as often.
    assert found[1] == pytest.approx(found[4], abs=1)
    assert found[4] < 6


def test_a_fixed_rate_shares_the_runs_of_the_arm_that_has_it(
    job: Callable[..., tuple[ArmJob, list[str]]],
) -> None:
    tuned, _ = job()
    tuned.train(tuned.tune())
    rate = load_json(tuned.folder / "learning_rate.json")["learning_rate"]
    other = 0.1 if rate == 0.01 else 0.01
    same, said = job(learning_rate=rate, lender=tuned.arm.name)
    same.train(same.tune())
    assert len(said) == 1, "nothing is trained"
    pd.testing.assert_frame_equal(
        pd.read_parquet(same.folder / "runs.parquet").drop(columns="arm"),
        pd.read_parquet(tuned.folder / "runs.parquet").drop(columns="arm"),
    )
    fixed, said = job(learning_rate=other, lender=tuned.arm.name, seeds=(1,))
    fixed.train(fixed.tune())
    assert len(said) == 2
    rows = pd.read_parquet(fixed.folder / "runs.parquet")
    assert rows[["seed", "learning_rate"]].to_numpy().tolist() == [[1, other]]


def test_an_arm_takes_its_lenders_rate(job: Callable[..., tuple[ArmJob, list[str]]], tmp_path: Path) -> None:
    tuned, _ = job()
    tuned.tune()
    made = load_json(tuned.folder / "learning_rate.json")
    assert len(made["runs"]) == 2 * 2
    assert {"train_accuracy", "validation_accuracy", "seed", "learning_rate"} <= set(made["runs"][0])
    borrower, said = job(lender=tuned.arm.name, seeds=(0,))
    borrower.folder = tmp_path / "arms" / "borrower"
    choice = borrower.tune()
    assert (choice.learning_rate, choice.lender) == (made["learning_rate"], tuned.arm.name)
    assert said == [f"{tuned.arm.name}: learning rate {choice.learning_rate:g} (as {tuned.arm.name})"]
    borrower.arm = borrower.arm.model_copy(update={"lender": "nobody"})
    with pytest.raises(
        TakeoffError, match=r"nobody/learning_rate\.json: there is no such file; tune nobody first"
    ):
        borrower.tune()


def test_a_target_is_what_the_rate_is_chosen_by(job: Callable[..., tuple[ArmJob, list[str]]]) -> None:
    racer, _ = job(target=0.12)
    racer.tune()
    made = load_json(racer.folder / "learning_rate.json")
    reached = [run["epochs_to_target"] for run in made["runs"] if run["epochs_to_target"] is not None]
    assert reached
    assert all(0 <= epochs <= 1 for epochs in reached)
    by_rate = {rate["learning_rate"]: rate["epochs_to_target"] or 2 for rate in made["grid"]}
    assert made["learning_rate"] == min(by_rate, key=lambda rate: by_rate[rate])
