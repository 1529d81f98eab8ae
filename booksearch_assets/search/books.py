"""What is asked and answered of books: the filters, the item, the result.

Belongs here: these types. Does not: what is the same for every catalogue (`query`), how books are stored
(`books_collection`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from booksearch_assets.search.query import FacetCount, Filters, MatchedBy, Span


@dataclass(frozen=True)
class YearRange(Span):
    """Years of publication from `low` to `high`, both included; None leaves that side open."""

    _of: ClassVar[str] = "years"
    _example: ClassVar[tuple[int, int]] = (2015, 2020)


@dataclass(frozen=True)
class PageRange(Span):
    """Numbers of pages from `low` to `high`, both included; None leaves that side open."""

    _of: ClassVar[str] = "pages"
    _example: ClassVar[tuple[int, int]] = (100, 300)


@dataclass(frozen=True)
class BookFilters(Filters):
    """Which editions may be found; what is None does not matter, and all that is given must hold.

    `author` and `subject` are whole names, of which letter case, accents and punctuation do not matter: "brontë" is not
    found in "Charlotte Brontë", and "charlotte bronte" is her. `language` is a MARC code, such as eng.
    """

    SPANS: ClassVar[Mapping[str, type[Span]]] = {"years": YearRange, "pages": PageRange}

    years: YearRange | None = None
    pages: PageRange | None = None
    author: str | None = None
    subject: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Book:
    """One edition of the collection. `url` is its cover's; `work_key` is "" for an orphan."""

    edition_key: str
    title: str
    authors: tuple[str, ...]
    year: int
    pages: int
    subjects: tuple[str, ...]
    languages: tuple[str, ...]
    cover_id: int
    work_key: str
    url: str


@dataclass(frozen=True)
class BookResult(Book):
    """One book found, at `rank` (from 1, over all pages).

    `score` is the cosine of its cover's vector and the query's: it compares results of one query and says nothing
    across queries; None where only words were compared. A hybrid rank follows both searches, so scores need not fall.
    `more_editions` are those that pass the filters too and are not shown, since this one stands for them.
    """

    rank: int
    score: float | None
    more_editions: int
    matched_by: MatchedBy


@dataclass(frozen=True)
class BookItem:
    """One edition, and the others that are the same book: of its work, with its cover, or nearly its picture."""

    book: Book
    other_editions: tuple[Book, ...]
    collection: str
    bundle_id: str
    model_id: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class BookFacets:
    """The most frequent years, authors, subjects and languages of `total` editions; years are in their own order."""

    total: int
    years: tuple[FacetCount, ...]
    authors: tuple[FacetCount, ...]
    subjects: tuple[FacetCount, ...]
    languages: tuple[FacetCount, ...]
    collection: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
