"""What all stores share: the order of the checks before each step of a collection's life.

Belongs here: refusing what a step may not do. Does not: how a backend does it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from booksearch_assets.vectorstores.contract import CollectionSpec, Hit, VectorIndex, checked_name
from booksearch_assets.vectorstores.errors import (
    CollectionExists,
    CollectionNotFound,
    CollectionNotSealed,
    CollectionPublished,
    CollectionSealed,
    InvalidCollection,
)
from booksearch_assets.vectorstores.filters import Filter


class CheckedStore(ABC):
    """The life of a collection: create, load, seal, read, publish, drop. Keeps `VectorStore`."""

    def __init__(self, where: str) -> None:
        self.where = where

    def create(self, spec: CollectionSpec) -> None:
        if spec.name in self.collections():
            raise CollectionExists(
                f"{self.where} already has a collection {spec.name!r}; drop it, or choose a new name"
            )
        if spec.name in self._aliases():
            raise CollectionExists(
                f"{self.where} has an alias {spec.name!r}; choose another name for the collection"
            )
        self._create(spec)

    def load(
        self,
        name: str,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        self._require(name)
        if self._is_sealed(name):
            raise CollectionSealed(
                f"collection {name!r} in {self.where} is sealed, and sealed versions never change; "
                "create a new version and publish that"
            )
        return self._load(name, batches, on_progress)

    def seal(self, name: str) -> int:
        self._require(name)
        return self._seal(name)

    def index(self, name: str) -> VectorIndex:
        self._require_sealed(name)
        return self._index(name)

    def count(self, name: str, filter: Filter | None = None) -> int:
        self._require_sealed(name)
        return self._count(name, filter)

    def search(
        self,
        name: str,
        vectors: np.ndarray,
        k: int,
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[list[Hit]]:
        return self.index(name).search(vectors, k, filter, fields, offset)

    def fetch(self, name: str, keys: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        return self.index(name).fetch(keys, fields)

    def scan(self, name: str, fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return self.index(name).scan(fields)

    def drop(self, name: str) -> None:
        self._require(name)
        self._refuse_published(name)
        self._drop(name)

    def describe(self, name: str) -> CollectionSpec:
        self._require(name)
        return self._describe(name)

    def is_sealed(self, name: str) -> bool:
        self._require(name)
        return self._is_sealed(name)

    def publish(self, alias: str, name: str) -> None:
        checked_name(alias, "alias")
        self._require_sealed(name)
        if alias in self.collections():
            raise InvalidCollection(
                f"alias {alias!r} is the name of a collection in {self.where}; choose another"
            )
        self._publish(alias, name)

    def published(self, alias: str) -> str | None:
        return self._aliases().get(checked_name(alias, "alias"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require(self, name: str) -> None:
        checked_name(name, "collection")
        existing = self.collections()
        if name not in existing:
            target = self._aliases().get(name)
            hint = (
                f"it is an alias of {target!r}" if target else f"it has {', '.join(existing) or 'none yet'}"
            )
            raise CollectionNotFound(f"{self.where} has no collection {name!r}; {hint}")

    def _refuse_published(self, name: str) -> None:
        pointing = [alias for alias, target in self._aliases().items() if target == name]
        if pointing:
            # OpenSearch, Milvus Lite and Milvus before 2.5.5 would drop it, and leave readers with nothing.
            raise CollectionPublished(
                f"collection {name!r} in {self.where} is published as {', '.join(pointing)}; "
                "publish another version first"
            )

    def _require_sealed(self, name: str) -> None:
        self._require(name)
        if not self._is_sealed(name):
            raise CollectionNotSealed(
                f"collection {name!r} in {self.where} was not sealed: its load did not finish, or still runs; "
                "materialise it again"
            )

    @abstractmethod
    def collections(self) -> list[str]: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _aliases(self) -> dict[str, str]:
        """Every alias and the collection that it points at."""

    @abstractmethod
    def _is_sealed(self, name: str) -> bool: ...

    @abstractmethod
    def _create(self, spec: CollectionSpec) -> None: ...

    @abstractmethod
    def _load(
        self,
        name: str,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None,
    ) -> int: ...

    @abstractmethod
    def _seal(self, name: str) -> int: ...

    @abstractmethod
    def _index(self, name: str) -> VectorIndex: ...

    @abstractmethod
    def _count(self, name: str, filter: Filter | None) -> int: ...

    @abstractmethod
    def _describe(self, name: str) -> CollectionSpec: ...

    @abstractmethod
    def _drop(self, name: str) -> None: ...

    @abstractmethod
    def _publish(self, alias: str, name: str) -> None: ...
