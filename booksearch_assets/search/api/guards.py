"""What holds for every request and every answer: the size and pace of bodies, the headers of security, defects.

Belongs here: ASGI middleware. Does not: who may ask (`access`), what is counted (`metrics`).
"""

from __future__ import annotations

import asyncio
import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from booksearch_assets.search.api.limits import Limits
from booksearch_assets.search.api.problems import ApiProblem, ProblemKind, problem_response

_log = logging.getLogger(__name__)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The address of the page holds what was searched for.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


class SecurityHeaders:
    """Adds the headers of security to every answer, and keeps answers out of caches unless they say otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class BodyGuard:
    """Reads no more of a body than the limits allow, and no longer."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        if told.isdecimal() and int(told) > self._limits.body_bytes:
            await problem_response(ProblemKind.TOO_LARGE, self._too_large())(scope, receive, send)
            return
        deadline = time.monotonic() + self._limits.body_seconds
        received, ended = 0, False

        async def receive_within_limits() -> Message:
            nonlocal received, ended
            if ended:
                # What comes now is the client going away, which may take as long as it likes.
                return await receive()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                seconds = f"{self._limits.body_seconds:g} s"
                raise ApiProblem(
                    ProblemKind.BODY_TIMEOUT, f"the body did not arrive within {seconds}"
                ) from None
            received += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if received > self._limits.body_bytes:
                raise ApiProblem(ProblemKind.TOO_LARGE, self._too_large())
            return message

        await self._app(scope, receive_within_limits, send)

    def _too_large(self) -> str:
        return f"a body may have {self._limits.body_bytes:,} bytes at most"


class DefectGuard:
    """Answers 500 for what no handler foresaw, and writes it to the log without the query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            _log.exception("%s %s failed", scope["method"], scope["path"])
            answer = problem_response(ProblemKind.INTERNAL, "the log of the service says more")
            await answer(scope, receive, send)
