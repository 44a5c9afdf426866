"""Servers that misbehave at random: the right file arrives, or a line says why not; no password is in it."""

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from takeoff.common.errors import TakeoffError
from takeoff.data.catalogue import Sums
from takeoff.data.fetching import Patience, fetch
from unit.data_server import DataServer, answer, serve

from faults.bounds import bounded

BODY = hashlib.shake_256(b"faults").digest(20_000)
SUMS = Sums(sha256=hashlib.sha256(BODY).hexdigest())
SECRET = "t0psecret"
HURRIED = Patience(stall=1, tries=2, pause=0.01)
SECONDS = 10
STATUSES = (
    "200 OK|200 OK|200 OK|200|206 Partial Content|206 Partial Content|204 No Content|201 Made|301 Moved|302 Found|"
    "303 See Other|307 Temporary Redirect|308 Permanent Redirect|304 Not Modified|400 Bad|401 Who|403 Forbidden|"
    "404 Not Found|407 Proxy|408 Slow|410 Gone|416 Range|425 Early|429 Many|500 Oh|502 Gateway|503 Busy|504 Gateway|"
    "520 Origin|599 x|999 What|0 x|-1 x|abc||404 \x1b[2J\x07\u202e|404 a\tb\x00c"
).split("|")
STATUSES += ["500 " + "x" * 5000, f"404 {SECRET}?token={SECRET}"]
LENGTHS = [*"0|1|-5|+5|5_0|²|٣|1e3|0x10|| |20000|20000, 20000".split("|"), "9" * 30, "9" * 5000]
RANGES = [*"0-19999/20000|0-9/20000|5-19999/20000|5-1/0|*/20000|0-19999/*|²-3/4|-1-2/3|".split("|"), "9" * 5000]
TARGETS = (
    "/good|good||#x|?a|//|http://[::1|http://127.0.0.1:9/x|http://127.0.0.1:99999/|http://127.0.0.1:port/|mailto:x|"
    "javascript:1|http://\x00/|http:///x|https://127.0.0.1:9/|data:,x|\u202e|ftp://127.0.0.1/x|file:///etc/hosts|"
    f"http://a..b/|http://me:{SECRET}@127.0.0.1:9/x?token={SECRET}"
).split("|")
TARGETS += ["x" * 9000]
OTHERS = (
    "Content-Encoding: gzip|Content-Encoding: br|Transfer-Encoding: chunked|Transfer-Encoding: gzip|X-A|: x| folded|"
    "Set-Cookie: a=b; Domain=..|Retry-After: 999999999|Refresh: 0|Connection: keep-alive|Connection: upgrade|"
    "Content-Type: \xff|WWW-Authenticate: x"
).split("|")
OTHERS += ["X: " + "y" * 70_000]
BODIES = [BODY, BODY, BODY[5:], BODY[::-1], b"", b"x", BODY * 2, bytes(10**6), gzip.compress(BODY), b"<html></html>"]
BODIES += [b"4e20\r\n" + BODY + b"\r\n0\r\n\r\n", b"-5\r\n" + BODY, b"fffffffff\r\n" + BODY]


def some_answer(dice: Random) -> bytes:
    """An answer as no server should give it, or nearly one that it should."""
    headers = []
    if dice.random() < 0.5:
        headers.append(f"Content-Length: {dice.choice(LENGTHS)}")
    if dice.random() < 0.4:
        headers.append(f"Content-Range: bytes {dice.choice(RANGES)}")
    if dice.random() < 0.5:
        headers.append(f"Location: {dice.choice(TARGETS)}")
    headers += dice.sample(OTHERS, dice.choice([0, 0, 1, 3]))
    dice.shuffle(headers)
    body = dice.choice([*BODIES, BODY[: dice.randrange(len(BODY))]])
    data = answer(*headers, status=dice.choice(STATUSES), body=body)
    cut = dice.randrange(len(data)) if not dice.randrange(6) else len(data)
    return dice.choice([data] * 12 + [b"", b"\0" * 100, data.replace(b"\r\n", b"\n"), b"SSH-2.0-x\r\n", data[9:]])[:cut]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def server() -> Iterator[DataServer]:
    with serve(BODY) as site:
        yield site


@pytest.fixture
def site(server: DataServer) -> DataServer:
    """The server, which knows of no earlier request."""
    for kept in (server.requests, server.answers, server.scripts):
        kept.clear()
    return server


def outcome(addresses: list[str], out: Path, size: int | None) -> str | None:
    """The line with which nothing is fetched, or None where the right file was."""
    with bounded(SECONDS):
        try:
            fetch(addresses, out, SUMS, HURRIED, size)
        except TakeoffError as error:
            line = str(error)
        else:
            assert out.read_bytes() == BODY
            assert [path.name for path in out.parent.iterdir()] == [out.name]
            return None
    assert line.isprintable()
    assert len(line) < 3000
    assert SECRET not in line
    assert {path.name for path in out.parent.iterdir()} <= {f"{out.name}.part"}
    return line


@pytest.mark.tries(quick=12, whole=60)
def test_answers_of_any_kind(dice: Random, site: DataServer, tmp_path: Path) -> None:
    """At the first request and at those that follow; with a mirror that is in order the file arrives."""
    out = tmp_path / "data" / "archive.tgz"
    site.answers["odd"] = some_answer(dice)
    site.scripts["odd"] = [some_answer(dice) for _ in range(dice.randrange(3))]
    named = site.address.replace("://", f"://me:{SECRET}@") if dice.random() < 0.5 else site.address
    odd, size = f"{named}/odd?token={SECRET}", dice.choice([None, len(BODY)])
    if dice.random() < 0.3:
        out.parent.mkdir()
        out.with_name("archive.tgz.part").write_bytes(dice.choice([BODY[:7000], BODY[::-1][:7000], BODY + b"x", b""]))
    alone = outcome([odd], out, size)
    assert alone is None or "archive.tgz" in alone
    out.unlink(missing_ok=True)
    assert outcome([odd, f"{site.address}/good"], out, size) is None


KINDS = (
    "404 500 503 busy-once moved loop wrong no-range other-range packed 416-once 206-part breaks breaks-once".split()
)
KINDS += ["longer", "stalls", "drips", "continues"]


@pytest.mark.tries(quick=4, whole=30)
def test_mirrors_of_any_kind(dice: Random, site: DataServer, tmp_path: Path) -> None:
    """Whatever the mirrors before it do, one that is in order brings the file."""
    kinds = dice.sample(KINDS, dice.choice([1, 2, 3]))
    addresses = [f"{site.address}/{kind}?token={SECRET}" for kind in kinds]
    nowhere = ["http://127.0.0.1:9/x", "http://[::1/x", "/nowhere", "ftp://x/y", f"http://me:{SECRET}@host:0/x"]
    addresses.insert(dice.randrange(len(kinds) + 1), dice.choice(nowhere))
    out = tmp_path / "archive.tgz"
    outcome(addresses, out, None)
    out.unlink(missing_ok=True)
    assert outcome([*addresses, f"{site.address}/good"], out, None) is None
