"""Fetching an archive: mirrors in turn, resumed, verified. Knows nothing of what an archive holds.

It builds on requests rather than on pooch: pooch deletes what a broken download left, so it cannot resume it.
"""

import errno
import hashlib
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from takeoff.errors import TakeoffError

CHUNK = 1 << 18  # bytes read at a time
PASSING = {408, 425, 429, 500, 502, 503, 504}  # statuses worth another try


class _FailedError(Exception):
    """An address will not do; the message says why."""


class _BrokenError(Exception):
    """The download broke off; another try may go on from there."""


@dataclass(frozen=True)
class Sums:
    """The checksums that a file must have, in hexadecimal; None where unknown."""

    sha256: str | None = None
    md5: str | None = None

    def __bool__(self) -> bool:
        return bool(self.sha256 or self.md5)

    def fault(self, path: Path) -> str | None:
        """What is wrong with the file at `path`, or None."""
        for kind, expected in (("sha256", self.sha256), ("md5", self.md5)):
            if expected:
                with path.open("rb") as file:
                    got = hashlib.file_digest(file, kind).hexdigest()
                if got != expected.lower():
                    return f"wrong {kind}: expected {expected.lower()}, got {got}"
        return None


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a byte, tries at each address, seconds before the second try (then doubled)."""

    stall: float = 30
    tries: int = 4
    pause: float = 1


UNKNOWN = Sums()
PATIENCE = Patience()


def fetch(
    addresses: tuple[str, ...],
    out: Path,
    sums: Sums = UNKNOWN,
    size: int | None = None,
    patience: Patience = PATIENCE,
) -> None:
    """Put the archive at `out`, from the first address that serves it whole.

    `addresses` are http(s) and file URLs or plain paths; `size`, in bytes, tells a full disk beforehand. An
    `out` with the right sum is kept as it is. A download that broke off stays in `<out>.part`, and the next
    one goes on from there; without a checksum it starts anew, since nothing would tell a wrong join. Raises
    TakeoffError with every address and why it failed.
    """
    if not addresses:
        raise TakeoffError(f"{out.name}: no address to fetch it from; give --url")
    if out.is_file() and sums and not sums.fault(out):
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    if not sums:
        part.unlink(missing_ok=True)
    with _room_for(out, size, part):
        faults = []
        for address in addresses:
            try:
                _fetch_from(address, part, sums, patience)
            except _FailedError as fault:
                faults.append(f"{address}: {fault}")
                if not sums:
                    part.unlink(missing_ok=True)
                continue
            part.replace(out)
            return
    raise TakeoffError(f"cannot fetch {out.name}: " + "; ".join(faults) + _kept(part))


def _kept(part: Path) -> str:
    return f"; {part} keeps what came, and the next try goes on from there" if part.is_file() else ""


@contextmanager
def _room_for(out: Path, size: int | None, part: Path) -> Iterator[None]:
    """Tell a full disk in one line, beforehand where the size is known."""
    needed = (size or 0) - (part.stat().st_size if part.is_file() else 0)
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise TakeoffError(f"{out}: no space left: {needed:,} bytes are needed, {free:,} are free")
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TakeoffError(f"{out}: no space left on the disk" + _kept(part)) from error


def _fetch_from(address: str, part: Path, sums: Sums, patience: Patience) -> None:
    """Leave the whole, verified file at `part`; _FailedError if this address does not serve it."""
    resumed = part.is_file()
    if resumed and sums and not sums.fault(part):
        return
    _copy(address, part, patience)
    fault = sums.fault(part)
    if fault and resumed:
        # What lay there may have come from elsewhere: blame an address only for a file that is all its own.
        part.unlink()
        _copy(address, part, patience)
        fault = sums.fault(part)
    if fault:
        part.unlink()
        raise _FailedError(fault)


def _copy(address: str, part: Path, patience: Patience) -> None:
    url = urlsplit(address)
    if url.scheme in ("http", "https"):
        _download(address, part, patience)
        return
    source = Path(unquote(url.path) if url.scheme == "file" else address)
    if not source.is_file():
        raise _FailedError("no such file")
    shutil.copyfile(source, part)


def _download(address: str, part: Path, patience: Patience) -> None:
    for attempt in range(patience.tries):
        if attempt:
            time.sleep(patience.pause * 2 ** (attempt - 1))
        try:
            return _download_once(address, part, patience.stall)
        except (_BrokenError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            fault = _plain(error, patience.stall)
            if isinstance(error, requests.TooManyRedirects | requests.exceptions.InvalidURL):
                break
    raise _FailedError(fault)


def _plain(error: Exception, stall: float) -> str:
    """A network error in a few words; the libraries' own run over several lines."""
    if isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return f"no byte came for {stall:g} s"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {stall:g} s"
    reason = getattr(error.args[0] if error.args else error, "reason", error)
    return re.sub(r"<[^>]*>:? ?|\s+", " ", f"{reason}").strip() or type(error).__name__


def _download_once(address: str, part: Path, stall: float) -> None:
    """One request that fills `part`, from where it ends if the server can."""
    start = part.stat().st_size if part.is_file() else 0
    # Identity: a server that packs the .tar.gz once more in passing would change its bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(address, headers=headers, stream=True, timeout=(stall, stall)) as response:
        start, total = _position(response, start, part)
        with part.open("r+b" if start else "wb") as file, _progress(part.stem, start, total) as advance:
            file.seek(start)
            file.truncate()
            # The raw stream, since requests would unpack what is served with Content-Encoding: gzip.
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
                advance(len(chunk))
    got = part.stat().st_size
    if total is not None and got != total:
        raise _BrokenError(f"broke off after {got:,} of {total:,} bytes")
    if not got:
        raise _BrokenError("the answer was empty")


def _position(response: requests.Response, start: int, part: Path) -> tuple[int, int | None]:
    """Where the body belongs in the file, and the length of the whole file in bytes, if the server tells."""
    status = response.status_code
    if status == 416:
        part.unlink()
        raise _BrokenError(f"the server has no bytes from {start:,} on")
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not match or int(match[1]) != start:
            part.unlink()
            raise _BrokenError("the server sent another part of the file than asked for")
        return start, None if match[2] == "*" else int(match[2])
    if status != 200:
        raise (_BrokenError if status in PASSING else _FailedError)(f"{status} {response.reason}")
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


@contextmanager
def _progress(name: str, start: int, total: int | None) -> Iterator:
    """A bar on stderr, with nothing drawn where stderr is no terminal."""
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(name, total=total, completed=start)
        yield lambda count: bar.advance(task, count)
