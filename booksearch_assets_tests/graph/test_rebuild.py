"""Rebuilds: what changed is made again, what did not change is left alone, and nothing stays behind."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.compute as pc
import pytest

from booksearch_assets.clip.bundle import Bundle, write_manifest
from booksearch_assets.compute.fetch_policy import FetchPolicy
from booksearch_assets.materialize import run_config
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.sample.world import World
from booksearch_assets.tables import books
from booksearch_assets.tables.books import COVERS
from booksearch_assets.vectorstores.connect import open_published, open_store
from booksearch_assets_tests.graph.deployment import Deployment, failures, materializations

pytestmark = [pytest.mark.graph, pytest.mark.spark]
YEARLY = ("books/filtered_fiction", "books/cover_urls", "books/cover_images", "books/cover_embeddings")
Versions = dict[tuple[str, str], str]


@dataclass(frozen=True)
class State:
    """What a deployment holds: versions by table and partition, and the ids in the two caches."""

    versions: Versions
    fetched: set[int]
    embedded: set[int]

    @classmethod
    def of(cls, deployment: Deployment) -> State:
        settings, lake = deployment.settings, deployment.lake
        bundle = Bundle.open(settings.bundle)
        vectors = COVERS.vectors_cache(settings.lake, settings.source, bundle.bundle_id, bundle.dimension)
        return cls(
            {
                (t, p): lake.resolve(t, p).version
                for t in (*YEARLY, "books/editions", "books/collection", "books/search")
                for p in lake.partitions(t)
            },
            set(COVERS.bytes_cache(settings.lake, settings.source).index([])["cover_id"].to_pylist()),
            set(vectors.index([])["cover_id"].to_pylist()),
        )


def collection(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """What searches read: the rows of the published collection by edition."""
    index = open_published(deployment.settings.milvus_uri, "books")
    rows = [row for batch in index.scan(["edition_key", "title", "cover_id"]) for row in batch.to_pylist()]
    return {row["edition_key"]: row for row in rows}


def filtered(deployment: Deployment) -> dict[str, dict[str, Any]]:
    lake = deployment.lake
    years = lake.partitions(books.FILTERED_FICTION.name)
    rows = [row for y in years for row in lake.read(books.FILTERED_FICTION, y).to_pylist()]
    return {row["edition_key"]: row for row in rows}


def content(deployment: Deployment, table: str) -> dict[str, str]:
    lake = deployment.lake
    return {p: lake.resolve(table, p).data_version for p in lake.partitions(table)}


def test_a_run_with_nothing_new_makes_nothing(changeable: Deployment) -> None:
    before = State.of(changeable)
    result = changeable.run()
    assert result.success, failures(result)
    assert State.of(changeable) == before
    for asset in YEARLY:
        records = materializations(changeable, asset)
        recorded = [record.partition_key for record in records]
        assert sorted(map(str, recorded)) == changeable.years, (
            "one materialisation for each year, recorded once"
        )
        for record in records:
            assert record.asset_materialization
            tags = record.asset_materialization.tags or {}
            commit = changeable.lake.resolve(asset, record.partition_key or "")
            assert tags["dagster/data_version"] == commit.data_version
            assert shown(record)["unchanged"].value is True
            assert commit.version in str(shown(record)["why"].value)


@pytest.mark.system
def test_three_rebuilds_fetch_and_embed_what_is_new_and_leave_nothing_behind(changeable: Deployment) -> None:
    """Releases of the sample world: 1 corrects a title, 6 adds books and changes covers, 8 deletes and shrinks books."""
    corrected_titles = vanished = 0
    for release in (1, 6, 8):
        before, titles = State.of(changeable), collection(changeable)
        urls_before = content(changeable, "books/cover_urls")
        result = changeable.with_settings(sample_release=release).run()
        assert result.success, failures(result)
        after, rows, fiction = State.of(changeable), collection(changeable), filtered(changeable)

        wanted = {row["cover_id"] for row in fiction.values() if row["cover_id"]}
        assert after.fetched - before.fetched <= wanted, "only covers that are wanted now are fetched"
        assert before.fetched <= after.fetched, "the cache loses nothing"
        shards = [
            int(row.metadata["requests_in_this_run"].value) for row in _made(changeable, "cover_images")
        ]
        assert (max(shards, default=0) == 0) == (after.fetched == before.fetched)
        assert after.embedded - before.embedded <= after.fetched - before.fetched

        urls = content(changeable, "books/cover_urls")
        same = {year for year in urls if urls[year] == urls_before[year]}
        assert same, "a release of a small world leaves most years alone"
        for table in ("books/cover_images", "books/cover_embeddings"):
            assert {y for y in same if before.versions[table, y] != after.versions[table, y]} == set()

        assert rows.keys() == {key for key, row in fiction.items() if row["cover_id"] in after.embedded}
        assert {key: row["title"] for key, row in rows.items()} == {
            key: fiction[key]["title"] for key in rows
        }
        world = World(seed=0, editions=changeable.settings.sample_editions, release=release)
        exists = {world.edition(i).key.split("/")[-1] for i in range(world.size) if world.exists(i)}
        assert rows.keys() <= exists
        corrected = [key for key in rows if key in titles and rows[key]["title"] != titles[key]["title"]]
        assert all(titles[key]["cover_id"] in before.embedded for key in corrected)
        corrected_titles += len(corrected)
        vanished += len(titles.keys() - rows.keys())
        if release == 1:
            assert after.fetched == before.fetched
            assert after.embedded == before.embedded
    assert corrected_titles
    assert vanished


def _made(deployment: Deployment, asset: str) -> list[dg.AssetMaterialization]:
    """The newest materialisation of each year, where it made something."""
    newest = {}
    for record in reversed(materializations(deployment, f"books/{asset}")):
        newest[record.partition_key] = record.asset_materialization
    return [m for m in newest.values() if m and "unchanged" not in m.metadata]


def shown(record: dg.EventLogRecord) -> Mapping[str, dg.MetadataValue]:
    assert record.asset_materialization
    return record.asset_materialization.metadata


class Automation:
    """Ticks of the automation conditions of a deployment, and the runs that they ask for."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._cursor: Any = None

    def tick(self) -> dict[str, set[str | None]]:
        """What one tick requests: partitions by asset."""
        result = dg.evaluate_automation_conditions(
            self.deployment.defs, self.deployment.instance, cursor=self._cursor
        )
        self._cursor = result.cursor
        keys = self.deployment.defs.resolve_asset_graph().get_all_asset_keys()
        requested = {key: result.get_requested_partitions(key) for key in keys}
        return {key.to_user_string(): set(found) for key, found in requested.items() if found}

    def run(self, requested: dict[str, set[str | None]]) -> None:
        for asset, partitions in requested.items():
            for partition in sorted(partitions, key=str):
                years = (partition, partition) if partition else None
                result = self.deployment.run(asset, years=years)
                assert result.success, failures(result)


