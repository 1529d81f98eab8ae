"""Queries whose right answers are known, for measuring a collection: known items, and subjects.

Right answers are images, by their ids: editions that share a cover are one answer. Queries are chosen by a hash of their
text, so that two versions of a collection are asked the same ones as far as both hold the items.

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

from booksearch_assets.search.catalogue import TITLE, SearchedCatalogue
from booksearch_assets.search.catalogues import catalogue_of
from booksearch_assets.search.query import ImageId
from booksearch_assets.tables import images
from booksearch_assets.vectorstores.contract import VectorIndex

Images = frozenset[ImageId]

FEWEST_IMAGES, LARGEST_SHARE = 5, 0.1
"""A subject is asked for if so many images carry it, and not more than this share of all: else it tells nothing."""

_OF_KNOWN_ITEMS = ("recall@1", "recall@5", "recall@10", "MRR", "nDCG@10")
_OF_SUBJECTS = ("nDCG@10", "P@10")
_WORD = re.compile(r"\w+")


class Kind(StrEnum):
    """What is asked. `CAPTION` only where true captions are given, as the sample world's are.

    A subject is a value of the catalogue's topic: a subject of a book, a type of product.
    """

    CAPTION = "caption"
    TITLE = "title"
    SUBJECT = "subject"
    UNTITLED = "untitled_subject"

    @property
    def description(self) -> str:
        return {
            Kind.CAPTION: "a true description of a picture, which is the right answer",
            Kind.TITLE: "a title; the pictures of the items called so are the right answers",
            Kind.SUBJECT: "a subject or type; the pictures of the items that carry it are the right answers",
            Kind.UNTITLED: "a subject or type, among the items whose title does not say it",
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

    `hidden` images are taken out of what is found before it is scored: they are neither right nor wrong.
    """

    kind: Kind
    texts: tuple[str, ...]
    relevant: tuple[Images, ...]
    hidden: tuple[Images, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def among(self, images: Set[ImageId]) -> QuerySet:
        """The queries that have a right answer among `images`, with no other."""
        kept = [row for row, right in enumerate(self.relevant) if right & images]
        return replace(
            self,
            texts=tuple(self.texts[row] for row in kept),
            relevant=tuple(self.relevant[row] & images for row in kept),
            hidden=tuple(self.hidden[row] for row in kept),
        )


def query_sets(index: VectorIndex, known_items: str = "", limit: int = 1000) -> list[QuerySet]:
    """What `index` can be asked: at most `limit` queries of each kind, the same ones each time; no set is empty.

    Titles and subjects come from the collection itself. `known_items`, a Parquet file of the catalogue's known items,
    adds queries such as true captions. Raises ValueError where it holds a kind that is none of `Kind`.
    """
    catalogue = catalogue_of(index.spec)
    held = rows_of(index, [catalogue.image, TITLE, catalogue.topic])
    sets = [*_given(held, catalogue, known_items), _titles(held, catalogue), *_subjects(held, catalogue)]
    return [_sample(queries, limit) for queries in sets if len(queries)]


def _given(held: pa.Table, catalogue: SearchedCatalogue, known_items: str) -> list[QuerySet]:
    if not known_items:
        return []
    image = catalogue.image
    table = images.known_items(catalogue.name, catalogue.pictures.key)
    rows = pq.read_table(known_items, schema=table.schema)
    rows = rows.filter(pc.is_in(rows[image], held[image]))
    by_kind: dict[Kind, list[tuple[str, ImageId]]] = defaultdict(list)
    for row in rows.to_pylist():
        by_kind[Kind(row["kind"])].append((row["query"], row[image]))
    return [_known(kind, pairs) for kind, pairs in sorted(by_kind.items()) if kind is not Kind.TITLE]


def _titles(held: pa.Table, catalogue: SearchedCatalogue) -> QuerySet:
    return _known(Kind.TITLE, zip(held[TITLE].to_pylist(), held[catalogue.image].to_pylist(), strict=True))


def _known(kind: Kind, pairs: Iterable[tuple[str, ImageId]]) -> QuerySet:
    """One query for each text; a text that is true of several images has them all as right answers."""
    shown: dict[str, set[ImageId]] = defaultdict(set)
    for text, image in pairs:
        if text.strip():
            shown[text.strip()].add(image)
    return _query_set(kind, {text: frozenset(found) for text, found in shown.items()}, {})


def _subjects(held: pa.Table, catalogue: SearchedCatalogue) -> list[QuerySet]:
    carrying: dict[str, set[ImageId]] = defaultdict(set)
    words_of: dict[ImageId, set[str]] = defaultdict(set)
    for row in held.to_pylist():
        image = row[catalogue.image]
        words_of[image] |= _words(row[TITLE])
        for heading in row[catalogue.topic]:
            carrying[catalogue.topic_of(heading)].add(image)
    carrying.pop("", None)
    largest = LARGEST_SHARE * len(words_of)
    asked = {
        topic: frozenset(found) for topic, found in carrying.items() if FEWEST_IMAGES <= len(found) <= largest
    }
    saying = {topic: _saying(topic, words_of) for topic in asked}
    untitled = {topic: found - saying[topic] for topic, found in asked.items()}
    return [
        _query_set(Kind.SUBJECT, asked, {}),
        _query_set(
            Kind.UNTITLED,
            {topic: found for topic, found in untitled.items() if len(found) >= FEWEST_IMAGES},
            saying,
        ),
    ]


def _saying(topic: str, words_of: Mapping[ImageId, set[str]]) -> Images:
    """The images of the items whose title has a word of the topic."""
    words = _words(topic)
    return frozenset(image for image, found in words_of.items() if words & found)


def _words(text: str) -> set[str]:
    """The words of a text, in lower case and without a plural's s: a title with a ship in it says "ships"."""
    return {word.removesuffix("s") for word in _WORD.findall(text.lower())}


def _query_set(kind: Kind, relevant: Mapping[str, Images], hidden: Mapping[str, Images]) -> QuerySet:
    texts = sorted(relevant, key=_draw)
    return QuerySet(
        kind,
        tuple(texts),
        tuple(relevant[text] for text in texts),
        tuple(hidden.get(text, frozenset()) for text in texts),
    )


def _draw(text: str) -> bytes:
    """Orders texts as if by chance, each wherever it stands: a few more items hardly change what is asked."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _sample(queries: QuerySet, limit: int) -> QuerySet:
    return replace(
        queries,
        texts=queries.texts[:limit],
        relevant=queries.relevant[:limit],
        hidden=queries.hidden[:limit],
    )


def images_of(index: VectorIndex) -> Images:
    """Every image that a collection holds."""
    image = catalogue_of(index.spec).image
    return frozenset(pc.unique(rows_of(index, [image])[image]).to_pylist())


def rows_of(index: VectorIndex, fields: Sequence[str]) -> pa.Table:
    """These fields of every row."""
    schema = pa.schema([index.spec.schema.field(name) for name in fields])
    return pa.Table.from_batches((batch.cast(schema) for batch in index.scan(fields)), schema)
