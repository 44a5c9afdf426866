"""Recognising: layouts that people have, what has no labels, litter, and what goes by a name of the catalogue."""

import numpy as np
import pytest
from takeoff.data.card import CARD, load_card
from unit import image_archives as make
from unit.preparation import prepared, published, refused

NAMES = ["plane", "cat", "ant"]
NO_TEST = "no test split: 0.2 of each class was held out, the same images each time (seed 2012)"
PUBLIC = "test images from val/: the labels of the official test images are not public"
VAL = [f"ILSVRC2012_val_{i:08}" for i in range(1, 5)]
KAGGLE = "ILSVRC/Data/CLS-LOC/"
CIFARS = make.cifar10(np.zeros((12, 32, 32, 3), np.uint8), [0, 1] * 6, NAMES[:2]) | make.cifar100(
    np.zeros((9, 32, 32, 3), np.uint8), [0, 1, 2] * 3, NAMES
)


def table(rows, head="id,label"):
    return "\n".join([head, *(f"{key},{label}" for key, label in rows)]).encode()


def sorted_tiny(place):
    """Tiny ImageNet whose validation images were sorted into folders, its annotations left in place."""
    members = make.tiny_imagenet() | {"tiny-imagenet-200/val/images/": b""}
    for i, wnid in enumerate(("n02", "n01")):
        data = members.pop(f"tiny-imagenet-200/val/images/val_{i}.JPEG")
        members["tiny-imagenet-200/val/" + place.format(wnid=wnid, name=f"val_{i}.JPEG")] = data
    return members


def without_annotations(members):
    return {name: data for name, data in members.items() if data and "annotations" not in name}


