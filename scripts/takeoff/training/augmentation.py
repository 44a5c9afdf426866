"""Crops, flips and colour, drawn per image on the images' device from a run's own stream."""

import torch
from torch import Tensor
from torch.nn import functional

from takeoff.study.settings import Augmentation

COLOUR_DEVIATION = 0.1


def flip_and_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image with probability a half, and crop it from a black frame an eighth of its side wide.

    Args:
        images: N × H × W × C, uint8.
        generator: on the images' device.

    Returns:
        N × H × W × C, uint8.

    """
    count, side = images.shape[0], images.shape[1]
    frame = side // 8
    device = images.device
    padded = functional.pad(images, (0, 0, frame, frame, frame, frame))
    top, left = torch.randint(0, 2 * frame + 1, (2, count), generator=generator, device=device)
    mirrored = torch.rand(count, generator=generator, device=device) < 0.5
    steps = torch.arange(side, device=device)
    rows = top[:, None] + steps
    columns = left[:, None] + torch.where(mirrored[:, None], steps.flip(0), steps)
    each = torch.arange(count, device=device)
    return padded[each[:, None, None], rows[:, :, None], columns[:, None, :]]


def colour_basis(images: Tensor) -> Tensor:
    """The principal components of the images' colours, each scaled by the root of its variance.

    Krizhevsky 2012 (section 4.1) adds p·αλ with λ the eigenvalues of the covariance, of pixels from 0 to 255;
    in units of the root, as everywhere since, the shift is α standard deviations along each component.

    Args:
        images: N × H × W × C, uint8.

    Returns:
        C × C, float32, in units of full scale; a column per component.

    """
    pixels = images.reshape(-1, images.shape[-1]).to(torch.float64) / 255
    covariance = torch.cov(pixels.T).reshape(images.shape[-1], images.shape[-1])
    variances, components = torch.linalg.eigh(covariance)
    return (components * variances.clamp_min(0).sqrt()).to(torch.float32)


def colour_shift(count: int, basis: Tensor, generator: torch.Generator) -> Tensor:
    """A shift of colour per image along the principal components.

    Returns:
        `count` × C, float32, in units of full scale.

    """
    weights = torch.randn(count, basis.shape[1], generator=generator, device=basis.device)
    return (weights * COLOUR_DEVIATION) @ basis.T


def crops(augmentation: Augmentation) -> bool:
    """Whether the augmentation mirrors and crops."""
    return augmentation in {"flip-crop", "flip-crop-colour"}


def recolours(augmentation: Augmentation) -> bool:
    """Whether the augmentation shifts colours."""
    return augmentation == "flip-crop-colour"
