"""Paths and addresses as a user writes them: `~` and `$VARIABLE` written out, and what can never work refused.

What is wrong is a ValueError in words, so that typed models can use these functions as validators.
"""

import os
import re
from ipaddress import IPv6Address
from pathlib import Path
from string import Template
from urllib.parse import SplitResult, unquote, urlsplit

from takeoff.common.spelling import one_line, unprintable

OF_ARCHIVE = "TAKEOFF_ARCHIVE_ADDRESS"
"""The environment variable with the address of an archive to fetch, with its password: command lines are shown."""
LONGEST_PATH, LONGEST_NAME = 4000, 255
"""Bytes, of a path and of a name in it."""
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
HOST = re.compile(r"((?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)\.?")
SYSTEM, SHARED = ("/proc", "/sys", "/dev"), "/dev/shm"
"""Where no results can lie, and the folder in memory there in which they can."""


def without_secrets(uri: str) -> str:
    """The address without user, password and query.

    >>> without_secrets("postgresql://me:s3cret@db:5432/mlflow?sslpassword=x")
    'postgresql://db:5432/mlflow'
    >>> without_secrets("me:s3cret@db/mlflow")
    'db/mlflow'
    >>> without_secrets("https:///me:s3cret@host/x.tgz?key=x")
    'https:///host/x.tgz'
    """
    if re.match(r"(?!https?:)[\w+.-]+:///", uri, re.IGNORECASE):
        return uri.split("?", maxsplit=1)[0]  # a path may well have an @
    return re.sub(r"^([\w+.-]+:/+)?.*@", r"\1", uri, flags=re.DOTALL).split("?")[0]


def expanded(text: str) -> str:
    """A text with `~` and `$VARIABLE` or `${VARIABLE}` written out; `$$` is a dollar sign."""
    try:
        values = {name: value for name, value in os.environ.items() if value}
        found = Template(text).substitute(values) if "$" in text else text
    except KeyError as error:
        # What follows a dollar sign in an address may be of its password.
        name = "a variable in it" if _own(text) != one_line(text) else f"${error.args[0]}"
        raise ValueError(f"{_own(text)}: {name} is not set; valid: a variable that is set, or $$ for $") from None
    except ValueError:
        raise ValueError(f"{_own(text)}: a dollar sign begins no variable; valid: $NAME, or $$ for $") from None
    try:
        return str(Path(found).expanduser()) if found.startswith("~") else found
    except RuntimeError:
        raise ValueError(f"{one_line(text)}: no home of that name is known; valid: a path in full") from None


def check_text(text: str) -> str:
    """The text of a path or an address, if it can be one at all."""
    if not text.strip():
        raise ValueError(f"{text!r} is empty; valid: a path")
    if unprintable(text):
        raise ValueError(f"{one_line(text)!r} has characters that cannot be printed; valid: others")
    return text


def check_path(text: str) -> str:
    """A path, if files can be at it and Snakemake can name them."""
    check_text(text)
    if set("{}") & set(text):
        raise ValueError(f"{one_line(text)!r} has braces, in which Snakemake sees wildcards; valid: a path without")
    if text.startswith("-"):
        raise ValueError(f"{one_line(text)!r} begins as options do; valid: a path that does not")
    long = max(len(name.encode()) for name in text.split("/"))
    if long > LONGEST_NAME or len(text.encode()) > LONGEST_PATH:
        raise ValueError(f"{one_line(text)!r} is too long; valid: names of up to {LONGEST_NAME} bytes")
    return text


def folder_path(text: str) -> str:
    """The path of a folder, written out."""
    path = expanded(check_text(text))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:(//|$)", path):  # first, since it may hold a password
        raise ValueError(f"{_own(path)!r} is an address; valid: a folder")
    return check_path(path)


def check_place(text: str) -> str:
    """A path, or the address of a file on the web, http or https or file; variables in it stay as they are."""
    if "$" in text or text.startswith("~"):
        return check_text(text)
    kind = SCHEME.match(check_text(text))
    if kind is None or Path(check_path(text)).exists():
        return check_path(text)
    if kind[1].lower() == "file":
        local_path(text)
    elif kind[1].lower() in {"http", "https"}:
        name = Path(check_address(text).path).name
        if name in {"", ".", ".."} or {*"{}"} & {*name} or len(name.encode()) > LONGEST_NAME - len(".part"):
            raise ValueError(f"{_own(text)}: names no file; valid: an address that ends in the name of a file")
    else:
        raise ValueError(f"{_own(text)}: nothing is read from {kind[1]}:; valid: https:, http:, file: or a path")
    return text


def place(text: str) -> str:
    """The same, with variables written out."""
    return check_place(expanded(check_text(text)))


def local_path(text: str) -> Path | None:
    """The path that a checked place names on this machine; None of an address on the web."""
    kind = SCHEME.match(text)
    if kind and kind[1].lower() == "file":
        parts = urlsplit(text)
        path = unquote(parts.path)
        if parts.netloc not in {"", "localhost"} or not path.startswith("/"):
            raise ValueError(f"{_own(text)}: names no file here; valid: file:///, and a path from / on")
        return Path(check_path(path))
    web = kind and kind[1].lower() in {"http", "https"} and not Path(text).exists()
    return None if web else Path(text)


def check_address(address: str, host: bool = True) -> SplitResult:
    """The parts of an address, whose host and port can be ones; a database's may have no `host`."""
    if any(map(str.isspace, check_text(address))):
        raise ValueError(f"{_own(address)}: an address has no spaces; valid: %20 for each")
    try:
        parts = urlsplit(address)
        known = parts.port != 0
        if name := parts.hostname:
            known &= bool(IPv6Address(name)) if ":" in name else bool(HOST.fullmatch(name.encode("idna").decode()))
        elif parts.netloc:
            known = False
    except ValueError:
        known = False
    if not known:
        valid = "a host's name, or IPv6 in brackets; a port from 1 to 65535"
        raise ValueError(f"{_own(address)}: not an address, by its host or port; valid: {valid}")
    if host and not parts.hostname:
        raise ValueError(f"{_own(address)}: names no host; valid: {parts.scheme}://host")
    return parts


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written to, or made."""
    try:
        whole = folder.resolve()
        there = next(place for place in (whole, *whole.parents) if place.exists())
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError
        raise ValueError(
            f"{folder}: {getattr(error, 'strerror', None) or 'links in a loop'}; valid: a folder"
        ) from None
    if not there.is_dir():
        raise ValueError(f"{folder}: there is a file of that name; valid: a folder, a new name")
    if any(whole.is_relative_to(system) for system in SYSTEM) and not whole.is_relative_to(SHARED):
        raise ValueError(f"{folder}: files there are the system's; valid: a folder on a disk")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{folder}: {there} cannot be written to; valid: a folder that can")


def _own(address: str) -> str:
    return one_line(without_secrets(address))
