"""The collection of books: one entity for each edition, with its cover's vector.

Belongs here: its fields, how it is searched, and making its rows from the tables. Does not: loading them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pyarrow as pa

from booksearch_assets.search.books import Book, BookFacets, BookFilters, BookItem, BookResult
from booksearch_assets.search.catalogue import (
    Control,
    Fact,
    LabelField,
    NumberField,
    SearchedCatalogue,
    Wording,
)
from booksearch_assets.search.folding import folded
from booksearch_assets.search.query import Template
from booksearch_assets.search.rows import cut_lists, cut_text, join_images, standing_images
from booksearch_assets.tables.books import COVERS
from booksearch_assets.vectorstores.contract import VECTOR, FieldKind, ScalarField

_MAX_SUBJECTS = 64
_MAX_AUTHORS = 32
_MAX_LANGUAGES = 16

# What Open Library's own lists add to the subjects of any book, whatever it is about.
_LISTS = re.compile(
    r"accessible book|protected daisy|in library|large type books|open library staff picks|overdrive"
    r"|new york times bestseller|nyt:.*",
    re.IGNORECASE,
)
_SUBDIVISION = re.compile(r"\s*--\s*")


def topic_of(heading: str) -> str:
    """What a subject heading is about, as a reader would type it; "" for one that names no topic.

    "Ships -- Fiction." is about ships, "Fiction, fantasy, general" about fantasy, and "Accessible book" about nothing:
    it is one of Open Library's lists.
    """
    topic = _SUBDIVISION.split(heading)[0].strip().rstrip(".")
    topic = re.sub(r"^fiction, ", "", topic, flags=re.IGNORECASE)
    topic = re.sub(r"(^|, )general$", "", topic, flags=re.IGNORECASE)
    return "" if topic.lower() == "fiction" or _LISTS.fullmatch(topic) else topic.lower()


BOOKS = SearchedCatalogue(
    name="books",
    collection_fields=(
        ScalarField("edition_key", FieldKind.TEXT, max_bytes=32),
        ScalarField("cover_id", FieldKind.INT64),
        ScalarField("picture_id", FieldKind.INT64),
        ScalarField("work_key", FieldKind.TEXT, max_bytes=32),
        ScalarField("title", FieldKind.TEXT, max_bytes=1024),
        ScalarField("authors", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_AUTHORS),
        ScalarField("authors_folded", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_AUTHORS),
        ScalarField("publish_year", FieldKind.INT64),
        ScalarField("pages", FieldKind.INT64),
        ScalarField("subjects", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_SUBJECTS),
        ScalarField("subjects_folded", FieldKind.TEXTS, max_bytes=256, capacity=_MAX_SUBJECTS),
        ScalarField("languages", FieldKind.TEXTS, max_bytes=16, capacity=_MAX_LANGUAGES),
        ScalarField("url", FieldKind.TEXT, max_bytes=2048),
    ),
    key="edition_key",
    key_pattern=r"^[A-Za-z0-9_-]{1,32}$",
    key_example="OL7353617M",
    pictures=COVERS,
    image_pattern=None,
    image_example="240727",
    group="work_key",
    numbers=(
        NumberField(
            "years",
            "publish_year",
            "year",
            "Published",
            "Years of publication, both included: 2015..2020, 2015.., ..2020 or 2015.",
            "2015..2020",
            counted=True,
        ),
        NumberField(
            "pages",
            "pages",
            "pages",
            "Pages",
            "Number of pages, as years are given.",
            "100..300",
            counted=False,
        ),
    ),
    labels=(
        LabelField(
            "author",
            "authors",
            "authors_folded",
            "Author",
            "The whole name of one author; letter case, accents and punctuation do not matter.",
            "Jane Austen",
            Control.NAME,
            said="by {}",
        ),
        LabelField(
            "subject",
            "subjects",
            "subjects_folded",
            "Subject",
            "One whole subject, as an author is given.",
            "Sea stories",
            Control.BUTTONS,
        ),
        LabelField(
            "language",
            "languages",
            "languages",
            "Language",
            "A MARC code of a language.",
            "eng",
            Control.CHOICE,
            said="in {}",
            pattern="^[A-Za-z]{2,8}$",
            is_language=True,
        ),
    ),
    # A word counts more in the title, and in an author's name, than in a subject.
    weights={"title": 8.0, "authors": 4.0, "subjects": 1.0},
    filters=BookFilters,
    item=Book,
    result=BookResult,
    answer=BookItem,
    facets=BookFacets,
    renamed={"year": "publish_year"},
    topic="subjects",
    topic_of=topic_of,
    telling=("subjects",),
    thinned_by="pages",
    wording=Wording(
        item="book",
        items="books",
        copy="edition",
        copies="editions",
        image="cover",
        images="covers",
        shape=2 / 3,
        finds="what their covers show, and by title, author and subject",
        motto="Find the book by its cover.",
        label="What the cover shows, a title or an author",
        placeholder="what it shows, a title, an author",
        examples=(
            "a lighthouse in a storm",
            "a red dragon above a castle",
            "an owl at night",
            "a ship at sea",
            "a house in the snow",
            "a hot air balloon in the mountains",
        ),
        templates=(Template.COVER, Template.PHOTO, Template.ILLUSTRATION),
        byline=(Fact("authors"), Fact("year")),
        unknown="Unknown author",
        facts=(Fact("pages", unit="pages"), Fact("languages", is_language=True)),
        source="Open Library",
        source_address="https://openlibrary.org/books/{edition_key}",
    ),
)

books_collection = BOOKS.spec


def book_rows(
    fiction: pa.Table, covers: pa.Table, vectors: pa.Table, twins: Mapping[int, int] | None = None
) -> pa.Table:
    """One row for each edition whose cover has a vector, with the columns of `books_collection`.

    `fiction` is FILTERED_FICTION, `covers` COVER_URLS and `vectors` COVERS.vectors; `twins` are the covers of which
    another has nearly the same picture, with the cover that stands for them. Stores keep no nulls, so a missing title
    or work becomes "". Texts that are too long are cut between characters, and of a list that is too long the first
    are kept.
    """
    editions, shown, vector = join_images(fiction, covers, vectors, BOOKS.key, BOOKS.image, "edition_keys")
    return pa.table(
        {
            "edition_key": editions["edition_key"],
            "cover_id": shown["cover_id"],
            "picture_id": standing_images(shown["cover_id"], twins or {}),
            "work_key": editions["work_key"].fill_null(""),
            "title": cut_text(editions["title"].fill_null(""), BOOKS.field("title").max_bytes),
            "authors": _texts(editions["authors"], "authors"),
            "authors_folded": _texts(editions["authors"], "authors_folded", folded),
            "publish_year": editions["publish_year"].cast(pa.int64()),
            "pages": editions["pages"].cast(pa.int64()),
            "subjects": _texts(editions["subjects"], "subjects"),
            "subjects_folded": _texts(editions["subjects"], "subjects_folded", folded),
            "languages": _texts(editions["languages"], "languages", str.lower),
            "url": shown["url"],
            VECTOR: vector,
        }
    )


def _texts(
    lists: pa.ChunkedArray, field: str, as_stored: Callable[[str], str] = lambda text: text
) -> pa.Array:
    return cut_lists(lists.to_pylist(), BOOKS.field(field), as_stored)
