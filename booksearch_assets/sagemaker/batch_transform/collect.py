"""What came out of a job, joined to the pictures by key.

Belongs here: reading output objects, and what is refused of them. Does not: where vectors go (`stage`).

Neither the order of lines nor the names of objects says which picture a vector is of: Batch Transform puts requests of
an object together again, in objects whose place below the output its documentation gives by example only. So every
object that is there is read, and the key in each line decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from booksearch_assets.sagemaker.batch_transform.errors import UnexpectedOutput

Key = int | str
_LENGTH_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Found:
    """What one object holds: vectors (dimension,) float32 by key, and why other pictures have none."""

    vectors: list[tuple[Key, np.ndarray]] = field(default_factory=list)
    rejected: list[tuple[Key, str]] = field(default_factory=list)


class Collection:
    """The keys of one job by their text: `wanted` ones, and those that are `done` already.

    Some are done where a process was killed between keeping an object and deleting it.
    """

    def __init__(self, wanted: Mapping[str, Key], done: Set[str], bundle_id: str, dimension: int) -> None:
        self._wanted, self._done = wanted, done
        self._bundle_id, self._dimension = bundle_id, dimension
        self._found: set[str] = set()

    @property
    def missing(self) -> list[str]:
        """Texts of the wanted keys that no object has had yet, sorted."""
        return sorted(self._wanted.keys() - self._found)

    def read(self, body: bytes, place: str) -> Found:
        """The lines of one object that are wanted; `place` names it in errors.

        Raises `UnexpectedOutput` for a key that is unknown or came before, a vector of another bundle or of a wrong
        shape or length, and a line that is none of the handler's. Nothing of such an object is to be kept.
        """
        found = Found()
        for number, line in enumerate(body.split(b"\n"), start=1):
            if not line.strip():
                continue
            where = f"line {number} of {place}"
            row = _row(line, where)
            text = self._text(row.get("key"), where)
            if text in self._done:
                continue
            key = self._wanted[text]
            if "vector" in row:
                found.vectors.append((key, self._vector(row, where)))
            elif "reason" in row:
                found.rejected.append((key, str(row["reason"])))
            else:
                raise UnexpectedOutput(
                    f"{where}: the container has no vector of {text!r}: {row.get('error', row)}"
                )
        return found

    def _text(self, text: Any, where: str) -> str:
        if not isinstance(text, str) or not (text in self._wanted or text in self._done):
            raise UnexpectedOutput(
                f"{where}: the key is {text!r}, which no picture of this job has; is something else written to this "
                "folder?"
            )
        if text in self._found:
            raise UnexpectedOutput(
                f"{where}: the key {text!r} came before, and neither line is known to be right"
            )
        self._found.add(text)
        return text

    def _vector(self, row: dict[str, Any], where: str) -> np.ndarray:
        if row.get("bundle_id") != self._bundle_id:
            raise UnexpectedOutput(
                f"{where}: the vector is of the model bundle {row.get('bundle_id')!r}, expected {self._bundle_id!r}; "
                "vectors of two models cannot be compared. Set BOOKSEARCH_TRANSFORM_MODEL to a model of this bundle: "
                "`booksearch aws up sagemaker -p BundleId=...` makes one"
            )
        vector = np.array(row["vector"], np.float32)
        if vector.shape != (self._dimension,):
            raise UnexpectedOutput(
                f"{where}: the vector has the shape {vector.shape}, expected {(self._dimension,)}"
            )
        length = float(np.linalg.norm(vector))
        # NaN compares false to everything.
        if not abs(length - 1) < _LENGTH_TOLERANCE:
            raise UnexpectedOutput(
                f"{where}: the vector of {row['key']!r} has the length {length}, expected 1"
            )
        return vector


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UnexpectedOutput(f"{where} is not JSON ({error}): {line[:80]!r}") from error
    if not isinstance(row, dict):
        raise UnexpectedOutput(f"{where} is a {type(row).__name__}, expected an object with a key")
    return row
