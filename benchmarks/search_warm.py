"""A warm search: our engine beside what it is made of, a bare text encoder and a bare search of pymilvus, one after the other.

With one client and with sixteen, each of which asks again as soon as it is answered; times are the median of their
requests. By meaning alone, which is what the sum answers too. In Milvus Lite or, with --server (see `load_vectors`), in a server.

Belongs here: this comparison. Does not: a whole service under load (`search_load`), the books (`search_world`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import median

from harness import Contestant, Done, Measured, compare
from load_vectors import milvus_address
from rows import Row, slower
from vit_b32 import vit_b32

_CLIENTS = (1, 16)
_K = 10
_WARM_UP = 4
_AGREEING = 0.9
_COMPARED = 5
"""Texts whose answers must agree."""
_PARTS = ("encoding", "searching")


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--searched", type=int, default=10_000, help="Books in the collection.")
    parser.add_argument("--requests", type=int, default=24, help="Of all clients together, in each round.")


def rows(options: argparse.Namespace) -> Iterator[Row]:
    books, requests = (1_000, 16) if options.quick else (options.searched, options.requests)
    bundle = vit_b32(options.scratch)
    with milvus_address(options.server) as server:
        uri = server or str(options.scratch / "milvus")
        _publish(uri, books, bundle.folder)
        where = "Milvus" if server else "Milvus Lite"
        asked = {"uri": uri, "bundle": str(bundle.folder), "requests": requests}
        all_clients = compare(
            [
                Contestant("booksearch", engine, asked),
                Contestant("encoder + pymilvus", bare, asked),
            ],
            options.repetitions,
            _agree,
        )
        for clients in _CLIENTS:
            measured = {name: one.by(f"{clients}") for name, one in all_clients.items()}
            at = f"{clients} client{'s' * (clients > 1)}"
            peer = measured["encoder + pymilvus"]
            yield slower(
                f"search, warm, {where}, {at}",
                measured["booksearch"],
                peer,
                at_most=1.15,
                note=f"the sum is {_parts(peer, clients)}",
            )


def _parts(peer: Measured, clients: int) -> str:
    told = (f"{1000 * peer.figure(f'{part} {clients}'):.1f} ms of {part}" for part in _PARTS)
    return ", ".join(told)


def _publish(uri: str, books: int, bundle: Path) -> None:
    from search_world import publish_books, unit_vectors

    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.vectorstores.connect import open_store

    with open_store(uri) as store:
        publish_books(store, unit_vectors(books, 512), Bundle.open(bundle))


def engine(uri: str, bundle: str, requests: int) -> Iterator[Done]:
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

    def ask(text: str) -> list[str]:
        results = searching.search(Query(text, k=_K, mode=SearchMode.SEMANTIC)).results
        return [result.edition_key for result in results]

    yield from _rounds(ask, requests)


def bare(uri: str, bundle: str, requests: int) -> Iterator[Done]:
    """transformers and pymilvus as their documentation shows them, for each request one after the other."""
    import pymilvus
    import torch
    from search_world import COLLECTION
    from transformers import AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(bundle, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(bundle)
    client = pymilvus.MilvusClient(f"{uri}/{COLLECTION}.db" if "://" not in uri else uri)
    client.load_collection(COLLECTION)
    spent: dict[str, list[float]] = {part: [] for part in _PARTS}

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

    yield from _rounds(ask, requests, spent)


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


def _rounds(
    ask: Callable[[str], list[str]], requests: int, spent: Mapping[str, list[float]] | None = None
) -> Iterator[Done]:
    """Rounds of so many requests with each number of clients. A figure for each: the median time of an answer.

    Of `spent`, which `ask` fills, the medians are figures too. No text is asked twice: vectors are remembered.
    """
    from search_world import text

    for number in range(_WARM_UP):
        ask(f"warm {text(number)}")
    yield Done()
    for turn in count():
        figures: dict[str, float] = {}
        for clients in _CLIENTS:
            for times in (spent or {}).values():
                times.clear()
            figures[f"{clients}"] = _timed(
                ask, [f"{text(n)} {turn} {clients} {n}" for n in range(requests)], clients
            )
            figures |= {f"{part} {clients}": median(times) for part, times in (spent or {}).items()}
        # The same texts in each round, so that all rounds of all contestants can be compared.
        yield Done([ask(text(number)) for number in range(_COMPARED)], figures=figures)


def _timed(ask: Callable[[str], list[str]], texts: Sequence[str], clients: int) -> float:
    """The median time of an answer."""

    def timed(text: str) -> float:
        started = time.perf_counter()
        ask(text)
        return time.perf_counter() - started

    with ThreadPoolExecutor(clients) as pool:
        return median(pool.map(timed, texts))


def _agree(one: Sequence[list[str]], other: Sequence[list[str]]) -> bool:
    """Whether the same books were found, but for those whose scores are the same to the precision of a search."""
    shared = [len(set(a) & set(b)) / max(1, len(set(a) | set(b))) for a, b in zip(one, other, strict=True)]
    return sum(shared) / len(shared) >= _AGREEING
