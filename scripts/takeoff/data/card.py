"""The card of prepared data: what they are of, their classes, means and digest."""

import json
from pathlib import Path
from typing import Any

from takeoff.errors import TakeoffError

CARD = "card.json"


def load_card(path: Path, *needed: str) -> dict[str, Any]:
    """The card at `path`, of data that were prepared.

    Raises:
        TakeoffError: it is missing or damaged, or lacks a key that is needed.

    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in needed if key not in card]
    except FileNotFoundError:
        raise TakeoffError(f"{path}: no such file; scripts/prepare.py writes it") from None
    except (ValueError, TypeError) as error:
        raise TakeoffError(f"{path}: damaged ({error}); prepare the data again") from None
    if missing:
        raise TakeoffError(f"{path}: lacks {', '.join(missing)}; prepare the data again")
    return card
