"""What a version of the collection says of its books in words and numbers, in one SQLite file: all but the vectors.

It finds words in titles, authors and subjects (FTS5, ranked by BM25), counts facets, and knows the editions of one book.
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

from booksearch_assets.search.books_collection import filter_name
from booksearch_assets.search.folding import folded
from booksearch_assets.search.query import BookFilters, FacetCount
from booksearch_assets.vectorstores.contract import VectorIndex
from booksearch_assets.vectorstores.snapshot import replacing

_log = logging.getLogger(__name__)

_FORMAT = 1
"""Raised when the same version would give another file."""

WEIGHTS = {"title": 8.0, "authors": 4.0, "subjects": 1.0}
"""How much more a word counts in the title, and in an author's name, than in a subject."""

_COMMON_SHARE = 0.1
"""A word that more than this share of the books have tells little of what is meant."""

_LABELS = ("author", "subject", "language")
_CACHED_FACETS = 512
_SLOW_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE books (
    id INTEGER PRIMARY KEY,
    edition_key TEXT NOT NULL UNIQUE,
    work_key TEXT NOT NULL,
    picture_id INTEGER NOT NULL,
    title TEXT NOT NULL,
    year INTEGER NOT NULL,
    pages INTEGER NOT NULL
);
CREATE TABLE names (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, shown TEXT NOT NULL);
CREATE TABLE labels (name INTEGER NOT NULL, book INTEGER NOT NULL, PRIMARY KEY (name, book)) WITHOUT ROWID;
CREATE TABLE pairs (data BLOB NOT NULL);
CREATE VIRTUAL TABLE words USING fts5 (title, authors, subjects, content='', tokenize='unicode61');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, 'row');
"""
_INDEXES = """
CREATE INDEX by_title ON books (title);
CREATE INDEX by_work ON books (work_key);
CREATE INDEX by_picture ON books (picture_id);
CREATE UNIQUE INDEX by_name ON names (kind, name);
INSERT INTO words (words) VALUES ('optimize');
ANALYZE;
"""


class Edition(NamedTuple):
    """An edition with what decides whether another is the same book. `work_key` is "" for an orphan."""

    key: str
    work_key: str
    picture_id: int


class BookIndex:
    """The questions that one version answers without its vectors. Safe for many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._books: int = self._one("SELECT count(*) FROM books")
        self._counts = lru_cache(_CACHED_FACETS)(self._count)
        self._facets = lru_cache(_CACHED_FACETS)(self._count_facets)

    @classmethod
    def open(cls, index: VectorIndex, folder: Path) -> BookIndex:
        """The file of `index` in `folder`, made now if it is not there yet; files of other versions stay."""
        path = folder / f"{index.spec.name}.{_FORMAT}.sqlite"
        if not path.exists():
            with replacing(path) as place:
                _build(index, place)
        return cls(path)

    @staticmethod
    def forget(folder: Path, catalogue: str, keep: Iterable[str]) -> None:
        """Remove the files of a catalogue's collections other than those to `keep`. Who has one open may read on."""
        kept = set(keep)
        for path in folder.glob(f"{catalogue}_*.sqlite"):
            if path.name.partition(".")[0] not in kept:
                path.unlink(missing_ok=True)

    @classmethod
    def temporary(cls, index: VectorIndex) -> BookIndex:
        """An index in a file that goes away with it."""
        folder = tempfile.TemporaryDirectory(prefix="book-index-")
        opened = cls.open(index, Path(folder.name))
        weakref.finalize(opened, folder.cleanup)
        return opened

    def count(self, filters: BookFilters) -> int:
        """How many editions pass."""
        return self._counts(filters) if filters else self._books

    def titled(self, text: str, filters: BookFilters, limit: int) -> list[Edition]:
        """Editions with exactly this title, but for case, accents and punctuation, in the order of their keys."""
        where, values = self._conditions(filters)
        return self._editions(
            f"SELECT b.edition_key, b.work_key, b.picture_id FROM books b WHERE b.title = ? AND {where} "
            "ORDER BY b.id LIMIT ?",
            (folded(text), *values, limit),
        )

    def find(
        self, text: str, without: str, filters: BookFilters, limit: int, telling_only: bool = False
    ) -> list[Edition]:
        """Editions with the telling words of `text`, and not all those of `without`, by BM25.

        Every such word must be there, in the title, an author or a subject. Where a large share of the books have each
        word, all of them must be there, or nothing is found if `telling_only`. The text is never read as an FTS
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
        if filters:
            where, values = self._conditions(filters)
            return self._editions(
                "SELECT b.edition_key, b.work_key, b.picture_id FROM words JOIN books b ON b.id = words.rowid "
                f"WHERE words MATCH ? AND {where} ORDER BY bm25(words, ?, ?, ?), b.id LIMIT ?",
                (match, *values, *WEIGHTS.values(), limit),
            )
        # Without a filter only the best need to be looked up.
        return self._editions(
            "SELECT b.edition_key, b.work_key, b.picture_id FROM (SELECT rowid, bm25(words, ?, ?, ?) AS gain "
            "FROM words WHERE words MATCH ? ORDER BY gain, rowid LIMIT ?) w "
            "JOIN books b ON b.id = w.rowid ORDER BY w.gain, w.rowid",
            (*WEIGHTS.values(), match, limit),
        )

    def same_book(self, edition: Edition, filters: BookFilters) -> list[Edition]:
        """The editions that pass and share the work or the picture of `edition`, itself included, by key."""
        where, values = self._conditions(filters)
        return self._editions(
            "SELECT b.edition_key, b.work_key, b.picture_id FROM books b "
            f"WHERE (b.picture_id = ? OR (b.work_key = ? AND b.work_key != '')) AND {where} ORDER BY b.id",
            (edition.picture_id, edition.work_key, *values),
        )

    def edition(self, key: str) -> Edition | None:
        """The edition with this key."""
        found = self._editions(
            "SELECT edition_key, work_key, picture_id FROM books WHERE edition_key = ?", (key,)
        )
        return found[0] if found else None

    def facets(
        self, filters: BookFilters, top: int, keys: Sequence[str] | None = None
    ) -> dict[str, tuple[FacetCount, ...]]:
        """Of "year", "author", "subject" and "language" how many editions have each value, of those that pass or `keys`.

        All years, in their order; of the others the `top` most frequent, as they are spelled first.
        """
        return self._facets(filters, top, None if keys is None else tuple(keys))

    def _count(self, filters: BookFilters) -> int:
        where, values = self._conditions(filters)
        return self._one(f"SELECT count(*) FROM books b WHERE {where}", values)

    def _count_facets(
        self, filters: BookFilters, top: int, keys: tuple[str, ...] | None
    ) -> dict[str, tuple[FacetCount, ...]]:
        if keys is None:
            where, values = self._conditions(filters)
        else:
            where, values = "b.edition_key IN (SELECT value FROM json_each(?))", (json.dumps(keys),)
        passing = self._all(f"SELECT b.id, b.year FROM books b WHERE {where}", values)
        years = Counter(year for _, year in passing)
        passes = np.zeros(self._books + 1, dtype=bool)
        passes[[book for book, _ in passing]] = True
        names, books = self._pairs
        counts = np.bincount(names[passes[books]], minlength=len(self._kinds))
        return {
            "year": tuple(FacetCount(str(year), years[year]) for year in sorted(years)),
            **{kind: self._most_frequent(kind, counts, top) for kind in _LABELS},
        }

    def _most_frequent(self, kind: str, counts: np.ndarray, top: int) -> tuple[FacetCount, ...]:
        places = np.flatnonzero((self._kinds == _LABELS.index(kind)) & (counts > 0))
        best = places[np.argsort(-counts[places], kind="stable")][:top].tolist()
        return tuple(
            FacetCount(self._all("SELECT shown FROM names WHERE id = ?", (place,))[0][0], int(counts[place]))
            for place in best
        )

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Which name (an id of `names`) is of which book, for all of them."""
        [[data]] = self._all("SELECT data FROM pairs")
        pairs = np.frombuffer(data, np.int32).reshape(2, -1)
        return pairs[0], pairs[1]

    @cached_property
    def _kinds(self) -> np.ndarray:
        """The place in `_LABELS` of the kind of each name."""
        kinds = self._all("SELECT kind FROM names ORDER BY id")
        return np.array([_LABELS.index(kind) for (kind,) in kinds], dtype=np.int8)

    def _conditions(self, filters: BookFilters) -> tuple[str, tuple[object, ...]]:
        """The filters as SQL over `books b`, and its values."""
        parts = ["1"]
        values: list[object] = []
        for column, span in (("year", filters.years), ("pages", filters.pages)):
            if span and span.low is not None:
                parts.append(f"b.{column} >= ?")
                values.append(span.low)
            if span and span.high is not None:
                parts.append(f"b.{column} <= ?")
                values.append(span.high)
        for kind in _LABELS:
            name = getattr(filters, kind)
            if name is not None:
                parts.append(
                    "EXISTS (SELECT 1 FROM labels l WHERE l.book = b.id AND l.name = "
                    "(SELECT n.id FROM names n WHERE n.kind = ? AND n.name = ?))"
                )
                values += [kind, filter_name(kind, name)]
        return " AND ".join(parts), tuple(values)

    def _telling(self, words: Sequence[str]) -> list[str]:
        """The words that are not in a large share of the books."""
        most = max(1, _COMMON_SHARE * self._books)
        return [word for word in dict.fromkeys(words) if self._books_with(word) <= most]

    def _books_with(self, word: str) -> int:
        row = self._all("SELECT doc FROM vocabulary WHERE term = ?", (word,))
        return row[0][0] if row else 0

    def _editions(self, statement: str, values: Sequence[object]) -> list[Edition]:
        return [Edition(*row) for row in self._all(statement, values)]

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


