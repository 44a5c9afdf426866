"""Labels in tables: which table speaks of which images, which column is believed, and what is refused or noted."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from takeoff.data import tables
from takeoff.data.tables import read_table, same_classes
from unit import image_archives as make
from unit.preparation import prepared, refused

TEN = [f"{i}.png" for i in range(10)]
PLAIN = make.pictures("set/{10}.png")
BY_TWO = dict(zip(TEN, "ab" * 5, strict=True))


def table(labels, head="id,label"):
    return "\n".join([head, *(f"{key},{label}" for key, label in dict(labels).items())]).encode()


def classes_of(card, split, members, folder):
    """The class of each image of a folder that stands in the split, known by its pixels."""
    images = {name: data for name, data in members.items() if name.startswith(folder) and name.endswith(".png")}
    names = {np.asarray(Image.open(io.BytesIO(data))).tobytes(): name for name, data in images.items()}
    found = zip(split["images"], split["labels"], strict=True)
    return {names[image.tobytes()].removeprefix(folder): card["classes"][label] for image, label in found}


def test_a_table_in_a_splits_folder_speaks_of_that_split_alone(tmp_path):
    members = make.pictures("train/{10}.png", "test/{10}.png")
    halves = dict(zip(TEN, "aaaaabbbbb", strict=True))
    members |= {"train/metadata.csv": table(halves), "test/metadata.csv": table(BY_TWO)}
    card, train, test = prepared(make.write_folder(tmp_path / "set", members), tmp_path)
    assert classes_of(card, train, members, "train/") == halves
    assert classes_of(card, test, members, "test/") == BY_TWO
    del members["train/metadata.csv"]
    assert "no file says their classes" in refused(make.write_folder(tmp_path / "less", members), tmp_path)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("id,label", "{key},{label}"),
        ("label,id", "{label},{key}"),
        ("file_name,class_id,width", "{key},{label},8"),
        ("Image Index,Finding Labels,Age", "{key}.png,{label},30"),
        ("index,image,label", "{back},{key},{label}"),
        ("image,level", "{key},{label}"),
        ("id;label;name", "{key};{label};x"),
        ("ImageId,PredictionString,more", "{key},{label} 1 1 9 9,x"),
        ("", "{key} {label}"),
        ("", "{key}.png\t{label}\t9"),
        ("10", "{key} {label}"),
    ],
)
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_column_of_labels_is_known_by_its_heading_or_is_the_only_one(head, row, code):
    keys = {str(i): f"{i}.png" for i in range(10)} | {name: name for name in TEN}
    rows = [row.format(key=i, back=9 - i, label=i % 2) for i in range(10)]
    found = read_table("\r\n".join([head] * bool(head) + rows).encode(code), keys, 99)
    assert found is not None
    assert (found.fault, found.labels) == ("", {name: str(i % 2) for i, name in enumerate(TEN)})


@pytest.mark.parametrize(
    "head", ["id,fold", "id,width", "id,patient_id", "id,label_width,url", "class_id,label", "id,a,b"]
)
def test_other_columns_are_no_labels(head):
    rows = [head, *(",".join([str(i), *"xy"[: head.count(",")]]) for i in range(10))]
    assert read_table("\n".join(rows).encode(), {str(i): str(i) for i in range(10)}, 99) is None


def test_what_is_called_labels_goes_before_a_guess(tmp_path):
    guess = table(zip(TEN, "xxyyzxxyyz", strict=True), "id,colour")
    members = PLAIN | {"a.csv": guess, "labels.csv": table(BY_TWO), "folds.csv": table(BY_TWO, "id,fold")}
    card, *_ = prepared(make.write_folder(tmp_path / "set", members), tmp_path)
    assert card["classes"] == ["a", "b"]
    short = PLAIN | {"a.csv": guess, "labels.csv": table(list(BY_TWO.items())[:9]), "set/x.txt": b"0 1\n"}
    assert "labels.csv has no label for 9.png" in refused(
        make.write_folder(tmp_path / "short", {f"train/{name.removeprefix('set/')}": short[name] for name in short}),
        tmp_path,
    )


def test_tables_that_disagree_are_refused_and_those_that_rename_are_not(tmp_path):
    numbers = {name: str("ab".index(label)) for name, label in BY_TWO.items()}
    members = PLAIN | {"labels.csv": table(BY_TWO), "numbers.csv": table(numbers, "id,class")}
    card, *_ = prepared(make.write_folder(tmp_path / "set", members), tmp_path)
    assert card["classes"] == ["a", "b"]
    members |= {"more/old.csv": table(BY_TWO | {"3.png": "a"})}
    said = refused(make.write_folder(tmp_path / "other", members), tmp_path)
    assert "labels.csv and more/old.csv disagree" in said
    assert same_classes(BY_TWO, numbers)
    assert not same_classes(BY_TWO, dict.fromkeys(TEN, "a"))
    assert not same_classes(dict.fromkeys(TEN, "a"), BY_TWO)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (BY_TWO | {"3.png": ""}, "labels.csv has no label for 3.png in row 5"),
        (BY_TWO | {"9.png": "NaN"}, "labels.csv has no label for 9.png in row 11"),
        (BY_TWO | {"3": "a"}, "labels.csv has two labels for 3.png, b and a"),
        (dict.fromkeys(TEN, "a"), "labels.csv has one label for all of them"),
    ],
)
def test_a_table_that_does_not_say_all_is_refused_with_the_reason(tmp_path, labels, said):
    members = make.pictures("train/{10}.png") | {"labels.csv": table(labels)}
    assert said in refused(make.write_folder(tmp_path / "set", members), tmp_path)


def test_two_columns_of_labels_agree_or_are_refused(tmp_path):
    rows = [f"{name},{i % 2},{'ab'[i % 2]}" for i, name in enumerate(TEN)]
    good = make.pictures("train/{10}.png") | {"x.csv": "\n".join(["id,class_id,breed", *rows]).encode()}
    assert prepared(make.write_folder(tmp_path / "a", good), tmp_path)[0]["classes"] == ["0", "1"]
    rows[3] = "3.png,1,a"
    bad = good | {"x.csv": "\n".join(["id,class_id,breed", *rows]).encode()}
    said = refused(make.write_folder(tmp_path / "b", bad), tmp_path)
    assert "x.csv has two columns of labels that disagree, class_id and breed" in said


def splits(words):
    rows = [f"{name},{'ab'[i % 2]},{word}" for i, (name, word) in enumerate(zip(TEN, words, strict=True))]
    return "\n".join(["file,label,split", *rows]).encode()


def test_a_column_of_splits_is_followed(tmp_path):
    words = ["train"] * 4 + ["Test"] * 2 + ["validation"] * 2 + ["training"] * 2
    members = PLAIN | {"labels.csv": splits(words)}
    card, train, test = prepared(make.write_folder(tmp_path / "set", members), tmp_path)
    said = classes_of(card, train, members, "set/"), classes_of(card, test, members, "set/")
    assert said == ({f"{i}.png": "ab"[i % 2] for i in (0, 1, 2, 3, 8, 9)}, {"4.png": "a", "5.png": "b"})
    assert any(note.startswith("2 images that it says val") for note in card.notes)
    members["labels.csv"] = splits(["test"] * 10)
    assert "says train of no image" in refused(make.write_folder(tmp_path / "none", members), tmp_path)
    members["labels.csv"] = splits(["one", "two"] * 5)
    card, *_ = prepared(make.write_folder(tmp_path / "words", members), tmp_path)
    assert any("a column of splits that was not read, with 'one'" in note for note in card.notes)


def test_a_column_of_splits_agrees_with_the_folders(tmp_path):
    members = {f"train/{name.removeprefix('set/')}": data for name, data in PLAIN.items()}
    words = ["train"] * 9 + ["val"]
    said = refused(make.write_folder(tmp_path / "set", members | {"labels.csv": splits(words)}), tmp_path)
    assert "labels.csv says val of 9.png, which is in train/" in said
    prepared(make.write_folder(tmp_path / "good", members | {"labels.csv": splits(["train"] * 10)}), tmp_path)


def test_rows_of_images_that_are_not_there_are_noted(tmp_path):
    members = PLAIN | {"labels.csv": table(BY_TWO | {"77.png": "a", "88.png": "c"})}
    card, *_ = prepared(make.write_folder(tmp_path / "set", members), tmp_path)
    assert "labels.csv names 2 images that are not there, as 77.png" in card.notes
    assert card["classes"] == ["a", "b"]


def test_tables_take_little_memory_and_huge_ones_are_passed_over(tmp_path, monkeypatch):
    members = make.pictures("train/{10}.png") | {"labels.csv": b"id,label\n" + b"123,abcd\n" * 3_000_000}
    folder = make.write_folder(tmp_path / "set", members)
    tracemalloc.start()
    assert "labels.csv has more than 200,200 rows" in refused(folder, tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 80e6  # twice the file, at most: a row takes a hundred bytes
    tracemalloc.stop()
    (folder / "more.csv").write_bytes(table(BY_TWO))
    assert prepared(folder, tmp_path)[0]["classes"] == ["a", "b"]
    monkeypatch.setattr("takeoff.data.labels.LARGEST", 50)
    monkeypatch.setattr(tables, "LARGEST", 50)
    assert "has more than 50 bytes" in refused(folder, tmp_path)


@pytest.mark.parametrize("change", [lambda text: text + b"\n", lambda text: text.decode().encode("utf-16")])
def test_tiny_imagenets_annotations_are_read_as_editors_leave_them(tmp_path, change):
    members = make.tiny_imagenet()
    name = "tiny-imagenet-200/val/val_annotations.txt"
    _, _, test = prepared(make.write_zip(tmp_path / "x.zip", members | {name: change(members[name])}), tmp_path)
    assert test["labels"].tolist() == [1, 0]