@pytest.mark.system
def test_automation_follows_only_the_years_whose_rows_changed(changeable: Deployment) -> None:
    result = changeable.run()
    assert result.success, failures(result)
    later = changeable.with_settings(sample_release=6)
    automation = Automation(later)
    assert automation.tick() == {}, "switching it on starts nothing"
    before = content(later, "books/filtered_fiction")
    urls_before = content(later, "books/cover_urls")
    dump = [f"books/raw_dump/{kind}" for kind in ("editions", "works", "authors", "covers_metadata")]
    result = later.run(*dump, "books/editions", "books/filtered_fiction")
    assert result.success, failures(result)
    after = content(later, "books/filtered_fiction")
    changed = {year for year in after if after[year] != before[year]}
    assert 0 < len(changed) < len(after)

    requested = automation.tick()
    assert requested == {"books/cover_urls": changed}, "and the collection waits for what follows"
    automation.run(requested)
    urls = content(later, "books/cover_urls")
    other_covers = {year for year in urls if urls[year] != urls_before[year]}
    assert other_covers < changed, "a corrected title changes no cover"
    requested = automation.tick()
    assert requested == {"books/cover_images": other_covers}
    automation.run(requested)
    requested = automation.tick()
    assert requested == {"books/cover_embeddings": other_covers}
    automation.run(requested)
    for asset in ("collection", "search", "search_quality"):
        requested = automation.tick()
        assert requested == {f"books/{asset}": {None}}
        automation.run(requested)
    assert automation.tick() == {}
    assert collection(later).keys() == {
        key for key, row in filtered(later).items() if row["cover_id"] in State.of(later).embedded
    }


