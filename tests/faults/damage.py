"""What happens to files: disks, cables and people change them."""

import re
from random import Random


def damaged(content: bytes, dice: Random) -> bytes:
    """The bytes of a file, cut, changed in a bit, overwritten or added to; of text perhaps another digit."""
    place, data = dice.randrange(len(content)), bytearray(content)
    digits = [found.start() for found in re.finditer(rb"\d", content)] if content.isascii() else []
    kind = dice.choice(["cut", "bit", "zeros", "more", "garbage", *["digit"] * 3 * bool(digits)])
    if kind == "cut":
        return content[:place]
    if kind == "bit":
        data[place] ^= 1 << dice.randrange(8)
    elif kind == "digit":
        place = dice.choice(digits)
        data[place : place + 1] = dice.choice("0123456789").encode()
    elif kind == "zeros":
        data[place:] = bytes(len(data) - place)
    elif kind == "more":
        data[place:place] = dice.randbytes(dice.choice([1, 100]))
    else:
        data[place : place + 100] = dice.randbytes(len(data[place : place + 100]))
    return bytes(data)
