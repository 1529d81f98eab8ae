"""Vectors of queries from a SageMaker endpoint, in place of a model in this process.

Belongs here: asking, what its errors mean, remembering texts. Does not: what the endpoint computes (`handler`), which
queries there are (`search`).

The endpoint answers for one model bundle, which each of its answers names: an endpoint that was given another model is
noticed by the next query, and never searched with.
"""

from __future__ import annotations

import io
import json
import random
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from booksearch_assets.sagemaker.errors import (
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    InputRefused,
    UnexpectedAnswer,
)
from booksearch_assets.sagemaker.handler import JSON, PICTURE

if TYPE_CHECKING:
    from PIL import Image

KNOWN_TEXTS = 1_000
"""Texts whose vectors are kept; people ask the same, and each page of results asks again."""

MOST_PIXELS = 900_000
"""Of a picture that is sent. Serverless endpoints take bodies of 4 MB, and these are 3.6 MB before compression."""

_ATTEMPTS = 5
_FIRST_WAIT_SECONDS = 0.5
# A serverless endpoint that has slept starts its container first, and SageMaker waits a minute for an answer.
_ANSWER_SECONDS = 70
# SageMaker throttles with status 400; what else passes has 429 or 5xx.
_THROTTLED = ("Throttling", "ThrottlingException", "TooManyRequestsException")
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


class EndpointEncoder:
    """A `search.engine.QueryEncoder` of an endpoint. Safe for many threads."""

    def __init__(self, name: str, client: Any, bundle_id: str, dimension: int) -> None:
        self._name, self._client = name, client
        self._bundle_id, self._dimension = bundle_id, dimension
        self._known_texts: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = Lock()

    @classmethod
    def connect(cls, name: str, client: Any | None = None) -> EndpointEncoder:
        """Ask the endpoint which model it has, which also wakes one that sleeps. Raises `EndpointError`.

        Credentials and region are those of the environment, unless a `sagemaker-runtime` client is given.
        """
        client = client or _runtime_client(name)
        answer = _asked(name, client, json.dumps({"inputs": []}).encode(), JSON)
        return cls(name, client, answer["bundle_id"], answer["dimension"])

    @property
    def bundle_id(self) -> str:
        """The vector space of everything that this encoder returns."""
        return self._bundle_id

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, dimension) float32, L2-normalised, in order. Raises `EndpointError`."""
        with self._lock:
            known = {text: self._known_texts[text] for text in texts if text in self._known_texts}
        if unknown := [text for text in dict.fromkeys(texts) if text not in known]:
            body = json.dumps({"inputs": unknown}).encode()
            known.update(zip(unknown, self._vectors(body, JSON, len(unknown)), strict=True))
        with self._lock:
            for text in known:
                self._known_texts[text] = known[text]
                self._known_texts.move_to_end(text)
            while len(self._known_texts) > KNOWN_TEXTS:
                self._known_texts.popitem(last=False)
        return np.array([known[text] for text in texts], np.float32).reshape(len(texts), self._dimension)

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Vectors (n, dimension) float32, L2-normalised, in order; each picture is a request. Raises `EndpointError`.

        The same as the model gives here for pictures of up to `MOST_PIXELS`; larger ones are made smaller first.
        """
        vectors = [self._vectors(_png(image), PICTURE, 1)[0] for image in images]
        return np.array(vectors, np.float32).reshape(len(images), self._dimension)

    def _vectors(self, body: bytes, content_type: str, count: int) -> np.ndarray:
        answer = _asked(self._name, self._client, body, content_type)
        if answer["bundle_id"] != self._bundle_id:
            raise UnexpectedAnswer(
                f"the endpoint {self._name!r} has the model {answer['bundle_id']!r} now, and had {self._bundle_id!r} when "
                "it was first asked; vectors of two models cannot be compared. Start again, with a collection of its model"
            )
        vectors = np.array(answer["vectors"], np.float32)
        if vectors.shape != (count, self._dimension):
            raise UnexpectedAnswer(
                f"the endpoint {self._name!r} answered with vectors of shape {vectors.shape}, expected "
                f"{(count, self._dimension)}; deploy the container of this release"
            )
        return vectors