READ = {
    "Kaggle's ImageNet, as it unpacks": (
        make.pictures(f"{KAGGLE}train/n1/{{3}}.JPEG", f"{KAGGLE}train/n2/{{3}}.JPEG", f"{KAGGLE}test/{{2}}.JPEG")
        | make.pictures(*(f"{KAGGLE}val/{name}.JPEG" for name in VAL))
        | {f"ILSVRC/Annotations/CLS-LOC/train/n1/{i}.xml": b"<annotation/>" for i in range(2)}
        | {f"ILSVRC/Annotations/CLS-LOC/val/{name}.xml": b"<annotation/>" for name in VAL}
        | {"LOC_sample_submission.csv": b"x\n", "LOC_train_solution.csv": b"ImageId,PredictionString\n"}
        | {
            "LOC_val_solution.csv": table(
                ((v, f"n{2 - i % 2} 1 1 9 9") for i, v in enumerate(VAL)), "ImageId,PredictionString"
            )
        },
        (["n1", "n2"], [3, 3], [2, 2], [1, 0, 1, 0]),
        [
            "test/ has no class folders and was left out",
            "test images from val/, with the labels of LOC_val_solution.csv",
        ],
    ),
    "the same as one tar, with classes in its XML files": (
        make.pictures(f"{KAGGLE}train/n1/{{3}}.JPEG", f"{KAGGLE}train/n2/{{3}}.JPEG")
        | make.pictures(*(f"{KAGGLE}val/{name}.JPEG" for name in VAL))
        | {
            f"ILSVRC/Annotations/CLS-LOC/val/{name}.xml": f"<object>\n<name>n{2 - i % 2}</name></object>".encode()
            for i, name in enumerate(VAL)
        },
        (["n1", "n2"], [3, 3], [2, 2], [1, 0, 1, 0]),
        ["test images from val/, with the labels of the XML file of each"],
    ),
    "the development kit beside loose images": (
        make.pictures("train/n1/{3}.JPEG", "train/n2/{3}.JPEG", *(f"val/{name}.JPEG" for name in VAL))
        | {"kit.tar.gz": make.tar_bytes(make.kit(("n2", "n1"), [1, 2, 2, 1]), "w:gz")},
        (["n1", "n2"], [3, 3], [2, 2], [1, 0, 0, 1]),
        ["test images from val/, with the labels of the development kit"],
    ),
    "validation images sorted by the kit's numbers": (
        make.pictures("train/n1/{3}.JPEG", "train/n2/{3}.JPEG")
        | make.pictures(*(f"val/{1 + i % 2}/{name}.JPEG" for i, name in enumerate(VAL)))
        | {"kit.tar.gz": make.tar_bytes(make.kit(("n2", "n1"), [1, 2, 1, 2]), "w:gz")},
        (["n1", "n2"], [3, 3], [2, 2], [1, 1, 0, 0]),
        ["test images from val/, with the labels of the development kit"],
    ),
    "parts of splits": (
        make.pictures("train.X1/n1/{3}.JPEG", "train.X1/n2/{2}.JPEG", "train.X2/n3/{2}.JPEG")
        | make.pictures("val.X/n1/0.JPEG", "val.X/n2/1.JPEG", "val.X/n3/2.JPEG")
        | {"Labels.json": b"{}"},
        (["n1", "n2", "n3"], [3, 2, 2], [1, 1, 1], [0, 1, 2]),
        ["training images from train.X1/, train.X2/", "test images from val.X/"],
    ),
    "splits called something more, each in itself": (
        make.pictures("seg_train/seg_train/sea/{3}.jpg", "seg_train/seg_train/street/{3}.jpg")
        | make.pictures("seg_test/seg_test/sea/0.jpg", "seg_test/seg_test/street/1.jpg", "seg_pred/seg_pred/0.jpg"),
        (["sea", "street"], [3, 3], [1, 1], [0, 1]),
        ["test images from seg_test/", "1 images in other folders were left out, as seg_pred/seg_pred/0.jpg"],
    ),
    "labels of training images in a table, none of test images": (
        make.pictures("train/{10}.png", "test/{4}.png")
        | {"trainLabels.csv": table((i, ("frog", "deer")[i % 2]) for i in range(10))}
        | {"sampleSubmission.csv": table((i, "cat") for i in range(4))},
        (["deer", "frog"], [4, 4], [1, 1], None),
        [
            "training images from train/, with the labels of trainLabels.csv",
            "test/ has no class folders and was left out",
            NO_TEST,
        ],
    ),
    "one table, where the numbers of test images begin anew": (
        make.pictures("train/{10}.jpg", "test/{4}.jpg")
        | {"labels.csv": table(((i, ("pug", "boxer")[i % 2]) for i in range(10)), "id,breed")},
        (["boxer", "pug"], [4, 4], [1, 1], None),
        [
            "training images from train/, with the labels of labels.csv",
            "test/ has no class folders and was left out",
            NO_TEST,
        ],
    ),
    "images in one folder and a table": (
        make.pictures("images/{10}.jpg") | {"labels.csv": table((f"{i}.jpg", "ab"[i % 2]) for i in range(10))},
        (["a", "b"], [4, 4], [1, 1], None),
        ["all images, with the labels of labels.csv", NO_TEST],
    ),
    "CIFAR-10 as the d2l book sorts it": (
        make.pictures(*(f"tvt/{s}/{c}/{{{n}}}.png" for s, n in (("train", 3), ("valid", 2)) for c in ("cat", "frog")))
        | make.pictures("tvt/train_valid/cat/{5}.png", "tvt/train_valid/frog/{5}.png", "tvt/test/unknown/{3}.png"),
        (["cat", "frog"], [3, 3], [2, 2], [0, 0, 1, 1]),
        ["train_valid/ was left out", "test/ has no labels and was left out", "test images from valid/"],
    ),
    "images beside class folders": (
        make.pictures("cover.png", "set/a/{5}.png", "set/b/{5}.png", "set/extra.png"),
        (["a", "b"], [4, 4], [1, 1], None),
        ["2 images outside the class folders were left out", NO_TEST],
    ),
    "a class that is called as a split": (
        make.pictures("train/bus/{3}.png", "train/train/{3}.png", "test/bus/0.png", "test/train/1.png"),
        (["bus", "train"], [3, 3], [1, 1], [0, 1]),
        ["test images from test/"],
    ),
    "a train among other vehicles": (
        make.pictures("bus/{5}.png", "car/{5}.png", "train/{5}.png"),
        (["bus", "car", "train"], [4, 4, 4], [1, 1, 1], [0, 1, 2]),
        ["the folder train was taken for a class, as those beside it", NO_TEST],
    ),
    "images and their masks, with a table": (
        make.pictures("x/images/{10}.jpg", "x/masks/{10}.png")
        | {"labels.csv": table((i, "ab"[i % 2]) for i in range(10))},
        (["a", "b"], [4, 4], [1, 1], None),
        ["all images, with the labels of labels.csv", "10 images beside them were left out, as x/masks/0.png", NO_TEST],
    ),
    "parts, with a table": (
        make.pictures("HAM_images_part_1/{5}.jpg", "HAM_images_part_2/b{5}.jpg")
        | {"meta.csv": table([*((i, "pq"[i % 2]) for i in range(5)), *((f"b{i}", "q") for i in range(5))], "id,dx")},
        (["p", "q"], [2, 6], [1, 1], None),
        ["all images, with the labels of meta.csv", NO_TEST],
    ),
    "parts of images in folders of their own, with a table": (
        make.pictures("images_001/images/a{5}.jpg", "images_002/images/b{5}.jpg")
        | {
            "d.csv": table(((f"{c}{i}.jpg", f"c{i % 2}") for c in "ab" for i in range(5)), "Image Index,Finding Labels")
        },
        (["c0", "c1"], [5, 3], [1, 1], None),
        ["all images, with the labels of d.csv", NO_TEST],
    ),
    "folders that differ by numbers, with a table": (
        make.pictures("shot_1/{5}.jpg", "shot_2/b{5}.jpg")
        | {"d.csv": table((f"{c}{i}.jpg", f"c{i % 2}") for c in ("", "b") for i in range(5))},
        (["c0", "c1"], [5, 3], [1, 1], None),
        ["all images, with the labels of d.csv", NO_TEST],
    ),
    "the same without": (
        make.pictures("shot_1/{5}.jpg", "shot_2/b{5}.jpg"),
        (["shot_1", "shot_2"], [4, 4], [1, 1], None),
        ["folders that differ by numbers alone were taken for classes, as shot_1", NO_TEST],
    ),
    "class folders of images beside those of thumbnails": (
        make.pictures(*(f"{place}/{c}/{{5}}.jpg" for place in ("images", "thumbnails") for c in "ab")),
        (["a", "b"], [4, 4], [1, 1], None),
        ["10 images beside them were left out, as thumbnails/a/0.jpg", NO_TEST],
    ),
    "a test set alone": (
        make.pictures("set/test/a/{5}.jpg", "set/test/b/{5}.jpg"),
        (["a", "b"], [4, 4], [1, 1], None),
        ["all images are from test/: no folder of training images stands beside it", NO_TEST],
    ),
    "Tiny ImageNet, sorted in images/": (
        sorted_tiny("images/{wnid}/{name}"),
        (["n01", "n02"], [3, 3], [1, 1], [0, 1]),
        [PUBLIC],
    ),
    "Tiny ImageNet, sorted": (sorted_tiny("{wnid}/{name}"), (["n01", "n02"], [3, 3], [1, 1], [0, 1]), [PUBLIC]),
    "Tiny ImageNet, sorted, without annotations": (
        without_annotations(sorted_tiny("{wnid}/images/{name}")),
        (["n01", "n02"], [3, 3], [1, 1], [0, 1]),
        ["test/ has no class folders and was left out", "test images from val/"],
    ),
}


