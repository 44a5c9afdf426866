"""Plain training loops, as they are written by hand: what the engine is measured against.

`dataloader` is the loop of most tutorials: a Dataset, a DataLoader, torchvision's transforms image by image, float32,
and the loss read at every step. `memory` is what an experienced programmer writes: images in the device's memory,
crops for a whole batch at once, channels last, and bfloat16 where the device is fast at it.
"""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, RandomSampler

from takeoff.data.prepared import Prepared
from takeoff.engine.layers import GradientProductConv2d, SmallMapConv2d
from takeoff.engine.network import MONOTONE, SeededDropout, build
from takeoff.study.settings import Network


@dataclass(frozen=True)
class Task:
    """What a loop trains on the training images."""

    data: Prepared
    network: Network
    batch: int
    """Images of a step."""
    device: torch.device
    learning_rate: float
    augment: bool = True
    """Whether to mirror half of the images, and to crop each from a black frame an eighth of its side wide."""

    def on_host(self) -> tuple[Tensor, Tensor]:
        """Images N × C × H × W uint8, and labels N int64."""
        pixels = torch.from_numpy(self.data.images).permute(0, 3, 1, 2).contiguous()
        return pixels, torch.from_numpy(self.data.labels)

    def model(self) -> nn.Sequential:
        """The study's network from seed 0, as everyone writes it: with torch's own dropout and convolutions, and with
        each pooling behind its activation.
        """
        _, side, _, channels = self.data.images.shape
        model = build(self.network, side, channels, self.data.classes, 0, self.device)
        for place, module in enumerate(model):
            if isinstance(module, MONOTONE) and isinstance(model[place - 1], nn.MaxPool2d):
                model[place - 1], model[place] = module, model[place - 1]  # the activation first
            elif isinstance(module, SeededDropout):
                model[place] = nn.Dropout(module.rate)
            elif isinstance(module, GradientProductConv2d | SmallMapConv2d):
                inputs, outputs, biased = module.in_channels, module.out_channels, module.bias is not None
                own = nn.Conv2d(inputs, outputs, 3, padding=1, bias=biased)
                own.weight, own.bias = module.weight, module.bias
                model[place] = own
        return model.train()

    def optimiser(self, model: nn.Module) -> torch.optim.SGD:
        """The study's: SGD with momentum, and a weight decay that falls on weights alone."""
        weights = {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 5e-4}
        others = {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0}
        return torch.optim.SGD([weights, others], lr=self.learning_rate, momentum=0.9)


class TransformedImages(Dataset):
    """Images in memory, transformed one by one with torchvision."""

    def __init__(self, task: Task) -> None:
        # The second version of the transforms takes half as long again for such small images.
        from torchvision import transforms

        self.images, self.labels = task.data.images, torch.from_numpy(task.data.labels)
        side, card = self.images.shape[1], task.data.card
        crops = [transforms.RandomCrop(side, padding=side // 8), transforms.RandomHorizontalFlip()]
        norm = transforms.Normalize(card.mean, card.std)
        self.transform = transforms.Compose([transforms.ToTensor(), *(crops if task.augment else []), norm])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[i]), self.labels[i]


def dataloader(task: Task, workers: int = 0) -> Generator[float, None, None]:
    """Train without end, one epoch after the other without a pause; yields the loss of each step."""
    cuda = task.device.type == "cuda"
    dataset = TransformedImages(task)
    endless = RandomSampler(dataset, num_samples=10**9)
    loader = DataLoader(dataset, task.batch, sampler=endless, num_workers=workers, pin_memory=cuda)
    model = task.model().to(memory_format=torch.contiguous_format)
    criterion, optimiser = nn.CrossEntropyLoss(), task.optimiser(model)
    for batch in loader:
        images, labels = (tensor.to(task.device, non_blocking=cuda) for tensor in batch)
        optimiser.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimiser.step()
        yield loss.item()


def memory(task: Task, half: bool = False) -> Generator[Tensor, None, None]:
    """Train without end; yields the loss of each step, on the device, so that no step waits for the host. `half`
    multiplies in bfloat16.
    """
    device, card = task.device, task.data.card
    images, labels = (tensor.to(device) for tensor in task.on_host())
    mean, deviation = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (card.mean, card.std))
    model = task.model().to(memory_format=torch.channels_last)
    optimiser = task.optimiser(model)
    while True:
        for chosen in torch.randperm(len(images), device=device).split(task.batch):
            if len(chosen) < task.batch:
                continue
            batch = flip_and_crop(images[chosen]) if task.augment else images[chosen]
            inputs = ((batch.float() / 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = model(inputs)
            loss = functional.cross_entropy(logits.float(), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield loss.detach()


def flip_and_crop(images: Tensor) -> Tensor:
    """Crop each image from its black frame, and mirror half of them: N × C × H × W, uint8."""
    count, _, side, _ = images.shape
    frame = side // 8
    windows = functional.pad(images, (frame, frame, frame, frame)).unfold(2, side, 1).unfold(3, side, 1)
    top, left = torch.randint(2 * frame + 1, (2, count), device=images.device)
    cropped = windows[torch.arange(count, device=images.device), :, top, left]
    mirrored = torch.rand(count, device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], cropped.flip(-1), cropped)
