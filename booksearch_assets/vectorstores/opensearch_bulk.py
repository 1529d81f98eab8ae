"""Writing many documents to one OpenSearch index, of which each arrives or is named in an error.

Belongs here: cutting rows into requests, and sending again what was turned away. Does not: what rows may hold (`rows`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from booksearch_assets.vectorstores.contract import VECTOR, CollectionSpec
from booksearch_assets.vectorstores.errors import StoreUnavailable, VectorStoreError
from booksearch_assets.vectorstores.opensearch_client import failure, opensearch_errors
from booksearch_assets.vectorstores.rows import vector_matrix

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

_log = logging.getLogger(__name__)

REQUEST_BYTES = 5 * 2**20
"""The smallest instances of Amazon OpenSearch Service take requests of 10 MiB; 5 to 15 is what OpenSearch advises."""

_BUSY = (429, 503)
"""Turned away for now: a full queue, a throttled domain, a shard that is not up. Anything else stays as it is."""

_ATTEMPTS = 8
_FIRST_PAUSE = 0.25


class BulkWriter:
    """Writes to one index. `named` documents have the row's key as `_id`, so that writing twice is writing once."""

    def __init__(self, client: OpenSearch, index: str, spec: CollectionSpec, where: str, named: bool) -> None:
        self._client, self._index, self._spec, self._where, self._named = client, index, spec, where, named

    def write(self, rows: pa.Table) -> None:
        """Write every row. Raises `StoreUnavailable` for rows that are still turned away at last, `VectorStoreError`
        for a row that OpenSearch will never take, with its key and the reason."""
        for keys, lines in self._requests(rows):
            self._send(keys, lines)

    def _requests(self, rows: pa.Table) -> Iterator[tuple[list[str], list[bytes]]]:
        """Keys and lines (what to do, and the document) of one request after the other."""
        keys: list[str] = []
        lines: list[bytes] = []
        size = 0
        vectors = vector_matrix(rows[VECTOR], self._spec.dimension)
        for row, vector in zip(rows.drop_columns(VECTOR).to_pylist(), vectors, strict=True):
            key = row[self._spec.key]
            action = {"index": {"_id": key} if self._named else {}}
            document = orjson.dumps(row | {VECTOR: vector}, option=orjson.OPT_SERIALIZE_NUMPY)
            line = orjson.dumps(action) + b"\n" + document + b"\n"
            if lines and size + len(line) > REQUEST_BYTES:
                yield keys, lines
                keys, lines, size = [], [], 0
            keys.append(key)
            lines.append(line)
            size += len(line)
        if lines:
            yield keys, lines

    def _send(self, keys: Sequence[str], lines: Sequence[bytes]) -> None:
        left = list(range(len(keys)))
        pause = _FIRST_PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            refused, reason = self._send_once(keys, lines, left)
            if not refused:
                return
            left = refused
            if attempt < _ATTEMPTS:
                _log.info("%d rows were turned away (%s); again in %.2g s", len(left), reason, pause)
                time.sleep(pause)
                pause *= 2
        raise StoreUnavailable(
            f"{self._where}: {len(left)} rows of {self._spec.name!r} were turned away {_ATTEMPTS} times, the first with "
            f"key {keys[left[0]]!r}: {reason}. It is overloaded: load later, or give it more room"
        )

    def _send_once(
        self, keys: Sequence[str], lines: Sequence[bytes], places: Sequence[int]
    ) -> tuple[list[int], str]:
        """The places of the rows that were turned away for now, and why the first was."""
        from opensearchpy.exceptions import ConnectionError as Unreachable
        from opensearchpy.exceptions import TransportError

        doing = f"load collection {self._spec.name!r}"
        with opensearch_errors(self._where, doing):
            try:
                answer = self._client.bulk(body=b"".join(lines[place] for place in places), index=self._index)
            except Unreachable:
                raise
            except TransportError as error:
                if error.status_code not in _BUSY:
                    raise
                return list(places), f"{error.status_code} {error.error}"
        busy: list[int] = []
        reason = ""
        for place, item in zip(places, answer["items"], strict=True):
            result: dict[str, Any] = item["index"]
            if "error" not in result:
                continue
            if result["status"] not in _BUSY:
                raise VectorStoreError(
                    str(
                        failure(
                            self._where, f"{doing}, key {keys[place]!r}", result["status"], result["error"]
                        )
                    )
                )
            busy.append(place)
            reason = reason or f"{result['status']} {result['error'].get('reason', '')}"
        return busy, reason