@pytest.mark.system
def test_another_model_makes_a_collection_beside_the_old_one_and_fetches_nothing(
    changeable: Deployment, tmp_path: Path
) -> None:
    bundle = tmp_path / "another-model"
    shutil.copytree(changeable.settings.bundle, bundle)
    (bundle / "manifest.json").unlink()
    (bundle / "README.md").write_text("Another model.")
    write_manifest(bundle, "booksearch/another", "1")
    other_id = Bundle.open(bundle).bundle_id
    before = State.of(changeable)
    first = changeable.lake.resolve("books/search").facts
    changed = changeable.with_settings(bundle=str(bundle))
    result = changed.run()
    assert result.success, failures(result)
    after = State.of(changed)
    assert after.fetched == before.fetched
    assert [int(m.metadata["requests_in_this_run"].value) for m in _made(changed, "cover_images")] == []
    assert after.embedded == before.embedded, "every cover has a vector of the other model too"
    assert {t for t, _ in before.versions if before.versions[t, _] != after.versions[t, _]} == {
        "books/cover_embeddings",
        "books/collection",
        "books/search",
    }
    second = changed.lake.resolve("books/search").facts
    assert (first["bundle_id"] != other_id, second["bundle_id"]) == (True, other_id)
    with open_store(changed.settings.milvus_uri) as store:
        held = {name: store.describe(name).properties["bundle_id"] for name in store.collections()}
    assert held == {first["collection"]: first["bundle_id"], second["collection"]: other_id}


@pytest.mark.system
def test_another_filter_profile_asks_only_for_covers_that_were_never_wanted_before(
    changeable: Deployment,
) -> None:
    assets = ("books/filtered_fiction", "books/cover_urls", "books/cover_images")
    keys = [dg.AssetKey(asset.split("/")) for asset in assets]
    before = State.of(changeable)
    result = changeable.run(*assets, config=run_config(keys, filter_profile="article"))
    assert result.success, failures(result)
    other = State.of(changeable)
    wanted = {row["cover_id"] for row in filtered(changeable).values() if row["cover_id"]}
    assert other.fetched - before.fetched == wanted - before.fetched
    result = changeable.run(*assets, config=run_config(keys))
    assert result.success, failures(result)
    assert State.of(changeable).fetched == other.fetched
    requests = [m.metadata["requests_in_this_run"].value for m in _made(changeable, "cover_images")]
    assert requests
    assert set(requests) == {0}


def test_rows_that_were_damaged_are_made_again(changeable: Deployment) -> None:
    lake = changeable.lake
    commit = next(
        c for p in lake.partitions("books/cover_urls") if (c := lake.resolve("books/cover_urls", p)).rows
    )
    [file] = lake.files(commit)
    lake.filesystem.delete_file(file)
    years = (commit.partition, commit.partition)
    result = changeable.run("books/cover_urls", years=years)
    assert result.success, failures(result)
    mended = lake.resolve("books/cover_urls", commit.partition)
    assert mended.version != commit.version
    assert mended.data_version == commit.data_version
    assert len(lake.read(books.COVER_URLS, commit.partition)) == commit.rows


class OutOfService(OpenLibraryResource):
    """Covers services that do not answer: nothing listens on the port of the sample world."""

    def fetch_policy(self) -> FetchPolicy:
        return replace(super().fetch_policy(), give_up_after=5, backoff_base=0.01)


def test_years_finished_before_a_failure_stay_finished_and_the_next_run_does_the_rest(
    changeable: Deployment,
) -> None:
    lake, settings = changeable.lake, changeable.settings
    years = lake.partitions("books/cover_images")
    lost = [year for year in years if lake.resolve("books/cover_images", year).rows][-2:]
    cache = COVERS.bytes_cache(settings.lake, settings.source)
    gone = pc.unique(
        lake.dataset([lake.resolve("books/cover_images", y) for y in lost]).to_table()["cover_id"]
    )
    kept = [cache.read(s) for s in cache.shards()]
    for shard in cache.shards():
        lake.filesystem.delete_file(lake.location("_cache", cache.name, f"{shard}.parquet"))
    for rows in kept:
        rest = rows.filter(pc.invert(pc.is_in(rows["cover_id"], gone)))
        if len(rest):
            cache.append(rest)
    for year in lost:
        lake.filesystem.delete_file(lake.location("books/cover_images/current", f"{year}.json"))
    broken = changeable.with_resources(open_library=OutOfService(source=settings.source, downloads="unused"))
    config = run_config([dg.AssetKey(["books", "cover_images"])], again=True)
    before = {year: lake.resolve("books/cover_images", year).version for year in set(years) - set(lost)}
    result = broken.run("books/cover_images", config=config)
    assert not result.success
    assert "in a row" in failures(result)
    assert lake.partitions("books/cover_images") == sorted(before)
    finished = {y for y in before if before[y] != lake.resolve("books/cover_images", y).version}
    assert finished == before.keys()
    assert {r.partition_key for r in materializations(changeable, "books/cover_images")} == finished

    result = changeable.run("books/cover_images")
    assert result.success, failures(result)
    newest = materializations(changeable, "books/cover_images", limit=len(years))
    assert {record.partition_key for record in newest} == set(years)
    assert {record.partition_key for record in newest if "unchanged" in shown(record)} == finished
    assert set(gone.to_pylist()) <= set(cache.index([])["cover_id"].to_pylist())