@pytest.mark.parametrize("name", READ)
def test_layouts_that_people_have_are_read(tmp_path, name):
    members, (classes, train, test, labels), notes = READ[name]
    card, _, tested = prepared(make.write_folder(tmp_path / "set", members), tmp_path)
    assert (card["classes"], card["images_per_class"]) == (classes, {"train": train, "test": test})
    assert labels is None or tested["labels"].tolist() == labels
    assert (card.notes, card["left_out"]) == (notes, 0)


@pytest.mark.parametrize(
    "names",
    [
        *(
            ["n01440764", "n01443537"],
            ["0", "1", "2"],
            ["class1", "class2"],
            ["label_0", "label_1"],
            ["s1", "s2", "s40"],
        ),
        *(
            ["2019", "2020"],
            ["mask", "no mask"],
            ["fold", "cut", "poke"],
            ["photo", "sketch"],
            ["HR", "SI"],
            ["图片1", "图2"],
        ),
    ],
)
def test_names_of_classes_stay_classes_without_a_note(tmp_path, names):
    members = make.pictures(*(f"{name}/{{5}}.png" for name in names)) | {
        "x.csv": table((i, "ab"[i % 2]) for i in range(5))
    }
    card, *_ = prepared(make.write_folder(tmp_path / "set", members), tmp_path)
    assert (card["classes"], card.notes) == (sorted(names), [NO_TEST])


