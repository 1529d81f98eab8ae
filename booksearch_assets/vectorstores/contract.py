"""What a vector collection is, and what every vector store can do with it.

Belongs here: specs, hits, and the two interfaces (`VectorStore` to build, `VectorIndex` to read). Does not: checks of
rows and queries (`rows`, `filters`) and anything that knows a backend.

Each limit is that of the strictest backend, whatever the backend in use, so that what works on a laptop also works in
production (https://milvus.io/docs/limitations.md; of OpenSearch, `KNNQueryBuilder.K_MAX` and `KNNEngine` of its k-NN
plugin, Lucene's longest term, and the length of `_id`). Similarity is always the cosine of L2-normalised vectors, from
-1 to 1, higher is nearer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa

from booksearch_assets.vectorstores.errors import InvalidCollection
from booksearch_assets.vectorstores.filters import Filter

VECTOR = "vector"
"""The name of the vector field in every collection."""

MAX_DIMENSION = 16_000
MAX_TEXT_BYTES = 32_766
MAX_KEY_BYTES = 512
MAX_CAPACITY = 4_096
MAX_WINDOW = 10_000
"""The most that `offset + k` may be."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,119}")


class FieldKind(StrEnum):
    """The types of scalar field that every backend stores and filters alike. None of them holds nulls."""

    INT64 = "int64"
    TEXT = "text"
    TEXTS = "texts"


@dataclass(frozen=True)
class ScalarField:
    """A field beside the vector. `max_bytes` bounds the UTF-8 length of a text, `capacity` the length of a list."""

    name: str
    kind: FieldKind
    max_bytes: int = 0
    capacity: int = 0

    def __post_init__(self) -> None:
        checked_name(self.name, "field")
        if self.name == VECTOR:
            raise InvalidCollection(f"field {VECTOR!r} is the vector itself; name the scalar field otherwise")
        if self.kind is not FieldKind.INT64 and not 1 <= self.max_bytes <= MAX_TEXT_BYTES:
            raise InvalidCollection(
                f"field {self.name!r}: max_bytes must be 1 to {MAX_TEXT_BYTES}, not {self.max_bytes}"
            )
        if self.kind is FieldKind.TEXTS and not 1 <= self.capacity <= MAX_CAPACITY:
            raise InvalidCollection(
                f"field {self.name!r}: capacity must be 1 to {MAX_CAPACITY}, not {self.capacity}"
            )

    @property
    def arrow_type(self) -> pa.DataType:
        return {
            FieldKind.INT64: pa.int64(),
            FieldKind.TEXT: pa.string(),
            FieldKind.TEXTS: pa.list_(pa.string()),
        }[self.kind]


class IndexKind(StrEnum):
    """Index types that backends really build: all but IVF_FLAT by every one, IVF_FLAT by Milvus.

    Milvus Lite accepts any other word and then searches by brute force.
    """

    FLAT = "FLAT"
    HNSW = "HNSW"
    IVF_FLAT = "IVF_FLAT"


@dataclass(frozen=True)
class IndexSpec:
    """How vectors are indexed. FLAT is exact; HNSW uses `m` and `ef_construction`; IVF_FLAT uses `nlist`."""

    kind: IndexKind
    m: int = 16
    ef_construction: int = 200
    nlist: int = 128

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "kind", IndexKind(self.kind))
        except ValueError:
            known = ", ".join(IndexKind)
            raise InvalidCollection(f"index type {self.kind!r} is not one of {known}") from None


