"""Values, words, YAML, paths and addresses as nobody means them."""

from collections.abc import Callable
from random import Random
from typing import Any

OTHERS: list[Any] = [None, True, False, "", "0", "1.5", "all", "x" * 3000, [], {}, [[]], [1, 2], {"a": 1}, [None], 7]
"""Values of every kind."""
YAML = (
    "*x|&x [*x]|!!python/name:os.system|!!binary aGk=|!!set {a}|<<: {a: 1}|? [a]|- - - -|2026-02-30|12:30:45|0o17|"
    "0b1|1_000|1__0|.inf|-.INF|.NaN|1e400|~|y|%a|@a|'|{|[|]|}|#|: :|\t1|\u202e|\ufeff|\x07|\r|\v|\""
).split("|")
YAML += ["|\n  text", ">-\n  text", '"\\ud800"', '"\\0"', '"\\x1b[2J"', "[" * 40, "{a: " * 40, "9" * 400]
"""What may stand where a value does."""
SCHEMES = (
    "|/|//|http://|https://|HTTP://|ftp:|s3://|file://|file:///|sqlite:///|postgresql://|mysql://me:s3cret@|"
    "http://me:s3cret@|javascript:|data:|C:\\|http://[|:"
).split("|")
HOSTS = ["x" * 70, *"|host|[::1|[::g]|a..b|host:99999|host:-1|host:port|127.0.0.1:9|-a|é.de".split("|")]
PIECES = (
    "a|..|.||~|~nobody|$HERE|$UNSET|$EMPTY|$$|${|folder|pipe|my birds|{x}|*|results|data|mlflow.db|proc|dev|null|é|"
    "\udc80|\0|\n|\x1b[2J|-v|empty.tgz|mine.yaml|con|a b|'|\"|;|`ls`|%41|@|#|?q=1|\\|\u202e"
).split("|")
PIECES += ["|", "x" * 300]
"""Of a path."""


def number(dice: Random) -> float | int:
    """Any number, most of them absurd."""
    edges = [0, -0.0, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"), 2**31, 2**63, 2**64]
    kinds: list[Callable[[], float | int]] = [
        lambda: -dice.randrange(1, 1000),
        lambda: 10 ** dice.randrange(1, 400),
        lambda: dice.choice(edges),
        lambda: dice.uniform(-2, 2),
        lambda: dice.lognormvariate(0, 8),
        lambda: dice.randrange(1000) + 0.5,
    ]
    return dice.choice(kinds)()


def misspelt(dice: Random, word: str) -> str:
    """The word with a letter dropped, doubled, changed or added, or two swapped."""
    place = dice.randrange(len(word))
    letter = dice.choice("aeinorst")
    kinds = [
        word[:place] + word[place + 1 :],
        word[:place] + word[place] + word[place:],
        word[:place] + letter + word[place + 1 :],
        word[:place] + letter + word[place:],
        word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :] if place else word.capitalize(),
    ]
    return dice.choice([one for one in kinds if one != word])
