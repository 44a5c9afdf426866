"""Where the project's own files are: in a clone, or in the installed package."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parents[1]
CLONED = (ROOT / "config").is_dir() and (ROOT / "scripts").is_dir()
"""Whether the package is used from a clone of the repository."""
CONFIG = ROOT / "config" if CLONED else PACKAGE / "config"
"""Configuration, studies and claims."""
SCRIPTS = ROOT / "scripts" if CLONED else PACKAGE / "scripts"
"""The commands."""


DOCUMENTS = (".yaml", ".yml", ".json")
"""How the names of studies' files end."""


def configured(name: str) -> Path:
    """A file of the folder `config`, given as `.yaml`, which `.yml` does as well: the working directory's own, or else
    ours.
    """
    own = Path("config") / name
    places = (own, own.with_suffix(".yml")) if own.suffix == ".yaml" else (own,)
    return next((place for place in places if place.is_file()), CONFIG / name)


def configured_names(folder: str) -> list[str]:
    """The names, without suffix, of the files in a folder of either `config`."""
    places = [place / folder for place in (Path("config"), CONFIG)]
    return sorted({path.stem for place in places for end in DOCUMENTS[:2] for path in place.glob(f"*{end}")})