def _runtime_client(name: str) -> Any:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    # Repeating is done here alone: the client's own would multiply with it, and does not know of a model that starts.
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=_ANSWER_SECONDS)
    try:
        return boto3.client("sagemaker-runtime", config=config)
    except BotoCoreError as error:
        raise EndpointRefused(f"the endpoint {name!r} cannot be asked: {error}. Set AWS_REGION") from error


def _asked(name: str, client: Any, body: bytes, content_type: str) -> dict[str, Any]:
    """The answer to one question, asked again while its fault is a passing one."""
    started, wait, attempts = time.monotonic(), _FIRST_WAIT_SECONDS, 0
    while True:
        try:
            return _asked_once(name, client, body, content_type)
        except EndpointUnavailable as error:
            attempts += 1
            if attempts == _ATTEMPTS or time.monotonic() - started > _ANSWER_SECONDS:
                raise EndpointUnavailable(
                    f"the endpoint {name!r} did not answer {attempts} times; its last word was: {error}"
                ) from error
        # Half of the wait is by chance, so that those who were throttled together do not return together.
        time.sleep(wait * random.uniform(0.5, 1.0))
        wait *= 2


def _asked_once(name: str, client: Any, body: bytes, content_type: str) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

    try:
        found = client.invoke_endpoint(EndpointName=name, Body=body, ContentType=content_type, Accept=JSON)
        return _read(name, found["Body"].read())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == "ModelError":
            raise _of_container(name, error) from error
        if code in _THROTTLED or status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500:
            raise EndpointUnavailable(str(error)) from error
        raise EndpointRefused(
            f"the endpoint {name!r} cannot be asked: {error}. `booksearch aws status` prints the endpoint's name; asking "
            "needs the right sagemaker:InvokeEndpoint on it"
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise EndpointUnavailable(str(error)) from error
    except BotoCoreError as error:
        raise EndpointRefused(f"the endpoint {name!r} cannot be asked: {error}") from error


def _of_container(name: str, error: Any) -> EndpointError:
    """What the container itself answered with, in SageMaker's wrapping."""
    status = int(error.response.get("OriginalStatusCode", HTTPStatus.INTERNAL_SERVER_ERROR))
    said = str(error.response.get("OriginalMessage", ""))
    with suppress(ValueError, KeyError, TypeError):
        said = json.loads(said)["error"]
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return InputRefused(f"the endpoint {name!r} refused the input ({status}): {said}")
    return UnexpectedAnswer(
        f"the container of the endpoint {name!r} failed ({status}): {said}. Its log group is "
        f"/aws/sagemaker/Endpoints/{name}"
    )


def _read(name: str, body: bytes) -> dict[str, Any]:
    with suppress(ValueError, AttributeError):
        answer = json.loads(body)
        if {"bundle_id", "dimension", "vectors"} <= answer.keys():
            return dict(answer)
    raise UnexpectedAnswer(
        f"the endpoint {name!r} answered {body[:80]!r}, expected vectors with their bundle_id and dimension; is it one "
        "of infra/sagemaker.yaml?"
    )


def _png(image: Image.Image) -> bytes:
    """A picture without loss, in the mode that it has, since the container flattens what is transparent."""
    if image.mode not in _MODES:
        image = image.convert("RGBA" if "A" in image.getbands() else "RGB")
    if image.width * image.height > MOST_PIXELS:
        if image.mode in ("1", "P"):
            image = image.convert("RGBA")
        scale = (MOST_PIXELS / (image.width * image.height)) ** 0.5
        # At least a pixel each way, and for the thinnest of strips no more than fit.
        width, height = (max(1, int(length * scale)) for length in image.size)
        image = image.resize((min(width, MOST_PIXELS), min(height, MOST_PIXELS)))
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)
    return stream.getvalue()
