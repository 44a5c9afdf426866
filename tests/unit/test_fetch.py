"""Fetching from a server that stalls, breaks off, redirects, refuses and lies."""

import errno
import hashlib
from base64 import b64encode

import pytest
from takeoff.common.errors import TakeoffError
from takeoff.data import fetching
from takeoff.data.catalogue import Sums
from takeoff.data.fetching import Patience, fetch
from unit.data_server import answer, serve
from unit.image_archives import folders, write_tar

BODY = hashlib.shake_256(b"takeoff").digest(300_000)
SUMS = Sums(sha256=hashlib.sha256(BODY).hexdigest())
HURRIED = Patience(stall=0.3, tries=3, pause=0.01)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def site():
    with serve(BODY) as server:
        yield server


@pytest.fixture
def out(tmp_path):
    return tmp_path / "data" / "archive.tgz"


def get(site, out, *kinds, sums=SUMS, **rest):
    fetch(tuple(f"{site.address}/{kind}" for kind in kinds), out, sums, patience=HURRIED, **rest)


def left(out):
    return sorted(path.name for path in out.parent.iterdir())


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        ("good", 1),
        ("moved", 2),
        ("busy-once", 2),
        ("breaks-once", 2),
        ("no-range", 2),
        ("packed", 1),
        ("206-part", 2),
        ("416-once", 2),
    ],
)
def test_the_file_arrives_whole(site, out, kind, requests):
    get(site, out, kind)
    assert out.read_bytes() == BODY
    assert left(out) == ["archive.tgz"]
    assert len(site.requests) == requests


def test_a_broken_download_goes_on_where_it_ended(site, out):
    get(site, out, "breaks-once")
    assert site.requests == [("/breaks-once", None), ("/breaks-once", f"bytes={len(BODY) // 2}-")]


def test_a_part_of_an_earlier_run_is_resumed(site, out):
    with pytest.raises(TakeoffError, match=r"broke off|broken|IncompleteRead") as raised:
        get(site, out, "breaks")
    assert f"{out}.part keeps what came" in str(raised.value)
    assert left(out) == ["archive.tgz.part"]
    kept = (out.parent / "archive.tgz.part").stat().st_size
    site.requests.clear()
    get(site, out, "good")
    assert out.read_bytes() == BODY
    assert site.requests == [("/good", f"bytes={kept}-")]


@pytest.mark.parametrize(
    ("part", "kind", "ranges"),
    [
        pytest.param(BODY, "good", [], id="finished"),
        pytest.param(BODY[::-1][:5000], "good", ["bytes=5000-", None], id="of another file"),
        pytest.param(BODY + b"more", "good", [f"bytes={len(BODY) + 4}-", None], id="too long"),
        pytest.param(BODY[:5000], "other-range", ["bytes=5000-", None], id="of a server that sends another range"),
    ],
)
def test_what_there_is_of_a_file_is_used_where_it_can_be(site, out, part, kind, ranges):
    out.parent.mkdir()
    out.with_name("archive.tgz.part").write_bytes(part)
    get(site, out, kind)
    assert out.read_bytes() == BODY
    assert site.requests == [(f"/{kind}", wanted) for wanted in ranges]


def test_without_a_checksum_a_part_is_not_resumed(site, out):
    out.parent.mkdir()
    out.with_name("archive.tgz.part").write_bytes(BODY[::-1][:5000])
    get(site, out, "good", sums=Sums())
    assert out.read_bytes() == BODY
    assert site.requests == [("/good", None)]


def test_mirrors_are_tried_in_turn(site, out):
    get(site, out, "404", "wrong", "stalls", "good")
    assert out.read_bytes() == BODY
    assert [path for path, _ in site.requests if path in ("/404", "/good")] == ["/404", "/good"]


def test_a_verified_file_is_kept(site, out):
    out.parent.mkdir()
    out.write_bytes(BODY)
    get(site, out, "good")
    assert site.requests == []
    out.write_bytes(b"something else")
    get(site, out, "good")
    assert out.read_bytes() == BODY


def test_every_address_and_its_fault_is_named_in_one_line(site, out):
    with pytest.raises(TakeoffError) as raised:
        get(site, out, "404", "503", "loop", "wrong")
    message = str(raised.value)
    wrong = hashlib.sha256(BODY[::-1]).hexdigest()
    for said in (
        "cannot fetch archive.tgz",
        f"{site.address}/404: 404 Not Found",
        f"{site.address}/503: 503 Service Unavailable",
        f"{site.address}/loop: Exceeded 30 redirects",
        f"{site.address}/wrong: wrong sha256: expected {SUMS.sha256}, got {wrong}",
    ):
        assert said in message
    assert "\n" not in message
    assert left(out) == []
    assert [path for path, _ in site.requests].count("/404") == 1
    assert [path for path, _ in site.requests].count("/503") == HURRIED.tries