LOOSE = "train/ has no class folders"
PARTS = "words for files and parts of a set are no classes"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (make.pictures("train/cat.{3}.jpg", "train/dog.{3}.jpg", "test1/{2}.jpg"), f"{LOOSE}, and no file says their"),
        (make.pictures("train/{3}.jpg", "test/{2}.jpg", "extra/{2}.jpg"), LOOSE),
        (make.pictures("train/a/{3}.jpg", "train/b/{3}.jpg", "val/{2}.jpg", "test/0.jpg"), "val/ has no class folders"),
        (make.pictures("val/{3}.jpg", "test/{3}.jpg"), "test, val: words for splits are no classes"),
        (make.pictures("cat/{3}.jpg", "dog/{3}.jpg", "test/{3}.jpg"), "test: words for splits are no classes"),
        (make.pictures("cat/{3}.jpg", "train/{3}.jpg"), LOOSE),
        (make.pictures("train/{3}.jpg") | {"train.csv": b"id,label\n0,a\n1,b\n"}, "train.csv has no label for 2.jpg"),
        (make.pictures("train/{2}.jpg") | {"train.csv": b"id,label\n0,a\n1,b\n0,b\n"}, LOOSE),
        (make.pictures(*(f"{s}/train/{c}/{{2}}.jpg" for s in "pq" for c in "ab")), "several sets of images, in p, q"),
        (make.pictures(*(f"train_{s}/{c}/{{2}}.jpg" for s in (6, 9) for c in "ab")), "hold files of the same names"),
        (make.pictures("train/a/{3}.jpg", "train/b/{3}.jpg", "val/1/0.jpg", "val/2/1.jpg"), "no training images of 2"),
        ({f"s-{i}/{n}.{e}": b"x" for i in range(2) for n in "ab" for e in ("jpg", "cls", "json")}, "unknown layout"),
        ({f"train_data_batch_{i}": b"\x80\x02}." for i in range(1, 11)}, "unknown layout"),
        ({"cifar-10-batches-bin/data_batch_1.bin": bytes(3073), "cifar-10-batches-bin/x.txt": b"x"}, "unknown layout"),
        ({"data/train-0.parquet": b"PAR1"}, "unknown layout"),
        (make.pictures("images/{5}.jpg", "masks/{5}.png"), f"images: {PARTS}, and no file says"),
        (make.pictures("x/images/{5}.jpg", "x/annotations/trimaps/{5}.png"), f"images: {PARTS}"),
        (make.pictures("HR/{5}.jpg", "LR/{5}.png"), f"HR, LR: {PARTS}"),
        (make.pictures(*(f"fold{i}/{i}{{5}}.jpg" for i in range(3))), f"fold0, fold1, fold2: {PARTS}"),
        (make.pictures(*(f"A_part_{i}/{i}{{5}}.jpg" for i in range(3))), f"A_part_0, A_part_1, A_part_2: {PARTS}"),
        (make.pictures(*(f"Batch {i}/{i}{{5}}.jpg" for i in range(3))), f"Batch 0, Batch 1, Batch 2: {PARTS}"),
        (make.pictures("cat/{5}.jpg", "dog/{5}.jpg", "labels/{5}.jpg"), f"labels, beside cat, dog: {PARTS}"),
        (make.pictures("train/images/{5}.jpg", "train/masks/{5}.jpg", "test/cat/{5}.jpg"), LOOSE),
        (
            make.pictures(*(f"20{y}/{c}/{{3}}.jpg" for y, c in ("9a", "9b", "8a", "8b", "8c"))),
            "208, 209 hold the same folders",
        ),
        (
            make.pictures(*(f"{d}/images/{c}/{{3}}.jpg" for d in ("amazon", "dslr") for c in "abc")),
            "amazon, dslr hold the same folders, a, b, c",
        ),
        (CIFARS, "holds the pickles of cifar10 and of cifar100; valid: one of these names"),
    ],
)
def test_what_has_no_labels_or_two_meanings_is_refused(tmp_path, members, said):
    assert said in refused(make.write_folder(tmp_path / "set", members), tmp_path)


