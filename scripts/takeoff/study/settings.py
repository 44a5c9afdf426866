"""What can be set in a network and in its training: the settings that arms are made of, typed and bounded."""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Activation = Literal["sigmoid", "tanh", "relu", "gelu"]
Family = Literal["alexnet", "four-layer", "plain"]
Norm = Literal["none", "batch"]
ResponseNorm = Literal["none", "local"]
Pooling = Literal["plain", "overlapping"]
Augmentation = Literal["none", "flip-crop", "flip-crop-colour"]
Initialisation = Literal["by-activation", "gaussian-0.01", "xavier", "he"]
Schedule = Literal["constant", "cosine", "step"]
Keep = Literal["last", "best"]
Resolution = Literal[8, 16, 32, 64, 128, 224]

LearningRate = Annotated[float, Field(gt=0, le=100)]
WeightDecay = Annotated[float, Field(ge=0, lt=1)]


Grid = TypeVar("Grid", list[float], tuple[float, ...])


def ascending(rates: Grid) -> Grid:
    """A grid in order; nothing may stand in it twice."""
    if len(set(rates)) < len(rates):
        raise ValueError("a value stands twice in the grid")
    return type(rates)(sorted(rates))


Rates = Annotated[tuple[LearningRate, ...], Field(min_length=2), AfterValidator(ascending)]
"""An experiment's own grid."""
Count = Annotated[int, Field(gt=0, strict=True)]


STEM_STRIDES = {8: 1, 16: 1, 32: 1, 64: 2, 128: 4, 224: 4}
"""That of the first convolution of AlexNet's family, by the images' side in pixels."""


class Settings(BaseModel):
    """Immutable and finite, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Network(Settings):
    """A network, up to the images' size and the number of classes."""

    family: Family = "alexnet"
    """The layout of the layers: `alexnet`, five convolutions and two hidden fully connected layers; `four-layer`,
    three convolutions and a fully connected one (the network of Krizhevsky 2012, figure 1); `plain`, `depth`
    fully connected hidden layers of equal width."""
    depth: Annotated[int, Field(gt=0, le=100, strict=True)] | None = None
    """Hidden layers, of the family `plain` alone."""
    activation: Activation = "relu"
    """The non-linearity after every hidden layer."""
    norm: Norm = "none"
    """`batch`: batch norm before every hidden activation (Ioffe & Szegedy 2015)."""
    response_norm: ResponseNorm = "none"
    """`local`: local response norm after the activations of the first two convolutions (Krizhevsky 2012)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of units dropped before each hidden fully connected layer (Srivastava 2014)."""
    pooling: Pooling = "overlapping"
    """Max pooling, by 2: `plain` over 2 × 2 pixels, `overlapping` over 3 × 3 (Krizhevsky 2012)."""
    initialisation: Initialisation = "by-activation"
    """Normal weights, zero biases: `xavier` (Glorot & Bengio 2010), `he` (He 2015), `gaussian-0.01`
    (Krizhevsky 2012), or `by-activation`: Xavier for sigmoid and tanh, He for ReLU and GELU."""
    width: Annotated[float, Field(gt=0, le=16)] = 1.0
    """Multiplies the channels of every hidden layer."""
    stem_stride: Annotated[int, Field(ge=1, le=8, strict=True)] | None = None
    """The stride of the first convolution, in pixels; left out: 1 up to 32 px, 2 at 64 px, 4 above (of the family
    `four-layer` a 32nd of the images' side). Twice the stride is about a quarter of the computation."""

    @model_validator(mode="after")
    def _depth_belongs(self) -> "Network":
        if (self.depth is not None) != (self.family == "plain"):
            raise ValueError(f"depth {self.depth}: it is given for the family plain, and for no other")
        return self

    def stride_at(self, resolution: int) -> int | None:
        """That of the first convolution for images of so many pixels; None for a network that has none."""
        if self.family == "plain":
            return None
        own = max(1, resolution // 32) if self.family == "four-layer" else STEM_STRIDES[resolution]
        return self.stem_stride or own


class Recipe(Settings):
    """How a network is trained: stochastic gradient descent with momentum on the cross-entropy."""

    epochs: Count = 30
    """Passes over the training images."""
    epoch_images: Count | None = None
    """Training images presented in an epoch, whatever the size of the training set, so that sets of all sizes are
    trained for as many steps; left out: each image of the set once."""
    keep: Keep = "last"
    """Which weights a run ends with: those after the `last` epoch, or after that with the `best` validation
    accuracy."""
    batch_size: Annotated[int, Field(gt=1, strict=True)] = 128
    """Images per step; the rest of an epoch that fills no batch is left out, another one each epoch."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """The momentum of the gradient's running mean."""
    weight_decay: WeightDecay = 0.0005
    """L2 penalty on weights; biases and the norm's scales are spared."""
    schedule: Schedule = "cosine"
    """How the rate goes down after the warm-up: not at all, to zero along a cosine, or tenfold at a half and
    at three quarters of the epochs."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    """Epochs in which the rate climbs linearly to its value."""
    augmentation: Augmentation = "none"
    """`flip-crop`: mirror half of the images, crop from a frame padded by an eighth; `flip-crop-colour`: and
    shift colours along their principal components (Krizhevsky 2012)."""

    @model_validator(mode="after")
    def _warmup_fits(self) -> "Recipe":
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} is longer than the {self.epochs} epochs")
        return self


FACTORS: dict[str, type[Settings] | None] = {
    "activation": Network,
    "norm": Network,
    "dropout": Network,
    "response_norm": Network,
    "pooling": Network,
    "augmentation": Recipe,
    "initialisation": Network,
    "width": Network,
    "stem_stride": Network,
    "train_samples": None,  # the arm's own
}
"""What a study may list as a factor, and where that setting lives."""
