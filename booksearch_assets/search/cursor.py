"""Cursors: what a reader hands back for the next page.

A cursor holds everything that the first page was ranked by: the version of the collection, the query, its vector, and
how many results were shown. So the next page continues the very same ranking, in any process, without the picture and
without the model, whatever is published meanwhile.

Belongs here: writing and reading them, and the form of a vector in them. Does not: ranking.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from PIL import Image

from booksearch_assets.search.query import Filters, InvalidQuery, Query

_FORMAT = 2
_LARGEST = 32_767
MAX_CURSOR_LENGTH = 250_000


@dataclass(frozen=True)
class Cursor:
    """Where a walk through the pages of `query` is. `vector` is None for a search of words only.

    `picture` is the digest of the query's picture, which the cursor itself does not hold.
    """

    collection: str
    query: Query
    picture: str | None
    shown: int
    vector: np.ndarray | None

    def encode(self) -> str:
        """The cursor as URL-safe text: some 2 kB for a vector of 512."""
        parts = {"v": _FORMAT, "c": self.collection, "n": self.shown, "i": self.picture}
        parts["q"] = _written(self.query)
        if self.vector is not None:
            parts["x"] = base64.b64encode(_whole(self.vector).astype("<i2").tobytes()).decode()
        return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, filters: type[Filters]) -> Cursor:
        """Read what `encode` wrote of a query with these filters. Raises `InvalidQuery` for anything else."""
        with _readable():
            parts = _parts(text)
            vector = parts.get("x")
            return cls(
                collection=parts["c"],
                query=_read(parts["q"], filters),
                picture=parts["i"],
                shown=parts["n"],
                vector=None if vector is None else _unit(np.frombuffer(base64.b64decode(vector), "<i2")),
            )


def collection_of(cursor: str) -> str:
    """The version that the text of a cursor belongs to. Raises `InvalidQuery` for what is no cursor."""
    with _readable():
        return str(_parts(cursor)["c"])


def steady(vector: np.ndarray) -> np.ndarray:
    """The L2-normalised float32 vector that a cursor would give back for `vector`, at most 1e-4 away.

    The first page is ranked by this too: two runs of a model differ in the last bits, and so would two pages.
    """
    return _unit(_whole(vector))


def picture_digest(image: Image.Image | bytes | None) -> str | None:
    """What tells the picture of one query from that of another."""
    if image is None:
        return None
    data = image if isinstance(image, bytes) else repr((image.mode, image.size)).encode() + image.tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


def same_question(cursor: Cursor, query: Query) -> bool:
    """Whether `query` asks what the cursor's query does, on whatever page."""
    return _written(query) == _written(cursor.query) and picture_digest(query.image) == cursor.picture


def _whole(vector: np.ndarray) -> np.ndarray:
    return np.round(vector / np.abs(vector).max() * _LARGEST)


def _unit(whole: np.ndarray) -> np.ndarray:
    vector = whole.astype(np.float32)
    length = np.linalg.norm(vector)
    if not length:
        raise ValueError("a vector of no length")
    return vector / length


def _written(query: Query) -> dict[str, Any]:
    """The query without its page, and without what is as by default."""
    parts = {each.name: getattr(query, each.name) for each in fields(query)}
    del parts["image"], parts["cursor"], parts["k"]
    return parts | {"mode": query.effective_mode, "filters": query.filters.written()}


def _read(parts: dict[str, Any], filters: type[Filters]) -> Query:
    return Query(**{**parts, "filters": filters.parse(parts["filters"])}, cursor="-")


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidQuery(
            "the cursor cannot be read; give the next_cursor of a page of results, unchanged"
        ) from error


def _parts(text: str) -> dict[str, Any]:
    if len(text) > MAX_CURSOR_LENGTH:
        raise ValueError("too long")
    parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    if parts["v"] != _FORMAT or type(parts["n"]) is not int or parts["n"] < 0:
        raise ValueError("another format")
    if not isinstance(parts["c"], str) or not isinstance(parts["i"], str | None):
        raise ValueError("wrong types")
    return dict(parts)
