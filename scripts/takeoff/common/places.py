"""Where the project's own files are: in a clone, or in the installed package."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
_CLONE = PACKAGE.parents[1]
CLONED = (_CLONE / "config").is_dir() and (_CLONE / "scripts").is_dir()
"""Whether the package is used from a clone of the repository."""
CONFIG = _CLONE / "config" if CLONED else PACKAGE / "config"
"""Configuration, studies and claims."""
SCRIPTS = _CLONE / "scripts" if CLONED else PACKAGE / "scripts"
"""The commands."""


def configured(name: str) -> Path:
    """A file of the folder `config`: the working directory's own, or else ours."""
    own = Path("config") / name
    return own if own.is_file() else CONFIG / name


def configured_names(folder: str) -> list[str]:
    """The names, without `.yaml`, of the files in a folder of either `config`."""
    return sorted({path.stem for place in (Path("config"), CONFIG) for path in (place / folder).glob("*.yaml")})
