"""What lies below the folders of one split: images in class folders, loose ones, and what is beside them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from posixpath import basename, dirname

from takeoff.common.errors import TakeoffError
from takeoff.data.archives import Archive
from takeoff.data.folder_names import beside_images, no_classes
from takeoff.data.kinds import escaped

TABLES = "a folder per class, or a table (.csv, .tsv, .txt) with the name and the label of each image"
NO_CLASSES = "words for files and parts of a set are no classes"


@dataclass(frozen=True)
class Below:
    """What lies below the folders of one split."""

    members: dict[str, str]
    """The images in class folders, with their classes."""
    loose: list[str]
    root: str
    """The folder above the last of the class folders, with a slash; or nothing."""
    parts: list[str]
    """Folders of loose images, that are no classes by their names."""
    beside: list[str]
    """Masks, thumbnails and the like, in folders of their own."""

    @property
    def images(self) -> list[str]:
        """All images but those beside them."""
        return sorted([*self.members, *self.loose])

    @property
    def classes(self) -> set[str]:
        """The names of the class folders."""
        return set(self.members.values())

    def left_out(self, folders: Iterable[str] = (), labelled: bool = False) -> list[str]:
        """Notes on the images that are not read; loose ones are, where a file has their labels."""
        where = f" of {named(folders)}" if any(folders) else ""
        loose = 0 if labelled else len(self.loose)
        notes = [f"{loose:,} images outside the class folders{where} were left out"] if loose else []
        if self.beside:
            notes.append(f"{len(self.beside):,} images beside them were left out, as {escaped(self.beside[0])}")
        return notes


def below(archive: Archive, images: Sequence[str], folders: Sequence[str], known: Collection[str] = ()) -> Below:
    """What lies below folders of one split; single folders, but for a class that is `known`, are gone through."""
    members: dict[str, str] = {}
    loose: list[str] = []
    parts: list[str] = []
    beside: list[str] = []
    root = ""
    for folder in folders:
        root = f"{folder}/" if folder else ""
        mine = [name for name in images if name.startswith(root)]
        while True:
            inside = {name: name[len(root) :].partition("/")[0] for name in mine if "/" in name[len(root) :]}
            tops = set(inside.values())
            if others := beside_images(tops - set(known)):
                beside += [name for name in mine if inside.get(name) in others]
                mine = [name for name in mine if inside.get(name) not in others]
                continue
            if len(tops) != 1 or tops <= set(known):
                break
            inner = f"{root}{min(tops)}/"
            if not any("/" in name[len(inner) :] for name in inside):
                break
            loose += [name for name in mine if name not in inside]
            root, mine = inner, list(inside)
        loose += [name for name in mine if name not in inside]
        if tops and tops == no_classes(tops) - set(known):
            loose += inside
            parts += tops
        else:
            members |= inside
            _check_tops(archive, root, tops, known)
    return Below(dict(sorted(members.items())), sorted(loose), root, sorted(parts), beside)


def _check_tops(archive: Archive, root: str, tops: Collection[str], known: Collection[str]) -> None:
    """Raise TakeoffError where not all of the folders side by side are classes, or one of them is empty."""
    if none := sorted(no_classes(tops) - set(known)):
        names, others = (", ".join(map(escaped, sorted(each)[:4])) for each in (none, set(tops) - set(none)))
        raise TakeoffError(f"{archive}: {names}, beside {others}: {NO_CLASSES}; valid: class folders alone")
    there = {basename(folder) for folder in archive.folders if dirname(folder) == root.rstrip("/")}
    empty = sorted(there - set(tops) - no_classes(there))
    if len(tops) > 1 and not known and empty:
        raise TakeoffError(f"{archive}: the class folder {escaped(root + empty[0])} holds no images")


def named(folders: Iterable[str]) -> str:
    """Folders, as a note calls them."""
    return ", ".join(f"{escaped(basename(folder))}/" for folder in folders)