def _build(index: VectorIndex, path: Path) -> None:
    started = time.monotonic()
    fields = (
        "edition_key",
        "work_key",
        "picture_id",
        "title",
        "publish_year",
        "pages",
        "authors",
        "subjects",
        "languages",
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        # Nobody reads the file before it is whole, and a broken one is made again.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_SCHEMA)
        names = _Names()
        first = 1
        for batch in index.scan(fields):
            rows = batch.to_pylist()
            _insert(connection, first, rows)
            names.add(first, rows)
            first += len(rows)
        names.insert(connection)
        connection.commit()
        connection.executescript(_INDEXES)
    seconds = time.monotonic() - started
    if seconds > _SLOW_SECONDS:
        _log.info("indexed the words of %d books of %s in %.0f s", first - 1, index.spec.name, seconds)


def _insert(connection: sqlite3.Connection, first: int, rows: Sequence[dict]) -> None:
    numbered = list(enumerate(rows, start=first))
    connection.executemany(
        "INSERT INTO books VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (
                number,
                row["edition_key"],
                row["work_key"],
                row["picture_id"],
                folded(row["title"]),
                row["publish_year"],
                row["pages"],
            )
            for number, row in numbered
        ),
    )
    connection.executemany(
        "INSERT INTO words (rowid, title, authors, subjects) VALUES (?, ?, ?, ?)",
        (
            (number, folded(row["title"]), _words(row["authors"]), _words(row["subjects"]))
            for number, row in numbered
        ),
    )


class _Names:
    """The authors, subjects and languages of all books, each with how it is spelled first, and the books that have it."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._shown: list[str] = []
        self._pairs = array("i")

    def add(self, first: int, rows: Sequence[dict]) -> None:
        for number, row in enumerate(rows, start=first):
            for kind in _LABELS:
                # Two spellings of one subject count once.
                for name, shown in {filter_name(kind, shown): shown for shown in row[f"{kind}s"]}.items():
                    place = self._ids.setdefault((kind, name), len(self._shown))
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


def _words(texts: Iterable[str]) -> str:
    return " ".join(map(folded, texts))


def _quoted(word: str) -> str:
    """A word as an FTS5 string, in which nothing is an operator (https://sqlite.org/fts5.html, 3.1)."""
    escaped = word.replace('"', '""')
    return f'"{escaped}"'
