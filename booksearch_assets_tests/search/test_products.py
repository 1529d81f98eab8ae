"""The second catalogue: the same engine, service, client and measures over products, by their declaration alone."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image

from booksearch_assets.cli import main
from booksearch_assets.search import BookFilters, Client, ProductFilters, YearRange
from booksearch_assets.search.api.app import build_app
from booksearch_assets.search.catalogues import CATALOGUES, searched_catalogue
from booksearch_assets.search.client import Here
from booksearch_assets.search.engine import SearchEngine
from booksearch_assets.search.near_duplicates import near_duplicates
from booksearch_assets.search.pictures import Pictures
from booksearch_assets.search.products import Product
from booksearch_assets.search.products_collection import PRODUCTS, product_rows
from booksearch_assets.search.quality.baselines import Words
from booksearch_assets.search.quality.images import self_match
from booksearch_assets.search.quality.neighbours import keeping, neighbour_recall
from booksearch_assets.search.quality.query_sets import Kind, images_of, query_sets, rows_of
from booksearch_assets.search.query import InvalidQuery, ItemNotFound, Query, SearchMode, SearchResults
from booksearch_assets.search.shell import print_results
from booksearch_assets.tables.products import KNOWN_ITEMS
from booksearch_assets.vectorstores.contract import VECTOR
from booksearch_assets.vectorstores.errors import InvalidCollection
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.filters import Contains
from booksearch_assets_tests.search import shop
from booksearch_assets_tests.search.library import WordEncoder


class Live(SearchEngine):
    """A version that never changes, in the place of a live search."""

    held_up: str | None = None


@pytest.fixture(scope="module")
def index() -> ExactIndex:
    return shop.shop()


@pytest.fixture(scope="module")
def engine(index: ExactIndex) -> Live:
    return Live(index, WordEncoder())


@pytest.fixture(scope="module")
def service(engine: Live, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    home = tmp_path_factory.mktemp("products")
    cache = PRODUCTS.pictures.bytes_cache(str(home / "lake"), "test")
    cache.append(shop.photo_rows())
    return TestClient(build_app(engine, Pictures(cache, home / "thumbnails"), tuple, catalogue=PRODUCTS))


def _keys(results: SearchResults[Product]) -> list[str]:
    return [result.product_key for result in results.results]


def test_rows_hold_the_chosen_language_and_readable_types() -> None:
    rows = [
        shop.listing(
            "B1@amazon.de",
            "p1",
            names=[*shop.texts("Stuhl", tag="de_DE"), *shop.texts("Chair", "Seat", tag="en_GB")],
            brands=shop.texts("Rivet", "Rivet"),
            product_types=["CELLULAR_PHONE_CASE"],
            colours=shop.texts("Bleu Marine", tag="fr_FR"),
        ),
        shop.listing("B2@amazon.de", "p1", names=shop.texts("Lampe", tag="de_DE")),
        shop.listing("B3", None),
    ]
    photos = shop.urls({"p1": ["B1@amazon.de", "B2@amazon.de"], "p2": ["B9"]})
    told = shop.vectors({"p1": "chair", "p2": "lamp"})
    table = product_rows(shop.listings(rows), photos, told, {"p1": "p0"})
    assert table.column_names == [field.name for field in PRODUCTS.collection_fields] + [VECTOR]
    first, second = table.to_pylist()
    assert (first["title"], first["brands"], first["item_id"]) == ("Chair", ["Rivet"], "B1")
    assert first["product_types"] == first["product_types_folded"] == ["cellular phone case"]
    assert (first["colours"], second["title"], first["picture_id"]) == ([], "", "p0")
    german = product_rows(shop.listings(rows), photos, told, languages=("de_DE", "*")).to_pylist()
    assert [row["title"] for row in german] == ["Stuhl", "Lampe"]
    assert german[0]["colours_folded"] == ["bleu marine"]


def test_text_copies_and_filters(engine: Live) -> None:
    best = engine.search(Query("red chair leather", mode=SearchMode.SEMANTIC)).results[0]
    assert (best.item_id, best.brands, best.product_types) == ("B01", ("Stone & Beam",), ("chair",))
    # The other shop lists the same item.
    assert best.more_listings == 1
    plain = Query("chair", mode=SearchMode.SEMANTIC, collapse=False)
    assert len(engine.search(plain).results) == 6
    assert len(engine.search(replace(plain, collapse=True)).results) == 5

    def found(**filters: str) -> list[str]:
        return sorted(_keys(engine.search(replace(plain, filters=ProductFilters(**filters)))))

    assert found(brand="stone beam") == ["B01@amazon.co.uk", "B01@amazon.com"]
    assert found(type="Cellular phone case") == ["B04@amazon.com", "B05@amazon.com"]
    assert found(colour="NAVY blue") == ["B03@amazon.com"]
    assert found(material="metal") == ["B02@amazon.com"]
    assert found(brand="rivet", type="lamp", colour="blue") == []
    facets = engine.facets(filters=ProductFilters(type="chair"))
    assert (facets.total, facets.colours[0].value, facets.colours[0].count) == (3, "Red", 2)
    with pytest.raises(InvalidQuery, match="BookFilters do not filter products; give ProductFilters"):
        engine.search(Query("chair", filters=BookFilters(years=YearRange(2015))))


def test_words_titles_and_pages(engine: Live) -> None:
    # One is titled so, and the others only are chairs.
    assert _keys(engine.search(Query("chair")))[0] == "B05@amazon.com"
    lexical = engine.search(Query("furniture navy", mode=SearchMode.LEXICAL))
    assert _keys(lexical) == ["B03@amazon.com"]
    query = Query("chair", k=2, filters=ProductFilters(type="chair"), mode=SearchMode.SEMANTIC)
    page = engine.search(replace(query, k=1))
    rest = engine.search(Query(cursor=page.next_cursor, k=5))
    assert sorted(_keys(page) + _keys(rest)) == ["B01@amazon.co.uk", "B03@amazon.com"]


def test_similar_items_and_copies(engine: Live) -> None:
    assert _keys(engine.similar("B04@amazon.com"))[0] == "B05@amazon.com"
    item = engine.item("B01@amazon.com")
    assert [other.product_key for other in item.other_listings] == ["B01@amazon.co.uk"]
    with pytest.raises(ItemNotFound, match="no listing 'B99'.*such as B07TH2B1LQ@amazon.com"):
        engine.item("B99")
    # The same picture under another id stands for one product, too.
    alike = Live(shop.shop(twins={"81-d": "81-c"}), WordEncoder())
    assert len(alike.search(Query("case", mode=SearchMode.SEMANTIC)).results) == 4


def test_a_shell_names_what_has_no_title(engine: Live, capsys: pytest.CaptureFixture[str]) -> None:
    found = engine.search(Query(text="chair", k=2))
    first, second = found.results
    print_results(replace(found, results=(replace(first, title=""), second)), PRODUCTS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["1", "Untitled"] and second.title.split()[0] in lines[2]


def test_near_duplicates_of_named_pictures() -> None:
    table = shop.vectors({"b": "chair", "a": "chair", "B": "lamp"}).select(["image_id", VECTOR])
    assert near_duplicates(lambda: [table]) == {"b": "a"}


def test_a_collection_that_lacks_fields(engine: Live, index: ExactIndex) -> None:
    kept = tuple(field for field in index.spec.fields if field.name not in ("brands", "keywords"))
    spec = replace(index.spec, fields=kept)
    rows = pa.Table.from_batches(index.scan(spec.schema.names))
    with pytest.raises(InvalidCollection, match="lacks brands, keywords"):
        SearchEngine(ExactIndex(spec, rows), WordEncoder())
    with pytest.raises(ValueError, match="no catalogue is called 'toys'; there are: books, products"):
        searched_catalogue("toys")


def test_the_service_speaks_of_products(service: TestClient, engine: Live) -> None:
    found = service.get("/v1/search", params={"text": "chair", "colour": "navy blue", "k": 1}).json()
    [chair] = found["results"]
    assert (chair["product_key"], chair["image_id"], chair["more_listings"]) == ("B03@amazon.com", "81-b", 0)
    refused = service.get("/v1/search", params={"text": "chair", "author": "x"})
    assert refused.status_code == 400 and "author" in refused.text
    assert service.get("/v1/items/B01@amazon.com").json()["other_listings"][0]["item_id"] == "B01"
    assert service.get("/v1/similar/B04@amazon.com").json()["results"][0]["product_key"] == "B05@amazon.com"
    shown = service.get("/v1/photos/71+A", params={"width": 100})
    assert shown.status_code == 200 and Image.open(io.BytesIO(shown.content)).width == 100
    missing = service.get("/v1/photos/nothing")
    assert missing.json()["type"] == "urn:booksearch:photo-not-found"
    described = service.get("/openapi.json").json()
    body = described["components"]["schemas"]["SearchBody"]["properties"]
    assert {"brand", "type", "colour", "material"} <= set(body) and not {"author", "years"} & set(body)
    assert "/v1/similar/{product_key}" in described["paths"]
    told = service.get("/v1/catalogue").json()
    assert [label["filter"] for label in told["labels"]] == ["brand", "type", "colour", "material"]


def test_quality_asks_of_products(index: ExactIndex, tmp_path: Path) -> None:
    known = tmp_path / "known.parquet"
    rows = [{"image_id": "81-b", "query": "a blue wooden chair", "kind": "caption"}]
    pq.write_table(pa.Table.from_pylist(rows, KNOWN_ITEMS.schema), known)
    sets = {each.kind: each for each in query_sets(index, str(known))}
    assert sets[Kind.CAPTION].relevant == (frozenset({"81-b"}),)
    assert "Red chair" in sets[Kind.TITLE].texts and len(sets[Kind.TITLE]) == 4
    assert images_of(index) == {"71+a", "71+A", "81-b", "81-c", "81-d"}
    assert self_match(index, 10, seed=0).share == 1.0
    assert keeping(index, 0.3) == Contains("brands_folded", "amazonbasics")
    assert neighbour_recall(index, index, WordEncoder().encode_texts(["chair"])) == {
        "all": 1.0,
        "3 %": 1.0,
        "14 %": 1.0,
    }
    words = Words.of(rows_of(index, index.spec.schema.names), index)
    # Neither types nor keywords are read by the baselines: one title has the word.
    assert words.images(words.find("case")) == []


def test_every_declaration_fits_itself() -> None:
    for catalogue in CATALOGUES:
        fields = {field.name for field in catalogue.collection_fields}
        columns = {*catalogue.shown, *catalogue.weights, *catalogue.telling, *catalogue.copied_by}
        labels = {name for label in catalogue.labels for name in (label.column, label.stored)}
        numbers = {number.column for number in catalogue.numbers}
        assert columns | labels | numbers | {catalogue.topic, catalogue.thinned_by, catalogue.image} <= fields
        filters = {each.filter for each in (*catalogue.numbers, *catalogue.labels)}
        assert filters == set(catalogue.filters.__dataclass_fields__) - {"SPANS"}


@pytest.fixture
def client(engine: Live) -> Client:
    return Client(Here(engine, list))


def test_a_client_answers_in_products(client: Client) -> None:
    found = client.search("phone case", filters=ProductFilters(colour="black"))
    assert isinstance(found.results[0], Product) and found.results[0].title == ""


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--author", "x"], "there is no filter author here; there are: brand, type, colour, material"),
        (["--brand", " "], "the brand to filter by is empty"),
        (["--colour", "red"], "nothing is published as 'products'"),
    ],
)
def test_the_command_searches_either_catalogue(
    asked: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKSEARCH_HOME", str(tmp_path))
    result = CliRunner().invoke(main, ["search", "--catalogue", "products", "a chair", *asked])
    assert result.exit_code == 1 and message in " ".join(result.output.split())
