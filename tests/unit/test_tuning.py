"""How an arm gets its rate: by validation, by the soonest crossing, from a choice_from, or fixed."""

import json
from collections.abc import Callable

import pandas as pd
import pytest
from takeoff.common.errors import TakeoffError
from takeoff.common.files import load_json
from takeoff.engine.tuning import choose_rate, choose_soonest
from takeoff.jobs.arm_job import ArmJob
from takeoff.jobs.runs import remark
from takeoff.study.arms import make_arm
from takeoff.study.loading import load_study
from takeoff.study.planned import planned_arms
from takeoff.workflow.images import Shape
from takeoff.workflow.planning import plan_runs


def row(rate: float, seed: int, epochs: float | None, accuracy: float) -> dict:
    return {
        "learning_rate": rate,
        "weight_decay": 0.0,
        "seed": seed,
        "epochs_to_target": epochs,
        "train_accuracy": accuracy,
        "validation_accuracy": accuracy,
        "validation_loss": 1.0,
        "diverged": False,
    }


def rows(accuracies: dict[float, list[float]], **more: object) -> list[dict]:
    return [
        row(rate, seed, None, accuracy) | more for rate, own in accuracies.items() for seed, accuracy in enumerate(own)
    ]


def test_the_best_mean_over_seeds_wins() -> None:
    choice = choose_rate(rows({0.01: [0.5, 0.6], 0.1: [0.7, 0.7], 1.0: [0.9, 0.1]}), 1000)
    assert choice.learning_rate == 0.1
    assert not choice.at_edge
    assert not choice.untuned
    assert choice.spread == pytest.approx(0.2)


def test_a_rate_at_the_grids_edge_is_reported() -> None:
    assert choose_rate(rows({0.01: [0.5, 0.6], 0.1: [0.7, 0.7]}), 1000).at_edge
    assert choose_rate(rows({0.01: [0.9, 0.9], 0.1: [0.7, 0.7]}), 1000).at_edge


def test_tied_rates_are_marked_untuned() -> None:
    choice = choose_rate(rows({0.01: [0.1, 0.1], 0.1: [0.105, 0.1], 1.0: [0.1, 0.1]}, validation_loss=None), 1000)
    assert choice.untuned
    assert choice.learning_rate == 0.1
    assert "untuned" in remark(choice)


def test_the_soonest_rate_wins_whatever_it_ends_at() -> None:
    tuned = [row(0.1, 1, 2.0, 0.8), row(0.1, 2, 2.5, 0.8), row(0.01, 1, 3.0, 0.99), row(0.01, 2, 3.0, 0.99)]
    choice = choose_soonest(tuned, horizon=10)
    assert choice.learning_rate == 0.1
    assert choice.grid[1]["epochs_to_target"] == pytest.approx(2.25)
    assert [run["epochs_to_target"] for run in choice.runs] == [3.0, 3.0, 2.0, 2.5]


def test_a_rate_that_crosses_once_goes_before_one_that_never_does() -> None:
    tuned = [row(0.1, 1, None, 0.7), row(0.1, 2, None, 0.7), row(0.3, 1, 9.0, 0.8), row(0.3, 2, None, 0.1)]
    choice = choose_soonest(tuned, horizon=10)
    assert (choice.learning_rate, choice.untuned) == (0.3, False)
    never = choose_soonest([row(0.1, 1, None, 0.7), row(0.3, 1, None, 0.1)], horizon=10)
    assert (never.learning_rate, never.untuned) == (0.1, True)


def test_a_weight_decay_may_be_chosen_by_longer_runs(images, hardware, write_study, tmp_path) -> None:
    tuning = {"learning_rates": [0.01, 0.05], "weight_decays": [0.0005, 0.02], "search": "line", "seeds": 1}
    tuning |= {"share": 0.25, "decay_share": 1.0}
    study = load_study(write_study(tuning=tuning, seeds=1, recipe={"epochs": 4, "warmup_epochs": 0}))
    (arm,) = planned_arms(study, {"factorial": [make_arm(study, {})]})
    (choice,) = ArmJob(arm, images, hardware, tmp_path / "arms" / arm.name, report=lambda _: None).tune()
    rate = choice.learning_rate
    tried = [(run["learning_rate"], run["weight_decay"], run["epochs"]) for run in choice.runs]
    assert tried == [(0.01, 0.0005, 1), (0.05, 0.0005, 1), (rate, 0.0005, 4), (rate, 0.02, 4)]
    held_out = len(images.split(arm.train_samples, 0)[1])
    assert rate == choose_rate(choice.runs[:2], held_out).learning_rate
    assert choice.weight_decay == choose_rate(choice.runs[2:], held_out).weight_decay
    runs = plan_runs([arm], Shape(1000, 200, 10, 1), 1e9)
    planned = [(run.learning_rate, run.weight_decay, run.epochs) for run in runs if run.purpose == "tune"]
    assert planned == [(0.01, 0.0005, 1), (0.05, 0.0005, 1), (None, 0.0005, 4), (None, 0.02, 4)]


