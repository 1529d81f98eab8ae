"""Queries whose right answers are known, for measuring a collection: known items, and subjects.

Right answers are covers: editions that share a cover are one answer. Queries are chosen by a hash of their text, so
that two versions of a collection are asked the same ones as far as both hold the books.

Belongs here: choosing queries and their right answers. Does not: answering (`systems`), scoring (`measures`).
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booksearch_assets.tables.books import KNOWN_ITEMS
from booksearch_assets.vectorstores.contract import VectorIndex

Covers = frozenset[int]

FEWEST_COVERS, LARGEST_SHARE = 5, 0.1
"""A subject is asked for if so many covers carry it, and not more than this share of all: else it tells nothing."""

_OF_KNOWN_ITEMS = ("recall@1", "recall@5", "recall@10", "MRR", "nDCG@10")
_OF_SUBJECTS = ("nDCG@10", "P@10")
# What Open Library's own lists add to the subjects of any book, whatever it is about.
_LISTS = re.compile(
    r"accessible book|protected daisy|in library|large type books|open library staff picks|overdrive"
    r"|new york times bestseller|nyt:.*",
    re.IGNORECASE,
)
_SUBDIVISION = re.compile(r"\s*--\s*")
_WORD = re.compile(r"\w+")


class Kind(StrEnum):
    """What is asked. `CAPTION` only where true captions are given, as the sample world's are."""

    CAPTION = "caption"
    TITLE = "title"
    SUBJECT = "subject"
    UNTITLED = "untitled_subject"

    @property
    def description(self) -> str:
        return {
            Kind.CAPTION: "a true description of a cover, which is the right answer",
            Kind.TITLE: "a title; the covers of the books called so are the right answers",
            Kind.SUBJECT: "a subject; the covers of the books that carry it are the right answers",
            Kind.UNTITLED: "a subject, among the books whose title does not say it",
        }[self]

    @property
    def measures(self) -> tuple[str, ...]:
        return _OF_SUBJECTS if self in (Kind.SUBJECT, Kind.UNTITLED) else _OF_KNOWN_ITEMS

    @property
    def main_measure(self) -> str:
        """The one that decides whether a version is worse than another."""
        return "nDCG@10" if self in (Kind.SUBJECT, Kind.UNTITLED) else "MRR"


