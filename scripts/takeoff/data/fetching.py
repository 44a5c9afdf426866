"""Fetching an archive: mirrors in turn, resumed, verified. Knows nothing of what an archive holds.

It builds on requests rather than on pooch: pooch deletes what a broken download left, so it cannot resume it.
"""

import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from rich.console import Console
from rich.progress import wrap_file

from takeoff.common.errors import TakeoffError
from takeoff.common.files import room_for
from takeoff.data.catalogue import Sums

CHUNK = 1 << 18  # bytes read at a time
PASSING = {408, 425, 429, 500, 502, 503, 504}  # statuses worth another try, as is a broken connection


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a byte, tries at each address, seconds before the second try (then doubled)."""

    stall: float = 30
    tries: int = 4
    pause: float = 1


def fetch(addresses: Sequence[str], out: Path, sums: Sums, patience: Patience, size: int | None = None) -> None:
    """Put the archive at `out`, from the first address that serves it whole.

    `addresses` are http(s) and file URLs or plain paths; `size`, in bytes, shows a full disk beforehand. An `out` with
    the right sum is kept as it is. A download that broke off stays in `<out>.part`, and the next one goes on from
    there; without a checksum it starts anew, since nothing would show a wrong join. Raises TakeoffError with every
    address and why it failed.
    """
    if out.is_file() and sums and not sums.fault(out):
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    if not sums:
        part.unlink(missing_ok=True)
    faults = []
    with room_for(out, (size or 0) - (part.stat().st_size if part.is_file() else 0)):
        for address in addresses:
            try:
                _fetch_from(address, part, sums, patience)
                part.replace(out)
                return
            except TakeoffError as fault:
                faults.append(f"{address}: {fault}")
                if not sums:
                    part.unlink(missing_ok=True)
    kept = f"; {part} keeps what came, and the next try goes on from there" if part.is_file() else ""
    raise TakeoffError(f"cannot fetch {out.name}: " + "; ".join(faults) + kept)


def _fetch_from(address: str, part: Path, sums: Sums, patience: Patience) -> None:
    """Leave the whole, verified file at `part`; TakeoffError with the reason if this address does not serve it."""
    resumed = part.is_file()
    if resumed and sums and not sums.fault(part):
        return
    _copy(address, part, patience)
    if resumed and sums.fault(part):
        # What lay there may have come from elsewhere: blame an address only for a file that is all its own.
        part.unlink()
        _copy(address, part, patience)
    if fault := sums.fault(part):
        part.unlink()
        raise TakeoffError(fault)


def _copy(address: str, part: Path, patience: Patience) -> None:
    """Leave what the address serves at `part`, a download where possible from where `part` ends."""
    url = urlsplit(address)
    if url.scheme not in ("http", "https"):
        source = Path(unquote(url.path) if url.scheme == "file" else address)
        if not source.is_file():
            raise TakeoffError("no such file")
        shutil.copyfile(source, part)
        return None
    for attempt in range(patience.tries):
        if attempt:
            time.sleep(patience.pause * 2 ** (attempt - 1))
        try:
            return _download(address, part, patience.stall)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            fault = _plain(error, patience.stall)
            if isinstance(error, requests.TooManyRedirects | requests.exceptions.InvalidURL):
                break
    raise TakeoffError(fault)


def _plain(error: Exception, stall: float) -> str:
    """A network error in a few words; the libraries' own run over several lines."""
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"no byte came for {stall:g} s"
    reason = getattr(error.args[0] if error.args else error, "reason", error)
    return re.sub(r"<[^>]*>:? ?|\s+", " ", f"{reason}").strip() or type(error).__name__


def _download(address: str, part: Path, stall: float) -> None:
    """One request that fills `part`, from where it ends if the server can."""
    start = part.stat().st_size if part.is_file() else 0
    # Identity: a server that packs the .tar.gz once more in passing would change its bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(address, headers=headers, stream=True, timeout=(stall, stall)) as response:
        resumed, left = _answer(response, start, part)
        # The raw stream, since requests would unpack what is served with Content-Encoding: gzip.
        response.raw.decode_content = False
        body = wrap_file(
            response.raw,  # type: ignore[arg-type]
            left or 0,
            description=part.stem,
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        with part.open("ab" if resumed else "wb") as file, body as watched:
            shutil.copyfileobj(watched, file, CHUNK)
    got = part.stat().st_size - start * resumed
    if left not in (None, got):
        raise requests.ConnectionError(f"broke off after {got:,} of {left:,} bytes")
    if not got:
        raise requests.ConnectionError("the answer was empty")


def _answer(response: requests.Response, start: int, part: Path) -> tuple[bool, int | None]:
    """Whether the body goes on from byte `start`, and its length in bytes, if the server says it."""
    status = response.status_code
    span = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if status == 416 or (status == 206 and (not span or int(span[1]) != start)):
        part.unlink()
        raise requests.ConnectionError(f"the server does not send the bytes from {start:,} on")
    if status not in (200, 206):
        raise (requests.ConnectionError if status in PASSING else TakeoffError)(f"{status} {response.reason}")
    length = response.headers.get("Content-Length", "")
    return status == 206, int(length) if length.isdigit() else None
