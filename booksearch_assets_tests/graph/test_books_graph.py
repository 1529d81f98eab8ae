"""The whole `books/` graph on a small sample world: what each run commits, shows, and refuses."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle, write_manifest
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.materialize import run_config
from booksearch_assets.sample.dump_site import prepare_dumps
from booksearch_assets.sample.scenes import scene_of
from booksearch_assets.sample.world import World
from booksearch_assets.search.books import BookFilters, YearRange
from booksearch_assets.search.query import Query
from booksearch_assets.search.shell import open_search
from booksearch_assets.tables import books
from booksearch_assets.tables.books import COVERS
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.graph.deployment import Deployment, failures, materializations

pytestmark = [pytest.mark.graph, pytest.mark.spark]

ASSETS = (
    *(f"books/raw_dump/{kind}" for kind in ("editions", "works", "authors", "covers_metadata")),
    *(
        f"books/{name}"
        for name in ("editions", "filtered_fiction", "cover_urls", "cover_images", "cover_embeddings")
    ),
    *(f"books/{name}" for name in ("collection", "search", "search_quality")),
)
YEARLY = ("books/filtered_fiction", "books/cover_urls", "books/cover_images", "books/cover_embeddings")
Materialised = tuple[Deployment, dg.ExecuteInProcessResult]


def test_one_run_materialises_every_asset_and_every_year(materialised: Materialised) -> None:
    deployment, result = materialised
    for asset in ASSETS:
        found = {record.partition_key for record in materializations(deployment, asset)}
        assert found >= (set(deployment.years) if asset in YEARLY else {None}), asset
    assert failures(result) == ""


def test_each_materialisation_shows_counts_bytes_seconds_a_preview_and_its_inputs(
    materialised: Materialised,
) -> None:
    for asset in ("books/editions", *YEARLY):
        for record in materializations(materialised[0], asset):
            assert record.asset_materialization
            shown = record.asset_materialization.metadata
            wanted = {
                "dagster/row_count",
                "rows_in",
                "rows_out",
                "rows_rejected",
                "bytes",
                "seconds",
                "preview",
                "inputs",
                "version",
            }
            assert wanted <= set(shown), (asset, record.partition_key, wanted - set(shown))
            assert any("data:image" in str(value.value) for value in shown.values()), asset


def test_assets_describe_their_columns(materialised: Materialised) -> None:
    graph = materialised[0].defs.resolve_asset_graph()
    for asset in ("books/editions", *YEARLY):
        schema = graph.get(dg.AssetKey(asset.split("/"))).metadata["dagster/column_schema"]
        assert all(column.description for column in schema.columns)


def test_every_edition_is_accounted_for_from_the_dump_to_the_collection(materialised: Materialised) -> None:
    lake = materialised[0].lake
    landed, editions = lake.resolve("books/raw_dump/editions"), lake.resolve(books.EDITIONS.name)
    assert editions.counts and editions.counts.rows_in == landed.rows and editions.counts.unaccounted == 0
    by_year = editions.facts["rows_by_year"]
    assert sum(by_year.values()) == editions.rows
    filtered = {
        year: lake.resolve(books.FILTERED_FICTION.name, year)
        for year in lake.partitions(books.FILTERED_FICTION.name)
    }
    for year, commit in filtered.items():
        assert commit.counts and commit.counts.rows_in == by_year[year]
        assert lake.resolve(books.FILTER_REJECTIONS.name, year).rows == sum(commit.counts.rejected.values())
    collection = lake.resolve("books/collection")
    assert collection.counts
    assert collection.counts.rows_in == sum(commit.rows for commit in filtered.values())
    for table in (*YEARLY, "books/collection"):
        total = Counts.total(c.counts for p in lake.partitions(table) if (c := lake.resolve(table, p)).counts)
        assert total.unaccounted == 0, table


def test_the_filter_keeps_what_the_sample_world_made_to_be_kept(materialised: Materialised) -> None:
    deployment, _ = materialised
    world = World(seed=0, editions=deployment.settings.sample_editions)
    editions = [world.edition(index) for index in range(world.size) if world.exists(index)]
    made = {edition.key.split("/")[-1] for edition in editions if edition.wanted}
    doubtful = {edition.key.split("/")[-1] for edition in editions if edition.doubtful}
    kept = set()
    for year in deployment.lake.partitions(books.FILTERED_FICTION.name):
        rows = deployment.lake.read(books.FILTERED_FICTION, year, ["edition_key", "cover_id"])
        kept |= set(rows.filter(pc.is_valid(rows["cover_id"]))["edition_key"].to_pylist())
    assert len(made) > 50
    assert made <= kept
    assert kept - made <= doubtful


def test_vectors_equal_those_of_a_plain_process_whatever_the_slices(materialised: Materialised) -> None:
    deployment, _ = materialised
    bundle = Bundle.open(deployment.settings.bundle)
    cache = COVERS.vectors_cache(
        deployment.settings.lake, deployment.settings.source, bundle.bundle_id, bundle.dimension
    )
    stored = {
        row["cover_id"]: row["vector"]
        for part in cache.read_keys(cache.index([]))
        for row in part.to_pylist()
    }
    covers = COVERS.bytes_cache(deployment.settings.lake, deployment.settings.source)
    ready = covers.index(["status"])
    ready = ready.filter(pc.equal(ready["status"], "ok"))
    rows = [row for part in covers.read_keys(ready, ["cover_id", "content"]) for row in part.to_pylist()]
    alone = Encoder.load(bundle).encode_images(
        [Image.open(io.BytesIO(row["content"])) for row in rows], batch_size=5
    )
    cosine = [float(np.dot(stored[row["cover_id"]], vector)) for row, vector in zip(rows, alone, strict=True)]
    assert min(cosine) >= 0.9999


def test_a_search_by_the_true_caption_finds_the_cover(materialised: Materialised) -> None:
    deployment, _ = materialised
    engine = open_search(deployment.settings)
    years = deployment.lake.partitions("books/cover_embeddings")
    table = books.COVERS.vectors(
        deployment.lake.resolve("books/cover_embeddings", years[-1]).facts["dimension"]
    )
    embedded = [
        cover_id
        for year in years
        for cover_id in deployment.lake.read(table, year, ["cover_id"])["cover_id"].to_pylist()
    ]
    assert len(embedded) > 50
    found = 0
    for cover_id in embedded:
        results = engine.search(Query(text=scene_of(cover_id).caption, k=10)).results
        found += cover_id in {result.cover_id for result in results}
    assert found >= 0.95 * len(embedded)


def test_a_cover_finds_itself_by_its_picture_and_years_filter(materialised: Materialised) -> None:
    deployment, _ = materialised
    engine = open_search(deployment.settings)
    covers = COVERS.bytes_cache(deployment.settings.lake, deployment.settings.source)
    year = "2021"
    rows = deployment.lake.read(books.COVER_IMAGES, year, ["cover_id", "status", "shard"])
    first = rows.filter(pc.equal(rows["status"], "ok")).slice(0, 1)
    content = next(covers.read_keys(first, ["cover_id", "content"])).to_pylist()[0]
    found = engine.search(
        Query(image=content["content"], k=5, filters=BookFilters(years=YearRange(2021, 2021)))
    ).results
    assert found[0].cover_id == content["cover_id"]
    assert found[0].score == pytest.approx(1.0, abs=1e-3)
    assert {result.year for result in found} == {2021}


def test_search_quality_is_measured_with_intervals(materialised: Materialised) -> None:
    facts = materialised[0].lake.resolve("books/search_quality").facts
    assert facts["caption_recall_at_10"] >= 0.9
    assert 0 <= facts["title_mrr"] <= 1


def test_the_checks_alone_hold_and_a_missing_table_fails_them(
    materialised: Materialised, tmp_path: Path
) -> None:
    deployment, _ = materialised
    alone = deployment.run(job="books_checks")
    assert alone.success
    assert failures(alone) == ""
    assert len(alone.get_asset_check_evaluations()) >= 30
    empty = Deployment.of_sample(tmp_path / "nothing").run(job="books_checks")
    assert "books/editions:contract" in failures(empty)


def test_one_year_again_touches_that_year_alone_and_fetches_and_embeds_nothing(
    changeable: Deployment,
) -> None:
    lake = changeable.lake
    before = {(table, p): lake.resolve(table, p).version for table in YEARLY for p in lake.partitions(table)}
    shards = sorted(path.name for path in (changeable.settings.home / "lake" / "_cache").rglob("*.parquet"))
    config = run_config([dg.AssetKey(table.split("/")) for table in YEARLY], again=True)
    result = changeable.run(*YEARLY, years=("2020", "2020"), config=config)
    assert result.success, failures(result)
    after = {(table, p): lake.resolve(table, p).version for table in YEARLY for p in lake.partitions(table)}
    assert {key for key in before if before[key] != after[key]} == {(table, "2020") for table in YEARLY}
    assert (
        sorted(path.name for path in (changeable.settings.home / "lake" / "_cache").rglob("*.parquet"))
        == shards
    )
    again = lake.read(books.FILTERED_FICTION, "2020").sort_by("edition_key")
    earlier = lake.history(books.FILTERED_FICTION.name, "2020")[1]
    assert again.equals(
        lake.dataset([earlier], books.FILTERED_FICTION.schema).to_table().sort_by("edition_key")
    )


def test_the_article_profile_keeps_other_books(changeable: Deployment) -> None:
    config = {"ops": {"books__filtered_fiction": {"config": {"profile": "article"}}}}
    lake = changeable.lake
    before = _kept(lake)
    result = changeable.run("books/filtered_fiction", config=config)
    assert result.success, failures(result)
    commits = [
        lake.resolve(books.FILTERED_FICTION.name, year)
        for year in lake.partitions(books.FILTERED_FICTION.name)
    ]
    assert {commit.facts["profile"] for commit in commits} == {"article"}
    assert all(commit.counts and commit.counts.unaccounted == 0 for commit in commits)
    # It reads the edition's own subjects alone, which loses most books, and keeps what is about fiction.
    assert _kept(lake) != before


def _kept(lake: Lake) -> set[str]:
    years = lake.partitions(books.FILTERED_FICTION.name)
    return {
        key for year in years for key in lake.read(books.FILTERED_FICTION, year)["edition_key"].to_pylist()
    }


def test_an_unknown_profile_fails_and_names_the_known_ones(changeable: Deployment) -> None:
    config = {"ops": {"books__filtered_fiction": {"config": {"profile": "artcle"}}}}
    result = changeable.run("books/filtered_fiction", years=("2020", "2020"), config=config)
    assert not result.success
    assert "article-stated" in failures(result)


def test_a_bad_vector_stops_before_the_collection_and_nothing_is_published(changeable: Deployment) -> None:
    lake = changeable.lake
    live = lake.resolve("books/search").facts["collection"]
    commit = next(
        c
        for p in reversed(lake.partitions("books/cover_embeddings"))
        if (c := lake.resolve("books/cover_embeddings", p)).rows
    )
    file = lake.files(commit)[0]
    rows = pq.read_table(file).to_pylist()
    rows[0]["vector"] = [float("nan")] * len(rows[0]["vector"])
    schema = books.COVERS.vectors(commit.facts["dimension"]).schema
    pq.write_table(pa.Table.from_pylist(rows, schema), file)
    result = changeable.run(job="books_checks")
    assert "books/cover_embeddings:unit_vectors" in failures(result)
    config = run_config([dg.AssetKey(["books", "collection"])], again=True)
    collected = changeable.run("books/collection", "books/search", config=config)
    assert not collected.success
    assert lake.resolve("books/search").facts["collection"] == live
    mended = changeable.run("books/cover_embeddings")
    assert mended.success, failures(mended)
    assert lake.resolve("books/cover_embeddings", commit.partition).version != commit.version
    assert lake.resolve("books/cover_embeddings", commit.partition).data_version == commit.data_version


def test_a_version_whose_checks_never_ran_is_not_published(changeable: Deployment) -> None:
    shutil.rmtree(changeable.settings.home / "lake" / "books" / "collection" / "verdicts")
    result = changeable.run("books/search")
    assert not result.success
    assert "self_match has not run" in failures(result)
    assert changeable.run(job="books_checks").success
    assert changeable.run("books/search").success


def test_vectors_of_two_models_are_refused_in_one_collection(changeable: Deployment, tmp_path: Path) -> None:
    other = tmp_path / "other-model"
    shutil.copytree(changeable.settings.bundle, other)
    (other / "manifest.json").unlink()
    card = other / "README.md"
    card.write_text(card.read_text() + "\nAnother model.\n")
    write_manifest(other, "booksearch/another", "1")
    changed = changeable.with_settings(bundle=str(other))
    assert changed.run("books/cover_embeddings", years=("2021", "2021")).success
    result = changed.run("books/collection")
    assert not result.success
    assert "vectors of 2 models" in failures(result)


def test_a_damaged_bundle_stops_the_embedding_with_its_file(changeable: Deployment, tmp_path: Path) -> None:
    other = tmp_path / "damaged"
    shutil.copytree(changeable.settings.bundle, other)
    weights = other / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0\0")
    result = changeable.with_settings(bundle=str(other)).run("books/cover_embeddings", years=("2021", "2021"))
    assert not result.success
    assert "model.safetensors" in failures(result)


def test_a_dump_that_is_not_gzip_fails_and_leaves_the_landed_one(changeable: Deployment) -> None:
    folder = next(changeable.settings.sample_folder.glob("ol_dump_*"))
    dump = next(folder.glob("ol_dump_editions_*"))
    before = changeable.lake.resolve("books/raw_dump/editions").version
    dump.write_bytes(b"<html>maintenance</html>" * 20_000)
    result = changeable.run("books/raw_dump/editions")
    assert not result.success
    assert "gzip" in failures(result)
    assert changeable.lake.resolve("books/raw_dump/editions").version == before


def test_a_damaged_latest_dump_falls_back_to_the_one_before(changeable: Deployment) -> None:
    later = changeable.with_settings(sample_release=1)
    world = World(seed=0, editions=changeable.settings.sample_editions)
    dates = prepare_dumps(world, changeable.settings.sample_folder, (0, 1))
    newest = changeable.settings.sample_folder / f"ol_dump_{dates[1]}" / f"ol_dump_editions_{dates[1]}.txt.gz"
    content = newest.read_bytes()
    newest.write_bytes(content[: len(content) - 300])
    result = later.run(
        "books/raw_dump/editions", config={"ops": {"raw_dump": {"config": {"land_again": True}}}}
    )
    assert result.success, failures(result)
    assert later.lake.resolve("books/raw_dump/editions").facts["dump_date"] == dates[0]


def test_an_intact_dump_is_not_landed_twice(changeable: Deployment) -> None:
    before = changeable.lake.resolve("books/raw_dump/works").version
    result = changeable.run("books/raw_dump/works")
    assert result.success, failures(result)
    assert changeable.lake.resolve("books/raw_dump/works").version == before
    shown = materializations(changeable, "books/raw_dump/works")[0].asset_materialization
    assert shown and shown.metadata["already_landed"].value is True


def test_metadata_stays_small(materialised: Materialised) -> None:
    """The event log keeps every materialisation for ever: pictures must stay thumbnails."""
    for asset in ASSETS:
        for record in materializations(materialised[0], asset):
            assert record.asset_materialization
            size = sum(len(str(value.value)) for value in record.asset_materialization.metadata.values())
            assert size < 200_000, (asset, record.partition_key, size)


def test_reasons_are_counted_once_per_row(materialised: Materialised) -> None:
    lake = materialised[0].lake
    for year in lake.partitions(books.FILTERED_FICTION.name):
        commit = lake.resolve(books.FILTERED_FICTION.name, year)
        found = Counter(lake.read(books.FILTER_REJECTIONS, year)["reason"].to_pylist())
        assert commit.counts and dict(found) == commit.counts.rejected, json.dumps(dict(found))
