"""Several runs of one arm in one network: their weights side by side, each layer computed for all of them at once.

Convolutions become grouped ones, linear layers batched products, norms see each run's channels apart; whatever works
element by element needs no change (as in HFTA, Wang et al. 2021, MLSys). A run's images, masks and rates are its own.
The runs' own networks keep views of the shared weights, so that they are scored, kept and optimised as ever.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from takeoff.models.batched import batched_linear, flattened_apart
from takeoff.models.masks import draw_masks
from takeoff.models.network import LocalResponseNorm, SeededDropout
from takeoff.models.small_maps import SmallMapConv2d, small_map_convolution
from takeoff.training.compiling import compile_once
from takeoff.training.descent import Descent, gradients_of
from takeoff.training.state import Training
from takeoff.training.steps import Rate


class FusedStep:
    """A step of several runs, whose sets have one size, in one network."""

    def __init__(self, trainings: Sequence[Training], compiled: bool = False) -> None:
        self.trainings = trainings
        self.runs = len(trainings)
        self.models = [training.model for training in trainings]
        # By layer and name: the tensor that the runs share, and each run's own part of it.
        self.shared = [self._share(place) for place in range(len(self.models[0]))]
        self.descent = self._share_momenta()
        self.dropouts = list(_dropouts(self.models[0]))
        self.blocks: dict[tuple[int, int], Descent] = {}
        self.rates: Sequence[Rate] = [training.run.learning_rate for training in trainings]
        # Uncompiled, the step keeps no method of its own: a cycle would keep its memory, a GPU's graph's too.
        self.compiled = compile_once(self._losses) if compiled else None

    def set_rates(self, rates: Sequence[Rate]) -> None:
        """Set each run's learning rate."""
        self.rates = rates

    def __call__(self, chosen: Sequence[Tensor]) -> Tensor:
        """Make a step of each run; their losses."""
        first = self.trainings[0]
        crops, colours = ([getattr(t, kind) for t in self.trainings] for kind in ("crops", "colours"))
        pixels, labels = first.data.batch(chosen, first.arm.recipe.augmentation, crops, colours)
        losses = (self.compiled or self._losses)(pixels, labels, self._masks(len(pixels)))
        for shared in self.descent.parameters:
            shared.grad = None
        losses.sum().backward()
        self._descend()
        return losses.detach()

    def _losses(self, pixels: Tensor, labels: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """Each run's mean loss."""
        hardware = self.trainings[0].hardware
        with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.half):
            logits = self.logits(pixels, masks)
        # Their sum leaves each run the gradient of its own mean loss.
        losses = functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="none")
        return losses.unflatten(0, (self.runs, -1)).mean(1)

    def _descend(self) -> None:
        """Change the weights of every run, neighbours with one rate at once."""
        gradients = gradients_of(self.descent.parameters)
        for first, last in _blocks(self.rates):
            block = self.blocks.get((first, last)) or self._block(first, last)
            block.step([self._rows(gradient, first, last) for gradient in gradients], self.rates[first])

    def logits(self, pixels: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """From B × (runs · channels) × H × W to runs × B × classes; `masks` are those of the dropouts, in turn."""
        values, left = pixels, iter(masks)
        for module, tensors in zip(self.models[0], self.shared, strict=True):
            if isinstance(module, SeededDropout):
                values = values * next(left).to(values.dtype)
            else:
                values = self._layer(module, tensors, values)
        return values

    def _layer(self, module: nn.Module, tensors: dict[str, Tensor], values: Tensor) -> Tensor:
        """One layer of every run."""
        match module:
            case SmallMapConv2d() if not values.is_cuda:
                return small_map_convolution(values, tensors["weight"], tensors.get("bias"), self.runs)
            case nn.Conv2d():
                weight, bias = tensors["weight"], tensors.get("bias")
                return functional.conv2d(
                    values,
                    weight,
                    bias,
                    module.stride,
                    module.padding,
                    groups=self.runs,
                )
            case nn.Linear():
                return batched_linear(values, tensors["weight"], tensors.get("bias"))
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

    def _norm(
        self, module: nn.BatchNorm1d | nn.BatchNorm2d, tensors: dict[str, Tensor], values: Tensor
    ) -> Tensor:
        """Of each run's channels, by this batch's statistics."""
        tensors["num_batches_tracked"].add_(1)
        return functional.batch_norm(
            values,
            tensors["running_mean"],
            tensors["running_var"],
            tensors["weight"],
            tensors["bias"],
            training=True,
            momentum=module.momentum or 0.0,
            eps=module.eps,
        )

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
        own = [
            dict(model[place].named_parameters()) | dict(model[place].named_buffers())
            for model in self.models
        ]
        shared = {}
        for name, first in own[0].items():
            together = _side_by_side(self.models[0][place], name, [tensors[name].detach() for tensors in own])
            for r, model in enumerate(self.models):
                view = self._part(model[place], name, together, r)
                if isinstance(own[r][name], nn.Parameter):
                    own[r][name].data = view
                else:
                    model[place].register_buffer(name, view)
            shared[name] = together.requires_grad_(isinstance(first, nn.Parameter))
        return shared

    def _part(self, module: nn.Module, name: str, together: Tensor, r: int) -> Tensor:
        """A run's part of what the runs share."""
        if isinstance(module, nn.Linear) or name == "num_batches_tracked":
            return together.detach()[r]
        return together.detach().unflatten(0, (self.runs, -1))[r]

    def _share_momenta(self) -> Descent:
        """Put the runs' momenta side by side as their weights are, and leave each run views of its part."""
        parameters: list[Tensor] = []
        momenta: list[Tensor] = []
        for place, tensors in enumerate(self.shared):
            for name in (name for name, tensor in tensors.items() if tensor.requires_grad):
                number, module = len(momenta), self.models[0][place]
                own = [training.descent.momenta[number] for training in self.trainings]
                together = _side_by_side(module, name, own)
                for r, training in enumerate(self.trainings):
                    training.descent.momenta[number] = self._part(module, name, together, r)
                parameters.append(tensors[name])
                momenta.append(together)
        return replace(self.trainings[0].descent, parameters=parameters, momenta=momenta)

    def _block(self, first: int, last: int) -> Descent:
        """The descent of the runs from `first` to before `last`."""
        parameters = [self._rows(parameter, first, last) for parameter in self.descent.parameters]
        momenta = [self._rows(momentum, first, last) for momentum in self.descent.momenta]
        block = replace(self.descent, parameters=parameters, momenta=momenta)
        self.blocks[first, last] = block
        return block

    def _rows(self, shared: Tensor, first: int, last: int) -> Tensor:
        """The parts of the runs from `first` to before `last`."""
        rows = len(shared) // self.runs
        return shared.detach()[first * rows : last * rows]


def _dropouts(model: nn.Sequential) -> Iterator[tuple[float, int]]:
    """The rate of each dropout and its units, which are those of the linear layer behind it."""
    for module, following in itertools.pairwise(model):
        if isinstance(module, SeededDropout):
            if not isinstance(following, nn.Linear):
                raise TypeError("a dropout that no linear layer follows")
            yield module.rate, following.in_features


def _blocks(rates: Sequence[Rate]) -> Iterator[tuple[int, int]]:
    """Neighbours with one rate: the first, and the one after the last. Of tensors, whose values would be waited for,
    only the same one is one rate.
    """
    first = 0
    for r in range(1, len(rates) + 1):
        if r == len(rates) or _differ(rates[first], rates[r]):
            yield first, r
            first = r


def _differ(one: Rate, other: Rate) -> bool:
    tensors = isinstance(one, Tensor) or isinstance(other, Tensor)
    return one is not other if tensors else bool(one != other)


def _side_by_side(module: nn.Module, name: str, tensors: list[Tensor]) -> Tensor:
    """Linear layers' tensors along a new axis, the others' along their channels."""
    if isinstance(module, nn.Linear) or name == "num_batches_tracked":
        return torch.stack(tensors)
    together = torch.cat(tensors)
    return together.contiguous(memory_format=torch.channels_last) if together.ndim == 4 else together
