"""A warm search: our engine beside what it is made of, a bare text encoder and a bare search of pymilvus, one after the other.

With one client and with sixteen, each of which asks again as soon as it is answered; times are the median of their
requests. By meaning alone, which is what the sum answers too; the last row is the default, which also looks for the
words of the query, and informs only. In Milvus Lite or, with --server (see `load_vectors`), in a server.

Belongs here: this comparison. Does not: a whole service under load (`search_load`), the books (`search_world`).
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import Contestant, Done, Measured, compare
from load_vectors import milvus_address
from rows import Row, slower
from vit_b32 import vit_b32

_CLIENTS = (1, 16)
_K = 10
_WARM_UP = 4
_AGREEING = 0.9


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--searched", type=int, default=20_000, help="Books in the collection.")
    parser.add_argument("--requests", type=int, default=96, help="Of all clients together.")


def rows(options: argparse.Namespace) -> Iterator[Row]:
    count, requests = (1_000, 32) if options.quick else (options.searched, options.requests)
    bundle = vit_b32(options.scratch)
    with milvus_address(options.server) as server:
        uri = server or str(options.scratch / "milvus")
        _publish(uri, count, bundle.folder)
        where = "Milvus" if server else "Milvus Lite"
        for clients in _CLIENTS:
            measured = _measured(uri, bundle.folder, clients, requests, options.repetitions)
            at = f"{clients} client{'s' * (clients > 1)}"
            peer = measured["encoder + pymilvus"]
            yield slower(
                f"search, warm, {where}, {at}",
                measured["booksearch"],
                peer,
                at_most=1.15,
                note=f"the sum is {_parts(peer)}",
            )
            yield slower(f"search, warm, {where}, {at}, words too", measured["booksearch, words too"], peer)


def _parts(peer: Measured) -> str:
    return ", ".join(f"{1000 * peer.figure(part):.1f} ms of {part}" for part in ("encoding", "searching"))


def _publish(uri: str, count: int, bundle: Path) -> None:
    from search_world import publish_books, unit_vectors

    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.vectorstores.connect import open_store

    with open_store(uri) as store:
        publish_books(store, unit_vectors(count, 512), Bundle.open(bundle))


def _measured(uri: str, bundle: Path, clients: int, requests: int, repetitions: int) -> dict[str, Measured]:
    asked = {"uri": uri, "bundle": str(bundle), "clients": clients, "requests": requests}
    return compare(
        [
            Contestant("booksearch", engine, asked | {"words": False}),
            Contestant("encoder + pymilvus", bare, asked),
            Contestant("booksearch, words too", engine, asked | {"words": True}),
        ],
        repetitions,
        _agree,
    )


def engine(uri: str, bundle: str, clients: int, requests: int, words: bool) -> Done:
    """What the service and the command ask."""
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.encoder import Encoder
    from booksearch_assets.search.books_collection import BOOKS
    from booksearch_assets.search.engine import SearchEngine
    from booksearch_assets.search.query import Query, SearchMode
    from booksearch_assets.vectorstores.connect import open_published

    searching = SearchEngine(
        open_published(uri, BOOKS.name), Encoder.load(Bundle.open(bundle, verify="size"))
    )
    mode = SearchMode.HYBRID if words else SearchMode.SEMANTIC

    def ask(text: str) -> list[str]:
        results = searching.search(Query(text, k=_K, mode=mode)).results
        # Words find others: only answers by meaning are to be the same.
        return [] if words else [result.edition_key for result in results]

    seconds, answers = _timed(ask, clients, requests)
    return Done(answers, seconds)


def bare(uri: str, bundle: str, clients: int, requests: int) -> Done:
    """transformers and pymilvus as their documentation shows them, for each request one after the other."""
    import pymilvus
    import torch
    from search_world import COLLECTION
    from transformers import AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(bundle, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(bundle)
    client = pymilvus.MilvusClient(f"{uri}/{COLLECTION}.db" if "://" not in uri else uri)
    client.load_collection(COLLECTION)
    spent: dict[str, list[float]] = {"encoding": [], "searching": []}

    def ask(text: str) -> list[str]:
        started = time.perf_counter()
        with torch.inference_mode():
            features = model.get_text_features(**tokenizer([text], return_tensors="pt")).pooler_output
            vector = torch.nn.functional.normalize(features, dim=-1)[0].numpy()
        encoded = time.perf_counter()
        [hits] = client.search(
            COLLECTION,
            data=[vector],
            limit=_K,
            search_params={"metric_type": "COSINE", "params": {"ef": 64}},
            output_fields=list(_SHOWN),
        )
        spent["encoding"].append(encoded - started)
        spent["searching"].append(time.perf_counter() - encoded)
        return [hit["entity"]["edition_key"] for hit in hits]

    seconds, answers = _timed(ask, clients, requests)
    client.close()
    figures = {part: sorted(times)[len(times) // 2] for part, times in spent.items()}
    return Done(answers, seconds, figures)


_SHOWN = (
    "edition_key",
    "title",
    "authors",
    "publish_year",
    "pages",
    "subjects",
    "languages",
    "cover_id",
    "work_key",
    "url",
)
"""What a result of ours tells of a book."""


def _timed(ask: Callable[[str], list[str]], clients: int, requests: int) -> tuple[float, list[list[str]]]:
    """The median time of an answer, and the answers to the first texts. No text is asked twice: vectors are remembered."""
    from search_world import text

    for number in range(_WARM_UP):
        ask(f"warm {text(number)}")
    texts = iter([f"{text(number)} {number}" for number in range(requests)])
    guard = threading.Lock()
    took: list[float] = []
    answers: dict[str, list[str]] = {}

    def client() -> None:
        while True:
            with guard:
                asked = next(texts, None)
            if asked is None:
                return
            started = time.perf_counter()
            answers[asked] = ask(asked)
            took.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(took) < requests:
        raise RuntimeError(f"{requests - len(took)} of {requests} requests failed")
    return sorted(took)[len(took) // 2], [answers[key] for key in sorted(answers)][:_K]


def _agree(one: Sequence[list[str]], other: Sequence[list[str]]) -> bool:
    """Whether the same books were found, but for those whose scores are the same to the precision of a search."""
    shared = [
        len(set(a) & set(b)) / max(1, len(set(a) | set(b)))
        for a, b in zip(one, other, strict=True)
        if a and b
    ]
    return not shared or sum(shared) / len(shared) >= _AGREEING
