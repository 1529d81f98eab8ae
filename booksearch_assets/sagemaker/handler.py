"""From the body of an invocation to vectors: texts and pictures, one at a time or many.

Belongs here: reading requests, what is refused and why, writing answers. Does not: HTTP (`server`), the model (`clip`).

    application/json         {"inputs": "a text"}, {"inputs": ["a text", ...]}, {"image": "<base64>"} or
                             {"images": ["<base64>", ...]}; "prompt": "this is a {}" frames the texts
    application/x-image      the bytes of one picture; any image/* too
    application/jsonlines    a line for each row: {"key": "...", "inputs": "a text"} or {"key": "...", "image": "<base64>"}

JSON and pictures are answered with `application/json`: {"bundle_id": ..., "dimension": ..., "vectors": [[...], ...]}, all
or nothing. JSON Lines are answered with one line for each line: {"key": ..., "bundle_id": ..., "vector": [...]}, or
{"key": ..., "error": ...} where the row has none, and with "reason" where its picture cannot be read (one of
`clip.preprocess.Undecodable`). Rows are told apart by their keys, never by their place.

Vectors are float32, L2-normalised, and written with the digits that give the same float32 back.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import orjson

from booksearch_assets.clip.encoder import IMAGE_BATCH_SIZE, DegenerateVectorError
from booksearch_assets.clip.preprocess import Undecodable, UndecodableImage, decode_image

if TYPE_CHECKING:
    from booksearch_assets.clip.encoder import Encoder

JSON: Final = "application/json"
JSON_LINES: Final = "application/jsonlines"
PICTURE: Final = "application/x-image"
_ANY = ("", "*/*", "application/*")
_PLACE = "{}"

_Item = TypeVar("_Item")
_Input = str | bytes
"""A text, or the bytes of a picture."""


@dataclass(frozen=True)
class Limits:
    """The most that one request may hold. SageMaker itself lets 4 MB through to a serverless endpoint."""

    body_bytes: int = 32 * 1024 * 1024
    inputs: int = 20_000
    text_characters: int = 10_000


class Refused(Exception):
    """A request, or a row of it, has no vector; `status` says whose fault that is, the message what to do.

    `reason` is for counting the pictures that cannot be read, and None for all else.
    """

    def __init__(self, status: HTTPStatus, message: str, reason: Undecodable | None = None) -> None:
        self.status, self.reason = status, reason
        super().__init__(message)


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    body: bytes
    media_type: str
    status: HTTPStatus = HTTPStatus.OK

    @classmethod
    def of_refusal(cls, refused: Refused) -> Answer:
        return cls(orjson.dumps({"error": str(refused)}), JSON, refused.status)


@dataclass(frozen=True)
class _Row:
    """A line of JSON Lines: its key where it has one, and its input or why there is none."""

    key: str | None
    input: _Input | Refused


class Handler:
    """Answers invocations with one model. Not for several threads at a time: the model uses every core for each."""

    def __init__(self, encoder: Encoder, limits: Limits = Limits()) -> None:
        self._encoder, self._limits = encoder, limits

    def answer(self, body: bytes, content_type: str, accept: str = "") -> Answer:
        """The vectors for one body.

        Raises `Refused`: 400 for what is not as the formats above, 406 for an answer that is not given in this format,
        413 for too much, 415 for other formats, 422 for an empty text or a picture that cannot be read.
        """
        if len(body) > self._limits.body_bytes:
            raise too_large(self._limits)
        media_type = _bare(content_type)
        if media_type == JSON_LINES:
            _require_acceptable(accept, JSON_LINES)
            return Answer(self._lines(body), JSON_LINES)
        if media_type == JSON:
            inputs = self._inputs(_object(body, "the body"))
        elif media_type.startswith("image/") or media_type == PICTURE:
            inputs = [body]
        else:
            raise Refused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the content type is {content_type!r}; expected {JSON}, {JSON_LINES}, {PICTURE} or image/*",
            )
        _require_acceptable(accept, JSON)
        return Answer(self._document(inputs), JSON)

    def _document(self, inputs: Sequence[_Input]) -> bytes:
        self._require_few(len(inputs))
        vectors = self._vectors(inputs)
        for number, vector in enumerate(vectors):
            if isinstance(vector, Refused):
                where = f"input {number} of {len(inputs)}: " if len(inputs) > 1 else ""
                raise Refused(vector.status, f"{where}{vector}")
        encoder = self._encoder
        return _dumps(
            {"bundle_id": encoder.bundle_id, "dimension": encoder.dimension, "vectors": list(vectors)}
        )

    def _lines(self, body: bytes) -> bytes:
        lines = [line for line in body.split(b"\n") if line.strip()]
        self._require_few(len(lines))
        rows = [self._row(line, number) for number, line in enumerate(lines, start=1)]
        vectors = iter(self._vectors([row.input for row in rows if not isinstance(row.input, Refused)]))
        # No line break at the end: Batch Transform adds one where it joins the answers (AssembleWith=Line).
        return b"\n".join(
            self._line(row.key, row.input if isinstance(row.input, Refused) else next(vectors))
            for row in rows
        )

    def _line(self, key: str | None, vector: np.ndarray | Refused) -> bytes:
        if isinstance(vector, Refused):
            reason = {"reason": vector.reason} if vector.reason else {}
            return _dumps({"key": key, "error": str(vector), **reason})
        return _dumps({"key": key, "bundle_id": self._encoder.bundle_id, "vector": vector})

    def _row(self, line: bytes, number: int) -> _Row:
        key: str | None = None
        try:
            fields = _object(line, f"line {number}")
            found = fields.pop("key", None)
            if not isinstance(found, str) or not found:
                raise _bad(f"line {number}: the key is {found!r}; expected a text that is not empty")
            key = found
            inputs = self._inputs(fields)
            if len(inputs) != 1:
                raise _bad(f"line {number} has {len(inputs)} inputs; expected one in each line")
            return _Row(key, inputs[0])
        except Refused as refused:
            return _Row(key, refused)

    def _inputs(self, fields: dict[str, Any]) -> list[_Input]:
        """The texts or pictures that an object holds, texts in their prompt."""
        kinds = sorted(fields.keys() & {"inputs", "image", "images"})
        unknown = sorted(fields.keys() - {"inputs", "image", "images", "prompt"})
        if len(kinds) != 1 or unknown:
            raise _bad(
                f"found {', '.join(sorted(fields)) or 'nothing'}; expected one of inputs, image, images, and with "
                "inputs a prompt where it is wanted"
            )
        [kind] = kinds
        if kind == "inputs":
            return list(self._texts(fields["inputs"], fields.get("prompt", _PLACE)))
        if "prompt" in fields:
            raise _bad("a prompt frames texts, and there are none; leave it out")
        pictures = [fields["image"]] if kind == "image" else fields["images"]
        if not isinstance(pictures, list):
            raise _bad("images is no list; expected a list of pictures in base64, or one as image")
        return [_decoded(picture) for picture in pictures]

    def _texts(self, inputs: Any, prompt: Any) -> Iterator[str]:
        if not isinstance(prompt, str) or prompt.count(_PLACE) != 1:
            raise _bad(f"the prompt is {prompt!r}; expected a text with {_PLACE} in it once")
        texts = inputs if isinstance(inputs, list) else [inputs]
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise _bad(f"text {number} is a {type(text).__name__}; expected a text or a list of texts")
            if not text.strip():
                raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"text {number} is empty; give it a word")
            if len(text) > self._limits.text_characters:
                raise Refused(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"text {number} has {len(text)} characters, at most {self._limits.text_characters} are read",
                )
            yield prompt.replace(_PLACE, text)

    def _vectors(self, inputs: Sequence[_Input]) -> list[np.ndarray | Refused]:
        """A vector (dimension,) float32, or why there is none, for each input in order."""
        vectors: dict[int, np.ndarray | Refused] = {}
        texts = {row: text for row, text in enumerate(inputs) if isinstance(text, str)}
        vectors.update(zip(texts, _each(list(texts.values()), self._encoder.encode_texts), strict=True))
        pictures = [(row, content) for row, content in enumerate(inputs) if isinstance(content, bytes)]
        # A batch at a time, since a decoded picture is many times its bytes.
        for start in range(0, len(pictures), IMAGE_BATCH_SIZE):
            decoded = {}
            for row, content in pictures[start : start + IMAGE_BATCH_SIZE]:
                try:
                    decoded[row] = decode_image(content)
                except UndecodableImage as error:
                    message = f"the picture cannot be read: {error}"
                    vectors[row] = Refused(HTTPStatus.UNPROCESSABLE_ENTITY, message, error.reason)
            vectors.update(
                zip(decoded, _each(list(decoded.values()), self._encoder.encode_images), strict=True)
            )
        return [vectors[row] for row in range(len(inputs))]

    def _require_few(self, count: int) -> None:
        if count > self._limits.inputs:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{count} inputs in one request, at most {self._limits.inputs} are taken; send several requests",
            )


def too_large(limits: Limits) -> Refused:
    """The refusal of a body that has more bytes than it may."""
    return Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has over {limits.body_bytes} bytes; send several requests, or smaller pictures",
    )


def _each(
    items: Sequence[_Item], encode: Callable[[Sequence[_Item]], np.ndarray]
) -> list[np.ndarray | Refused]:
    """The vectors of all items at once; one by one where the model finds no direction for one of them."""
    if not items:
        return []
    try:
        return list(encode(items))
    except DegenerateVectorError as error:
        if len(items) == 1:
            return [Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))]
        return [vector for item in items for vector in _each([item], encode)]


def _object(content: bytes, where: str) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _bad(f"{where} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _bad(f"{where} is a {type(found).__name__}; expected an object such as {{'inputs': 'a text'}}")
    return found


def _decoded(picture: Any) -> bytes:
    try:
        return base64.b64decode(picture, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise _bad(f"a picture is not base64: {error}") from error


def _require_acceptable(accept: str, media_type: str) -> None:
    offered = [_bare(part) for part in accept.split(",")]
    if media_type not in offered and not set(offered) & set(_ANY):
        raise Refused(HTTPStatus.NOT_ACCEPTABLE, f"Accept is {accept!r}; the answer would be {media_type}")


def _bare(media_type: str) -> str:
    """Without parameters such as the charset, which JSON has none of."""
    return media_type.partition(";")[0].strip().lower()


def _bad(message: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, message)


def _dumps(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