def test_the_catalogue_says_which_of_two_sets_is_meant(tmp_path, monkeypatch):
    published(monkeypatch, "cifar100", classes=3, train=6, test=3)
    folder = make.write_folder(tmp_path / "root", CIFARS)
    card, *_ = prepared(folder, tmp_path, 32, dataset="cifar100")
    assert (card["title"], card["classes"]) == ("CIFAR-100", NAMES)
    for batch in folder.glob("cifar-100-python/*"):
        batch.unlink()
    assert "holds the pickles of cifar10, not of cifar100" in refused(folder, tmp_path, 32, dataset="cifar100")


@pytest.mark.parametrize(
    ("name", "members", "said"),
    [
        ("cifar10", make.folders(), "not CIFAR-10: it holds 2 classes, 6 training and 4 test images; test images from"),
        ("cifar10", CIFARS, "not CIFAR-10: it holds 2 classes, 10 training and 2 test images"),
        ("imagenette", make.folders(), "Imagenette (160 px) has no class a; valid: a whole copy of it"),
        ("imagenet100", make.folders(), "has no class 'n01558993'"),
        ("digits", make.folders(), "not Optical recognition"),
    ],
)
def test_what_goes_by_a_name_of_the_catalogue_has_its_classes_and_counts(tmp_path, name, members, said):
    assert said in refused(make.write_folder(tmp_path / "set", members), tmp_path, dataset=name)


def test_images_are_known_by_their_first_bytes(tmp_path):
    kinds = {"0.jfif": "JPEG", "1": "PNG", "2.dat": "GIF", "3.bin": "BMP", "4.x": "TIFF", "5.txt": "WEBP", "6": "PPM"}
    members = {f"b/{name}": make.encoded(make.pixels(i), kind) for i, (name, kind) in enumerate(kinds.items())}
    folder = make.write_folder(tmp_path / "set", members | make.pictures("a/{5}.PNG"))
    archive = make.write_tar(tmp_path / "x.tgz", members | make.pictures("a/{5}.PNG"))
    card, *_ = prepared(folder, tmp_path)
    assert card["images_per_class"] == {"train": [4, 6], "test": [1, 1]}
    assert prepared(archive, tmp_path)[0]["digest"] == card["digest"]


LITTER = [
    *"Thumbs.db THUMBS.DB Desktop.ini .DS_Store ._0.png 0.png:Zone.Identifier 0.png:com.dropbox.attrs".split(),
    *".dropbox .stfolder/x .sync/ID @eaDir/0.png/SYNOPHOTO_THUMB_M.jpg #recycle/0.png $Recycle.Bin/0.png".split(),
    *".Trash-1000/files/0.png lost+found/0.png __MACOSX/._0.png @Recycle/0.png ~snapshot/0.png".split(),
    *("System Volume Information/0.png", "Network Trash Folder/0.png", "Icon\r", "0.png@SynoEAStream"),
]


@pytest.mark.parametrize("where", ["", "set/train/", "set/train/a/"])
def test_what_systems_leave_is_passed_over(tmp_path, where):
    data = next(iter(make.folders().values()))
    litter = {where + name: data if name.endswith(("png", "jpg")) else b"litter" * 9 for name in LITTER}
    card, *_ = prepared(make.write_tar(tmp_path / "x.tgz", make.folders("set/")), tmp_path)
    for path in (tmp_path / "y.tgz", tmp_path / "y.zip", tmp_path / "folder"):
        assert prepared(make.write(path, litter | make.folders("set/")), tmp_path)[0]["digest"] == card["digest"]


def test_the_command_prints_every_note(tmp_path, command):
    archive = make.write_zip(tmp_path / "x.zip", make.folders() | make.pictures("val/a/0.png", "val/b/0.png"))
    done = command.done("prepare", "--archive", archive, "--resolution", "8", "--out", tmp_path / "out")
    notes = load_card(tmp_path / "out" / CARD).notes
    assert done.stdout.splitlines()[1:] == [f"note: {note}" for note in notes] != []
