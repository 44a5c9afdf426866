"""Common random numbers: what two arms of one seed share."""

import numpy as np
import torch
from takeoff.models.network import SeededDropout, build
from takeoff.models.streams import stream
from takeoff.study.settings import Network
from takeoff.training.resident import on_device

CPU = torch.device("cpu")


def test_colours_do_not_change_the_crops() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    card = {"mean": [0.5] * 3, "std": [0.2] * 3, "classes": ["a", "b"], "digest": "none"}
    labels = np.arange(64) % 2
    data = on_device((pixels, labels), (pixels, labels), card, 0.2, CPU)
    streams = {
        how: (stream(1, "crops", CPU), stream(1, "colours", CPU)) for how in ("flip-crop", "flip-crop-colour")
    }
    for _ in range(3):
        plain, coloured = (
            data.batch([torch.arange(32)], how, [crops], [colours])[0]  # type: ignore[arg-type]
            for how, (crops, colours) in streams.items()
        )
        shift = coloured - plain
        assert float(shift.abs().max()) > 0.01
        # One shift per image and channel: nothing else moved.
        torch.testing.assert_close(
            shift, shift.mean((2, 3), keepdim=True).expand_as(shift), atol=1e-5, rtol=0
        )


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
