"""`booksearch serve`: one process that answers searches and shows the page.

Belongs here: wiring of a deployment, the address, starting and stopping. Does not: the service (`app`).
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Sequence
from ipaddress import ip_address

import click
import uvicorn

from booksearch_assets.aws_settings import SettingsError
from booksearch_assets.search.api.app import build_app
from booksearch_assets.search.api.limits import ApiSettings
from booksearch_assets.search.api.searching import OpenedLater
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.pictures import Pictures
from booksearch_assets.search.query import Query
from booksearch_assets.search.shell import list_versions, open_live_search
from booksearch_assets.settings import Settings, api_tokens
from booksearch_assets.vectorstores.errors import VectorStoreError

_STOP_SECONDS = 10
_BACKLOG = 2048


def serve(settings: Settings, catalogue: SearchedCatalogue, host: str, port: int, public: bool) -> None:
    """Serve the search of a catalogue until stopped; requests that are under way are answered first.

    Raises `SettingsError` where strangers could search without a token and nobody said that they may, and OSError
    where the address is taken.
    """
    tokens = api_tokens()
    listening = _listening(host, port)
    with listening:
        address = listening.getsockname()
        if not (public or tokens or ip_address(address[0]).is_loopback):
            raise SettingsError(
                f"{host} can be reached from other machines, and anybody there could search; set "
                "BOOKSEARCH_API_TOKENS, or say --public"
            )
        _log_to_stderr()
        live = OpenedLater(lambda: open_live_search(settings, catalogue))
        _warm_up(live, catalogue)
        source = settings.source_of(catalogue.name)
        app = build_app(
            live,
            Pictures(
                catalogue.pictures.bytes_cache(settings.lake, source), settings.home / "thumbnails" / source
            ),
            lambda: list_versions(settings, catalogue),
            ApiSettings(tokens, settings.api_rate, settings.contact),
            catalogue=catalogue,
        )
        config = uvicorn.Config(
            app,
            # The service writes its own lines, which hold no query.
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        for stop in (signal.SIGINT, signal.SIGTERM):
            # uvicorn answers what is under way and then raises the signal again: being stopped is no failure.
            signal.signal(stop, lambda *_: sys.exit(0))
        click.echo(
            f"search at http://{_shown(address)}/ and its API at http://{_shown(address)}/openapi.json"
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens, so that a wrong address ends the command before the model is loaded."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise OSError(f"cannot listen at {host} port {port}: {error}; choose another --port") from error
    return listening


def _warm_up(live: OpenedLater, catalogue: SearchedCatalogue) -> None:
    """Load the model and the version, and make the first query, which takes longer than all after it."""
    try:
        live.search(Query(text=f"a {catalogue.wording.item}", k=1))
    except VectorStoreError as error:
        click.echo(f"nothing to search yet: {error}. Searches are answered once that has changed", err=True)


def _shown(address: Sequence[object]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("booksearch_assets", "booksearch.access", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
