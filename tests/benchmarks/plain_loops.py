"""Plain training loops, as they are written by hand: what the engine is measured against; they know nothing of it.

`dataloader` is the loop of most tutorials: a Dataset, a DataLoader, torchvision's transforms image by image, float32,
and the loss read at every step. `memory` is what an experienced hand makes of it: images in the device's memory,
crops for a whole batch at once, channels last, and bfloat16 where the device is fast at it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from takeoff.models.network import SeededDropout, activation_first, build
from takeoff.models.small_maps import SmallMapConv2d
from takeoff.study.settings import Network
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, RandomSampler


@dataclass(frozen=True)
class Task:
    """What a loop trains on what; both loops and the engine are given the same."""

    images: Tensor
    """N × C × H × W, uint8, in the host's memory."""
    labels: Tensor
    """N, int64."""
    mean: Sequence[float]
    """Of each channel, of pixels from 0 to 1."""
    deviation: Sequence[float]
    network: Network
    classes: int
    batch: int
    """Images of a step."""
    device: torch.device
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augment: bool = True
    """Mirror half of the images, and crop each from a black frame an eighth of its side wide."""
    seed: int = 0
    """Of the initial weights."""


def has_torchvision() -> bool:
    """Whether torchvision can be imported, and so does the images' work."""
    try:
        import torchvision.transforms.v2  # noqa: F401
    except ImportError:
        return False
    return True


def dataloader(task: Task, workers: int = 0) -> Iterator[float]:
    """Train for ever; the loss of each step."""
    cuda = task.device.type == "cuda"
    dataset = Images(task.images, task.labels, transform_of(task))
    # One epoch after the other, without a pause between.
    endless = RandomSampler(dataset, num_samples=10**9)
    loader = DataLoader(
        dataset,
        task.batch,
        sampler=endless,
        num_workers=workers,
        pin_memory=cuda,
        drop_last=True,
    )
    model = network_of(task).to(memory_format=torch.contiguous_format).train()
    criterion = nn.CrossEntropyLoss()
    optimiser = torch.optim.SGD(groups_of(model, task), lr=task.learning_rate, momentum=task.momentum)
    for batch in loader:
        images, labels = (tensor.to(task.device, non_blocking=cuda) for tensor in batch)
        optimiser.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimiser.step()
        yield loss.item()


def memory(task: Task, half: bool = False) -> Iterator[Tensor]:
    """Train for ever; the loss of each step, on the device, where nobody waits for it.

    Args:
        task: what to train.
        half: multiply in bfloat16.

    """
    device = task.device
    images, labels = task.images.to(device), task.labels.to(device)
    mean, deviation = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (task.mean, task.deviation))
    model = network_of(task).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(groups_of(model, task), lr=task.learning_rate, momentum=task.momentum)
    while True:
        for chosen in torch.randperm(len(images), device=device).split(task.batch):
            if len(chosen) < task.batch:
                continue
            batch = images[chosen]
            if task.augment:
                batch = flip_and_crop(batch)
            inputs = ((batch.float() / 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = model(inputs)
            loss = functional.cross_entropy(logits.float(), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield loss.detach()


class Images(Dataset):
    """Images in memory, transformed one by one."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor]) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[i]), self.labels[i]


def transform_of(task: Task) -> Callable[[Tensor], Tensor]:
    """From one uint8 image, C × H × W, to float32: torchvision's transforms or, where it is missing, our own."""
    if not has_torchvision():
        return OwnTransform(task)
    from torchvision.transforms import v2

    side = task.images.shape[-1]
    steps = [v2.RandomCrop(side, padding=side // 8), v2.RandomHorizontalFlip()] if task.augment else []
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(task.mean, task.deviation)]
    return v2.Compose(steps)


class OwnTransform:
    """What torchvision's transforms do, with torch alone."""

    def __init__(self, task: Task) -> None:
        self.augment = task.augment
        self.mean, self.deviation = (torch.tensor(v).view(-1, 1, 1) for v in (task.mean, task.deviation))

    def __call__(self, image: Tensor) -> Tensor:
        """One image, C × H × W, uint8; the same shape, float32."""
        if self.augment:
            side = image.shape[-1]
            frame = side // 8
            top, left = torch.randint(2 * frame + 1, (2,)).tolist()
            padded = functional.pad(image, (frame, frame, frame, frame))
            image = padded[:, top : top + side, left : left + side]
            if torch.rand(()) < 0.5:
                image = image.flip(-1)
        return (image.float() / 255 - self.mean) / self.deviation


def flip_and_crop(images: Tensor) -> Tensor:
    """The same for a batch at once, N × C × H × W, uint8."""
    count, _, side, _ = images.shape
    frame = side // 8
    windows = functional.pad(images, (frame, frame, frame, frame)).unfold(2, side, 1).unfold(3, side, 1)
    top, left = torch.randint(2 * frame + 1, (2, count), device=images.device)
    cropped = windows[torch.arange(count, device=images.device), :, top, left]
    mirrored = torch.rand(count, device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], cropped.flip(-1), cropped)


def network_of(task: Task) -> nn.Sequential:
    """The study's network from the study's draw, with torch's own dropout and convolutions in place of the study's,
    and each pooling behind its activation, as everyone writes it.
    """
    _, channels, side, _ = task.images.shape
    model = build(task.network, side, channels, task.classes, task.seed, task.device)
    activation_first(model)
    for place, module in enumerate(model):
        if isinstance(module, SeededDropout):
            model[place] = nn.Dropout(module.rate)
        elif isinstance(module, SmallMapConv2d):
            own = nn.Conv2d(
                module.in_channels, module.out_channels, 3, padding=1, bias=module.bias is not None
            )
            own.weight, own.bias = module.weight, module.bias
            model[place] = own
    return model


def groups_of(model: nn.Module, task: Task) -> list[dict]:
    """The optimiser's parameters: weight decay falls on weights alone, as the study has it."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": task.weight_decay}, {"params": others, "weight_decay": 0.0}]
