"""Fetching an archive: mirrors in turn, resumed, verified. Knows nothing of what an archive holds.

It builds on requests rather than on pooch: pooch deletes what a broken download left, so it cannot resume it.
"""

import re
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

import requests
import urllib3
from rich.console import Console
from rich.progress import Progress

from takeoff.common.addresses import without_secrets
from takeoff.common.errors import TakeoffError
from takeoff.common.files import room_for
from takeoff.common.spelling import printable
from takeoff.data.catalogue import Sums

CHUNK = 1 << 18  # bytes read at a time
PASSING = {408, 425, 429}  # statuses worth another try, as are all from 500 on, and a broken connection
HEADERS = 8  # times as long as for a byte a server has for all headers, and those on the way to it
SLOWEST = 1000  # bytes a second, below which a server counts as silent
LONGEST = 300  # characters of what a message shows of an address or a server
LONGEST_PAUSE = 60  # seconds between two tries
NUMBER = r"[0-9]{1,18}"  # bytes, as a header may say them; \d and int() take more than HTTP does
T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a byte, tries at each address, seconds before the second try (then doubled)."""

    stall: float = 30
    tries: int = 4
    pause: float = 1


class _BrokenError(Exception):
    """What another try at the same address may mend."""


class _NoRangeError(_BrokenError):
    """The server does not go on from where the file ends: the next try is for all of it."""


def fetch(addresses: Sequence[str], out: Path, sums: Sums, patience: Patience, size: int | None = None) -> None:
    """Put the archive at `out`, from the first address that serves it whole.

    `addresses` are http(s) and file URLs or plain paths; `size`, in bytes, shows a full disk beforehand, and a server
    that sends more. An `out` with the right sum is kept as it is. A download that broke off stays in `<out>.part`, and
    the next one goes on from there; without a checksum it starts anew, since nothing would show a wrong join. Raises
    TakeoffError with every address and why it failed, without passwords.
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
                _fetch_from(address, part, sums, patience, size)
                part.replace(out)
                return
            except TakeoffError as fault:
                faults.append(f"{_shown(address)}: {_words(str(fault), address)}")
                if not sums:
                    part.unlink(missing_ok=True)
    kept = f"; {part} keeps what came, and the next try goes on from there" if part.is_file() else ""
    raise TakeoffError(f"cannot fetch {out.name}: " + "; ".join(faults) + kept)


def _shown(address: str) -> str:
    """An address as it may be printed, without password and query, which may be a key; or a path."""
    return printable(without_secrets(address) if re.match(r"[^/]*:", address) else address)[:LONGEST]


def _words(text: str, address: str) -> str:
    """What a server or a library said, fit to be printed: no secret of the address, nothing that steers a terminal."""
    text = text.replace(address, _shown(address))
    # A password with a slash or a question mark in it is cut in pieces by whoever parses the address.
    secretive = [one for one in (address, *getproxies().values()) if re.match(r"[^/]*:(?!///)", one)]
    users = [one.rpartition("@")[0].partition("//")[2] for one in secretive]
    hidden = "/".join([*users, *(one.partition("?")[2] for one in secretive)])
    sent = {b64encode(unquote(user).encode()).decode() for user in users}  # as a header has both
    for secret in sorted({*sent, *re.split(r"[/:@?#&=]", f"{hidden}/{unquote(hidden)}")}, key=len, reverse=True):
        text = text.replace(secret, "***") if len(secret) > 2 else text
    # An address that a server leads to has secrets, too.
    return printable(re.sub(r"\?[^\s'\")]+", "?***", re.sub(r"(?<!/)//(?!/)\S*@", "//", text)))[:LONGEST]


def _fetch_from(address: str, part: Path, sums: Sums, patience: Patience, size: int | None) -> None:
    """Leave the whole, verified file at `part`; TakeoffError with the reason if this address does not serve it."""
    resumed = part.is_file()
    if resumed and sums and not sums.fault(part):
        return
    _copy(address, part, patience, size)
    if resumed and sums.fault(part):
        # What lay there may have come from elsewhere: blame an address only for a file that is all its own.
        part.unlink()
        _copy(address, part, patience, size)
    if fault := sums.fault(part):
        part.unlink()
        raise TakeoffError(fault)


def _copy(address: str, part: Path, patience: Patience, size: int | None) -> None:
    """Leave what the address serves at `part`, a download where possible from where `part` ends."""
    if not re.match(r"https?:", address, re.IGNORECASE):
        _copy_file(address, part)
        return
    failed, fault, resume = 0, "", True
    while failed < patience.tries:
        if failed:
            time.sleep(min(LONGEST_PAUSE, patience.pause * 2 ** (failed - 1)))
        before = part.stat().st_size if part.is_file() else 0
        try:
            _download(address, part, patience.stall, size, resume)
            return
        except _BrokenError as error:
            fault, resume = str(error), resume and not isinstance(error, _NoRangeError)
        # A connection that breaks again and again, and brings much each time, comes to its end.
        came = (part.stat().st_size if part.is_file() else 0) - before
        failed = 1 if came > CHUNK else failed + 1
    raise TakeoffError(fault)


