"""What a version of a collection says of its items in words and numbers, in one SQLite file: all but the vectors.

It finds words (FTS5, ranked by BM25), counts facets, and knows the copies of one item, such as the editions of a book.
It is made once from a sealed version, which never changes, and then only read, by any number of threads and processes.

Belongs here: the file and its questions. Does not: vectors, and putting the two searches together (`ranking`).
"""

from __future__ import annotations

import json
import logging
import sqlite3
import tempfile
import threading
import time
import weakref
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from booksearch_assets.search.catalogue import TITLE, SearchedCatalogue
from booksearch_assets.search.catalogues import catalogue_of
from booksearch_assets.search.folding import folded
from booksearch_assets.search.query import FacetCount, Filters
from booksearch_assets.vectorstores.contract import VectorIndex
from booksearch_assets.vectorstores.snapshot import replacing

_log = logging.getLogger(__name__)

_FORMAT = 2
"""Raised when the same version would give another file."""

_COMMON_SHARE = 0.1
"""A word that more than this share of the items have tells little of what is meant."""

_CACHED_FACETS = 512
_SLOW_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    shared TEXT NOT NULL,
    picture NOT NULL,
    title TEXT NOT NULL{numbers}
);
CREATE TABLE names (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, shown TEXT NOT NULL);
CREATE TABLE labels (name INTEGER NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (name, item)) WITHOUT ROWID;
CREATE TABLE pairs (data BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5 ({words}, content='', tokenize='unicode61');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, 'row');
"""
_INDEXES = """
CREATE INDEX by_title ON items (title);
CREATE INDEX by_group ON items (shared);
CREATE INDEX by_picture ON items (picture);
CREATE UNIQUE INDEX by_name ON names (kind, name);
INSERT INTO words (words) VALUES ('optimize');
ANALYZE;
"""


class Candidate(NamedTuple):
    """An item with what decides whether another is a copy of it: its group, "" for none, and its picture."""

    key: str
    group: str
    picture: int | str


class ItemIndex:
    """The questions that one version of `catalogue` answers without its vectors. Safe for many threads."""

    def __init__(self, path: Path, catalogue: SearchedCatalogue) -> None:
        self._path, self._catalogue = path, catalogue
        self._local = threading.local()
        self._items: int = self._one("SELECT count(*) FROM items")
        self._counted = [number for number in catalogue.numbers if number.counted]
        self._counts = lru_cache(_CACHED_FACETS)(self._count)
        self._facets = lru_cache(_CACHED_FACETS)(self._count_facets)

    @classmethod
    def open(cls, index: VectorIndex, folder: Path) -> ItemIndex:
        """The file of `index` in `folder`, made now if it is not there yet; files of other versions stay."""
        catalogue = catalogue_of(index.spec)
        path = folder / f"{index.spec.name}.{_FORMAT}.sqlite"
        if not path.exists():
            with replacing(path) as place:
                _build(index, catalogue, place)
        return cls(path, catalogue)

    @staticmethod
    def forget(folder: Path, alias: str, keep: Iterable[str]) -> None:
        """Remove the files of an alias's collections other than those to `keep`. Who has one open may read on."""
        kept = set(keep)
        for path in folder.glob(f"{alias}_*.sqlite"):
            if path.name.partition(".")[0] not in kept:
                path.unlink(missing_ok=True)

    @classmethod
    def temporary(cls, index: VectorIndex) -> ItemIndex:
        """An index in a file that goes away with it."""
        folder = tempfile.TemporaryDirectory(prefix="item-index-")
        opened = cls.open(index, Path(folder.name))
        weakref.finalize(opened, folder.cleanup)
        return opened

    def count(self, filters: Filters) -> int:
        """How many items pass."""
        return self._counts(filters) if filters else self._items

    def titled(self, text: str, filters: Filters, limit: int) -> list[Candidate]:
        """Items with exactly this title, but for case, accents and punctuation, in the order of their keys."""
        where, values = self._conditions(filters)
        return self._candidates(
            f"SELECT i.key, i.shared, i.picture FROM items i WHERE i.title = ? AND {where} ORDER BY i.id LIMIT ?",
            (folded(text), *values, limit),
        )

    def find(
        self, text: str, without: str, filters: Filters, limit: int, telling_only: bool = False
    ) -> list[Candidate]:
        """Items with the telling words of `text`, and not all those of `without`, by BM25.

        Every such word must be there, in any of the columns that words are found in. Where a large share of the items have
        each word, all of them must be there, or nothing is found if `telling_only`. The text is never read as an FTS
        expression.
        """
        words = folded(text).split()
        words = self._telling(words) or ([] if telling_only else words)
        if not words:
            return []
        match = " AND ".join(map(_quoted, words))
        unwanted = folded(without).split()
        if unwanted:
            match = f"({match}) NOT ({' AND '.join(map(_quoted, unwanted))})"
        weights = self._catalogue.weights
        gain = f"bm25(words{', ?' * len(weights)})"
        if filters:
            where, values = self._conditions(filters)
            return self._candidates(
                "SELECT i.key, i.shared, i.picture FROM words JOIN items i ON i.id = words.rowid "
                f"WHERE words MATCH ? AND {where} ORDER BY {gain}, i.id LIMIT ?",
                (match, *values, *weights.values(), limit),
            )
        # Without a filter only the best need to be looked up.
        return self._candidates(
            f"SELECT i.key, i.shared, i.picture FROM (SELECT rowid, {gain} AS gain "
            "FROM words WHERE words MATCH ? ORDER BY gain, rowid LIMIT ?) w "
            "JOIN items i ON i.id = w.rowid ORDER BY w.gain, w.rowid",
            (*weights.values(), match, limit),
        )

    def copies(self, item: Candidate, filters: Filters) -> list[Candidate]:
        """The items that pass and share the group or the picture of `item`, itself included, by key."""
        where, values = self._conditions(filters)
        return self._candidates(
            "SELECT i.key, i.shared, i.picture FROM items i "
            f"WHERE (i.picture = ? OR (i.shared = ? AND i.shared != '')) AND {where} ORDER BY i.id",
            (item.picture, item.group, *values),
        )

    def item(self, key: str) -> Candidate | None:
        """The item with this key."""
        found = self._candidates("SELECT key, shared, picture FROM items WHERE key = ?", (key,))
        return found[0] if found else None

    def facets(
        self, filters: Filters, top: int, keys: Sequence[str] | None = None
    ) -> dict[str, tuple[FacetCount, ...]]:
        """How many items have each value, of those that pass or of `keys`: by the filter of a number that is counted, and by
        the column of a label.

        All numbers, in their order; of labels the `top` most frequent, as they are spelled first.
        """
        return self._facets(filters, top, None if keys is None else tuple(keys))

    def _count(self, filters: Filters) -> int:
        where, values = self._conditions(filters)
        return self._one(f"SELECT count(*) FROM items i WHERE {where}", values)

    def _count_facets(
        self, filters: Filters, top: int, keys: tuple[str, ...] | None
    ) -> dict[str, tuple[FacetCount, ...]]:
        if keys is None:
            where, values = self._conditions(filters)
        else:
            where, values = "i.key IN (SELECT value FROM json_each(?))", (json.dumps(keys),)
        columns = ", ".join(["i.id", *(f"i.{number.column}" for number in self._counted)])
        passing = self._all(f"SELECT {columns} FROM items i WHERE {where}", values)
        passes = np.zeros(self._items + 1, dtype=bool)
        passes[[row[0] for row in passing]] = True
        names, items = self._pairs
        counts = np.bincount(names[passes[items]], minlength=len(self._kinds))
        numbers = {
            number.filter: Counter(row[place] for row in passing)
            for place, number in enumerate(self._counted, start=1)
        }
        return {
            name: tuple(FacetCount(str(value), found[value]) for value in sorted(found))
            for name, found in numbers.items()
        } | {
            label.column: self._most_frequent(kind, counts, top)
            for kind, label in enumerate(self._catalogue.labels)
        }

    def _most_frequent(self, kind: int, counts: np.ndarray, top: int) -> tuple[FacetCount, ...]:
        places = np.flatnonzero((self._kinds == kind) & (counts > 0))
        best = places[np.argsort(-counts[places], kind="stable")][:top].tolist()
        return tuple(
            FacetCount(self._all("SELECT shown FROM names WHERE id = ?", (place,))[0][0], int(counts[place]))
            for place in best
        )

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Which name (an id of `names`) is of which item, for all of them."""
        [[data]] = self._all("SELECT data FROM pairs")
        pairs = np.frombuffer(data, np.int32).reshape(2, -1)
        return pairs[0], pairs[1]

    @cached_property
    def _kinds(self) -> np.ndarray:
        """Which label each name is of: its place in those of the catalogue."""
        places = {label.filter: place for place, label in enumerate(self._catalogue.labels)}
        kinds = self._all("SELECT kind FROM names ORDER BY id")
        return np.array([places[kind] for (kind,) in kinds], dtype=np.int8)

    def _conditions(self, filters: Filters) -> tuple[str, tuple[object, ...]]:
        """The filters as SQL over `items i`, and its values."""
        given = self._catalogue.checked(filters).given()
        parts = ["1"]
        values: list[object] = []
        for number in self._catalogue.numbers:
            span = given.get(number.filter)
            if span and span.low is not None:
                parts.append(f"i.{number.column} >= ?")
                values.append(span.low)
            if span and span.high is not None:
                parts.append(f"i.{number.column} <= ?")
                values.append(span.high)
        for label in self._catalogue.labels:
            if label.filter in given:
                parts.append(
                    "EXISTS (SELECT 1 FROM labels l WHERE l.item = i.id AND l.name = "
                    "(SELECT n.id FROM names n WHERE n.kind = ? AND n.name = ?))"
                )
                values += [label.filter, self._catalogue.stored_label(label, given[label.filter])]
        return " AND ".join(parts), tuple(values)

    def _telling(self, words: Sequence[str]) -> list[str]:
        """The words that are not in a large share of the items."""
        most = max(1, _COMMON_SHARE * self._items)
        return [word for word in dict.fromkeys(words) if self._items_with(word) <= most]

    def _items_with(self, word: str) -> int:
        row = self._all("SELECT doc FROM vocabulary WHERE term = ?", (word,))
        return row[0][0] if row else 0

    def _candidates(self, statement: str, values: Sequence[object]) -> list[Candidate]:
        return [Candidate(*row) for row in self._all(statement, values)]

    def _one(self, statement: str, values: Sequence[object] = ()) -> int:
        return int(self._all(statement, values)[0][0])

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:
        return self._connection.execute(statement, values).fetchall()

    @property
    def _connection(self) -> sqlite3.Connection:
        # One for each thread: SQLite serialises the calls on a connection.
        connection = getattr(self._local, "connection", None)
        if connection is None:
            uri = f"{self._path.absolute().as_uri()}?mode=ro&immutable=1"
            connection = self._local.connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        return connection


def _build(index: VectorIndex, catalogue: SearchedCatalogue, path: Path) -> None:
    started = time.monotonic()
    numbers = [number.column for number in catalogue.numbers]
    labels = [label.column for label in catalogue.labels]
    fields = dict.fromkeys(
        [catalogue.key, *catalogue.copied_by, TITLE, *numbers, *labels, *catalogue.weights]
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        # Nobody reads the file before it is whole, and a broken one is made again.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(
            _SCHEMA.format(
                numbers="".join(f",\n    {column} INTEGER NOT NULL" for column in numbers),
                words=", ".join(catalogue.weights),
            )
        )
        names = _Names(catalogue)
        first = 1
        for batch in index.scan(list(fields)):
            rows = batch.to_pylist()
            _insert(connection, catalogue, first, rows)
            names.add(first, rows)
            first += len(rows)
        names.insert(connection)
        connection.commit()
        connection.executescript(_INDEXES)
    seconds = time.monotonic() - started
    if seconds > _SLOW_SECONDS:
        _log.info("indexed the words of %d items of %s in %.0f s", first - 1, index.spec.name, seconds)


def _insert(
    connection: sqlite3.Connection, catalogue: SearchedCatalogue, first: int, rows: Sequence[dict]
) -> None:
    numbered = list(enumerate(rows, start=first))
    plain = [catalogue.key, *catalogue.copied_by]
    numbers = [number.column for number in catalogue.numbers]
    connection.executemany(
        f"INSERT INTO items VALUES (?{', ?' * (len(plain) + len(numbers) + 1)})",
        (
            (number, *(row[name] for name in plain), folded(row[TITLE]), *(row[name] for name in numbers))
            for number, row in numbered
        ),
    )
    weights = list(catalogue.weights)
    connection.executemany(
        f"INSERT INTO words (rowid, {', '.join(weights)}) VALUES (?{', ?' * len(weights)})",
        ((number, *(_words(row[name]) for name in weights)) for number, row in numbered),
    )


class _Names:
    """The labels of all items, each with how it is spelled first, and the items that have it."""

    def __init__(self, catalogue: SearchedCatalogue) -> None:
        self._catalogue = catalogue
        self._ids: dict[tuple[str, str], int] = {}
        self._shown: list[str] = []
        self._pairs = array("i")

    def add(self, first: int, rows: Sequence[dict]) -> None:
        for number, row in enumerate(rows, start=first):
            for label in self._catalogue.labels:
                # Two spellings of one subject count once.
                spelled = {self._catalogue.stored_label(label, shown): shown for shown in row[label.column]}
                for name, shown in spelled.items():
                    place = self._ids.setdefault((label.filter, name), len(self._shown))
                    if place == len(self._shown):
                        self._shown.append(shown)
                    self._pairs.extend((place, number))

    def insert(self, connection: sqlite3.Connection) -> None:
        pairs = np.frombuffer(self._pairs, np.int32).reshape(-1, 2)
        connection.execute("INSERT INTO pairs VALUES (?)", (np.ascontiguousarray(pairs.T).tobytes(),))
        # In the order of the table's own tree, which grows several times faster so.
        ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        connection.executemany("INSERT INTO labels VALUES (?, ?)", map(np.ndarray.tolist, ordered))
        connection.executemany(
            "INSERT INTO names VALUES (?, ?, ?, ?)",
            ((place, kind, name, self._shown[place]) for (kind, name), place in self._ids.items()),
        )


def _words(value: str | Sequence[str]) -> str:
    return folded(value) if isinstance(value, str) else " ".join(map(folded, value))


def _quoted(word: str) -> str:
    """A word as an FTS5 string, in which nothing is an operator (https://sqlite.org/fts5.html, 3.1)."""
    escaped = word.replace('"', '""')
    return f'"{escaped}"'
