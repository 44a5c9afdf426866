"""What a result depends on in the code: a digest per sub-package, blind to comments, docstrings and layout."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
ENGINE = ("models", "training", "data/splits.py", "randomness.py")
"""The parts whose change retrains."""


@cache
def code_digest(*parts: str) -> str:
    """Sixteen hexadecimal digits of the syntax trees of `parts`: sub-packages or modules of this package.

    What only people read does not count: tidying the engine, or explaining it better, retrains nothing.
    """
    digest = hashlib.sha256()
    for part in parts:
        place = PACKAGE / part
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            tree = _WithoutText().visit(ast.parse(path.read_text(encoding="utf-8")))
            digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0{ast.dump(tree)}\0".encode())
    return digest.hexdigest()[:16]


class _WithoutText(ast.NodeTransformer):
    """Drops docstrings, and the strings that explain a constant below it."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """A statement that is nothing but a string does nothing."""
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node
