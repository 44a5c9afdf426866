"""The engine: augmentation, schedules, and runs that repeat to the bit."""

import math

import numpy as np
import pytest
import torch
from engine import dataset, numbers, train, watched
from takeoff.data.store import principal_components
from takeoff.engine import augmentation
from takeoff.engine.dataset import Dataset
from takeoff.engine.hardware import Hardware
from takeoff.engine.schedule import learning_rate_at, steps_of
from takeoff.engine.state import Epoch, Finished, Training
from takeoff.engine.streams import stream
from takeoff.jobs.checkpoints import Checkpoints
from takeoff.jobs.command import load
from takeoff.jobs.hardware import hardware_of
from takeoff.jobs.running import train as train_runs
from takeoff.study.arms import Run
from takeoff.study.loading import load_study
from takeoff.study.planned import images_of
from takeoff.study.settings import Recipe

# Augmentation ----------------------------------------------------------------------------------------


def test_every_image_gets_its_own_crop_and_flip() -> None:
    rows = torch.arange(1, 17, dtype=torch.uint8)
    image = (10 * rows[:, None] + rows[None, :])[None, :, :, None]
    images = image.expand(2, 200, 16, 16, 3)
    cpu, positions = torch.device("cpu"), torch.arange(200)[None]
    windows = []
    for seed in (0, 1):
        streams = [stream(seed, purpose, cpu) for purpose in ("crops", "colours")]
        windows.append(augmentation.drawn(positions, "flip-crop", (16, 16, 3), *streams).windows[0])
    both = augmentation.cropped(images, torch.stack(windows))
    assert (both.shape, both.dtype) == ((200, 16, 16, 2, 3), torch.uint8)
    out = both.movedim(3, 0).flatten(0, 1)
    padded = torch.nn.functional.pad(image[0, :, :, 0], (2, 2, 2, 2))
    possible = {}
    for top in range(5):
        for left in range(5):
            crop = padded[top : top + 16, left : left + 16]
            possible[tuple(crop.flatten().tolist())] = (top, left, False)
            possible[tuple(crop.flip(1).flatten().tolist())] = (top, left, True)
    drawn = [possible[tuple(picture[:, :, 1].flatten().tolist())] for picture in out]
    assert len(set(drawn)) == 50
    assert 0.4 < np.mean([mirrored for *_, mirrored in drawn]) < 0.6
    assert torch.equal(out[..., 0], out[..., 2])
    alone = augmentation.cropped(images[1:], windows[1][None])
    assert torch.equal(alone[..., 0, :], both[..., 1, :])


def test_colours_move_along_their_principal_components() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(20_000, 3, generator=generator) * torch.tensor([30.0, 10.0, 3.0]) + 128
    images = pixels.clamp(0, 255).to(torch.uint8).reshape(20, 100, 10, 3)
    covariance = np.cov(images.reshape(-1, 3).numpy().T / 255)
    colours = principal_components(covariance)
    np.testing.assert_allclose(colours @ colours.T, covariance, atol=1e-12)
    data = dataset(images.numpy(), np.zeros(20, np.int64), mean=[0.5] * 3, std=[1.0] * 3, colours=colours.tolist())
    streams = [stream(0, purpose, torch.device("cpu")) for purpose in ("crops", "colours")]
    chosen = augmentation.drawn(torch.zeros(1, 50_000, dtype=torch.int64), "flip-crop-colour", (8, 8, 3), *streams)
    shown = data.batch(torch.zeros(50_000, 8, 8, 3, dtype=torch.uint8), [chosen.each(lambda steps: steps[0])])[0]
    np.testing.assert_allclose(np.cov(shown[:, :, 0, 0].T), 0.01 * covariance, rtol=0.05, atol=1e-6)


# Schedules -------------------------------------------------------------------------------------------


def test_rates_climb_then_fall() -> None:
    cosine = Recipe(epochs=10, schedule="cosine", warmup_epochs=2)
    rates = [learning_rate_at(step, 5, 0.1, cosine) for step in range(51)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) / 11 for i in range(10)])
    assert rates[10] == pytest.approx(0.1)
    assert rates[30] == pytest.approx(0.05)
    assert rates[50] == pytest.approx(0, abs=1e-12)
    step = Recipe(epochs=8, schedule="step", warmup_epochs=0)
    assert [learning_rate_at(e * 5, 5, 1.0, step) for e in range(8)] == pytest.approx(
        [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]
    )
    constant = Recipe(epochs=8, schedule="constant", warmup_epochs=0)
    assert {learning_rate_at(e, 5, 0.3, constant) for e in range(40)} == {0.3}


