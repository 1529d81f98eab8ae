"""A shim that stands in for OpenSearch's k-NN plugin, in front of osmem-server.

osmem-server speaks the real REST protocol and answers every k-NN query with 400. The shim answers those itself, exactly,
by comparing with every row that passes the filter; it refuses mappings and queries that the plugin refuses, and scores
as the plugin's documentation says. All else is passed on. It is no OpenSearch: it knows nothing of graphs, recall,
refreshes or speed, so what holds against it is only that requests are well formed and answers are well read.

It can also turn documents away, check signatures, and refuse what Amazon OpenSearch Serverless refuses.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import urllib3

K_MAX = 10_000
MAX_DIMENSION = 16_000
MAX_RESULT_WINDOW = 10_000
SPACES = {
    "lucene": {"l2", "cosinesimil", "innerproduct"},
    "faiss": {"l2", "cosinesimil", "innerproduct"},
}
_SERVERLESS_LACKS = ("_refresh", "_forcemerge", "_settings", "_tasks", "_plugins", "point_in_time", "scroll")


class Refused(Exception):
    """An answer with an error, as OpenSearch forms it."""

    def __init__(self, reason: str, kind: str = "illegal_argument_exception", status: int = 400) -> None:
        super().__init__(reason)
        self.status = status
        self.error = {"type": kind, "reason": reason, "root_cause": [{"type": kind, "reason": reason}]}

    @property
    def answer(self) -> dict[str, Any]:
        return {"error": self.error, "status": self.status}


@dataclass
class Request:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def last(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def index(self) -> str:
        return self.path.split("/")[1]

    @property
    def creates(self) -> bool:
        """Whether this makes an index with a mapping."""
        return self.method == "PUT" and self.path.count("/") == 1 and b'"mappings"' in self.body


@dataclass
class KnnShim:
    """The shim before the osmem at `upstream`.

    `busy` says how often documents are turned away with 429, by key. `check` sees each request first and may raise
    `Refused`. With `serverless`, `unseen` is how many times a count answers 0 before rows are found.
    """

    upstream: str
    url: str = ""
    busy: dict[str, int] = field(default_factory=dict)
    check: Callable[[Request], None] | None = None
    serverless: bool = False
    unseen: int = 0
    seen: list[Request] = field(default_factory=list)
    asked_about: list[str] = field(default_factory=list)
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=16))

    def answer(self, request: Request) -> tuple[int, bytes]:
        self.seen.append(request)
        try:
            if self.check:
                self.check(request)
            if self.serverless:
                self._refuse_as_serverless(request)
            if "/_plugins/_knn/warmup/" in request.path:
                return 200, _json({"_shards": {"failed": 0, "successful": 1, "total": 1}})
            if request.creates:
                _check_mapping(json.loads(request.body))
            if "/_tasks/" in request.path:
                self.asked_about.append(request.last)
                return 200, _json({"completed": self.asked_about.count(request.last) > 1})
            match request.last:
                case "_forcemerge" if "wait_for_completion=false" in request.query:
                    # osmem merges at once; OpenSearch names a task, which has not ended yet when it is asked about.
                    self._ask("POST", request.path)
                    return 200, _json({"task": f"node:{len(self.seen)}"})
                case "_msearch":
                    return 200, _json(self._multi_search(request))
                case "_bulk" if self.busy:
                    return 200, _json(self._bulk(request))
                case "_count" if self.unseen:
                    self.unseen -= 1
                    return 200, _json({"count": 0})
        except Refused as refused:
            return refused.status, _json(refused.answer)
        return self._pass_on(request)

    def _pass_on(self, request: Request) -> tuple[int, bytes]:
        path = f"{request.path}?{request.query}" if request.query else request.path
        answer = self.pool.request(
            request.method,
            self.upstream + path,
            body=request.body or None,
            headers={"Content-Type": request.headers.get("Content-Type", "application/json")},
            retries=False,
        )
        return answer.status, answer.data

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        status, data = self._pass_on(Request(method, path, "", {}, _json(body) if body is not None else b""))
        told = json.loads(data)
        if status >= 300:
            error = told["error"]
            raise Refused(error["reason"], error["type"], status)
        return told

    def _multi_search(self, request: Request) -> dict[str, Any]:
        lines = [json.loads(line) for line in request.body.splitlines()]
        rows: dict[str, list[dict[str, Any]]] = {}
        return {"responses": [self._search(request.index, query, rows) for query in lines[1::2]]}

    def _search(
        self, index: str, asked: dict[str, Any], rows: dict[str, list[dict[str, Any]]]
    ) -> dict[str, Any]:
        try:
            scoring = _scoring(asked["query"])
            if scoring is None:
                return {**self._ask("POST", f"/{index}/_search", asked), "status": 200}
            if self.serverless and scoring.exact:
                raise Refused("inline scripts are not supported")
            mapping = self._ask("GET", f"/{index}/_mapping")[index]["mappings"]["properties"]
            scoring.check(mapping.get(scoring.field, {}))
            if asked.get("from", 0) + asked["size"] > MAX_RESULT_WINDOW:
                raise Refused(
                    f"Result window is too large, from + size must be less than or equal to: [{MAX_RESULT_WINDOW}]"
                )
            which = json.dumps([index, scoring.filter])
            if which not in rows:
                rows[which] = list(self._rows(index, scoring.filter))
            hits = scoring.ranked(rows[which])[asked.get("from", 0) :][: asked["size"]]
            wanted = asked["_source"]
            for hit in hits:
                hit["_source"] = {name: v for name, v in hit["_source"].items() if name in wanted}
            return {"hits": {"hits": hits}, "status": 200}
        except Refused as refused:
            return refused.answer

    def _rows(self, index: str, filter: Any) -> Iterator[dict[str, Any]]:
        asked: dict[str, Any] = {"query": filter, "size": 5_000, "sort": ["_id"]}
        while hits := self._ask("POST", f"/{index}/_search", asked)["hits"]["hits"]:
            yield from hits
            asked["search_after"] = hits[-1]["sort"]

    def _bulk(self, request: Request) -> dict[str, Any]:
        """Turn the documents in `busy` away, and write the others."""
        lines = request.body.splitlines(keepends=True)
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        keys = [json.loads(action)["index"]["_id"] for action, _ in pairs]
        refused = [self.busy.get(key, 0) > 0 for key in keys]
        kept = b"".join(a + d for (a, d), no in zip(pairs, refused, strict=True) if not no)
        status, data = self._pass_on(Request("POST", request.path, "", {}, kept)) if kept else (200, b"")
        assert status == 200
        written = iter(json.loads(data)["items"] if kept else [])
        items = []
        for key, no in zip(keys, refused, strict=True):
            if no:
                self.busy[key] -= 1
                full = {"type": "rejected_execution_exception", "reason": "queue is full"}
                items.append({"index": {"_id": key, "status": 429, "error": full}})
            else:
                items.append(next(written))
        return {"errors": any(refused), "items": items}

    def _refuse_as_serverless(self, request: Request) -> None:
        if request.path == "/" or any(part in request.path for part in _SERVERLESS_LACKS):
            raise Refused(f"{request.method} {request.path} is not supported", "not_found", 404)
        if request.last == "_bulk":
            for action in request.body.splitlines()[::2]:
                if "_id" in json.loads(action)["index"]:
                    raise Refused("Document ID is not supported in create/index operation request")
        if request.creates:
            settings = json.loads(request.body)["settings"]["index"]
            if set(settings) - {"knn"}:
                raise Refused(f"unknown settings {sorted(settings)}")
            if "lucene" in request.body.decode():
                raise Refused("Lucene is not a supported engine")


@dataclass
class _Scoring:
    """A k-NN query: approximate (answered exactly), or a script that scores."""

    field: str
    vector: np.ndarray
    filter: Any
    k: int | None
    space: str | None
    exact: bool

    def check(self, mapped: Mapping[str, Any]) -> None:
        if mapped.get("type") != "knn_vector":
            raise Refused(f"Field '{self.field}' is not knn_vector type.")
        if mapped["dimension"] != len(self.vector):
            raise Refused(
                f"Query vector has invalid dimension: {len(self.vector)}. Dimension should be: {mapped['dimension']}"
            )
        if not self.exact:
            if "method" not in mapped:
                raise Refused("Engine [null] does not support knn queries: index.knn is false")
            self.space = mapped["method"]["space_type"]
            if self.k is None or not 0 < self.k <= K_MAX:
                raise Refused(f"[knn] requires k to be in the range (0, {K_MAX}]")

    def ranked(self, hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not hits:
            return []
        vectors = np.array([hit["_source"][self.field] for hit in hits], dtype=np.float32)
        scores = _scores(self.space, vectors, self.vector)
        order = np.argsort(-scores, kind="stable")[: self.k]
        return [
            {"_id": hits[i]["_id"], "_score": float(scores[i]), "_source": dict(hits[i]["_source"])}
            for i in order
        ]


def _scores(space: str | None, vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """https://docs.opensearch.org/latest/mappings/supported-field-types/knn-spaces"""
    products = vectors @ query
    match space:
        case "cosinesimil":
            lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
            return (1 + products / lengths) / 2
        case "innerproduct":
            return np.where(products >= 0, products + 1, 1 / (1 - np.minimum(products, 0)))
        case _:
            raise Refused(f"Unable to score by space type {space!r}")


