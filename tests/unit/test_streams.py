"""Common random numbers: what two arms of one seed share."""

import torch
from takeoff.models.network import SeededDropout, build
from takeoff.study.settings import Network

CPU = torch.device("cpu")


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