@pytest.mark.parametrize("changes", [{"search": "grid"}, {"share": 1.0}])
def test_longer_runs_for_weight_decays_are_a_lines(changes, write_study) -> None:
    tuning = {"learning_rates": [0.01, 0.05], "weight_decays": [0.0005, 0.02], "search": "line"}
    with pytest.raises(TakeoffError, match="decay_share"):
        load_study(write_study(tuning=tuning | {"share": 0.5, "decay_share": 0.75} | changes))


def test_each_final_seed_chooses_for_itself_and_what_it_takes_goes_with_its_seed(
    images, hardware, write_study, tmp_path
) -> None:
    tuning = {"learning_rates": [0.0001, 0.05], "weight_decays": [0.0005, 0.02], "blocks": 3, "seeds": 1}
    study = load_study(write_study(tuning=tuning, seeds=3, recipe={"epochs": 1, "warmup_epochs": 0}))
    chooser = make_arm(study, {}, seeds=(0, 2))
    taker = make_arm(study, {"norm": "batch"}, choice_from=chooser.name, seeds=(1, 2))
    first, second = (
        ArmJob(arm, images, hardware, tmp_path / "arms" / arm.name, report=lambda _: None)
        for arm in planned_arms(study, {"factorial": [chooser, taker]})
    )
    # Seed 1 is the taker's alone: its block chooses all the same.
    assert [(block.number, block.seeds) for block in first.arm.blocks] == [(0, (0,)), (1, ()), (2, (2,))]
    tried = {seed for block in first.arm.blocks for seed in block.tuning_seeds}
    assert len(tried) == 3
    choices = first.tune()
    assert [choice.seeds for choice in choices] == [list(block.tuning_seeds) for block in first.arm.blocks]
    for choice in choices:
        assert {(run["learning_rate"], run["weight_decay"]) for run in choice.runs} == set(first.arm.grid)
        keys = (
            ("validation_loss", "validation_accuracy") if choice.untuned else ("validation_accuracy", "validation_loss")
        )
        signs = {"validation_accuracy": 1, "validation_loss": -1}
        best = max(choice.runs, key=lambda run: [signs[key] * run[key] for key in keys])
        assert (choice.learning_rate, choice.weight_decay) == (best["learning_rate"], best["weight_decay"])
    first.train(choices)
    second.train(second.tune())
    made = {choice.block: (choice.learning_rate, choice.weight_decay) for choice in choices}
    for name, seeds in ((chooser.name, (0, 2)), (taker.name, (1, 2))):
        rows = pd.read_parquet(tmp_path / "arms" / name / "runs.parquet").set_index("seed")
        assert {seed: tuple(rows.loc[seed, ["learning_rate", "weight_decay"]]) for seed in seeds} == {
            seed: made[seed] for seed in seeds
        }


def test_a_line_tries_other_decays_with_the_best_rate_alone_on_a_study_s_own_seeds_in_shorter_runs(
    images, hardware, write_study, tmp_path
) -> None:
    tuning = {"learning_rates": [0.0001, 0.01, 0.05], "weight_decays": [0.0005, 0.02, 0.1], "blocks": 2, "seeds": 1}
    tuning |= {"search": "line", "first_seed": 2_000_000, "share": 0.5}
    study = load_study(write_study(tuning=tuning, seeds=2, recipe={"epochs": 2, "warmup_epochs": 0}))
    (arm,) = planned_arms(study, {"factorial": [make_arm(study, {})]})
    job = ArmJob(arm, images, hardware, tmp_path / "arms" / arm.name, report=lambda _: None)
    choices = job.tune()
    job.train(choices)
    rows = [json.loads(path.read_text())["run"] for path in (tmp_path / "arms" / arm.name / "runs").glob("*.json")]
    assert sorted(row["epochs"] for row in rows) == [1] * 10 + [2] * 2
    for choice in choices:
        assert choice.seeds == [2_000_000 + 100 * choice.block]
        decays = [run["weight_decay"] for run in choice.runs]
        assert decays == [0.0005, 0.0005, 0.0005, 0.02, 0.1]
        first = {run["learning_rate"]: run["validation_accuracy"] for run in choice.runs[:3]}
        assert [*first] == [0.0001, 0.01, 0.05]
        best = max(first, key=lambda rate: first[rate])
        assert {run["learning_rate"] for run in choice.runs[3:]} == {best}
        assert choice.learning_rate == best