def _scoring(query: Mapping[str, Any]) -> _Scoring | None:
    if "knn" in query:
        [(name, knn)] = query["knn"].items()
        if unknown := set(knn) - {"vector", "k", "filter", "method_parameters"}:
            raise Refused(f"[knn] unknown token {unknown}", "parsing_exception")
        if unknown := set(knn.get("method_parameters", {})) - {"ef_search"}:
            raise Refused(f"Parameters not valid: {unknown}")
        filter = knn.get("filter", {"match_all": {}})
        return _Scoring(name, np.array(knn["vector"], np.float32), filter, knn["k"], None, exact=False)
    script = query.get("script_score", {}).get("script", {})
    if script.get("lang") == "knn":
        if script["source"] != "knn_score":
            raise Refused(f"Unknown script name {script['source']}")
        told = script["params"]
        vector = np.array(told["query_value"], np.float32)
        return _Scoring(
            told["field"], vector, query["script_score"]["query"], None, told["space_type"], exact=True
        )
    return None


def _check_mapping(body: Mapping[str, Any]) -> None:
    """Refuse what `KNNVectorFieldMapper` refuses, of what is ours to get wrong."""
    knn = body["settings"]["index"].get("knn", False)
    for name, mapped in body["mappings"]["properties"].items():
        if mapped["type"] != "knn_vector":
            continue
        method = mapped.get("method")
        if not 1 <= mapped["dimension"] <= MAX_DIMENSION:
            raise Refused(
                f"Dimension value must be in 1 to {MAX_DIMENSION} for vector: {name}",
                "mapper_parsing_exception",
            )
        if not knn and method:
            raise Refused("Cannot set modelId or method parameters when index.knn setting is false")
        if knn and not method:
            raise Refused("the tests name the engine always")
        if method and method["engine"] not in SPACES:
            raise Refused(f"Invalid engine type: {method['engine']}", "mapper_parsing_exception")
        if method and (method["name"] != "hnsw" or method["space_type"] not in SPACES[method["engine"]]):
            raise Refused(
                f'"{method["name"]}" with "{method["engine"]}" configuration does not support space type: '
                f'"{method["space_type"]}".'
            )


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@contextmanager
def serving(shim: KnnShim, tls: ssl.SSLContext | None = None) -> Iterator[KnnShim]:
    """The shim on a free port of loopback, for the time of the block; over TLS where a context is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = dict(self.headers.items())
            status, data = shim.answer(Request(self.command, parts.path, parts.query, headers, body))
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: each answer would be a line."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    shim.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield shim
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
