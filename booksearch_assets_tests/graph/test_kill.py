"""`kill -9` in the middle of each stage: readers keep what they had, and the next run repeats at most one shard."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest

from booksearch_assets.sample.cover_service import CoverOptions
from booksearch_assets.sample.server import SampleServer, ServerOptions
from booksearch_assets.sample.world import World
from booksearch_assets.tables import books
from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.shards import ShardStore
from booksearch_assets.vectorstores.connect import open_store
from booksearch_assets_tests.graph.deployment import Deployment, failures, materializations

pytestmark = [pytest.mark.graph, pytest.mark.spark, pytest.mark.slow]

RAW_DUMP = tuple(f"books/raw_dump/{kind}" for kind in ("editions", "works", "authors", "covers_metadata"))
CORES = 2
CHUNK_BYTES = 10_000
COVERS_IN_SHARD = 8
COVERS_AT_ONCE = 16
ROWS_PER_TASK = 4
_PATIENCE_SECONDS = 120

DRIVER = """
import json, sys
from pathlib import Path
from booksearch_assets_tests.graph.deployment import Deployment
deployment = Deployment.of_sample(Path(sys.argv[1]), sample_port=int(sys.argv[2]))
print(deployment.run(*json.loads(sys.argv[3]), config=json.loads(sys.argv[4])).success)
"""


@dataclass(frozen=True)
class Killed:
    """A deployment in which a run was killed, and the versions that were committed before."""

    deployment: Deployment
    versions: dict[tuple[str, str], str]

    def again(self, *assets: str, **config: Any) -> dict[str, Any]:
        """A run that is left alone. Returns what its last materialisation shows."""
        result = self.deployment.run(*assets, config=op_config(assets, config))
        assert result.success, failures(result)
        [record] = materializations(self.deployment, assets[-1], limit=1)
        assert record.asset_materialization
        return {name: value.value for name, value in record.asset_materialization.metadata.items()}


@pytest.fixture(scope="module")
def prepared(
    materialised: tuple[Deployment, dg.ExecuteInProcessResult], tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """A materialised deployment whose dump lies in many small chunks."""
    home = tmp_path_factory.mktemp("kill") / "home"
    settings = materialised[0].settings
    shutil.copytree(settings.home, home)
    deployment = Deployment.of_sample(home, sample_port=settings.sample_port)
    result = deployment.run(
        *RAW_DUMP, config=op_config(RAW_DUMP, {"land_again": True, "chunk_bytes": CHUNK_BYTES})
    )
    assert result.success, failures(result)
    return deployment


@pytest.fixture
def kill(prepared: Deployment, tmp_path: Path) -> Callable[..., Killed]:
    """Kills a run of assets, with its JVM and workers, as soon as `in_the_middle(deployment)` holds.

    A run that ended before it could be killed is started again, on another copy.
    """

    def kill_in_the_middle(
        assets: Iterable[str],
        in_the_middle: Callable[[Deployment], bool],
        prepare: Callable[[Deployment], None] = lambda deployment: None,
        **config: Any,
    ) -> Killed:
        for attempt in range(3):
            home = tmp_path / str(attempt)
            shutil.copytree(prepared.settings.home, home)
            deployment = Deployment.of_sample(home, sample_port=prepared.settings.sample_port)
            prepare(deployment)
            before = committed(deployment)
            if run_and_kill(deployment, tuple(assets), in_the_middle, config):
                changed = {table for (table, _), _ in committed(deployment).items() ^ before.items()}
                # Publishing moves the alias first: once it has moved, its record may be there or not.
                assert changed <= {"books/search"} & set(assets)
                return Killed(deployment, before)
        raise AssertionError(f"{assets} ended three times before they could be killed")

    return kill_in_the_middle


def run_and_kill(
    deployment: Deployment,
    assets: tuple[str, ...],
    in_the_middle: Callable[[Deployment], bool],
    config: dict[str, Any],
) -> bool:
    """Whether the run was killed; else it ended by itself."""
    settings = deployment.settings
    arguments = [str(settings.home), str(settings.sample_port)]
    arguments += [json.dumps(assets), json.dumps(op_config(assets, config))]
    log = settings.home.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *arguments],
            cwd=Path(__file__).parents[2],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and not in_the_middle(deployment):
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.002)
    # Spark's workers are a process group, but not a session, of their own.
    while members := session_of(process.pid):
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.poll()
        time.sleep(0.02)
    assert process.wait() in (0, -signal.SIGKILL), log.read_text()[-4000:]
    return process.returncode != 0


def session_of(leader: int) -> list[int]:
    """The living processes of a session."""
    listed = subprocess.run(["ps", "-eo", "pid=,sess=,stat="], capture_output=True, text=True, check=True)
    rows = (line.split() for line in listed.stdout.splitlines())
    return [int(pid) for pid, session, state, *_ in rows if int(session) == leader and state[0] != "Z"]


def op_config(assets: Iterable[str], config: dict[str, Any]) -> dict[str, Any]:
    names = {"raw_dump" if asset in RAW_DUMP else asset.replace("/", "__") for asset in assets}
    return {"ops": {name: {"config": config} for name in names}} if config else {}


def committed(deployment: Deployment) -> dict[tuple[str, str], str]:
    """The version of every committed table and partition."""
    lake, tables = deployment.lake, Path(deployment.settings.lake) / "books"
    names = [str(folder.parent.relative_to(tables.parent)) for folder in tables.rglob("current")]
    return {(name, p): lake.resolve(name, p).version for name in names for p in lake.partitions(name)}


def files(deployment: Deployment, pattern: str) -> list[Path]:
    return sorted(Path(deployment.settings.lake).glob(pattern))


def unfinished(deployment: Deployment, table: str, pattern: str) -> list[Path]:
    """The files of versions of a table that nothing has committed."""
    lake = deployment.lake
    known = {commit.version for p in lake.partitions(table) for commit in lake.history(table, p)}
    found = files(deployment, f"{table}/versions/*/{pattern}")
    parts = len(Path(deployment.settings.lake, table, "versions").parts)
    return [path for path in found if path.parts[parts] not in known]


def rows_of(deployment: Deployment, table: Table) -> list[str]:
    """The rows of every partition of a table, by the columns that make its content."""
    lake = deployment.lake
    return sorted(
        str(row)
        for partition in lake.partitions(table.name)
        for row in lake.read(table, partition, table.content_names).to_pylist()
    )


def shards(deployment: Deployment, cache: str) -> list[Path]:
    return files(deployment, f"_cache/{cache}/**/*.parquet")


def test_raw_dump(kill: Callable[..., Killed], prepared: Deployment) -> None:
    def landing_works(deployment: Deployment) -> bool:
        return len(unfinished(deployment, "books/raw_dump/works", "part-*.txt.gz")) >= 3

    config = {"land_again": True, "chunk_bytes": 1_500}
    killed = kill(RAW_DUMP, landing_works, **config)
    lake = killed.deployment.lake
    whole = {kind: len(unfinished(killed.deployment, kind, "part-*.txt.gz")) for kind in RAW_DUMP}
    killed.again(*RAW_DUMP, **config)
    for kind in RAW_DUMP:
        [record] = materializations(killed.deployment, kind, limit=1)
        assert record.asset_materialization
        shown = record.asset_materialization.metadata
        chunks = len(lake.resolve(kind).facts["chunks"])
        # The chunk that was being written is no whole one.
        assert whole[kind] - 1 <= shown["chunks_kept_from_a_killed_run"].value <= whole[kind]
        assert shown["chunks_cut"].value == chunks - shown["chunks_kept_from_a_killed_run"].value
        assert lake.resolve(kind).rows == prepared.lake.resolve(kind).rows
        assert lake.resolve(kind).facts["raw_bytes"] == prepared.lake.resolve(kind).facts["raw_bytes"]
        assert lake.resolve(kind).version != killed.versions[kind, ""]
    assert whole[RAW_DUMP[0]] == len(lake.resolve(RAW_DUMP[0]).facts["chunks"])


@pytest.mark.system
def test_editions(kill: Callable[..., Killed], prepared: Deployment) -> None:
    killed = kill(
        ["books/editions"], lambda d: len(files(d, "books/editions/_parsed/editions-*/*.parquet")) >= 4, again=True
    )  # fmt: skip
    parsed = len(files(killed.deployment, "books/editions/_parsed/*/*.parquet"))
    in_hand = files(killed.deployment, "books/editions/_parsed/*/.*.tmp")
    chunks = sum(len(prepared.lake.resolve(dump).facts["chunks"]) for dump in RAW_DUMP[:3])
    assert 4 <= parsed < chunks and len(in_hand) <= CORES
    shown = killed.again("books/editions", again=True)
    assert (shown["chunks_kept_from_a_killed_run"], shown["chunks_parsed"]) == (parsed, chunks - parsed)
    assert rows_of(killed.deployment, books.EDITIONS) == rows_of(prepared, books.EDITIONS)
    # The rows of the prepared table name the chunks of the dump as it lay before.
    rejects = replace(books.QUARANTINE, content=("source", "reason", "raw"))
    assert rows_of(killed.deployment, rejects) == rows_of(prepared, rejects)
    assert files(killed.deployment, "books/editions/_parsed/*") == []


@pytest.mark.system
@pytest.mark.parametrize("table", [books.FILTERED_FICTION, books.COVER_URLS], ids=lambda table: table.name)
def test_relational_stages_begin_again(
    kill: Callable[..., Killed], prepared: Deployment, table: Table
) -> None:
    killed = kill([table.name], lambda d: bool(unfinished(d, table.name, "**/*.parquet")), again=True)
    killed.again(table.name, again=True)
    assert rows_of(killed.deployment, table) == rows_of(prepared, table)


def test_cover_images(kill: Callable[..., Killed], prepared: Deployment) -> None:
    covers = len(set(rows_of(prepared, books.COVER_IMAGES)))

    def no_cover_yet(deployment: Deployment) -> None:
        shutil.rmtree(Path(deployment.settings.lake) / "_cache" / "covers")

    calm = CoverOptions(failing_share=0, redirect_share=0, slow_share=0)
    with covers_at(prepared, replace(calm, slow_share=1.0, slow_seconds=0.5)) as server:
        killed = kill(
            ["books/cover_images"],
            lambda d: len(shards(d, "covers")) >= 3,
            no_cover_yet,
            again=True,
            shard_rows=COVERS_IN_SHARD,
        )
        asked = server.stats.count("cover")
    source = killed.deployment.settings.source
    kept = len(ShardStore(killed.deployment.settings.lake, f"covers/{source}", books.COVERS.bytes).index([]))
    assert 3 * COVERS_IN_SHARD <= kept < covers
    # A shard, and the requests under way.
    assert asked - kept <= COVERS_IN_SHARD + COVERS_AT_ONCE
    with covers_at(prepared, calm) as server:
        killed.again("books/cover_images", again=True)
        assert server.stats.count("cover") == covers - kept
    assert rows_of(killed.deployment, books.COVER_IMAGES) == rows_of(prepared, books.COVER_IMAGES)


def covers_at(deployment: Deployment, options: CoverOptions) -> SampleServer:
    """A sample server at the address that the deployment asks."""
    settings = deployment.settings
    world = World(seed=settings.sample_seed, editions=settings.sample_editions)
    return SampleServer(world, settings.sample_folder, settings.sample_port, ServerOptions(covers=options))


@pytest.mark.system
def test_cover_embeddings(kill: Callable[..., Killed], prepared: Deployment) -> None:
    def no_vector_yet(deployment: Deployment) -> None:
        shutil.rmtree(Path(deployment.settings.lake) / "_cache" / "vectors")

    config = {"again": True, "spark_from": 0, "rows_per_task": ROWS_PER_TASK}
    killed = kill(
        ["books/cover_embeddings"], lambda d: len(shards(d, "vectors")) >= 3, no_vector_yet, **config
    )
    before, vectors = vectors_in(killed.deployment), vectors_in(prepared)
    held = set(shards(killed.deployment, "vectors"))
    assert rows_in(held) == len(before) and 3 <= len(before) < len(vectors)
    # So few are embedded without Spark, all in one shard.
    killed.again("books/cover_embeddings", again=True)
    assert rows_in(set(shards(killed.deployment, "vectors")) - held) == len(vectors) - len(before)
    found = vectors_in(killed.deployment)
    assert found.keys() == vectors.keys()
    # Rounding depends on which covers share a batch.
    assert all(np.allclose(found[cover], vectors[cover], atol=1e-5) for cover in vectors)


def rows_in(files: Iterable[Path]) -> int:
    return sum(pq.read_metadata(file).num_rows for file in files)


def vectors_in(deployment: Deployment) -> dict[int, Any]:
    """The vectors in the cache, by cover id."""
    rows = (row for shard in shards(deployment, "vectors") for row in pq.read_table(shard).to_pylist())
    return {row["cover_id"]: row["vector"] for row in rows}


@pytest.mark.system
def test_collection(kill: Callable[..., Killed], prepared: Deployment) -> None:
    def is_loading(deployment: Deployment) -> bool:
        return len(collections_of(deployment)) > len(collections_of(prepared))

    killed = kill(["books/collection"], is_loading, again=True)
    live = published(prepared)
    assert published(killed.deployment) == live and in_collection(killed.deployment, live) != []
    killed.again("books/collection", again=True)
    made = killed.deployment.lake.resolve("books/collection").facts["collection"]
    assert made != live and published(killed.deployment) == live
    assert in_collection(killed.deployment, made) == in_collection(prepared, live)


@pytest.mark.system
def test_search(kill: Callable[..., Killed], prepared: Deployment) -> None:
    def new_collection(deployment: Deployment) -> None:
        result = deployment.run("books/collection", config=op_config(["books/collection"], {"again": True}))
        assert result.success, failures(result)

    before = published(prepared)
    killed = kill(["books/search"], lambda d: published(d) != before, new_collection)
    candidate = killed.deployment.lake.resolve("books/collection").facts["collection"]
    assert published(killed.deployment) == candidate != before
    assert in_collection(killed.deployment, candidate) == in_collection(prepared, before)
    killed.again("books/search")
    assert published(killed.deployment) == candidate
    assert killed.deployment.lake.resolve("books/search").facts["collection"] == candidate


def published(deployment: Deployment) -> str:
    return str(open_store(deployment.settings.milvus_uri).published("books"))


def collections_of(deployment: Deployment) -> list[str]:
    """The collections that are there or being made."""
    return sorted(path.stem for path in Path(deployment.settings.milvus_uri).glob("*.db"))


def in_collection(deployment: Deployment, name: str) -> list[str]:
    """The rows of a collection, without their vectors."""
    index = open_store(deployment.settings.milvus_uri).index(name)
    columns = ["edition_key", "title", "cover_id"]
    return sorted(str(row) for batch in index.scan(columns) for row in batch.to_pylist())
