"""The whole `products/` graph on a small sample release: what it commits, finds, and makes again."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from PIL import Image

from booksearch_assets.abo.images import ImageSize
from booksearch_assets.sample.product_release import write_release
from booksearch_assets.sample.products import ProductWorld
from booksearch_assets.search.catalogues import searched_catalogue
from booksearch_assets.search.query import Query
from booksearch_assets.search.shell import open_search
from booksearch_assets.settings import Profile
from booksearch_assets.tables import products
from booksearch_assets_tests.graph.deployment import Deployment, failures, materializations

pytestmark = pytest.mark.slow

LISTINGS = 80
FILES = [f"listings_{n}" for n in range(4)]
PARTITIONED = ("raw_listings", "image_urls", "images", "image_embeddings")
MEASURED = {"products__search_quality": {"config": {"queries": 40, "pictures": 2, "prototype_covers": 10}}}
SHARED = ("images", "image_embeddings", "collection", "search", "search_quality")
Made = tuple[Deployment, dg.ExecuteInProcessResult]


def _run(deployment: Deployment, *assets: str) -> dg.ExecuteInProcessResult:
    config = {"ops": MEASURED} if not assets else None
    result = deployment.run(*(f"products/{asset}" for asset in assets), config=config, job="products")
    assert result.success, failures(result)
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One run of everything, from the sample service."""
    deployment = Deployment.of_sample(tmp_path_factory.mktemp("products"), sample_products=LISTINGS)
    deployment = deployment.with_settings(products=f"http://127.0.0.1:{deployment.settings.sample_port}/abo")
    return deployment, _run(deployment)


@pytest.fixture
def changeable(made: Made, tmp_path: Path) -> Deployment:
    settings = made[0].settings
    shutil.copytree(settings.home, tmp_path / "home")
    return Deployment.of_sample(
        tmp_path / "home",
        sample_products=LISTINGS,
        sample_port=settings.sample_port,
        products=settings.products,
    )


def _counts(deployment: Deployment, table: str) -> dict[str, int]:
    """Rows in, rows out and rejected ones by reason, over all files."""
    total: dict[str, int] = {}
    for partition in deployment.lake.partitions(table):
        counts = deployment.lake.resolve(table, partition).counts
        assert counts and not counts.unaccounted
        for name, n in {"in": counts.rows_in, "out": counts.rows_out, **counts.rejected}.items():
            total[name] = total.get(name, 0) + n
    return total


def test_one_run_makes_every_asset_of_every_file_and_its_checks_hold(made: Made) -> None:
    deployment, result = made
    assert failures(result) == ""
    for name in PARTITIONED:
        assert deployment.lake.partitions(f"products/{name}") == FILES
        shown = {r.partition_key for r in materializations(deployment, f"products/{name}")}
        assert shown == set(FILES)
    checked = {e.asset_key.to_user_string() for e in result.get_asset_check_evaluations()}
    assert checked == {f"products/{name}" for name in (*PARTITIONED, "collection")}


def test_the_tail_is_that_of_the_books() -> None:
    graph = Deployment.of_sample(Path("nowhere")).defs.resolve_asset_graph()
    covers = {"images": "cover_images", "image_embeddings": "cover_embeddings"}
    for name in SHARED:
        ours = graph.get(dg.AssetKey(["products", name]))
        theirs = graph.get(dg.AssetKey(["books", covers.get(name, name)]))
        assert ours.description == theirs.description
        assert ours.code_version == theirs.code_version


def test_every_line_is_a_listing_a_photo_or_a_reason(made: Made) -> None:
    deployment, _ = made
    lake = deployment.lake
    listings, urls = _counts(deployment, "products/raw_listings"), _counts(deployment, "products/image_urls")
    quarantined = sum(lake.resolve("products/listings_quarantine", p).rows for p in FILES)
    assert listings["in"] == listings["out"] + quarantined and quarantined > 0
    assert urls["in"] == listings["out"]
    assert urls["no_main_image"] > 0
    collection = lake.resolve("products/collection")
    assert collection.counts
    assert collection.counts.rows_in == listings["out"]
    assert collection.counts.unaccounted == 0
    # Whatever a listing says that no column is for.
    attributes = lake.read(products.RAW_LISTINGS, FILES[0], ["attributes"])["attributes"].to_pylist()
    assert any("item_dimensions" in text for text in attributes)


def test_a_photo_finds_itself_and_its_quality_is_measured(made: Made) -> None:
    deployment, _ = made
    settings, lake = deployment.settings, deployment.lake
    figures = lake.resolve("products/search_quality").facts
    assert figures["self_match"] == 1.0
    assert figures["caption_recall_at_10"] > 0.8
    engine = open_search(settings, searched_catalogue("products"))
    rows = lake.read(products.PHOTOS.images, FILES[0], ["image_id", "status", "shard"])
    ok = rows.filter(pa.compute.equal(rows["status"], "ok")).slice(0, 1)
    cache = products.PHOTOS.bytes_cache(settings.lake, settings.products_source)
    [photo] = [row for part in cache.read_keys(ok, ["image_id", "content"]) for row in part.to_pylist()]
    best = engine.search(Query(image=photo["content"], k=1)).results[0]
    assert best.image_id == photo["image_id"]
    assert best.score == pytest.approx(1.0, abs=1e-3)


def test_nothing_is_made_again_and_other_languages_make_the_collection_alone(changeable: Deployment) -> None:
    def versions() -> dict[str, str]:
        lake = changeable.lake
        return {
            f"{name} {p}": lake.resolve(f"products/{name}", p).version for name in PARTITIONED for p in FILES
        }

    before, collection = versions(), changeable.lake.resolve("products/collection")
    german = changeable.with_settings(product_languages=("de_DE", "*"))
    _run(german, "raw_listings", "image_urls", "images", "image_embeddings", "collection", "search")
    assert versions() == before
    after = changeable.lake.resolve("products/collection")
    assert after.version != collection.version and after.rows == collection.rows
    found = open_search(german.settings, searched_catalogue("products")).search(Query(text="x", k=60))
    titles = " ".join(result.title for result in found.results)
    assert any(colour in titles for colour in ("Rot", "Blau", "Grün"))


def test_a_folder_gives_what_the_service_gives(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "a release"
    write_release(ProductWorld(seed=0, listings=LISTINGS), folder, sizes=(ImageSize.SMALL,))
    # Any release may be a folder; this one has the four files of the sample.
    deployment = Deployment.of_sample(tmp_path / "home", sample_products=LISTINGS, products=str(folder))
    assert deployment.settings.profile is Profile.SAMPLE
    _run(deployment, "raw_listings", "image_urls", "images")
    there = made[0].lake
    for table in (products.RAW_LISTINGS, products.PHOTOS.images):
        for file in FILES:
            ours, theirs = (lake.read(table, file, table.content_names) for lake in (deployment.lake, there))
            assert ours.to_pylist() == theirs.to_pylist()
    with Image.open(next(folder.glob("images/small/*/*.jpg"))) as photo:
        assert max(photo.size) <= 256
