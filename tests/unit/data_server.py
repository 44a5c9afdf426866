"""A web server on this machine that misbehaves as its paths say, for the tests of fetching."""

import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

STALL = 2.0  # seconds of silence


@dataclass
class DataServer:
    """What it serves, and the requests that it had: (path, Range header) of each request."""

    body: bytes
    address: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    """By path, what is sent for it, byte for byte."""
    scripts: dict[str, list[bytes]] = field(default_factory=dict)
    """By path, what is sent for it, byte for byte, at the first request and at those that follow; then the body."""


def answer(*headers: str, status: str = "200 OK", body: bytes = b"x") -> bytes:
    """An answer with these headers, right or wrong."""
    lines = [f"HTTP/1.1 {status}", *headers, "Connection: close"]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


class _Handler(http.server.BaseHTTPRequestHandler):
    server_of: DataServer

    def log_message(self, *_):
        pass

    def do_GET(self):
        site, wanted = self.server_of, self.headers.get("Range")
        first = self.path not in [path for path, _ in site.requests]
        site.requests.append((self.path, wanted))
        kind = self.path.partition("?")[0].strip("/")
        script = site.scripts.get(kind)
        if script or kind in site.answers:
            with suppress(OSError):  # whoever asked may have gone
                self.wfile.write(script.pop(0) if script else site.answers[kind])
            self.close_connection = True
        elif kind == "continues":
            self.forever(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif kind == "drips":
            self.forever(b"HTTP/1.1 200 OK\r\n\r\n", b"x")
        elif kind.isdigit():
            self.send_error(int(kind))
        elif kind == "busy-once" and first:
            self.send_error(503)
        elif kind == "moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
        elif kind == "loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        else:
            self.misbehave(kind, wanted, first)

    def misbehave(self, kind, wanted, first):
        """Send the body, or a part of it, or another."""
        site = self.server_of
        if kind == "wrong":
            self.reply(site.body[::-1], wanted)
        elif kind == "no-range":
            self.reply(site.body, None, cut=first)
        elif kind == "other-range" and wanted:
            self.reply(site.body, "bytes=1-")
        elif kind == "packed":
            self.reply(site.body, wanted, encoding="gzip")
        elif kind == "416-once" and first:
            self.send_error(416)
        elif kind == "206-part" and not wanted:
            self.reply(site.body, "bytes=0-", end=1000)
        elif kind == "breaks-at-40000":
            self.reply(site.body, wanted, cut=40_000)
        elif kind == "longer":
            self.reply(site.body + b"more" * 100_000, wanted)
        else:  # good, breaks-once, breaks, stalls
            self.reply(
                site.body, wanted, cut=kind == "breaks" or (kind == "breaks-once" and first), stall=kind == "stalls"
            )

    def forever(self, *data):
        """Send some bytes now and then, the last of them again and again, until nobody listens."""
        with suppress(OSError):
            for number in range(200):
                self.wfile.write(data[min(number, len(data) - 1)])
                time.sleep(0.05)
        self.close_connection = True

    def reply(self, body, wanted, cut=False, stall=False, encoding=None, end=None):
        """The body from the byte that is wanted on; cut in half or after so many bytes, or up to an end of its own."""
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        if wanted and start >= len(body):
            self.send_error(416)
            return
        whole, body = body, body[:end]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(whole)}")
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        half = len(rest) // 2 if isinstance(cut, bool) else cut
        self.wfile.write(rest[:half] if cut or stall else rest)
        self.wfile.flush()
        if stall:
            time.sleep(STALL)


@contextmanager
def serve(body: bytes) -> Iterator[DataServer]:
    """Serve `body` under every path but those that say otherwise."""
    site = DataServer(body)
    handler = type("Handler", (_Handler,), {"server_of": site})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