@pytest.fixture
def job(images, hardware, write_study, tmp_path) -> Callable[..., tuple[ArmJob, list[str]]]:
    study = load_study(write_study())

    def make(**more: object) -> tuple[ArmJob, list[str]]:
        arm = make_arm(study, {"norm": "batch"}, recipe={"epochs": 1}, **more)
        (planned,) = planned_arms(study, {"factorial": [arm]})
        said: list[str] = []
        return ArmJob(planned, images, hardware, tmp_path / "arms" / arm.name, report=said.append), said

    return make


def test_a_target_is_reached_in_passes_however_often_it_is_looked_for(images, hardware, write_study, tmp_path) -> None:
    study = load_study(write_study())
    found = {}
    for parts in (1, 4):
        # 16 steps of 64 images are a pass.
        recipe = {"batch_size": 64, "schedule": "constant", "warmup_epochs": 0, "epochs": 6 * parts}
        recipe |= {"epoch_images": 1024 // parts}
        arm = make_arm(study, {"norm": "batch"}, recipe=recipe, target=0.9, learning_rates=(0.0001, 0.02))
        (planned,) = planned_arms(study, {"race": [arm]})
        (choice,) = ArmJob(planned, images, hardware, tmp_path / str(parts), report=lambda _: None).tune()
        assert choice.learning_rate == 0.02
        runs = {(run["learning_rate"], run["seed"]): run["epochs_to_target"] for run in choice.runs}
        assert runs[0.0001, 1_000_000] is None
        found[parts] = runs[0.02, 1_000_000]
        # Runs that never reach it count as a little more than the whole time they had.
        assert 6 < choice.spread + min(row["epochs_to_target"] for row in choice.grid if row["epochs_to_target"]) < 7
    # The same steps, looked at four times as often.
    assert found[1] == pytest.approx(found[4], abs=1)
    assert found[4] < 6


def test_a_fixed_rate_shares_the_runs_of_the_arm_that_has_it(job) -> None:
    tuned, _ = job()
    tuned.train(tuned.tune())
    rate = load_json(tuned.folder / "learning_rate.json")["choices"][0]["learning_rate"]
    other = 0.1 if rate == 0.01 else 0.01
    same, said = job(learning_rate=rate, choice_from=tuned.arm.name)
    same.train(same.tune())
    assert len(said) == 1, "nothing is trained"
    pd.testing.assert_frame_equal(
        pd.read_parquet(same.folder / "runs.parquet").drop(columns="arm"),
        pd.read_parquet(tuned.folder / "runs.parquet").drop(columns="arm"),
    )
    fixed, said = job(learning_rate=other, choice_from=tuned.arm.name, seeds=(1,))
    fixed.train(fixed.tune())
    assert len(said) == 2
    rows = pd.read_parquet(fixed.folder / "runs.parquet")
    assert rows[["seed", "learning_rate"]].to_numpy().tolist() == [[1, other]]


def test_an_arm_takes_another_arms_rate(job, tmp_path) -> None:
    tuned, _ = job()
    tuned.tune()
    (made,) = load_json(tuned.folder / "learning_rate.json")["choices"]
    assert len(made["runs"]) == 2 * 2
    assert {"train_accuracy", "validation_accuracy", "seed", "learning_rate"} <= set(made["runs"][0])
    taker, said = job(choice_from=tuned.arm.name, seeds=(0,))
    taker.folder = tmp_path / "arms" / "taker"
    (choice,) = taker.tune()
    assert (choice.learning_rate, choice.choice_from) == (made["learning_rate"], tuned.arm.name)
    assert said == [
        f"{tuned.arm.name}: learning rate {choice.learning_rate:g}, weight decay 0.0005 (as {tuned.arm.name})"
    ]
    taker.arm = taker.arm.model_copy(update={"choice_from": "nobody"})
    with pytest.raises(TakeoffError, match=r"nobody/learning_rate\.json: there is no such file"):
        taker.tune()


def test_a_target_is_what_the_rate_is_chosen_by(job) -> None:
    racer, _ = job(target=0.12)
    racer.tune()
    (made,) = load_json(racer.folder / "learning_rate.json")["choices"]
    reached = [run["epochs_to_target"] for run in made["runs"] if run["epochs_to_target"] is not None]
    assert reached
    assert all(0 <= epochs <= 1 for epochs in reached)
    by_rate = {rate["learning_rate"]: rate["epochs_to_target"] or 2 for rate in made["grid"]}
    assert made["learning_rate"] == min(by_rate, key=lambda rate: by_rate[rate])
