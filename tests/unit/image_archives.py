"""Small archives in each layout that prepare reads, for its tests."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


def pixels(seed: int, height: int = 8, width: int = 8, channels: int = 3) -> np.ndarray:
    """Random pixels, H×W×C uint8 (H×W for one channel)."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    """The image as a file's bytes."""
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()


def folders(top: str = "", test: str = "test", classes: str = "ab", train: int = 3, tests: int = 2) -> dict[str, bytes]:
    """Class folders of 8×8 PNGs, as a dictionary of member names and bytes."""
    members = {}
    for label, name in enumerate(classes):
        for split, count in (("train", train), (test, tests)):
            for i in range(count):
                members[f"{top}{split}/{name}/{i}.png"] = encoded(pixels(1000 * label + 10 * i + (split == "train")))
    return members


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    """A tar whose members stand in the order given."""
    path.write_bytes(tar_bytes(members, mode))
    return path


def tar_bytes(members: dict[str, bytes], mode: str = "w") -> bytes:
    """The bytes of such a tar; a name ending in / is a folder."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """A zip of the members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def write(path: Path, members: dict[str, bytes]) -> Path:
    """The members as the kind of archive that the name says, or as a folder."""
    if path.suffix in ("", ".zip"):
        return (write_zip if path.suffix else write_folder)(path, members)
    return write_tar(path, members, {".tar": "w", ".xz": "w:xz"}.get(path.suffix, "w:gz"))


def write_folder(path: Path, members: dict[str, bytes]) -> Path:
    """A folder of the members."""
    for name, data in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (path / name).mkdir()
        else:
            (path / name).write_bytes(data)
    return path


def pictures(*names: str) -> dict[str, bytes]:
    """An image of its own at each of these names; `a/{3}.png` stands for a/0.png to a/2.png."""
    members = {}
    for name in names:
        before, brace, rest = name.partition("{")
        count, _, after = rest.partition("}")
        for place in [f"{before}{i}{after}" for i in range(int(count))] if brace else [name]:
            members[place] = encoded(pixels(len(members) + 1))
    return members


def with_method(path: Path, method: int) -> Path:
    """A zip whose headers name another method of packing, or flags where it is negative."""
    data = bytearray(path.read_bytes())
    value, places = abs(method), (8, 10) if method > 0 else (6, 8)
    for signature, place in zip((b"PK\x03\x04", b"PK\x01\x02"), places, strict=True):
        at = data.find(signature)
        while at >= 0:
            data[at + place : at + place + 2] = value.to_bytes(2, "little")
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    return path


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar's header that says any size, however absurd."""
    info = tarfile.TarInfo(name)
    info.type = kind
    data = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    data[124:136] = (size % (1 << 96)).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data)
    return bytes(data)


def kit(classes: tuple[str, ...], numbers: list[int]) -> dict[str, bytes]:
    """The development kit of ILSVRC2012: the class of each number, counted from 1, and the number of each image."""
    kind = [("ILSVRC2012_ID", "f8"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "f8")]
    rows = [(i, wnid, f"words of {wnid}", "", 0) for i, wnid in enumerate(classes, 1)]
    meta = io.BytesIO()
    savemat(meta, {"synsets": np.array([*rows, (len(rows) + 1, "n99", "all things", "", 2)], kind)})
    return {
        "ILSVRC2012_devkit_t12/data/meta.mat": meta.getvalue(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": "\n".join(map(str, numbers)).encode(),
    }


def cifar10(images: np.ndarray, labels: list[int], names: list[str], protocol: int = 2) -> dict[str, bytes]:
    """The official layout, keys as bytes: N×32×32×3 images dealt to five training and one test batch."""
    parts = np.array_split(np.arange(len(images)), 6)
    members = {
        "cifar-10-batches-py/batches.meta": pickle.dumps({b"label_names": [n.encode() for n in names]}, protocol)
    }
    for base, part in zip([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], parts, strict=True):
        rows = images[part].transpose(0, 3, 1, 2).reshape(len(part), -1)
        batch = {b"batch_label": base.encode(), b"labels": [labels[i] for i in part], b"data": rows}
        members[f"cifar-10-batches-py/{base}"] = pickle.dumps(batch, protocol)
    return members


def cifar100(images: np.ndarray, labels: list[int], names: list[str]) -> dict[str, bytes]:
    """The official layout, the last third for the test."""
    cut = 2 * len(images) // 3
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    members = {"cifar-100-python/meta": pickle.dumps({"fine_label_names": names, "coarse_label_names": ["x"]}, 2)}
    for base, part in (("train", slice(0, cut)), ("test", slice(cut, None))):
        batch = {b"fine_labels": labels[part], b"coarse_labels": [0] * len(labels[part]), b"data": rows[part]}
        members[f"cifar-100-python/{base}"] = pickle.dumps(batch, 2)
    return members


def tiny_imagenet() -> dict[str, bytes]:
    """Two classes in the official layout, with what else it holds."""
    top, members, lines = "tiny-imagenet-200/", {}, []
    for label, wnid in enumerate(("n02", "n01")):
        members[f"{top}train/{wnid}/{wnid}_boxes.txt"] = b"0 0 1 1"
        for i in range(3):
            members[f"{top}train/{wnid}/images/{wnid}_{i}.JPEG"] = encoded(pixels(10 * label + i), "JPEG")
        members[f"{top}val/images/val_{label}.JPEG"] = encoded(pixels(99 + label), "JPEG")
        lines.append(f"val_{label}.JPEG\t{wnid}\t0\t0\t1\t1\n")
    members[f"{top}val/val_annotations.txt"] = "".join(lines).encode()
    members[f"{top}wnids.txt"] = b"n02\nn01\n"
    members[f"{top}words.txt"] = b"n01\tfish, swimmer\nn02\tbird\nn03\tstone\n"
    members[f"{top}test/images/test_0.JPEG"] = encoded(pixels(5), "JPEG")
    return members


def ilsvrc2012(classes: tuple[str, ...] = ("n02", "n01")) -> dict[str, bytes]:
    """The three official tars; the kit's numbers run against the wnids' order, as in the real one."""
    inner = {
        f"{wnid}.tar": tar_bytes({f"{wnid}_{i}.JPEG": encoded(pixels(10 * c + i), "JPEG") for i in range(3)})
        for c, wnid in enumerate(classes)
    }
    val = {f"ILSVRC2012_val_{i:08}.JPEG": encoded(pixels(50 + i), "JPEG") for i in range(1, 5)}
    return {
        "ILSVRC2012_img_train.tar": tar_bytes(inner),
        "ILSVRC2012_img_val.tar": tar_bytes(val),
        "ILSVRC2012_devkit_t12.tar.gz": tar_bytes(kit(classes, [1, 2, 2, 1]), "w:gz"),
    }
