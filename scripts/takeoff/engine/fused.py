"""Several runs of one arm in one network: their weights side by side, each layer computed for all of them at once.

Convolutions become grouped ones, linear layers batched products, norms see each run's channels apart; whatever works
element by element needs no change (as in HFTA, Wang et al. 2021, MLSys). A run's images, masks and rates are its own.
The runs' own networks keep views of the shared weights, so that they are scored, kept and optimised as ever.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from takeoff.engine.augmentation import Batches
from takeoff.engine.descent import Descent
from takeoff.engine.layers import SmallMapConv2d, batched_linear, flattened_apart, small_map_convolution
from takeoff.engine.network import LocalResponseNorm, SeededDropout
from takeoff.engine.state import Training
from takeoff.engine.steps import Rate, Step
from takeoff.engine.streams import draw_masks

SHAPES = 256
"""Shapes and activations that a job compiles for, at most; torch's own limit is eight, beyond which it raises."""


class FusedStep(Step):
    """A step of several runs, whose sets have one size, in one network."""

    def __init__(self, trainings: Sequence[Training], compiled: bool = False) -> None:
        super().__init__(trainings)
        self.runs = len(trainings)
        self.models = [training.model for training in trainings]
        # By layer and name: the tensor that the runs share, and each run's own part of it.
        self.shared = [self._share(place) for place in range(len(self.models[0]))]
        self.descent = self._share_momenta()
        # The rate of each dropout, and its units, which are those of the linear layer behind it.
        self.dropouts = [
            (one.rate, following.in_features)
            for one, following in itertools.pairwise(self.models[0])
            if isinstance(one, SeededDropout) and isinstance(following, nn.Linear)
        ]
        self.blocks: dict[tuple[int, int], Descent] = {}
        # Uncompiled, the step keeps no method of its own: in a cycle its memory, and a GPU's graph's, would stay.
        self.compiled = compile_once(self._losses) if compiled else None

    def __call__(self, chosen: Sequence[Batches], rates: Sequence[Rate]) -> Tensor:
        """Make a step of each run; their losses."""
        pixels, labels = self.batch(chosen)
        losses = (self.compiled or self._losses)(pixels, labels, self._masks(len(pixels)))
        gradients = torch.autograd.grad(losses.sum(), self.descent.parameters)
        for first, last in _blocks(rates):  # runs with one learning rate are changed at once
            block = self.blocks.get((first, last)) or self._block(first, last)
            block.step([self._rows(gradient, first, last) for gradient in gradients], rates[first])
        return losses.detach()

    def _losses(self, pixels: Tensor, labels: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """Each run's mean loss; `masks` are those of the dropouts, in turn."""
        hardware, values, left = self.trainings[0].hardware, pixels, iter(masks)
        with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.half):
            for module, tensors in zip(self.models[0], self.shared, strict=True):
                if isinstance(module, SeededDropout):
                    values = values * next(left).to(values.dtype)
                else:
                    values = self._layer(module, tensors, values)
        # Their sum leaves each run the gradient of its own mean loss.
        losses = functional.cross_entropy(values.float().flatten(0, 1), labels.flatten(), reduction="none")
        return losses.unflatten(0, (self.runs, -1)).mean(1)

    def _layer(self, module: nn.Module, tensors: dict[str, Tensor], values: Tensor) -> Tensor:
        """One layer of every run: of maps B × (runs · channels) × H × W, or of units runs × B × units."""
        match module:
            case SmallMapConv2d() if not values.is_cuda:
                return small_map_convolution(values, **tensors, runs=self.runs)
            case nn.Conv2d():
                weight, bias = tensors["weight"], tensors.get("bias")
                return functional.conv2d(values, weight, bias, module.stride, module.padding, groups=self.runs)
            case nn.Linear():
                own = {name: tensor.unflatten(0, (self.runs, -1)) for name, tensor in tensors.items()}
                return batched_linear(values, **own)
            case nn.BatchNorm2d():
                return self._norm(module, tensors, values)
            case nn.BatchNorm1d():
                wide = self._norm(module, tensors, values.transpose(0, 1).flatten(1))
                return wide.unflatten(1, (self.runs, -1)).transpose(0, 1)
            case nn.Flatten():
                return flattened_apart(values, self.runs)
            case LocalResponseNorm():
                apart = values.unflatten(1, (self.runs, -1)).flatten(0, 1)
                normed = module(apart).unflatten(0, (-1, self.runs)).flatten(1, 2)
                return normed.contiguous(memory_format=torch.channels_last)
        elementwise: Tensor = module(values)
        return elementwise

    def _norm(self, module: nn.BatchNorm1d | nn.BatchNorm2d, tensors: dict[str, Tensor], x: Tensor) -> Tensor:
        """Of each run's channels, by this batch's statistics."""
        momentum = module.momentum or 0.0
        return functional.batch_norm(x, **tensors, training=True, momentum=momentum, eps=module.eps)

    def _masks(self, batch: int) -> list[Tensor]:
        """What the inputs of each dropout are multiplied by, runs × B × units: each run's own mask, scaled."""
        device = self.trainings[0].hardware.device
        streams = zip(*(training.masks() for training in self.trainings), strict=True)
        return [
            draw_masks(torch.empty(self.runs, batch, units, device=device), rate, own)
            for (rate, units), own in zip(self.dropouts, streams, strict=True)
        ]

    def _share(self, place: int) -> dict[str, Tensor]:
        """Put the runs' tensors of one layer side by side, and leave each run a view of its part."""
        modules = [model[place] for model in self.models]
        shared = {}
        for name, first in [*modules[0].named_parameters(), *modules[0].named_buffers()]:
            if not first.ndim:
                continue  # a norm's count of batches, which nothing reads
            together, parts = self._joined([getattr(module, name).detach() for module in modules])
            for module, part in zip(modules, parts, strict=True):
                getattr(module, name).data = part
            shared[name] = together.requires_grad_(isinstance(first, nn.Parameter))
        return shared

    def _share_momenta(self) -> Descent:
        """Put the runs' momenta side by side as their weights are, and leave each run views of its part."""
        parameters = [tensor for own in self.shared for tensor in own.values() if tensor.requires_grad]
        own = [training.descent.momenta for training in self.trainings]
        joined = [self._joined(list(tensors)) for tensors in zip(*own, strict=True)]
        for momenta, parts in zip(own, zip(*(parts for _, parts in joined), strict=True), strict=True):
            momenta[:] = parts
        momenta = [together for together, _ in joined]
        return replace(self.trainings[0].descent, parameters=parameters, momenta=momenta)

    def _joined(self, tensors: list[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        """The runs' tensors along their outputs or channels, and each run's part of it."""
        together = torch.cat(tensors)
        if together.ndim == 4:
            together = together.contiguous(memory_format=torch.channels_last)
        return together, together.detach().unflatten(0, (self.runs, -1)).unbind()

    def _block(self, first: int, last: int) -> Descent:
        """The descent of the runs from `first` to before `last`."""
        whole = self.descent
        parameters = [self._rows(shared, first, last) for shared in whole.parameters]
        momenta = [self._rows(shared, first, last) for shared in whole.momenta]
        self.blocks[first, last] = block = replace(whole, parameters=parameters, momenta=momenta)
        return block

    def _rows(self, shared: Tensor, first: int, last: int) -> Tensor:
        """The parts of the runs from `first` to before `last`."""
        rows = len(shared) // self.runs
        return shared.detach()[first * rows : last * rows]


def compile_once(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function compiled when it is first called, for the shapes that it is called with; no graph may break.

    Torch keeps what it compiled in the folder `TORCHINDUCTOR_CACHE_DIR`, for the next job.
    """
    from torch._dynamo import config  # the compiler, two seconds of import, for those who compile

    config.recompile_limit = config.accumulated_recompile_limit = SHAPES
    return torch.compile(function, dynamic=False, fullgraph=True)


def _blocks(rates: Sequence[Rate]) -> Iterator[tuple[int, int]]:
    """Neighbours with one learning rate: the first, and the one after the last. Of tensors, whose values would be
    waited for, only the same one is one rate.
    """
    first = 0
    for _, group in itertools.groupby(rates, lambda rate: id(rate) if isinstance(rate, Tensor) else rate):
        last = first + len(list(group))
        yield first, last
        first = last