def test_a_silent_server_is_given_up(site, out):
    with pytest.raises(TakeoffError, match=r"no byte came for 0\.3 s"):
        get(site, out, "stalls")


LENGTHS = {"superscript": "²", "arabic": "٣٠٠", "long": "9" * 5000, "negative": "-5", "plus": "+5", "underscore": "5_0"}
ANSWERS = {
    **{f"length {name}": answer(f"Content-Length: {value}") for name, value in LENGTHS.items()},
    "range of digits that are none": answer("Content-Range: bytes ²-9/9", status="206 Partial Content"),
    "range of 5,000 digits": answer(f"Content-Range: bytes 0-{'9' * 5000}/9", status="206 Partial Content"),
    "a negative chunk": answer("Transfer-Encoding: chunked", body=b"-5\r\n" + BODY),
    "a chunk of no size": answer("Transfer-Encoding: chunked", body=b"zz\r\n" + BODY),
    "a chunk too large": answer("Transfer-Encoding: chunked", body=b"fffffff\r\n" + BODY),
    "a chunk of 5,000 digits": answer("Transfer-Encoding: chunked", body=b"f" * 5000 + b"\r\n" + BODY),
    **{
        f"a redirect to {target[:20]}": answer(f"Location: {target}", status="302 Found")
        for target in (
            "http://[::1",
            "http://127.0.0.1:port/",
            "http://a..b/",
            "ftp://127.0.0.1/x",
            "file:///etc/hosts",
        )
    },
    "a redirect to nowhere": answer(status="302 Found"),
    "416 for ever": answer(status="416 Range Not Satisfiable"),
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "520": answer(status="520 Origin Error"),
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n",
    "nothing": b"",
    "a thousand headers": answer(*(f"X-{i}: 1" for i in range(1000))),
    "a reason that clears the screen": answer(status="404 \x1b[2J\x1b[31mGone\x07\u202e"),
    "a reason without end": answer(status=f"404 {'x' * 50_000}"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_server_that_answers_nonsense_is_named_and_the_next_one_tried(site, out, name):
    site.answers["nonsense"] = ANSWERS[name]
    with pytest.raises(TakeoffError) as raised:
        get(site, out, "nonsense")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000
    assert 1 <= len(site.requests) <= HURRIED.tries
    get(site, out, "nonsense", "good")
    assert out.read_bytes() == BODY


@pytest.mark.parametrize("kind", ["continues", "drips"])
def test_a_server_that_never_comes_to_the_point_is_given_up(site, out, kind):
    fetch([f"{site.address}/{kind}", f"{site.address}/good"], out, SUMS, Patience(stall=0.2, tries=1))
    assert out.read_bytes() == BODY


@pytest.mark.parametrize(
    "address",
    [
        "SITE/404?token=t0psecret",
        "http://me:t0psecret@127.0.0.1:9/x?token=t0psecret",
        "http://me:t0psecret@[::1/x",
        "http://me:t0psecret@127.0.0.1:99999/x",
        "http://me:t0p/secret@127.0.0.1:9/x",
        "http://me:t0p@secret@127.0.0.1:9/x",
        "http://me:t0p%73ecret@127.0.0.1:9/x",
        "ftp://me:t0psecret@127.0.0.1/x",
        "me:t0psecret@127.0.0.1/x",
    ],
)
def test_credentials_are_never_shown(site, out, address):
    site.answers["leads-on"] = answer("Location: http://me:t0psecret@127.0.0.1:9/x?key=t0psecret", status="302 Found")
    with pytest.raises(TakeoffError) as raised:
        fetch([address.replace("SITE", site.address), f"{site.address}/leads-on"], out, SUMS, HURRIED)
    assert not any(word in str(raised.value) for word in ("t0p", "secret", "73ecret"))


def test_a_proxys_password_is_never_shown(site, out, monkeypatch):
    site.answers["tells"] = answer(status=f"404 {b64encode(b'me:t0p/secret').decode()}")
    monkeypatch.setenv("http_proxy", "http://me:t0p/secret@proxy/x")
    with pytest.raises(TakeoffError) as raised:
        fetch(["http://nobody.invalid/x", f"{site.address}/tells"], out, SUMS, HURRIED)
    assert not any(word in str(raised.value) for word in ("t0p", "secret", b64encode(b"me:t0p/secret").decode()))


def test_a_length_that_is_sent_twice_is_one(site, out):
    site.answers["twice"] = answer(f"Content-Length: {len(BODY)}", f"Content-Length: {len(BODY)}", body=BODY)
    get(site, out, "twice")
    assert out.read_bytes() == BODY


def test_a_connection_that_breaks_often_and_brings_much_comes_to_its_end(site, out, monkeypatch):
    monkeypatch.setattr(fetching, "CHUNK", 10_000)
    get(site, out, "breaks-at-40000")
    assert out.read_bytes() == BODY
    assert len(site.requests) == 8 > HURRIED.tries


def test_a_server_that_sends_more_than_there_is_is_left(site, out):
    get(site, out, "longer", "good", size=len(BODY))
    assert out.read_bytes() == BODY


NO_ADDRESSES = ["/a\0b", "/" + "x" * 5000, "/tmp", "file://[::1/x", "http://[::1/x", "http://a b/x"]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_an_address_that_is_none_does_not_end_the_attempt(site, out, address):
    fetch([address, f"{site.address}/good"], out, SUMS, HURRIED)
    assert out.read_bytes() == BODY


def test_nobody_there(out):
    with pytest.raises(TakeoffError, match="refused"):
        fetch(("http://127.0.0.1:9/x",), out, SUMS, patience=HURRIED)
    assert left(out) == []


def test_md5_where_that_is_all_there_is(site, out):
    get(site, out, "good", sums=Sums(md5=hashlib.md5(BODY).hexdigest()))
    assert out.read_bytes() == BODY
    with pytest.raises(TakeoffError, match="wrong md5"):
        get(site, out, "good", sums=Sums(md5="0" * 32))


def test_files_and_file_addresses(tmp_path, out):
    source = tmp_path / "a file.tgz"
    source.write_bytes(BODY)
    for address in (str(source), source.as_uri()):
        fetch([address], out, SUMS, HURRIED)
        assert out.read_bytes() == BODY
        out.unlink()
    with pytest.raises(TakeoffError, match="nowhere: no such file"):
        fetch([str(tmp_path / "nowhere")], out, SUMS, HURRIED)


def test_too_little_space_is_refused_beforehand(site, out):
    with pytest.raises(TakeoffError, match=r"no space left: .* are needed"):
        get(site, out, "good", size=1 << 60)
    assert site.requests == []


def test_a_disk_that_fills_up(site, out, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "_download", full)
    with pytest.raises(TakeoffError, match=r"archive\.tgz: no space left on the disk"):
        get(site, out, "good")


def test_the_command_fetches(command, site, out):
    addresses = (f"{site.address}/404", f"{site.address}/good")
    done = command.done("fetch", "--url", *addresses, "--sha256", SUMS.sha256, "--out", out)
    assert (done.stdout, done.stderr) == ("", "")  # quiet where nobody watches
    assert out.read_bytes() == BODY


def test_an_own_address_of_a_catalogue_dataset_is_held_to_its_checksum(command, site, out):
    given = ("--dataset", "cifar10", "--url", f"{site.address}/good", "--out", out)
    assert "expected 6d958be074577803" in command.refused("fetch", *given)
    assert left(out) == []


def test_without_a_checksum_only_a_whole_archive_is_kept(command, site, out):
    whole = write_tar(out.parent.with_name("whole.tgz"), folders()).read_bytes()
    for body in (b"<html>Please sign in</html>", whole[: len(whole) // 2]):
        site.answers["x.tgz"] = answer(body=body)
        assert "is not kept" in command.refused("fetch", "--url", f"{site.address}/x.tgz", "--out", out)
        assert left(out) == []
    site.answers["x.tgz"] = answer(body=whole)
    command.done("fetch", "--url", f"{site.address}/x.tgz", "--out", out)
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dataset", "cifar1O"], "did you mean cifar10?"),
        (["--dataset", "imagenet1k"], "--config 'archives={imagenet1k: PATH}'"),
        (["--dataset", "digits"], "scikit-learn brings it along"),
        ([], "give --dataset or --url"),
    ],
)
def test_the_command_says_what_would_be_valid(command, out, arguments, said):
    assert said in command.refused("fetch", *arguments, "--out", out)
