"""What the service counts, for Prometheus, and the line that it writes for each request.

Belongs here: names of metrics, and the middleware that fills them. Does not: what is answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from booksearch_assets.search.api.access import client_address
from booksearch_assets.search.query import SearchResults

_log = logging.getLogger("booksearch.access")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_NO_ROUTE = "(none)"


class _PicturesFound(Collector):
    def __init__(self, name: str, found: Mapping[str, int]) -> None:
        self._name, self._found = name, found

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            f"booksearch_{self._name}",
            "Pictures that were asked for, by where they were found.",
            labels=("place",),
        )
        for place, count in sorted(dict(self._found).items()):
            family.add_metric((place,), count)
        yield family


class Metrics:
    """The metrics of one service, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "booksearch_requests", "Requests.", ("method", "route", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "booksearch_request_seconds",
            "Seconds from a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._encode = self._histogram("booksearch_encode_seconds", "Seconds of encoding a query.")
        self._search = self._histogram("booksearch_search_seconds", "Seconds of searching, without encoding.")
        self._serving = Gauge(
            "booksearch_collection_info",
            "1 for the version that served the last search.",
            ("collection", "bundle_id", "model_id"),
            registry=self._registry,
        )
        self._version: tuple[str, str, str] | None = None

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_SECONDS, registry=self._registry)

    def note_search(self, results: SearchResults[Any]) -> None:
        self._encode.observe(results.took.encode_seconds)
        self._search.observe(results.took.search_seconds)
        version = (results.collection, results.bundle_id, results.model_id)
        if version != self._version:
            self._serving.clear()
            self._serving.labels(*version).set(1)
            self._version = version

    def watch_pictures(self, name: str, found: Mapping[str, int]) -> None:
        """Show what `Pictures.found` counts, by what the catalogue calls its pictures."""
        self._registry.register(_PicturesFound(name, found))

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)


class Observed:
    """Counts requests, and logs each without its query, its headers and its body."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            seconds = time.perf_counter() - started
            # The template of the route: paths themselves are as many as clients like.
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            self._metrics.requests.labels(scope["method"], route, status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            client = scope.get("booksearch.client") or client_address(scope)
            _log.info("%s %s %s %d %.1f ms", client, scope["method"], route, status, 1000 * seconds)