@dataclass(frozen=True)
class QuerySet:
    """Queries of one kind, with the right answers of each, at least one.

    `hidden` covers are taken out of what is found before it is scored: they are neither right nor wrong.
    """

    kind: Kind
    texts: tuple[str, ...]
    relevant: tuple[Covers, ...]
    hidden: tuple[Covers, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def among(self, covers: Set[int]) -> QuerySet:
        """The queries that have a right answer among `covers`, with no other."""
        kept = [row for row, right in enumerate(self.relevant) if right & covers]
        return replace(
            self,
            texts=tuple(self.texts[row] for row in kept),
            relevant=tuple(self.relevant[row] & covers for row in kept),
            hidden=tuple(self.hidden[row] for row in kept),
        )


def query_sets(index: VectorIndex, known_items: str = "", limit: int = 1000) -> list[QuerySet]:
    """What `index` can be asked: at most `limit` queries of each kind, the same ones each time; no set is empty.

    Titles and subjects come from the collection itself. `known_items`, a Parquet file of KNOWN_ITEMS, adds queries
    such as true captions. Raises ValueError where it holds a kind that is none of `Kind`.
    """
    held = rows_of(index, ["cover_id", "title", "subjects"])
    sets = [*_given(held, known_items), _titles(held), *_subjects(held)]
    return [_sample(queries, limit) for queries in sets if len(queries)]


def topic_of(heading: str) -> str:
    """What a subject heading is about, as a reader would type it; "" for one that names no topic.

    "Ships -- Fiction." is about ships, "Fiction, fantasy, general" about fantasy, and "Accessible book" about nothing:
    it is one of Open Library's lists.
    """
    topic = _SUBDIVISION.split(heading)[0].strip().rstrip(".")
    topic = re.sub(r"^fiction, ", "", topic, flags=re.IGNORECASE)
    topic = re.sub(r"(^|, )general$", "", topic, flags=re.IGNORECASE)
    return "" if topic.lower() == "fiction" or _LISTS.fullmatch(topic) else topic.lower()


def _given(held: pa.Table, known_items: str) -> list[QuerySet]:
    if not known_items:
        return []
    rows = pq.read_table(known_items, schema=KNOWN_ITEMS.schema)
    rows = rows.filter(pc.is_in(rows["cover_id"], held["cover_id"]))
    by_kind: dict[Kind, list[tuple[str, int]]] = defaultdict(list)
    for row in rows.to_pylist():
        by_kind[Kind(row["kind"])].append((row["query"], row["cover_id"]))
    return [_known(kind, pairs) for kind, pairs in sorted(by_kind.items()) if kind is not Kind.TITLE]


def _titles(held: pa.Table) -> QuerySet:
    return _known(Kind.TITLE, zip(held["title"].to_pylist(), held["cover_id"].to_pylist(), strict=True))


def _known(kind: Kind, pairs: Iterable[tuple[str, int]]) -> QuerySet:
    """One query for each text; a text that is true of several covers has them all as right answers."""
    covers: dict[str, set[int]] = defaultdict(set)
    for text, cover in pairs:
        if text.strip():
            covers[text.strip()].add(cover)
    return _query_set(kind, {text: frozenset(found) for text, found in covers.items()}, {})


def _subjects(held: pa.Table) -> list[QuerySet]:
    carrying: dict[str, set[int]] = defaultdict(set)
    words_of: dict[int, set[str]] = defaultdict(set)
    for row in held.to_pylist():
        words_of[row["cover_id"]] |= _words(row["title"])
        for heading in row["subjects"]:
            carrying[topic_of(heading)].add(row["cover_id"])
    carrying.pop("", None)
    largest = LARGEST_SHARE * len(words_of)
    asked = {
        topic: frozenset(covers)
        for topic, covers in carrying.items()
        if FEWEST_COVERS <= len(covers) <= largest
    }
    saying = {topic: _saying(topic, words_of) for topic in asked}
    untitled = {topic: covers - saying[topic] for topic, covers in asked.items()}
    return [
        _query_set(Kind.SUBJECT, asked, {}),
        _query_set(
            Kind.UNTITLED,
            {topic: covers for topic, covers in untitled.items() if len(covers) >= FEWEST_COVERS},
            saying,
        ),
    ]


def _saying(topic: str, words_of: Mapping[int, set[str]]) -> Covers:
    """The covers of the books whose title has a word of the topic."""
    words = _words(topic)
    return frozenset(cover for cover, found in words_of.items() if words & found)


def _words(text: str) -> set[str]:
    """The words of a text, in lower case and without a plural's s: a title with a ship in it says "ships"."""
    return {word.removesuffix("s") for word in _WORD.findall(text.lower())}


def _query_set(kind: Kind, relevant: Mapping[str, Covers], hidden: Mapping[str, Covers]) -> QuerySet:
    texts = sorted(relevant, key=_draw)
    return QuerySet(
        kind,
        tuple(texts),
        tuple(relevant[text] for text in texts),
        tuple(hidden.get(text, frozenset()) for text in texts),
    )


def _draw(text: str) -> bytes:
    """Orders texts as if by chance, each wherever it stands: a few more books hardly change what is asked."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _sample(queries: QuerySet, limit: int) -> QuerySet:
    return replace(
        queries,
        texts=queries.texts[:limit],
        relevant=queries.relevant[:limit],
        hidden=queries.hidden[:limit],
    )


def covers_of(index: VectorIndex) -> Covers:
    """Every cover that a collection holds."""
    return frozenset(pc.unique(rows_of(index, ["cover_id"])["cover_id"]).to_pylist())


def rows_of(index: VectorIndex, fields: Sequence[str]) -> pa.Table:
    """These fields of every row."""
    schema = pa.schema([index.spec.schema.field(name) for name in fields])
    return pa.Table.from_batches((batch.cast(schema) for batch in index.scan(fields)), schema)