def _copy_file(address: str, part: Path) -> None:
    with _local():
        source = Path(unquote(urlsplit(address).path) if address.lower().startswith("file:") else address)
        if not source.is_file():
            raise TakeoffError("no such file")
        file = source.open("rb")
    with file, part.open("wb") as copy:
        while True:
            with _local():
                data = file.read(CHUNK)
            if not data:
                return
            copy.write(data)


@contextmanager
def _local() -> Iterator[None]:
    """What is wrong with a file to be copied; with the copy nothing may be."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise TakeoffError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


@contextmanager
def _network(stall: float) -> Iterator[None]:
    """Whatever goes wrong with a server, in a few words: its headers are anyone's, and what they raise is nearly
    anything.
    """
    try:
        yield
    except (TakeoffError, _BrokenError):
        raise
    except (requests.TooManyRedirects, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise TakeoffError(str(error)) from error
    except Exception as error:
        raise _BrokenError(_plain(error, stall)) from error


def _plain(error: Exception, stall: float) -> str:
    """A network error in a few words; the libraries' own run over several lines."""
    if isinstance(error, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"no byte came for {stall:g} s"
    reason = getattr(error.args[0] if error.args else error, "reason", error)
    return re.sub(r"<[^>]*>:? ?|\s+", " ", f"{reason}").strip() or type(error).__name__


def _within(seconds: float, work: Callable[[], T]) -> T:
    """What comes of `work`, which may hang: a server can send headers, or steps on the way, for ever."""
    answers: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((work(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error:
        raise error
    return result  # type: ignore[return-value]


def _download(address: str, part: Path, stall: float, size: int | None, resume: bool) -> None:
    """One request that fills `part`, from where it ends if the server can, and that is wanted."""
    start = part.stat().st_size if resume and part.is_file() else 0
    # Identity: a server that packs the .tar.gz once more in passing would change its bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with _network(stall):
        response = _within(
            HEADERS * stall, lambda: requests.get(address, headers=headers, stream=True, timeout=(stall, stall))
        )
    with response:
        with _network(stall):
            resumed, total = _answer(response, start)
        shown = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
        with part.open("ab" if resumed else "wb") as file, shown:
            got = start * resumed
            task = shown.add_task(part.stem, total=total, completed=got)
            for data in _body(response, stall):
                got += len(data)
                if got > (most := min(total or got, size or got)):
                    raise TakeoffError(f"it sends more than {most:,} bytes")
                file.write(data)
                shown.update(task, completed=got)
    if total not in (None, got):
        raise _BrokenError(f"broke off after {got:,} of {total:,} bytes")
    if got == start * resumed:
        raise _BrokenError("the answer was empty")


def _body(response: requests.Response, stall: float) -> Iterator[bytes]:
    """The bytes as they come; one that sends a few now and then is as good as silent."""
    since, came = time.monotonic(), 0
    while True:
        with _network(stall):
            # The raw stream, since requests would unpack what is served with Content-Encoding: gzip.
            data = response.raw.read1(CHUNK, decode_content=False)
        if not data:
            return
        yield data
        came += len(data)
        if (spent := time.monotonic() - since) > stall:
            if came < SLOWEST * spent:
                raise _BrokenError(f"fewer than {SLOWEST} bytes a second came")
            since, came = time.monotonic(), 0


def _answer(response: requests.Response, start: int) -> tuple[bool, int | None]:
    """Whether the body goes on from byte `start`, and how many bytes the whole file has, if the server says it."""
    status = response.status_code
    span = re.match(rf"bytes ({NUMBER})-({NUMBER})/({NUMBER}|\*)$", response.headers.get("Content-Range", ""))
    if status == 416 or (status == 206 and (not span or int(span[1]) != start)):
        raise _NoRangeError(f"the server does not send the bytes from {start:,} on")
    if status not in (200, 206):
        fault = f"{status} {response.reason}"
        raise _BrokenError(fault) if status in PASSING or status >= 500 else TakeoffError(fault)
    # Sent twice, and the same both times, it is one.
    lengths = {one.strip() for one in response.headers.get("Content-Length", "").split(",")} - {""}
    length = ", ".join(lengths) or None
    if length is not None and not re.fullmatch(NUMBER, length):
        raise _BrokenError(f"its Content-Length is no number: {length[:40]}")
    if status == 206 and span:
        return True, int(span[2]) + 1 if span[3] == "*" else int(span[3])
    return False, None if length is None else int(length)
