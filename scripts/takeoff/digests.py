"""What a result depends on in the code: a digest per sub-package, blind to comments and layout."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
ENGINE = ("models", "training")
"""The sub-packages whose change retrains."""


@cache
def code_digest(*parts: str) -> str:
    """Sixteen hexadecimal digits of the syntax trees below `parts` of this package.

    Comments, blank lines and line breaks do not count: tidying the engine retrains nothing.
    """
    digest = hashlib.sha256()
    for part in parts:
        place = PACKAGE / part
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            tree = ast.dump(ast.parse(path.read_text(encoding="utf-8")))
            digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0{tree}\0".encode())
    return digest.hexdigest()[:16]
