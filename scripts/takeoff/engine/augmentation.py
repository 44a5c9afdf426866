"""Crops, flips and colour of several runs' images at once, drawn per image, on their device, from a stream per run."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

COLOUR_DEVIATION = 0.1


def flip_and_crop(images: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Mirror each image with probability a half, and crop it from a black frame an eighth of its side wide.

    From runs × B × H × W × C, uint8, to B × H × W × runs × C: the runs' images side by side. The runs' generators are
    on the images' device.
    """
    runs, count, side, _, channels = images.shape
    device, frame = images.device, side // 8
    wide = side + 2 * frame
    padded = functional.pad(images, (0, 0, frame, frame, frame, frame))
    corners, coins = [], []
    for own in generators:
        corners.append(torch.randint(0, 2 * frame + 1, (2, count), generator=own, device=device))
        coins.append(torch.rand(count, generator=own, device=device))
    top, left = torch.stack(corners, dim=-1).int()
    mirrored = torch.stack(coins, dim=-1) < 0.5
    # In 32 bits, which count the pixels of any batch and are half of what they would be.
    steps = torch.arange(side, dtype=torch.int32, device=device)[:, None]
    columns = left[:, None] + torch.where(mirrored[:, None], steps.flip(0), steps)
    # Pixels by their number among all: on a CPU four times as fast as by image, row and column.
    image = wide * torch.arange(runs * count, dtype=torch.int32, device=device).view(runs, count).T
    rows = wide * (image[:, None] + top[:, None] + steps)
    pixels = rows[:, :, None] + columns[:, None]
    return padded.view(-1, channels).index_select(0, pixels.flatten()).view(*pixels.shape, channels)


def colour_basis(images: Tensor) -> Tensor:
    """The principal components of the images' colours, each scaled by the root of its variance.

    Krizhevsky 2012 (section 4.1) adds p·αλ with λ the eigenvalues of the covariance, of pixels from 0 to 255;
    in units of the root, as everywhere since, the shift is α standard deviations along each component. From
    N × H × W × C, uint8, to C × C, float32, in units of full scale; a column per component.
    """
    pixels = images.reshape(-1, images.shape[-1]).to(torch.float64) / 255
    covariance = torch.cov(pixels.T).reshape(images.shape[-1], images.shape[-1])
    variances, components = torch.linalg.eigh(covariance)
    return (components * variances.clamp_min(0).sqrt()).to(torch.float32)


def colour_shift(each: int, basis: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """A shift of colour along the principal components for so many images of `each` run: runs × `each` × C, float32, in
    units of full scale.
    """
    shape, device = (each, basis.shape[1]), basis.device
    weights = torch.stack([torch.randn(shape, generator=own, device=device) for own in generators])
    return (weights * COLOUR_DEVIATION) @ basis.T
