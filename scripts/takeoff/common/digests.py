"""What a result depends on in the code: the modules that make it, with all that these import, as one digest.

The digest does not change with comments, docstrings or layout: explaining the code better retrains nothing.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from takeoff.common.places import PACKAGE

ENGINE = "engine"
"""The folder that every trained number depends on."""
CLASSICAL = ("classical/features.py", "classical/learners.py", "data/splits.py")
"""What every number of an older method depends on, beside the module that puts them together:"""
CLASSICAL_JOB = "classical/jobs.py"


@cache
def code_digest(*parts: str) -> str:
    """Sixteen hexadecimal digits of the syntax trees of `closure(*parts)`."""
    digest = hashlib.sha256()
    for name in closure(*parts):
        digest.update(f"{name}\0{_syntax(PACKAGE / name)[0]}\0".encode())
    return digest.hexdigest()[:16]


def classical_digest() -> str:
    """That of the older methods; what their job imports to keep its files changes no number."""
    job = hashlib.sha256(_syntax(PACKAGE / CLASSICAL_JOB)[0].encode()).hexdigest()
    return code_digest(*CLASSICAL) + job[:16]


@cache
def closure(*parts: str) -> tuple[str, ...]:
    """The modules in `parts`, as `engine` or `data/splits.py`, and those that they import, and so on: paths below the
    package, sorted. An import for type checkers alone does not count.
    """
    found: set[Path] = set()
    left = [path for part in parts for path in _files(PACKAGE / part)]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left += [file for name in _syntax(path)[1] for file in _resolved(name)]
    return tuple(sorted(path.relative_to(PACKAGE).as_posix() for path in found))


def _files(place: Path) -> list[Path]:
    return list(place.rglob("*.py")) if place.is_dir() else [place]


def _resolved(name: str) -> Iterator[Path]:
    """The file of a module with the `__init__.py` of its packages; of a name inside a module, that module's."""
    place = PACKAGE
    for part in name.split(".")[1:]:
        if not (place / part).is_dir():
            if (place / f"{part}.py").is_file():
                yield place / f"{part}.py"
            return
        place /= part
        yield place / "__init__.py"


@cache
def _syntax(path: Path) -> tuple[str, tuple[str, ...]]:
    """A module's syntax tree as text, and the dotted names of this package that it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    _drop_text(tree)
    return ast.dump(tree), tuple(_imports(tree))


def _imports(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.Import(names=names):
            yield from (alias.name for alias in names if alias.name.startswith("takeoff."))
        case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] == "takeoff":
            yield from (f"{module}.{alias.name}" for alias in names)
    for block in _blocks(node):
        for child in block:
            yield from _imports(child)


def _drop_text(node: ast.AST) -> None:
    """Drop docstrings, and the strings that explain a constant below it: such a statement does nothing."""
    for block in _blocks(node):
        block[:] = [child for child in block if not _is_text(child)]
        for child in block:
            _drop_text(child)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _blocks(node: ast.AST) -> Iterator[list[ast.AST]]:
    """The lists of statements in a node; no expression holds any, and walking those took twice as long in all."""
    for name in ("body", "handlers", "cases", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
