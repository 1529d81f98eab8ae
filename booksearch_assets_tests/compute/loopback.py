"""A loopback HTTP server whose every answer a test decides, faults included.

Belongs here: transport faults (cut, slow, stuck). Does not: how Open Library behaves (each test says that).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """One request as it came. `at` is monotonic."""

    method: str
    path: str
    headers: dict[str, str]
    at: float


@dataclass(frozen=True)
class Reply:
    """One answer. A header set to "" is left out.

    `cut_at`: close the connection after that many bytes of the body; `seconds`: spread the body over so long.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    seconds: float = 0.0


@dataclass
class Loopback:
    """A running server: its address, and everything it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [request.path for request in self.asked]


@contextmanager
def loopback(answer: Callable[[Asked], Reply]) -> Iterator[Loopback]:
    """Serves `answer` on a free loopback port for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = Asked(self.command, self.path, dict(self.headers.items()), time.monotonic())
            service.asked.append(asked)
            reply = answer(asked)
            self.send_response(reply.status)
            for name, value in ({"Content-Length": str(len(reply.body))} | reply.headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            try:
                self._send_body(reply)
            except OSError:
                self.close_connection = True

        do_HEAD = do_GET

        def _send_body(self, reply: Reply) -> None:
            body = reply.body if reply.cut_at is None else reply.body[: reply.cut_at]
            step = max(len(body) // 20, 1) if reply.seconds else max(len(body), 1)
            for at in range(0, len(body), step):
                self.wfile.write(body[at : at + step])
                self.wfile.flush()
                if reply.seconds:
                    time.sleep(reply.seconds / 20)
            if reply.cut_at is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        service = Loopback(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


def ranged(body: bytes, etag: str | None = '"v1"', **faults: object) -> Callable[[Asked], Reply]:
    """A well-behaved file server for one file: Range with If-Range, 206, 416."""

    def answer(asked: Asked) -> Reply:
        headers = {"ETag": etag} if etag else {}
        start = asked.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        if not start or asked.headers.get("If-Range") not in (None, etag):
            return Reply(200, body, headers, **faults)  # type: ignore[arg-type]
        if int(start) >= len(body):
            return Reply(416, b"", headers | {"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Reply(206, body[int(start) :], headers)

    return answer
