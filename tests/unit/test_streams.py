"""Common random numbers: what two arms of one seed share."""

import pytest
import torch
from engine import noise
from takeoff.engine import augmentation
from takeoff.engine.augmentation import Batches, drawn
from takeoff.engine.dataset import Dataset
from takeoff.engine.network import SeededDropout, build
from takeoff.engine.streams import stream
from takeoff.study.settings import Augmentation, Network

CPU = torch.device("cpu")


def batch_of(data: Dataset, chosen: list[Batches]) -> tuple[torch.Tensor, torch.Tensor]:
    """The runs' batch, as a step makes it."""
    return data.batch(data.images.take(torch.cat([own.positions for own in chosen])), chosen)


def test_colours_do_not_change_the_crops() -> None:
    data = noise(64, 8, 3)
    streams = {how: (stream(1, "crops", CPU), stream(1, "colours", CPU)) for how in ("flip-crop", "flip-crop-colour")}
    positions = torch.arange(32).expand(3, 32)
    both = [drawn(positions, how, (8, 8, 3), *own) for how, own in streams.items()]  # type: ignore[arg-type]
    for step in range(3):
        plain, coloured = (batch_of(data, [own.each(lambda t, n=step: t[n])])[0] for own in both)
        shift = coloured - plain
        assert float(shift.abs().max()) > 0.01
        # One shift per image and channel: nothing else moved.
        torch.testing.assert_close(shift, shift.mean((2, 3), keepdim=True).expand_as(shift), atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["none", "flip-crop", "flip-crop-colour"])
@pytest.mark.parametrize("channels", [1, 3])
def test_runs_that_share_a_batch_get_what_each_gets_alone(how: Augmentation, channels: int) -> None:
    """To the bit, with channels that differ and a side that no vector divides."""
    data = noise(60, 9, channels)
    chosen = []
    for run in range(3):
        positions, streams = torch.arange(8) + 10 * run, [stream(run, kind, CPU) for kind in ("crops", "colours")]
        chosen.append(drawn(positions[None], how, (9, 9, channels), *streams).each(lambda steps: steps[0]))
    both, truth = batch_of(data, chosen)
    alone = [batch_of(data, [own]) for own in chosen]
    assert torch.equal(both, torch.cat([own for own, _ in alone], dim=1))
    assert torch.equal(truth, torch.cat([own for _, own in alone]))
    assert both.is_contiguous(memory_format=torch.channels_last)
    assert (how == "none") == torch.allclose(alone[0][0], data.normalised(data.images.take(torch.arange(8))), atol=1e-5)


def test_an_image_is_cropped_and_mirrored_as_its_window_says() -> None:
    """From a black frame an eighth of its side wide: top, left, whether mirrored."""
    image = torch.arange(1, 65, dtype=torch.uint8).reshape(1, 1, 8, 8, 1)
    windows = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 2, 0], [1, 1, 1], [2, 0, 1]], dtype=torch.int32)
    cropped = augmentation.cropped(image.expand(1, 5, 8, 8, 1), windows[None])[..., 0, 0]
    framed = torch.nn.functional.pad(image[0, 0, :, :, 0], (1, 1, 1, 1))
    for (top, left, mirrored), found in zip(windows.tolist(), cropped, strict=True):
        expected = framed[top : top + 8, left : left + 8]
        assert torch.equal(found, expected.flip(1) if mirrored else expected)


def test_every_crop_and_both_sides_are_drawn_alike() -> None:
    windows = drawn(
        torch.zeros(100, 360, dtype=torch.int64), "flip-crop", (16, 16, 1), stream(5, "crops", CPU), stream(5, "c", CPU)
    ).windows
    assert windows is not None
    for place, count in ((0, 5), (1, 5), (2, 2)):
        shares = torch.bincount(windows[..., place].flatten(), minlength=count) / windows[..., place].numel()
        torch.testing.assert_close(shares, torch.full((count,), 1 / count), atol=0.01, rtol=0)


def test_a_norm_does_not_change_the_dropout_masks() -> None:
    ones = torch.ones(8, 500)
    masks = []
    for norm in ("none", "batch"):
        network = build(Network(norm=norm, dropout=0.5, width=0.1), 8, 1, 10, seed=5, device=CPU)  # type: ignore[arg-type]
        dropouts = [m.train() for m in network if isinstance(m, SeededDropout)]
        assert len(dropouts) == 2
        masks.append(torch.stack([dropout(ones) for dropout in dropouts]))
    assert torch.equal(*masks)
    assert not torch.equal(masks[0][0], masks[0][1])
