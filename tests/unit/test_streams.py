"""Common random numbers: what two arms of one seed share."""

import pytest
import torch
from engine import noise
from takeoff.engine.augmentation import flip_and_crop
from takeoff.engine.network import SeededDropout, build
from takeoff.engine.streams import stream
from takeoff.study.settings import Augmentation, Network

CPU = torch.device("cpu")
CROPPED = [35, 34, 29, 18, 28, 20]
"""The pixel in row 3 and column 3 of six crops of an image whose pixels are 0 to 63, at `e42e1b7`."""


def test_colours_do_not_change_the_crops() -> None:
    data = noise(64, 8, 3)
    streams = {how: (stream(1, "crops", CPU), stream(1, "colours", CPU)) for how in ("flip-crop", "flip-crop-colour")}
    for _ in range(3):
        plain, coloured = (
            data.batch([torch.arange(32)], how, [crops], [colours])[0]  # type: ignore[arg-type]
            for how, (crops, colours) in streams.items()
        )
        shift = coloured - plain
        assert float(shift.abs().max()) > 0.01
        # One shift per image and channel: nothing else moved.
        torch.testing.assert_close(shift, shift.mean((2, 3), keepdim=True).expand_as(shift), atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["none", "flip-crop", "flip-crop-colour"])
@pytest.mark.parametrize("channels", [1, 3])
def test_runs_that_share_a_batch_get_what_each_gets_alone(how: Augmentation, channels: int) -> None:
    """To the bit, with channels that differ and a side that no vector divides."""
    data = noise(60, 9, channels)
    chosen = [torch.arange(8) + 10 * run for run in range(3)]

    def batch(runs: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        crops, colours = ([stream(run, kind, CPU) for run in runs] for kind in ("crops", "colours"))
        return data.batch([chosen[run] for run in runs], how, crops, colours)

    both, truth = batch([0, 1, 2])
    alone = [batch([run]) for run in range(3)]
    assert torch.equal(both, torch.cat([own for own, _ in alone], dim=1))
    assert torch.equal(truth, torch.cat([own for _, own in alone]))
    assert both.is_contiguous(memory_format=torch.channels_last)
    assert (how == "none") == torch.allclose(alone[0][0], data.normalised(data.images[:8]), atol=1e-5)


def test_crops_of_a_seed_stay_what_they_were() -> None:
    """Those that the results in results/reference were trained on: top before left, and which half is mirrored."""
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8, 1)
    cropped = flip_and_crop(image.expand(1, 6, 8, 8, 1), [stream(5, "crops", CPU)])
    assert cropped[:, 3, 3, 0, 0].tolist() == CROPPED


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
