"""The container's process, started as its image starts it, and a loopback that is to boto3 what SageMaker is.

Belongs here: starting, asking and stopping. Does not: what is answered.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from booksearch_assets.settings import PACKAGE
from booksearch_assets_tests.docker.dockerfiles import SAGEMAKER, stages

_IMAGE = stages(SAGEMAKER)["endpoint"]
_GIVE_UP_SECONDS = 120


@dataclass
class Container:
    """A running one; `said` is what /ping answered until it was ready."""

    process: subprocess.Popen[str]
    http: httpx.Client
    said: set[int] = field(default_factory=set)

    def invoke(self, body: bytes, content_type: str, accept: str = "*/*") -> httpx.Response:
        headers = {"Content-Type": content_type, "Accept": accept}
        return self.http.post("/invocations", content=body, headers=headers)

    def ping(self) -> int | None:
        """The status of /ping, or None where nothing listens yet."""
        try:
            return self.http.get("/ping").status_code
        except httpx.TransportError:
            return None

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while (status := self.ping()) != HTTPStatus.OK:
            if status is not None:
                self.said.add(status)
            assert self.process.poll() is None, f"the container ended with {self.process.returncode}"
            assert time.monotonic() < deadline, f"/ping still answers {status}"
            time.sleep(0.2)


@contextmanager
def started(model: Path) -> Iterator[Container]:
    """A container by the words of its Dockerfile and the files that it copies, with a model and a port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    [entry] = _IMAGE.all_of("ENTRYPOINT")
    words = [*json.loads(entry), *_IMAGE.command(), "--model", str(model), "--host", "127.0.0.1"]
    environment = {"SAGEMAKER_BIND_TO_PORT": str(port), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as program:
        _copy_program(Path(program))
        process = subprocess.Popen(
            [sys.executable, *words[1:]],
            env=os.environ | environment,
            # Where -m looks first.
            cwd=program,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            # Without TLS there is nothing to verify, and reading the certificates takes longer than most answers.
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False, timeout=60) as http:
                yield Container(process, http)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def _copy_program(folder: Path) -> None:
    """The files that the image has below /opt/program."""
    for argument in _IMAGE.all_of("COPY"):
        source, target = argument.split()[-2:]
        if target.startswith("/opt/program/"):
            place, here = folder / target.removeprefix("/opt/program/"), PACKAGE.parent / source
            if here.is_dir():
                shutil.copytree(here, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(here, place)


@dataclass
class Loopback:
    """Hands invocations of any endpoint to a container, wraps its errors as SageMaker does, and counts.

    `first` are answers that come before the container's: (status, error code).
    """

    container: Container
    address: str = ""
    first: list[tuple[int, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    rename_bundle: tuple[bytes, bytes] = (b"", b"")

    def answer(self, path: str, body: bytes, content_type: str, accept: str) -> tuple[int, str, bytes]:
        """(status, error code, body) as the runtime API gives them."""
        self.asked.append(path)
        if self.first:
            status, code = self.first.pop(0)
            return status, code, json.dumps({"Message": "for a test"}).encode()
        answer = self.container.invoke(body, content_type, accept)
        if answer.status_code == HTTPStatus.OK:
            return answer.status_code, "", answer.content.replace(*self.rename_bundle)
        wrapped = {
            "Message": f"Received client error ({answer.status_code}) from primary",
            "OriginalStatusCode": answer.status_code,
            "OriginalMessage": answer.text,
        }
        return HTTPStatus.FAILED_DEPENDENCY, "ModelError", json.dumps(wrapped).encode()


@contextmanager
def looped_back(container: Container) -> Iterator[Loopback]:
    """A loopback at its `address`, which AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME takes."""
    loopback = Loopback(container)

    class Requests(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256")
            status, code, content = loopback.answer(
                self.path, body, self.headers["Content-Type"], self.headers.get("Accept", "")
            )
            self.send_response(status)
            if code:
                self.send_header("x-amzn-ErrorType", code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """The output of the tests is for their failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    loopback.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
