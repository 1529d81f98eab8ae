"""Milvus Lite: collections in a local folder, with no server to run.

The folder holds, for each collection, `<name>.db` (a Milvus Lite database of its own, since Lite locks a whole
database for one process), `<name>.json` (its spec: the collection exists from when this is written), `<name>.loaded`
(its rows, until it is sealed) and, once sealed, `<name>.parquet` (the snapshot, which readers use); and
`aliases/<alias>.json` for each published alias. Files are replaced in one step. Who changes an alias or drops a
collection holds `.lock` meanwhile, so that no alias ever names a collection that is gone.

Belongs here: the folder, the locks and the pointers. Does not: calls to Milvus (`milvus_collection`).
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from booksearch_assets.vectorstores.checked_store import CheckedStore
from booksearch_assets.vectorstores.contract import (
    VECTOR,
    CollectionSpec,
    IndexKind,
    IndexSpec,
    VectorIndex,
)
from booksearch_assets.vectorstores.errors import (
    StoreDamaged,
    StoreLocked,
    StoreUnavailable,
    VectorStoreError,
)
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.filters import Filter
from booksearch_assets.vectorstores.loaded_rows import LoadedRows
from booksearch_assets.vectorstores.milvus_collection import Dialect, MilvusCollection, connect
from booksearch_assets.vectorstores.rows import vector_matrix
from booksearch_assets.vectorstores.snapshot import replacing, snapshot_rows, write_snapshot

if TYPE_CHECKING:
    from pymilvus import MilvusClient

LITE = Dialect(
    name="Milvus Lite",
    batch_rows=1_000,
    # Each page costs a walk over all keys, so pages are large.
    page_rows=10_000,
    nested_params=True,
    scans_few=False,
    insert_replaces=True,
    # Lite searches every key in Python whatever the index, and its HNSW loses neighbours under a filter.
    default_index=IndexSpec(IndexKind.FLAT),
    call_seconds=600.0,
)

_POLL_SECONDS = 0.2
_COMPARED_ROWS = 200
"""Rows that sealing reads back, to see that the database holds what it was given."""

_T = TypeVar("_T")


class MilvusLiteStore(CheckedStore):
    """Collections under `root`, one Milvus Lite database each. Keeps `VectorStore`.

    A database is locked for this process from its first use until `close`. Where another process holds it, calls wait
    up to `lock_timeout` seconds, then raise `StoreLocked`. Sealed collections are read from their snapshots, and aliases
    from their files: neither needs a database or its lock.
    """

    def __init__(self, root: Path, lock_timeout: float = 60.0) -> None:
        super().__init__(str(root))
        self.root, self.lock_timeout = root.absolute(), lock_timeout
        # Held for moments by who publishes or drops, unlike the lock of a database.
        self._pointer_lock = self.root / ".lock"
        self._open: dict[str, MilvusCollection] = {}
        self._databases: list[Path] = []
        # Also runs at the end of the process, where a store that was never closed would leave its engines running.
        self._close = weakref.finalize(self, _release_all, self._databases)

    def collections(self) -> list[str]:
        return _stems(self.root, ".json")

    def close(self) -> None:
        self._open.clear()
        _release_all(self._databases)

    def database(self, name: str) -> MilvusCollection:
        """A sealed collection as Milvus Lite itself reads it, which is slower than `index` and takes its lock."""
        self._require_sealed(name)
        return self._collection(name)

    def rows(self, name: str) -> int:
        """Number of rows of a sealed collection by the footer of its snapshot, read without its rows or any lock."""
        self._require_sealed(name)
        return snapshot_rows(self._snapshot_path(name))

    def _aliases(self) -> dict[str, str]:
        folder = self.root / "aliases"
        return {alias: self._pointer(folder / f"{alias}.json") for alias in _stems(folder, ".json")}

    def _is_sealed(self, name: str) -> bool:
        return self._snapshot_path(name).exists()

    def _create(self, spec: CollectionSpec) -> None:
        path = self._database_path(spec.name)
        if path.exists():
            # Left by a process that died while it created or dropped the collection.
            self._once_unused(path, lambda: _remove_database(path), self.lock_timeout)
        self._snapshot_path(spec.name).unlink(missing_ok=True)
        self._loaded(spec).discard()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.root, error) from error
        collection = MilvusCollection(self._database(spec.name), spec, LITE, str(path))
        collection.create()
        with replacing(self._spec_path(spec.name)) as place:
            place.write_text(spec.to_json())
        self._open[spec.name] = collection

    def _load(
        self,
        name: str,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None,
    ) -> int:
        collection = self._collection(name)
        with self._loaded(collection.spec).recording() as keep:
            return collection.load(batches, on_progress, keep)

    def _seal(self, name: str) -> int:
        collection = self._collection(name)
        if self._is_sealed(name):
            return collection.count()
        rows = collection.build()
        written = write_snapshot(self._snapshot_path(name), collection.spec, self._stored(collection, rows))
        if written != rows:
            self._snapshot_path(name).unlink()
            raise StoreDamaged(
                f"{self.where}: {name!r} counts {rows} rows but gives {written}; drop it and materialise it again"
            )
        self._loaded(collection.spec).discard()
        return rows

    def _stored(self, collection: MilvusCollection, count: int) -> Iterator[pa.RecordBatch]:
        """Every row of the database: as it was loaded where that is certain, else read back, which is slow."""
        spec = collection.spec
        loaded = self._loaded(spec).merged()
        if not loaded or len(loaded) != count:
            return collection.scan(spec.schema.names)
        sample = loaded.take(np.linspace(0, count - 1, min(count, _COMPARED_ROWS)).astype(np.int64))
        found = collection.fetch(sample[spec.key].to_pylist(), [VECTOR])
        stored = [found[key][VECTOR] for key in sample[spec.key].to_pylist() if key in found]
        if not np.array_equal(stored, vector_matrix(sample[VECTOR], spec.dimension)):
            raise StoreDamaged(
                f"{self.where}: {spec.name!r} does not hold the vectors that it was loaded with; drop it and materialise "
                "it again"
            )
        return iter(loaded.to_batches(max_chunksize=LITE.page_rows))

    def _index(self, name: str) -> VectorIndex:
        return ExactIndex.read(self._snapshot_path(name))

    def _count(self, name: str, filter: Filter | None) -> int:
        return self._collection(name).count(filter)

    def _describe(self, name: str) -> CollectionSpec:
        path = self._spec_path(name)
        try:
            return CollectionSpec.from_json(path.read_text())
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(
                f"{path} is not the spec of a collection ({error}); drop {name!r} and materialise it again"
            ) from error

    def _drop(self, name: str) -> None:
        self._open.pop(name, None)
        path = self._database_path(name)
        if path in self._databases:
            self._databases.remove(path)
            _release(path)

        def remove() -> None:
            with _locked(self._pointer_lock, wait=True), _unused(path):
                self._refuse_published(name)
                # Without its snapshot it is not sealed: what a kill leaves behind is neither read nor published.
                self._snapshot_path(name).unlink(missing_ok=True)
                shutil.rmtree(self._loaded_path(name), ignore_errors=True)
                if path.exists():
                    shutil.rmtree(path)
                self._spec_path(name).unlink(missing_ok=True)

        # Whoever drops would rather hear at once that it is in use: nothing depends on its going now.
        self._once_unused(path, remove, timeout=0.0)

    def _publish(self, alias: str, name: str) -> None:
        try:
            with _locked(self._pointer_lock, wait=True):
                self._require_sealed(name)
                with replacing(self.root / "aliases" / f"{alias}.json") as place:
                    place.write_text(json.dumps({"collection": name}))
        except OSError as error:
            raise _unwritable(self.root, error) from error

    def _once_unused(self, path: Path, action: Callable[[], None], timeout: float) -> None:
        try:
            _once_unlocked(path, timeout, action)
        except OSError as error:
            raise _unwritable(path, error) from error

    def _collection(self, name: str) -> MilvusCollection:
        if name not in self._open:
            spec, path = self._describe(name), self._database_path(name)
            if not path.exists():
                raise StoreDamaged(f"{path} is missing; drop {name!r} and materialise it again")
            collection = MilvusCollection(self._database(name), spec, LITE, str(path))
            if self._is_sealed(name):
                try:
                    collection.open()
                except VectorStoreError as error:
                    raise StoreDamaged(f"{error}; drop {name!r} and materialise it again") from error
            self._open[name] = collection
        return self._open[name]

    def _database(self, name: str) -> MilvusClient:
        path = self._database_path(name)
        client = _acquire(path, self.lock_timeout)
        self._databases.append(path)
        return client

    def _pointer(self, path: Path) -> str:
        try:
            return str(json.loads(path.read_text())["collection"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(
                f"{path} does not name a collection ({error}); remove it and publish the alias again"
            ) from error

    def _database_path(self, name: str) -> Path:
        return self.root / f"{name}.db"

    def _spec_path(self, name: str) -> Path:
        return self.root / f"{name}.json"

    def _loaded(self, spec: CollectionSpec) -> LoadedRows:
        return LoadedRows(self._loaded_path(spec.name), spec)

    def _loaded_path(self, name: str) -> Path:
        return self.root / f"{name}.loaded"

    def _snapshot_path(self, name: str) -> Path:
        return self.root / f"{name}.parquet"


@dataclass
class _Database:
    """An engine that runs in this process, shared by the stores that use it."""

    client: MilvusClient
    server: Any
    engine: Any
    users: int


_running: dict[Path, _Database] = {}
_guard = threading.RLock()


def _acquire(path: Path, timeout: float) -> MilvusClient:
    """A client of the database at `path`, started where this process does not run it yet."""

    def start() -> MilvusClient:
        with _guard:
            if path not in _running:
                _running[path] = _start(path)
            _running[path].users += 1
            return _running[path].client

    return _once_unlocked(path, timeout, start)


def _start(path: Path) -> _Database:
    # Opening by path through pymilvus would hide the reason of a failure in the log, and keep the lock after close.
    from milvus_lite.adapter.grpc.server import start_server_in_thread
    from milvus_lite.exceptions import DataDirLockedError

    # Calls that Lite lacks, which pymilvus makes with every connection, would each log a traceback.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    try:
        server, engine, port = start_server_in_thread(str(path))
    except DataDirLockedError as error:
        raise BlockingIOError(str(error)) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    except Exception as error:
        raise StoreDamaged(
            f"{path} is not a Milvus Lite database that can be read ({type(error).__name__}: {error}); "
            "drop its collection and materialise it again"
        ) from error
    return _Database(connect(f"http://127.0.0.1:{port}"), server, engine, users=0)


def _release(path: Path) -> None:
    with _guard:
        database = _running[path]
        database.users -= 1
        if database.users:
            return
        del _running[path]
    database.client.close()
    database.server.stop(grace=2).wait()
    database.engine.close()


def _release_all(paths: list[Path]) -> None:
    while paths:
        _release(paths.pop())


def _remove_database(path: Path) -> None:
    """Delete a database, damaged or not. Raises BlockingIOError where a process uses it."""
    with _unused(path):
        shutil.rmtree(path)


@contextmanager
def _unused(path: Path) -> Iterator[None]:
    """No process uses the database at `path` meanwhile, if there is one. Raises BlockingIOError where one does."""
    if not path.exists():
        yield
        return
    # The lock that Milvus Lite takes itself.
    with _locked(path / "LOCK"):
        yield


@contextmanager
def _locked(file: Path, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file. Raises BlockingIOError where it is held and `wait` is not set."""
    descriptor = os.open(file, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def _once_unlocked(path: Path, timeout: float, action: Callable[[], _T]) -> _T:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return action()
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StoreLocked(
                    f"{path} is locked by another process or store, still so after {timeout:g} s. Wait until that run "
                    "ends, or stop it; a sealed collection can be searched meanwhile through its snapshot"
                ) from None
            time.sleep(_POLL_SECONDS)


def _stems(folder: Path, suffix: str) -> list[str]:
    try:
        return sorted(p.stem for p in folder.iterdir() if p.suffix == suffix and not p.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"cannot use {path}: {error}. Expected a folder that this user may write; mend it, or choose another"
    )
