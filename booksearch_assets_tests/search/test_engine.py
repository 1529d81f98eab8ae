"""Queries and their results."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.search.books_collection import books_collection
from booksearch_assets.search.engine import (
    InvalidQuery,
    ModelMismatch,
    Query,
    SearchEngine,
    SearchResults,
    YearRange,
)
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


@pytest.fixture
def engine() -> SearchEngine:
    return SearchEngine(library.shelf(BOOKS), library.WordEncoder())


def _keys(results: SearchResults) -> list[str]:
    return [result.edition_key for result in results.results]


def _png(colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, "PNG")
    return stream.getvalue()


def test_a_text(engine: SearchEngine) -> None:
    results = engine.search(Query(text=" red ship ", collapse=False, k=3))
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
    assert (results.collection, results.bundle_id) == ("books_1", "words@1")
    assert json.loads(json.dumps(results.to_json()))["results"][0]["edition_key"] == "OL2M"


def test_editions_that_share_a_work_or_a_cover_are_one_result(engine: SearchEngine) -> None:
    # OL1M shares its work with the better OL2M; OL3M shares a cover with OL1M only, which was dropped.
    assert _keys(engine.search(Query(text="red ship", k=3))) == ["OL2M", "OL3M", "OL4M"]
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


def test_years(engine: SearchEngine) -> None:
    within = engine.search(Query(text="ship", years=YearRange.parse("2014..2016"), k=10, collapse=False))
    assert sorted(result.year for result in within.results) == [2014, 2015, 2016]
    assert _keys(engine.search(Query(text="ship", years=YearRange.parse("2018")))) == ["OL4M"]
    assert engine.search(Query(text="ship", years=YearRange(1900, 1901))).results == ()


def test_the_prompt_frames_the_text() -> None:
    engine = SearchEngine(library.shelf(BOOKS), library.WordEncoder(), prompt="{} blue moon {curly}")
    assert _keys(engine.search(Query(text="wolf", k=1))) == ["OL5M"]
    with pytest.raises(InvalidQuery, match="where the text belongs"):
        SearchEngine(library.shelf(BOOKS), library.WordEncoder(), prompt="a cover")


@pytest.mark.parametrize(
    ("text", "years"),
    [("2015..2020", (2015, 2020)), ("2015", (2015, 2015)), (" 2015 .. 2015 ", (2015, 2015))],
)
def test_years_that_can_be_read(text: str, years: tuple[int, int]) -> None:
    assert YearRange.parse(text) == YearRange(*years)


@pytest.mark.parametrize(
    "text", ["", "15..20", "2015-2020", "2015..", "..2020", "2015...2020", "MMXV", "20155"]
)
def test_years_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidQuery, match="expected 2015..2020 or 2015"):
        YearRange.parse(text)


def test_reversed_years() -> None:
    with pytest.raises(InvalidQuery, match=r"reversed; write 2015\.\.2020"):
        YearRange.parse("2020..2015")


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_an_empty_query(text: str | None) -> None:
    with pytest.raises(InvalidQuery, match="empty; give a text, a picture, or both"):
        Query(text=text)


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_too_few_or_too_many(k: int) -> None:
    with pytest.raises(InvalidQuery, match="1 to 1000"):
        Query(text="ship", k=k)


def test_a_picture_that_cannot_be_read(engine: SearchEngine) -> None:
    with pytest.raises(InvalidQuery, match="the picture cannot be read"):
        engine.search(Query(image=b"<html>no picture</html>"))


def test_a_text_and_a_picture_that_cancel_out(engine: SearchEngine) -> None:
    with pytest.raises(InvalidQuery, match="opposites"):
        engine.search(Query(text="not-blue", image=_png("blue")))


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