def test_a_set_makes_a_step_at_least_however_few_images_it_has_or_presents() -> None:
    whole = Recipe(batch_size=64)
    assert [steps_of(whole, images) for images in (10, 64, 1037)] == [(1, 1), (1, 1), (16, 16)]
    part = Recipe(batch_size=64, epoch_images=256)
    assert [steps_of(part, images) for images in (10, 1037)] == [(1, 4), (16, 4)]
    assert steps_of(Recipe(batch_size=64, epoch_images=10), 1037) == (16, 1)


# The engine ------------------------------------------------------------------------------------------


def test_a_network_learns_digits(images, arm, hardware) -> None:
    records = train(images, arm({"epochs": 8}, norm="batch", activation="relu"), Run(0, 0.05), hardware)
    *epochs, last = records
    assert [type(r) for r in records] == [Epoch] * 9 + [Finished]
    assert epochs[0].values["validation_accuracy"] < 0.3
    assert epochs[0].values["train_loss"] > math.log(10) * 0.8
    assert last.values["test_accuracy"] > 0.85
    assert last.values["test_top5_accuracy"] > 0.98
    assert last.values["train_accuracy"] > last.values["test_accuracy"]
    assert not last.values["diverged"]
    assert epochs[-1].values["step"] == 8 * (1038 // 128)


@pytest.mark.parametrize(
    "levels",
    [
        {"norm": "batch", "dropout": 0.5, "augmentation": "flip-crop-colour"},
        {"response_norm": "local", "activation": "gelu", "pooling": "plain"},
    ],
)
def test_the_same_seed_gives_the_same_numbers_to_the_bit(images, arm, hardware, levels: dict) -> None:
    first = numbers(train(images, arm(**levels), Run(3, 0.05), hardware))
    torch.manual_seed(123)  # no draw of ours may come from torch's global stream
    assert numbers(train(images, arm(**levels), Run(3, 0.05), hardware)) == first
    assert numbers(train(images, arm(**levels), Run(4, 0.05), hardware)) != first


def test_runs_do_not_depend_on_which_ran_before(images, arm, hardware) -> None:
    alone = numbers(train(images, arm(dropout=0.5), Run(1, 0.05), hardware))
    both = train_runs(images, arm(dropout=0.5), [Run(0, 0.1), Run(1, 0.05)], hardware, Checkpoints())
    assert numbers([record for record in both if record.run.seed == 1]) == alone


def test_arms_of_one_seed_see_the_same_images_in_the_same_order(images, arm, hardware, monkeypatch) -> None:
    seen = watched(monkeypatch)
    for levels in ({}, {"norm": "batch", "dropout": 0.5, "activation": "tanh"}):
        train(images, arm(**levels), Run(2, 0.01), hardware)
    assert seen[:16] == seen[16:]
    epoch = [i for batch in seen[:8] for i in batch]
    assert len(set(epoch)) == len(epoch) == 8 * 128
    assert set(epoch) <= set(images.split(None, 2)[0].tolist())


def test_a_tuning_run_never_reads_the_test_images(images, arm, hardware) -> None:
    blind = Dataset(**{**vars(images), "test_images": None, "test_labels": None})
    last = train(blind, arm(), Run(1_000_000, 0.05, final=False), hardware)[-1]
    assert not any(key.startswith("test") for key in last.values)
    assert 0 < last.values["validation_accuracy"] <= 1


def test_a_run_that_tunes_for_its_end_is_scored_at_its_ends_alone_and_ends_the_same(images, arm, hardware) -> None:
    scored = {
        word: [record.values for record in train(images, own, Run(1, rate, final), hardware)]
        for word, own, rate, final in (
            ("tuning", arm({"epochs": 3}), 0.05, False),
            ("final", arm({"epochs": 3}), 0.05, True),
            ("soonest", arm({"epochs": 3}).model_copy(update={"target": 0.75}), 0.05, False),
            ("best", arm({"epochs": 3, "keep": "best"}), 0.05, False),
            ("diverging", arm({"epochs": 3}), 100.0, False),
        )
    }
    epochs = {word: [row["epoch"] for row in rows if "epoch" in row] for word, rows in scored.items()}
    assert epochs["tuning"] == [0, 3]
    assert epochs["final"] == epochs["soonest"] == epochs["best"] == [0, 1, 2, 3]
    assert epochs["diverging"] == [0, 1]
    assert scored["diverging"][-1]["diverged"]
    for key in ("train_loss", "validation_loss", "validation_accuracy", "best_epoch", "flops"):
        assert scored["tuning"][-1][key] == scored["final"][-1][key]


@pytest.mark.parametrize("rate", [1e4, 100.0])
def test_a_run_that_diverges_is_a_result(images, arm, hardware, rate: float) -> None:
    last = train(images, arm(activation="relu"), Run(0, rate), hardware)[-1]
    assert last.values["diverged"] is True
    assert math.isnan(last.values["train_loss"])
    assert last.values["test_accuracy"] == pytest.approx(0.1)
    assert last.values["test_top5_accuracy"] == pytest.approx(0.5)


def test_a_killed_run_goes_on_from_its_checkpoint(images, arm, hardware, tmp_path) -> None:
    rich = arm({"epochs": 4, "augmentation": "flip-crop"}, norm="batch", dropout=0.5)
    whole = numbers(train(images, rich, Run(0, 0.05), hardware))
    checkpoints = Checkpoints(tmp_path, every_seconds=0, key=lambda run: f"run-{run.seed}")
    records = train_runs(images, rich, [Run(0, 0.05)], hardware, checkpoints)
    for record in records:
        if record.values["epoch"] == 2:
            break  # the job is killed
    records.close()
    assert (tmp_path / "run-0.checkpoint").exists()
    resumed = train(images, rich, Run(0, 0.05), hardware, checkpoints)
    assert numbers(resumed) == whole
    assert not list(tmp_path.glob("*.checkpoint"))


def test_parts_of_an_epoch_go_through_one_order_of_the_images(images, hardware, arm) -> None:
    # 1,037 training images are 16 batches of 64, in parts of 4, and of 6, where a pass ends within a part.
    whole = Training(images, arm(recipe={"batch_size": 64}), Run(0, 0.05), hardware)
    orders = [whole.batches().positions for _ in range(3)]
    quarters = Training(images, arm(recipe={"batch_size": 64, "epoch_images": 256}), Run(0, 0.05), hardware)
    for order in orders:
        assert torch.equal(torch.cat([quarters.batches().positions for _ in range(4)]), order)
        assert len(order.unique()) == order.numel() == 1024
    uneven = Training(images, arm(recipe={"batch_size": 64, "epoch_images": 384}), Run(0, 0.05), hardware)
    assert torch.equal(torch.cat([uneven.batches().positions for _ in range(8)]), torch.cat(orders))
    # What is left of a pass is kept for a run that goes on later.
    begun, resumed = quarters, Training(images, quarters.arm, Run(0, 0.05), hardware)
    begun.batches()
    resumed.load_state(begun.state())
    for _ in range(5):
        assert torch.equal(resumed.batches().positions, begun.batches().positions)


def test_a_damaged_checkpoint_counts_as_none(images, arm, hardware, tmp_path) -> None:
    lines: list[str] = []
    checkpoints = Checkpoints(tmp_path, 0, lambda run: "run", lines.append)
    path, fresh = tmp_path / "run.checkpoint", Training(images, arm(), Run(0, 0.05), hardware)
    fresh.begin()
    checkpoints.keep([fresh])
    whole = path.read_bytes()
    middle = [bytes([*whole[:n], whole[n] ^ 1, *whole[n + 1 :]]) for n in range(0, len(whole), len(whole) // 40)]
    cut = [whole[:n] for n in range(0, len(whole), len(whole) // 20)]
    other = [b"PK not a checkpoint", b"", whole + b"x", whole[32:], b"\0" * len(whole)]
    for content in [*middle, *cut, *other]:
        path.write_bytes(content)
        state = Training(images, arm(), Run(0, 0.05), hardware)
        checkpoints.restore(state)
        assert state.epoch == 0
        assert not path.exists()
    assert len(lines) == len([*middle, *cut, *other])
    path.write_bytes(whole[: len(whole) // 2])
    found = train(images, arm(), Run(0, 0.05), hardware, checkpoints)
    assert numbers(found) == numbers(train(images, arm(), Run(0, 0.05), hardware))


def test_the_best_epoch_stands_though_the_run_diverges_after_it(images, arm, hardware, monkeypatch) -> None:
    """The rate of the seventh epoch is a million times what it should be."""
    usual = Training.rates
    monkeypatch.setattr(
        Training, "rates", lambda self: [rate * (1e6 if self.epoch == 6 else 1) for rate in usual(self)]
    )
    kept, lost = (
        train(images, arm({"epochs": 8, "keep": keep}, activation="relu"), Run(0, 0.05), hardware)[-1].values
        for keep in ("best", "last")
    )
    assert 0 < kept["best_epoch"] <= 6
    assert kept["diverged"] is False
    assert kept["test_accuracy"] > 0.3
    assert lost["diverged"] is True


def test_fewer_images_than_a_batch_still_train(images, arm, hardware) -> None:
    last = train(images, arm(train_samples=50), Run(0, 0.05), hardware)
    assert last[-2].values["step"] == 2
    assert 0 <= last[-1].values["validation_accuracy"] <= 1


def test_bfloat16_learns_as_well(images, arm, hardware) -> None:
    half = Hardware(hardware.device, "bfloat16", "cpu")
    chosen = arm({"epochs": 6}, norm="batch")
    exact = train(images, chosen, Run(0, 0.05), hardware)[-1].values["test_accuracy"]
    rounded = train(images, chosen, Run(0, 0.05), half)[-1].values["test_accuracy"]
    assert rounded == pytest.approx(exact, abs=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_a_gpu_trains_as_the_cpu_does(images, digits, arm, hardware, write_study) -> None:
    gpu = hardware_of("cuda", "float32")
    there = load(digits, images_of(load_study(write_study())), gpu.device)
    for levels in ({"norm": "batch"}, {"norm": "batch", "dropout": 0.5, "augmentation": "flip-crop"}):
        chosen = arm({"epochs": 6}, **levels)
        on_gpu = train(there, chosen, Run(0, 0.05), gpu)
        assert numbers(train(there, chosen, Run(0, 0.05), gpu)) == numbers(on_gpu)
        on_cpu = train(images, chosen, Run(0, 0.05), hardware)
        assert on_gpu[0].values["train_loss"] == pytest.approx(on_cpu[0].values["train_loss"], rel=1e-3)
        assert on_gpu[-1].values["test_accuracy"] == pytest.approx(on_cpu[-1].values["test_accuracy"], abs=0.08)


def test_images_are_normalised_per_channel() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    card = {"mean": (pixels / 255).mean((0, 1, 2)).tolist(), "std": (pixels / 255).std((0, 1, 2)).tolist()}
    data = dataset(pixels, np.arange(50) % 2, **card)
    out = data.normalised(data.images.take(torch.arange(50)))
    assert out.shape == (50, 3, 8, 8)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


# Recipes ---------------------------------------------------------------------------------------------


def test_sets_of_all_sizes_make_as_many_steps(images, arm, hardware, monkeypatch) -> None:
    batches = watched(monkeypatch)
    recipe = {"epoch_images": 1038}
    for samples, batch in ((50, 40), (400, 128), (1000, 128)):
        batches.clear()
        last = train(images, arm(recipe, train_samples=samples), Run(0, 0.05), hardware)[-2].values
        seen = [image for batch in batches for image in batch]
        assert last["step"] == 2 * (1038 // 128)
        assert len(seen) == last["step"] * batch
        passes = 2 * -(-8 // ((samples - samples // 5) // batch))
        assert max(seen.count(image) for image in set(seen)) <= passes
        assert set(seen) <= set(images.split(samples, 0)[0].tolist())
    epoch = train(images, arm(train_samples=1000), Run(0, 0.05), hardware)[-2].values
    assert epoch["step"] == 2 * (800 // 128)


def test_the_best_epochs_weights_are_kept(images, arm, hardware) -> None:
    # A rate that ruins what was learned: constant, and large.
    recipe = {"epochs": 8, "schedule": "constant", "warmup_epochs": 0}
    run = Run(3, 0.45)
    *curve, last = train(images, arm(recipe), run, hardware)
    *same, best = train(images, arm(recipe | {"keep": "best"}), run, hardware)
    accuracies = [epoch.values["validation_accuracy"] for epoch in curve]
    assert accuracies == [epoch.values["validation_accuracy"] for epoch in same]
    assert accuracies[-1] < max(accuracies)
    kept = ("best_epoch", "validation_accuracy")
    assert [last.values[key] for key in kept] == [8, accuracies[-1]]
    assert [best.values[key] for key in kept] == [accuracies.index(max(accuracies)), max(accuracies)]
    early = train(images, arm(recipe | {"epochs": best.values["best_epoch"]}), run, hardware)[-1]
    assert best.values["test_accuracy"] == early.values["test_accuracy"]
    assert best.values["train_loss"] == early.values["train_loss"]


def test_every_image_that_was_right_is_remembered(images, arm, hardware) -> None:
    values = train(images, arm(norm="batch"), Run(0, 0.05), hardware)[-1].values
    number = len(images.test_labels)
    first = np.unpackbits(np.frombuffer(values["test_correct"], np.uint8), count=number)
    five = np.unpackbits(np.frombuffer(values["test_top5_correct"], np.uint8), count=number)
    assert first.mean() == pytest.approx(values["test_accuracy"])
    assert five.mean() == pytest.approx(values["test_top5_accuracy"])
    assert (first <= five).all()