@dataclass(frozen=True)
class CollectionSpec:
    """A collection: its fields, the text field that is its key, its vectors' width, its index and its provenance.

    `index` None means the backend's default: FLAT on Milvus Lite, HNSW on servers. `properties` say where the vectors
    came from (bundle_id, dump_date, ...); they are stored with the collection and read back by `VectorStore.describe`.
    """

    name: str
    dimension: int
    key: str
    fields: tuple[ScalarField, ...]
    index: IndexSpec | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_name(self.name, "collection")
        if not 1 <= self.dimension <= MAX_DIMENSION:
            raise InvalidCollection(
                f"collection {self.name!r}: dimension must be 1 to {MAX_DIMENSION}, not {self.dimension}"
            )
        names = [f.name for f in self.fields]
        if len(set(names)) < len(names):
            raise InvalidCollection(f"collection {self.name!r} names a field twice: {', '.join(names)}")
        if self.key not in names or self.field(self.key).kind is not FieldKind.TEXT:
            raise InvalidCollection(
                f"collection {self.name!r}: the key {self.key!r} must be one of its text fields"
            )
        if self.field(self.key).max_bytes > MAX_KEY_BYTES:
            raise InvalidCollection(
                f"collection {self.name!r}: the key {self.key!r} may have {MAX_KEY_BYTES} bytes at most, "
                f"not {self.field(self.key).max_bytes}"
            )

    def field(self, name: str) -> ScalarField:
        """The field called `name`. Raises KeyError."""
        return {f.name: f for f in self.fields}[name]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of rows: the fields in order, then the vector; nothing is null."""
        scalars = [pa.field(f.name, f.arrow_type, nullable=False) for f in self.fields]
        return pa.schema([*scalars, pa.field(VECTOR, pa.list_(pa.float32(), self.dimension), nullable=False)])

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> CollectionSpec:
        """Read what `to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
        data = json.loads(text)
        fields = tuple(ScalarField(**{**f, "kind": FieldKind(f["kind"])}) for f in data.pop("fields"))
        index = data.pop("index")
        return cls(fields=fields, index=IndexSpec(**index) if index else None, **data)


@dataclass(frozen=True)
class Hit:
    """One answer: its key, the cosine similarity, and the fields that were asked for."""

    key: str
    score: float
    fields: Mapping[str, Any]


class VectorIndex(Protocol):
    """One sealed collection, to read. `fields` may name any field of the spec, and "vector"."""

    @property
    def spec(self) -> CollectionSpec: ...

    def count(self, filter: Filter | None = None) -> int:
        """Number of rows, those that pass `filter` where given."""

    def search(
        self,
        vectors: np.ndarray,
        k: int,
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[list[Hit]]:
        """The nearest rows of each of `vectors`, (n, dimension) L2-normalised, best first, from rank `offset`.

        Raises `InvalidVectors`, `InvalidSearch`.
        """

    def fetch(self, keys: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Fields of the rows with these keys, by key. Keys that are not stored are left out."""

    def scan(self, fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Every row, ordered by key, in bounded batches with the spec's Arrow types."""

    def close(self) -> None: ...


class VectorStore(Protocol):
    """Versions of collections: created, loaded, sealed, then read and published under an alias, never changed.

    Every method raises a `VectorStoreError`, the same on every backend.
    """

    def create(self, spec: CollectionSpec) -> None:
        """Make an empty collection. Raises `CollectionExists`, `StoreUnavailable`."""

    def load(
        self,
        name: str,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None = None,
    ) -> int:
        """Upsert rows of the spec's schema, so that a load may be repeated. Returns the number of rows.

        `on_progress` is told the rows so far. Raises `InvalidRows` (also for a key given twice in one load),
        `CollectionSealed`.
        """

    def seal(self, name: str) -> int:
        """Flush, index, and wait until every row is searchable. Returns the number of rows. May be repeated."""

    def index(self, name: str) -> VectorIndex:
        """The sealed collection, to read. Raises `CollectionNotFound`, `CollectionNotSealed`.

        A store that keeps a copy of what it sealed may answer from that, without any lock.
        """

    def count(self, name: str, filter: Filter | None = None) -> int:
        """Number of rows of a sealed collection as its database counts them, never a copy of it."""

    def search(
        self,
        name: str,
        vectors: np.ndarray,
        k: int,
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[list[Hit]]:
        """`VectorIndex.search` of `index(name)`, for a single call; so are the next two."""

    def fetch(self, name: str, keys: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]: ...

    def scan(self, name: str, fields: Sequence[str]) -> Iterator[pa.RecordBatch]: ...

    def drop(self, name: str) -> None:
        """Remove a collection, damaged or not. Raises `CollectionPublished` while an alias points at it.

        Where another process uses its database, raises `StoreLocked` without waiting. A drop that is cut off leaves a
        collection that is no longer sealed, and may be repeated.
        """

    def collections(self) -> list[str]:
        """Names of all collections, sealed or not, sorted. Aliases are not among them."""

    def describe(self, name: str) -> CollectionSpec:
        """The spec that the collection was created with."""

    def is_sealed(self, name: str) -> bool:
        """Whether the collection is finished, and can be read and published. Raises `CollectionNotFound`."""

    def publish(self, alias: str, name: str) -> None:
        """Point `alias` at a sealed collection, in one step that no reader sees half done."""

    def published(self, alias: str) -> str | None:
        """The collection that `alias` points at, or None."""

    def close(self) -> None:
        """Release locks and connections."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def checked_name(name: str, what: str) -> str:
    """`name`, if every backend accepts it for a `what`. Raises `InvalidCollection`.

    Milvus Lite would also take dashes and dots, which a server refuses.
    """
    if not _NAME.fullmatch(name):
        raise InvalidCollection(
            f"{what} name {name!r}: expected a letter or underscore, then letters, digits and underscores, "
            "120 at most"
        )
    return name
