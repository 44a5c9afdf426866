"""Preparing an archive for tests: what is written of it, or the message with which it is refused."""

import pytest
from safetensors.numpy import load_file
from takeoff.common.errors import TakeoffError
from takeoff.data import catalogue
from takeoff.data.card import CARD, load_card
from takeoff.data.preparing import Request, prepare


def prepared(archive, tmp_path, resolution=8, **rest):
    """Card and both splits, as the library reads them."""
    out = tmp_path / "out"
    card = prepare(Request(archive, resolution, **rest), out)
    assert card == load_card(out / CARD)
    assert {path.name for path in out.iterdir()} == {"card.json", "test.safetensors", "train.safetensors"}
    return card, load_file(out / "train.safetensors"), load_file(out / "test.safetensors")


def refused(archive, tmp_path, resolution=8, **rest):
    """The one-line message, after checking that nothing was left."""
    out = tmp_path / "work" / "out"
    with pytest.raises(TakeoffError) as raised:
        prepare(Request(archive, resolution, **rest), out)
    assert not out.parent.exists() or list(out.parent.iterdir()) == []
    assert "\n" not in str(raised.value)
    return str(raised.value)


def published(monkeypatch, name, **facts):
    """Let the catalogue say other facts of a dataset, as few images as a test has."""
    entries = catalogue.entries()
    changed = entries[name].model_copy(update=facts)
    monkeypatch.setattr(catalogue, "entries", lambda: entries | {name: changed})
