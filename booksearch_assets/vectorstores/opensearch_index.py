"""One sealed collection on OpenSearch, to read: by vectors, by words, by keys, and all of it.

Belongs here: the queries, and turning answers into hits. Does not: making collections (`opensearch_store`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from booksearch_assets.vectorstores.contract import VECTOR, CollectionSpec, FieldKind, Hit, IndexKind
from booksearch_assets.vectorstores.errors import InvalidSearch
from booksearch_assets.vectorstores.filters import Filter, opensearch_query
from booksearch_assets.vectorstores.opensearch_client import failure, opensearch_errors
from booksearch_assets.vectorstores.opensearch_schema import WORDS, Collection, cosine, index_name, space
from booksearch_assets.vectorstores.rows import check_fields, check_search, checked_queries

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

_HITS_PER_CALL = 20_000
_QUERIES_PER_CALL = 100
_PAGE_ROWS = 5_000
_PAGE_BYTES = 16 * 2**20
_BYTES_PER_NUMBER = 12
"""What a number of a vector takes in JSON."""

_EXACT_SPACE = "innerproduct"
"""For scripts: their cosinesimil was scored in two ways over the versions, which innerproduct never was."""


class OpenSearchIndex:
    """Keeps `VectorIndex` and `LexicalIndex`.

    A sealed index takes no writes, so its pages never shift and need no point in time, which Serverless lacks.
    """

    def __init__(self, client: OpenSearch, collection: Collection, where: str) -> None:
        self._client, self._collection, self._where = client, collection, where
        self._index = index_name(collection.spec.name)

    @property
    def spec(self) -> CollectionSpec:
        return self._collection.spec

    def count(self, filter: Filter | None = None) -> int:
        check_search(self.spec, 1, filter, ())
        with self._calling("count"):
            answer = self._client.count(index=self._index, body={"query": opensearch_query(filter)})
        return int(answer["count"])

    def search(
        self,
        vectors: np.ndarray,
        k: int,
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[list[Hit]]:
        check_search(self.spec, k, filter, fields, offset)
        queries = checked_queries(self.spec, vectors)
        step = max(1, min(_QUERIES_PER_CALL, _HITS_PER_CALL // (offset + k)))
        page = {"size": k, "from": offset, "_source": self._source(fields), "track_total_hits": False}
        answers: list[list[Hit]] = []
        for start in range(0, len(queries), step):
            asked = [
                page | {"query": self._nearest(query, offset + k, filter)}
                for query in queries[start : start + step]
            ]
            answers += [
                [self._hit(hit, cosine(hit["_score"], self._space), fields) for hit in hits]
                for hits in self._ask(asked, "search")
            ]
        return answers

    def search_words(
        self,
        text: str,
        k: int,
        weights: Mapping[str, float],
        without: str = "",
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[Hit]:
        check_search(self.spec, k, filter, fields, offset)
        self._check_texts(weights)
        query: dict[str, Any] = {
            "must": [_has_words(text, weights)],
            "filter": [opensearch_query(filter)],
        }
        if without.strip():
            query["must_not"] = [_has_words(without, weights)]
        asked = {
            "query": {"bool": query},
            "size": k,
            "from": offset,
            "_source": self._source(fields),
            "track_total_hits": False,
            # Rows that score alike come in one order, whichever copy answers.
            "sort": ["_score", {self.spec.key: "asc"}],
        }
        [hits] = self._ask([asked], "search the words of")
        return [self._hit(hit, float(hit["_score"]), fields) for hit in hits]

    def fetch(self, keys: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        check_fields(self.spec, fields)
        wanted = list(dict.fromkeys(keys))
        step = self._page_rows(fields)
        rows: dict[str, dict[str, Any]] = {}
        for start in range(0, len(wanted), step):
            some = wanted[start : start + step]
            asked = {
                "query": {"bool": {"filter": [{"terms": {self.spec.key: some}}]}},
                "size": len(some),
                "_source": self._source(fields),
            }
            [hits] = self._ask([asked], "fetch from")
            for hit in hits:
                row = hit["_source"]
                rows[row[self.spec.key]] = {name: _plain(name, row[name]) for name in fields}
        return rows

    def scan(self, fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
        check_fields(self.spec, fields)
        schema = pa.schema([self.spec.schema.field(name) for name in fields])
        size = self._page_rows(fields)
        asked: dict[str, Any] = {
            "query": {"match_all": {}},
            "size": size,
            "sort": [{self.spec.key: "asc"}],
            "_source": self._source(fields),
            "track_total_hits": False,
        }
        while True:
            [hits] = self._ask([asked], "scan")
            if hits:
                rows = [hit["_source"] for hit in hits]
                columns = [pa.array([row[name] for row in rows], schema.field(name).type) for name in fields]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
            if len(hits) < size:
                return
            asked["search_after"] = hits[-1]["sort"]

    def close(self) -> None:
        """Nothing: the connection belongs to the store."""

    @property
    def _space(self) -> str:
        return _EXACT_SPACE if self._is_exact else space(self._collection.engine)

    @property
    def _is_exact(self) -> bool:
        return self._collection.index.kind is IndexKind.FLAT

    def _nearest(self, vector: np.ndarray, window: int, filter: Filter | None) -> dict[str, Any]:
        """The query for the `window` nearest of the rows that pass: the filter is applied during the search, not after."""
        if self._is_exact:
            parameters = {"field": VECTOR, "query_value": vector, "space_type": _EXACT_SPACE}
            passing = {"bool": {"filter": [opensearch_query(filter)]}}
            script = {"lang": "knn", "source": "knn_score", "params": parameters}
            return {"script_score": {"query": passing, "script": script}}
        knn: dict[str, Any] = {
            "vector": vector,
            "k": window,
            "method_parameters": {"ef_search": _effort(window, filter)},
        }
        if filter is not None:
            knn["filter"] = opensearch_query(filter)
        return {"knn": {VECTOR: knn}}

    def _ask(self, queries: Sequence[Mapping[str, Any]], doing: str) -> list[list[dict[str, Any]]]:
        """The hits of each query, all in one request."""
        lines = [line for query in queries for line in ({}, query)]
        body = b"\n".join(orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY) for line in lines) + b"\n"
        with self._calling(doing):
            answer = self._client.msearch(body=body, index=self._index)
        found = []
        for response in answer["responses"]:
            if "error" in response:
                raise failure(
                    self._where,
                    f"{doing} collection {self.spec.name!r}",
                    response["status"],
                    response["error"],
                )
            found.append(response["hits"]["hits"])
        return found

    def _source(self, fields: Sequence[str]) -> list[str]:
        """What is sent back of each row: the vector only where it is asked for."""
        return sorted({self.spec.key, *fields})

    def _hit(self, hit: Mapping[str, Any], score: float, fields: Sequence[str]) -> Hit:
        row = hit["_source"]
        return Hit(row[self.spec.key], score, {name: _plain(name, row[name]) for name in fields})

    def _page_rows(self, fields: Sequence[str]) -> int:
        if VECTOR not in fields:
            return _PAGE_ROWS
        return max(1, min(_PAGE_ROWS, _PAGE_BYTES // (_BYTES_PER_NUMBER * self.spec.dimension)))

    def _check_texts(self, weights: Mapping[str, float]) -> None:
        texts = [
            f.name for f in self.spec.fields if f.kind is not FieldKind.INT64 and f.name != self.spec.key
        ]
        unknown = [name for name in weights if name not in texts]
        if unknown or not weights:
            raise InvalidSearch(
                f"collection {self.spec.name!r}: words can be looked for in {', '.join(texts) or 'no field'}, "
                f"not in {', '.join(unknown) or 'no field at all'}"
            )

    def _calling(self, doing: str) -> Any:
        return opensearch_errors(self._where, f"{doing} collection {self.spec.name!r}")


def _has_words(text: str, weights: Mapping[str, float]) -> dict[str, Any]:
    return {
        "multi_match": {
            "query": text,
            # Each word in any of the fields, as if they were one.
            "type": "cross_fields",
            "operator": "and",
            "fields": [f"{name}.{WORDS}^{weight:g}" for name, weight in weights.items()],
        }
    }


def _effort(window: int, filter: Filter | None) -> int:
    """How much of the graph to visit. A filter thins out what is found."""
    return max(64 if filter is None else 200, 2 * window)


def _plain(name: str, value: Any) -> Any:
    return np.asarray(value, dtype=np.float32) if name == VECTOR else value
