"""Queries and their results."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.search.books import BookFilters, PageRange, YearRange
from booksearch_assets.search.books_collection import books_collection
from booksearch_assets.search.engine import ModelMismatch, SearchEngine
from booksearch_assets.search.query import (
    FacetCount,
    InvalidQuery,
    ItemNotFound,
    Query,
    SearchMode,
    SearchResults,
    Template,
)
from booksearch_assets.search.templates import PROMPTS
from booksearch_assets.vectorstores.errors import InvalidCollection
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets_tests.clip.conftest import _pristine_clip, clip_bundle  # noqa: F401
from booksearch_assets_tests.search import library

BOOKS = [
    ("OL1M", "OL1W", 1, "red ship storm", 2012),
    ("OL2M", "OL1W", 2, "red ship", 2016),
    ("OL3M", "OL2W", 1, "red ship storm", 2014),
    ("OL4M", "", 4, "blue ship moon", 2018),
    ("OL5M", "", 5, "blue wolf moon", 2020),
    ("OL6M", "OL6W", 6, "black wolf", 2015),
]


@pytest.fixture(scope="module")
def engine() -> SearchEngine:
    books = library.shelf(
        BOOKS,
        OL4M={
            "pages": 300,
            "authors": ["Chloé Anthony Wofford Morrison", "A Second Author"],
            "subjects": ["Fiction", "Sea stories"],
        },
        OL5M={"subjects": ["Sea stories"], "languages": ["fre"]},
    )
    return SearchEngine(books, library.WordEncoder())


def _keys(results: SearchResults) -> list[str]:
    return [result.edition_key for result in results.results]


def _png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, "PNG")
    return stream.getvalue()


def test_a_text(engine: SearchEngine) -> None:
    results = engine.search(Query(text=" red ship ", collapse=False, k=3, mode=SearchMode.SEMANTIC))
    assert _keys(results) == ["OL2M", "OL1M", "OL3M"]
    best = results.results[0]
    assert (best.rank, best.title, best.year, best.cover_id, best.work_key) == (
        1,
        "Title OL2M",
        2016,
        2,
        "OL1W",
    )
    assert best.score == pytest.approx(1.0, abs=1e-5)
    assert best.url == "http://covers/2-L.jpg"
    assert (results.collection, results.bundle_id, results.model_id) == ("books_1", "words@1", "words")
    assert results.took.encode_seconds >= 0
    assert json.loads(json.dumps(results.to_json()))["results"][0]["edition_key"] == "OL2M"


def test_editions_that_share_a_work_or_a_cover_are_one_result(engine: SearchEngine) -> None:
    # OL1M shares its work with the better OL2M; OL3M shares a cover with OL1M only, which was dropped.
    found = engine.search(Query(text="red ship", k=3)).results
    assert [(r.edition_key, r.more_editions) for r in found] == [("OL2M", 1), ("OL3M", 0), ("OL4M", 0)]
    recent = Query(text="red ship", k=1, filters=BookFilters(years=YearRange(2014)))
    assert [(r.edition_key, r.more_editions) for r in engine.search(recent).results] == [("OL2M", 0)]
    # OL1M and OL3M have one vector: whichever comes second is dropped for the cover, and OL2M for its work, if OL1M won.
    assert _keys(engine.search(Query(text="red ship storm", k=1)))[0] in ("OL1M", "OL3M")


def test_collapse_still_fills_k() -> None:
    editions = [(f"OL{i}M", "OL1W", 1, "red ship", 2015) for i in range(500)]
    others = [(f"OL{900 + i}M", "", 900 + i, f"ship number {i}", 2015) for i in range(9)]
    found = SearchEngine(library.shelf([*editions, *others]), library.WordEncoder()).search(
        Query(text="red ship", k=10)
    )
    assert len(found.results) == 10
    assert [result.rank for result in found.results] == list(range(1, 11))


def test_orphans_are_not_one_work(engine: SearchEngine) -> None:
    assert _keys(engine.search(Query(text="blue moon", k=2))) in (["OL4M", "OL5M"], ["OL5M", "OL4M"])


def test_a_picture(engine: SearchEngine) -> None:
    for picture in (Image.new("RGB", (8, 8), "blue"), _png("blue")):
        assert set(_keys(engine.search(Query(image=picture, k=2)))) == {"OL4M", "OL5M"}


def test_a_picture_and_a_text_together(engine: SearchEngine) -> None:
    assert _keys(engine.search(Query(text="wolf", image=_png("blue"), k=1))) == ["OL5M"]
    assert _keys(engine.search(Query(text="wolf", image=_png("black"), k=1))) == ["OL6M"]


def test_filters(engine: SearchEngine) -> None:
    def found(**filters: object) -> list[str]:
        query = Query(text="ship", collapse=False, filters=BookFilters(**filters))  # type: ignore[arg-type]
        results = engine.search(query)
        assert engine.facets(filters=query.filters).total == len(results.results)
        return sorted(_keys(results))

    assert found(years=YearRange(2014, 2016)) == ["OL2M", "OL3M", "OL6M"]
    assert found(years=YearRange(2018)) == ["OL4M", "OL5M"]
    assert found(years=YearRange(None, 2012)) == ["OL1M"]
    assert found(years=YearRange(1900, 1901)) == []
    assert found(pages=PageRange(300, 400)) == ["OL4M"]
    assert found(author="  chloe ANTHONY wofford—Morrison ") == ["OL4M"]
    assert found(author="Morrison") == []
    assert found(author="A Second Author") == ["OL4M"]
    assert found(subject="sea-stories") == ["OL4M", "OL5M"]
    assert found(subject="Sea stories", years=YearRange(2020)) == ["OL5M"]
    assert found(language="FRE") == ["OL5M"]
    assert found(language="eng", author='" OR 1=1 --') == []


def test_a_negative_text(engine: SearchEngine) -> None:
    assert _keys(engine.search(Query(text="ship", without="red", k=1))) == ["OL4M"]
    lexical = Query(text="an author", without="sea stories", mode=SearchMode.LEXICAL, collapse=False)
    assert _keys(engine.search(lexical)) == ["OL1M", "OL2M", "OL3M", "OL6M"]
    # Without anything to look for there is only something to keep away from.
    with pytest.raises(InvalidQuery, match="empty"):
        Query(without="red")


def test_weights(engine: SearchEngine) -> None:
    mixed = Query(text="wolf", image=_png("red"), collapse=False, k=1)
    assert _keys(engine.search(replace(mixed, image_weight=0.1))) in (["OL6M"], ["OL5M"])
    assert _keys(engine.search(replace(mixed, text_weight=0.1)))[0] in ("OL1M", "OL2M", "OL3M")
    with pytest.raises(InvalidQuery, match="cancel out"):
        engine.search(replace(mixed, text_weight=0.0, image_weight=0.0))


def test_a_template_frames_the_text_as_the_mean_of_its_prompts() -> None:
    class Listening(library.WordEncoder):
        def __init__(self) -> None:
            self.asked: list[str] = []

        def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
            self.asked += texts
            return super().encode_texts(texts)

    encoder = Listening()
    engine = SearchEngine(library.shelf(BOOKS), encoder)
    results = engine.search(Query(text="a {} ship", template=Template.COVER, mode=SearchMode.SEMANTIC, k=1))
    assert encoder.asked == [prompt.replace("{}", "a {} ship") for prompt in PROMPTS[Template.COVER]]
    mean = library.WordEncoder().encode_texts(encoder.asked).mean(axis=0)
    [best] = results.results
    stored = engine._index.fetch([best.edition_key], ["vector"])[best.edition_key]["vector"]
    assert best.score == pytest.approx(stored @ mean / np.linalg.norm(mean), abs=1e-4)


def test_more_like_this(engine: SearchEngine) -> None:
    assert _keys(engine.similar("OL5M", k=2)) == ["OL4M", "OL6M"]
    # Its own other editions are no other books, unless all editions are asked for.
    assert not {"OL1M", "OL2M", "OL3M"} & set(_keys(engine.similar("OL1M")))
    assert _keys(engine.similar("OL1M", collapse=False))[:2] == ["OL3M", "OL2M"]
    assert _keys(engine.similar("OL4M", filters=BookFilters(years=YearRange(2020)))) == ["OL5M"]
    with pytest.raises(ItemNotFound, match="books_1 holds no edition 'OL99M'"):
        engine.similar("OL99M")


def test_an_item_and_the_editions_of_its_book(engine: SearchEngine) -> None:
    item = engine.item("OL1M")
    assert (item.book.edition_key, item.book.title, item.collection) == ("OL1M", "Title OL1M", "books_1")
    assert [book.edition_key for book in item.other_editions] == ["OL2M", "OL3M"]
    assert engine.item("OL4M").book.authors == ("Chloé Anthony Wofford Morrison", "A Second Author")
    with pytest.raises(ItemNotFound):
        engine.item("OL99M")


def test_nearly_the_same_picture_is_one_result() -> None:
    engine = SearchEngine(library.shelf(BOOKS, twins={4: 4, 6: 4}), library.WordEncoder())
    results = engine.search(Query(text="blue ship moon", mode=SearchMode.SEMANTIC)).results
    assert [(r.edition_key, r.more_editions) for r in results[:1]] == [("OL4M", 1)]
    assert "OL6M" not in {result.edition_key for result in results}


def test_facets(engine: SearchEngine) -> None:
    facets = engine.facets()
    assert [(c.value, c.count) for c in facets.subjects] == [("Fiction", 5), ("Sea stories", 2)]
    assert [(c.value, c.count) for c in facets.years][:2] == [("2012", 1), ("2014", 1)]
    assert facets.authors[0] == FacetCount("An Author", 5)
    some = engine.facets(filters=BookFilters(subject="fiction", years=YearRange(2015, 2020)), top=1)
    assert (some.total, some.languages, len(some.subjects)) == (3, (FacetCount("eng", 3),), 1)
    of_query = engine.facets(Query(text="sea stories", mode=SearchMode.LEXICAL))
    assert (of_query.total, of_query.subjects[0]) == (2, FacetCount("Sea stories", 2))
    with pytest.raises(InvalidQuery, match="top is 0"):
        engine.facets(top=0)


def test_a_picture_that_cannot_be_read(engine: SearchEngine) -> None:
    with pytest.raises(InvalidQuery, match="the picture cannot be read"):
        engine.search(Query(image=b"<html>no picture</html>"))


def test_a_text_and_a_picture_that_cancel_out(engine: SearchEngine) -> None:
    with pytest.raises(InvalidQuery, match="opposites"):
        engine.search(Query(text="not-blue", image=_png("blue")))


def test_a_collection_of_another_release(engine: SearchEngine) -> None:
    spec = replace(engine._index.spec, fields=engine._index.spec.fields[:-2])
    rows = pa.Table.from_batches(engine._index.scan(spec.schema.names))
    with pytest.raises(InvalidCollection, match="lacks languages, url.*Materialise the collection again"):
        SearchEngine(ExactIndex(spec, rows), library.WordEncoder())


@pytest.mark.parametrize("bundle_id", ["other@2", ""])
def test_vectors_of_two_models_never_mix(bundle_id: str) -> None:
    with pytest.raises(ModelMismatch, match="words@1.*BOOKSEARCH_MODEL"):
        SearchEngine(library.shelf(BOOKS, bundle_id), library.WordEncoder())


def test_with_a_real_encoder_and_store(clip_bundle: Bundle, tmp_path: Path) -> None:  # noqa: F811
    encoder = Encoder.load(clip_bundle)
    pictures = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "black", "white")]
    books = library.shelf(BOOKS[:4])
    rows = pa.Table.from_batches(books.scan([field.name for field in books.spec.fields]))
    keys = rows["edition_key"].to_pylist()
    rows = rows.append_column("vector", pa.array(list(encoder.encode_images(pictures))))
    spec = books_collection("books", encoder.dimension, {"bundle_id": encoder.bundle_id})
    with MilvusLiteStore(tmp_path) as store:
        store.create(spec)
        store.load("books", [rows])
        store.seal("books")
        engine = SearchEngine(store.index("books"), encoder)
        for key, picture in zip(keys, pictures, strict=True):
            [first, *_] = engine.search(Query(image=picture, collapse=False)).results
            assert first.edition_key == key
            assert first.score == pytest.approx(1.0, abs=1e-4)
        assert len(engine.search(Query(text="a red ship", collapse=False)).results) == 4
