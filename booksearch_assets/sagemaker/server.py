"""The container's process: what SageMaker asks of one, over HTTP on port 8080.

    GET /ping            200 once the model is loaded, 503 before
    POST /invocations    see `handler`

Belongs here: listening, loading, stopping. Does not: what requests mean (`handler`). The rules are SageMaker's:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html, and for Batch Transform
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html. It starts a container with the word
`serve`, unpacks model.tar.gz in /opt/ml/model, and kills the process 30 seconds after it has sent SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from booksearch_assets.clip.bundle import MANIFEST, Bundle, BundleError
from booksearch_assets.sagemaker.handler import Answer, Handler, Limits, Refused, too_large

MODEL_FOLDER = Path("/opt/ml/model")
_PORT = "8080"
_STOP_SECONDS = 25
_log = logging.getLogger(__name__)


class Service:
    """The model, once `handler` is set, and the one thread that runs it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.handler: Handler | None = None
        # One request at a time: the model uses every core. /ping is answered meanwhile.
        self._computing = ThreadPoolExecutor(max_workers=1)

    async def ping(self, request: Request) -> Response:
        return Response(status_code=HTTPStatus.OK if self.handler else HTTPStatus.SERVICE_UNAVAILABLE)

    async def invoke(self, request: Request) -> Response:
        try:
            answer = await self._answer(request)
        except Refused as refused:
            _log.info("refused with %d: %s", refused.status, refused)
            answer = Answer.of_refusal(refused)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets JSON, and the log the rest
            _log.exception("an invocation failed")
            defect = Refused(
                HTTPStatus.INTERNAL_SERVER_ERROR, "the container has a defect; its log says which"
            )
            answer = Answer.of_refusal(defect)
        return Response(answer.body, answer.status, media_type=answer.media_type)

    async def _answer(self, request: Request) -> Answer:
        if self.handler is None:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "the model is being loaded; /ping says when it is there"
            )
        body = await self._body(request)
        headers = request.headers
        return await asyncio.get_running_loop().run_in_executor(
            self._computing,
            self.handler.answer,
            body,
            headers.get("content-type", ""),
            headers.get("accept", ""),
        )

    async def _body(self, request: Request) -> bytes:
        """The whole body, or a refusal as soon as it is too long."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.limits.body_bytes:
                raise too_large(self.limits)
        return bytes(body)


def build_app(service: Service) -> Starlette:
    """The two routes."""
    return Starlette(
        routes=[
            Route("/ping", service.ping, methods=["GET"]),
            Route("/invocations", service.invoke, methods=["POST"]),
        ]
    )


def find_bundle_folder(folder: Path) -> Path:
    """The folder with the manifest: `folder` itself, or the one in it, where the archive held the bundle's folder.

    Raises `BundleError` where there is none, or more than one.
    """
    manifests = [folder / MANIFEST, *sorted(folder.glob(f"*/{MANIFEST}"))]
    found = [path.parent for path in manifests if path.is_file()]
    if len(found) != 1:
        raise BundleError(
            folder,
            f"{len(found)} files {MANIFEST} in it and the folders below, expected one",
            "Pack the files of one bundle into model.tar.gz; docs/sagemaker.md has the command.",
        )
    return found[0]


def load_handler(folder: Path, limits: Limits) -> Handler:
    """Load the model and use both of its towers once, since the first use takes longer than all after it.

    Raises `BundleError`.
    """
    from PIL import Image

    from booksearch_assets.clip.encoder import Encoder

    encoder = Encoder.load(Bundle.open(find_bundle_folder(folder)))
    encoder.encode_texts(["a book"])
    encoder.encode_images([Image.new("RGB", (64, 64))])
    return Handler(encoder, limits)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, answering what is under way; 1 where the model cannot be loaded."""
    parser = argparse.ArgumentParser(description="Vectors of texts and pictures, as SageMaker asks for them.")
    parser.add_argument("command", choices=["serve"], nargs="?", help="the word that SageMaker says")
    parser.add_argument("--model", type=Path, default=MODEL_FOLDER, help="folder of the model bundle")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", _PORT)))
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

    service = Service(Limits())
    config = uvicorn.Config(
        build_app(service),
        host=options.host,
        port=options.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    failures: list[Exception] = []

    def load() -> None:
        try:
            service.handler = load_handler(options.model, service.limits)
            _log.info("the model of %s is loaded", options.model)
        except Exception as error:  # noqa: BLE001 - without a model there is nothing to serve
            _log.exception("the model of %s cannot be loaded", options.model)
            failures.append(error)
            server.should_exit = True

    for stop in (signal.SIGINT, signal.SIGTERM):
        # uvicorn answers what is under way and then raises the signal again: being stopped is no failure.
        signal.signal(stop, lambda *_: sys.exit(0))
    # Beside the server, which says meanwhile that it is not ready, instead of refusing connections.
    threading.Thread(target=load, daemon=True).start()
    server.run()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
