"""A server of pictures that costs its asker little: HTTP/1.1 on one port, all in memory, in a process of its own.

It answers `/<number>.jpg`, and remembers when it was asked. Made to be slow or to fail, it does so as a real service:
it says 429 above its limit, it is out for a while, it is late. What it does depends on the number of the picture and
on the time since it was first asked for that picture, so that every asker meets the same.

Belongs here: serving. Does not: who asks (`fetch_contestants`).
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from pictures import DISTINCT, picture

_LATE_EVERY, _OUT_EVERY, _CUT_EVERY = 400, 25, 50


@dataclass(frozen=True)
class Troubles:
    """What goes wrong. `per_second` answers at most are given, with as many at once; others get 429 and `Retry-After: 1`.

    Every 25th picture answers 503 for `out_seconds` from when it was first asked for, every 50th but these has its
    connection cut in that time, and each 400th answers `late_seconds` late.
    """

    per_second: float | None = None
    out_seconds: float = 0.0
    late_seconds: float = 0.0


@contextmanager
def serving(troubles: Troubles | None = None) -> Iterator[str]:
    """The address of a server until the block ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, troubles or Troubles()), daemon=True)
    process.start()
    # Held here too, it would keep us waiting for the word of a server that did not start.
    theirs.close()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(parent: Connection, troubles: Troubles) -> None:
    async def run() -> None:
        state = _State(troubles)
        for number in range(DISTINCT):
            picture(number)
        server = await asyncio.get_running_loop().create_server(
            lambda: _Asked(state), "127.0.0.1", 0, backlog=1024
        )
        parent.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@dataclass
class _State:
    troubles: Troubles
    first_asked: dict[int, float] = field(default_factory=dict)
    asked_at: list[float] = field(default_factory=list)
    tokens: float = 0.0
    counted_at: float = 0.0

    def let_through(self, now: float) -> bool:
        limit = self.troubles.per_second
        if limit is None:
            return True
        self.tokens = min(limit, self.tokens + (now - self.counted_at) * limit)
        self.counted_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class _Asked(asyncio.Protocol):
    """One connection."""

    def __init__(self, state: _State) -> None:
        self._state, self._received = state, b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end], self._received[end + 4 :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1]
        closes = b"connection: close" in head.lower()
        if path == b"/reset":
            self._state.asked_at.clear()
            self._state.first_asked.clear()
            return self._write(b"200 OK", b"", closes)
        if path == b"/asked":
            return self._write(b"200 OK", json.dumps(self._state.asked_at).encode(), closes)
        number = int(path[1:].removesuffix(b".jpg"))
        now = time.monotonic()
        self._state.asked_at.append(now)
        if not self._state.let_through(now):
            return self._write(b"429 Too Many Requests\r\nRetry-After: 1", b"", closes)
        troubles = self._state.troubles
        if number % _OUT_EVERY == 7 or number % _CUT_EVERY == 11:
            first = self._state.first_asked.setdefault(number, now)
            if now - first < troubles.out_seconds:
                if number % _OUT_EVERY == 7:
                    return self._write(b"503 Service Unavailable", b"", closes)
                return self._transport.abort()
        if troubles.late_seconds and number % _LATE_EVERY == 3:
            asyncio.get_running_loop().call_later(
                troubles.late_seconds, self._write, b"200 OK", picture(number), closes
            )
            return None
        return self._write(b"200 OK", picture(number), closes)

    def _write(self, status: bytes, body: bytes, closes: bool) -> None:
        if self._transport.is_closing():
            return
        kept = b"close" if closes else b"keep-alive"
        self._transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\nConnection: %b\r\n\r\n%b"
            % (status, len(body), kept, body)
        )
        if closes:
            self._transport.close()
