"""The query engine: from a text, a picture or both to ranked books.

Belongs here: what a query may be, how it becomes a vector, and how editions of one book become one result. Does not:
where vectors are kept (`vectorstores`), how results are shown (`shell`, `contact_sheet`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np
from PIL import Image

from booksearch_assets.vectorstores.contract import MAX_WINDOW, Hit, VectorIndex
from booksearch_assets.vectorstores.filters import Between

MAX_RESULTS = 1_000

_FIELDS = ("cover_id", "work_key", "title", "authors", "publish_year", "url")
_OVERFETCH = 3
_YEARS = re.compile(r"\s*(\d{4})\s*(?:\.\.\s*(\d{4})\s*)?")


class InvalidQuery(ValueError):
    """A query that cannot be answered; the message says what is expected."""


class ModelMismatch(ValueError):
    """The encoder's vectors and the collection's are of different models, and cannot be compared."""


class QueryEncoder(Protocol):
    """What the engine needs of `clip.encoder.Encoder`. Vectors are (n, dimension) float32, L2-normalised."""

    @property
    def bundle_id(self) -> str: ...

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray: ...

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...


@dataclass(frozen=True)
class YearRange:
    """Years of publication from `low` to `high`, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise InvalidQuery(f"the years {self} are reversed; write {self.high}..{self.low}")

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "2015..2020" or "2015". Raises `InvalidQuery`."""
        match = _YEARS.fullmatch(text)
        if match is None:
            raise InvalidQuery(f"years {text!r}: expected 2015..2020 or 2015")
        low = int(match[1])
        return cls(low, int(match[2]) if match[2] else low)


@dataclass(frozen=True)
class Query:
    """What to look for: a text, a picture (decoded, or the bytes of its file), or both, which weigh the same.

    `collapse` keeps only the best of the editions that share a cover or a work.
    """

    text: str | None = None
    image: Image.Image | bytes | None = None
    years: YearRange | None = None
    k: int = 10
    collapse: bool = True

    def __post_init__(self) -> None:
        if self.image is None and not (self.text or "").strip():
            raise InvalidQuery("the query is empty; give a text, a picture, or both")
        if not 1 <= self.k <= MAX_RESULTS:
            raise InvalidQuery(f"k is {self.k}; ask for 1 to {MAX_RESULTS} results")


@dataclass(frozen=True)
class SearchResult:
    """One book. `score` is a cosine: it ranks the results of one query and says nothing across queries."""

    rank: int
    score: float
    edition_key: str
    title: str
    authors: str
    year: int
    cover_id: int
    work_key: str
    url: str


@dataclass(frozen=True)
class SearchResults:
    """Results, best first, and where they came from."""

    results: tuple[SearchResult, ...]
    collection: str
    bundle_id: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class SearchEngine:
    """Asks one collection. `prompt` frames a text for the model, such as "a book cover of {}".

    Raises `ModelMismatch` where `encoder` did not make the collection's vectors.
    """

    def __init__(self, index: VectorIndex, encoder: QueryEncoder, prompt: str = "{}") -> None:
        made_by = index.spec.properties.get("bundle_id", "")
        if made_by != encoder.bundle_id:
            raise ModelMismatch(
                f"collection {index.spec.name!r} holds vectors of the model bundle {made_by or '(not recorded)'!r}, but "
                f"queries would be encoded with {encoder.bundle_id!r}. Vectors of two models cannot be compared: set "
                "BOOKSEARCH_MODEL to the collection's bundle, or materialise the collection with this one"
            )
        if "{}" not in prompt:
            raise InvalidQuery(f"prompt {prompt!r}: expected {{}} where the text belongs")
        self._index, self._encoder, self._prompt = index, encoder, prompt

    def search(self, query: Query) -> SearchResults:
        """The `query.k` best books, fewer where the collection has no more. Raises `InvalidQuery`."""
        vector = self._vector(query)
        years = Between("publish_year", query.years.low, query.years.high) if query.years else None
        window = min(MAX_WINDOW, query.k * (_OVERFETCH if query.collapse else 1))
        while True:
            [hits] = self._index.search(vector, window, years, _FIELDS)
            books = _collapsed(hits) if query.collapse else hits
            if len(books) >= query.k or len(hits) < window or window == MAX_WINDOW:
                break
            window = min(MAX_WINDOW, window * 2)
        found = tuple(_result(rank, hit) for rank, hit in enumerate(books[: query.k], start=1))
        return SearchResults(found, self._index.spec.name, self._encoder.bundle_id)

    def _vector(self, query: Query) -> np.ndarray:
        parts = []
        if query.text and query.text.strip():
            parts.append(self._encoder.encode_texts([self._prompt.replace("{}", query.text.strip())]))
        if query.image is not None:
            parts.append(self._encoder.encode_images([_decoded(query.image)]))
        mean = np.mean(parts, axis=0)
        length = np.linalg.norm(mean)
        if length < 1e-6:
            raise InvalidQuery(
                "the text and the picture are exact opposites for this model; search by one of them"
            )
        return (mean / length).astype(np.float32)


def _collapsed(hits: Sequence[Hit]) -> list[Hit]:
    """The first hit of each cover and of each work. Orphans, whose work is "", are books of their own."""
    covers: set[int] = set()
    works: set[str] = set()
    kept = []
    for hit in hits:
        cover, work = hit.fields["cover_id"], hit.fields["work_key"]
        if cover in covers or work in works:
            continue
        covers.add(cover)
        works |= {work} - {""}
        kept.append(hit)
    return kept


def _result(rank: int, hit: Hit) -> SearchResult:
    fields = hit.fields
    return SearchResult(
        rank=rank,
        score=hit.score,
        edition_key=hit.key,
        title=fields["title"],
        authors=fields["authors"],
        year=fields["publish_year"],
        cover_id=fields["cover_id"],
        work_key=fields["work_key"],
        url=fields["url"],
    )


def _decoded(image: Image.Image | bytes) -> Image.Image:
    from booksearch_assets.clip.preprocess import UndecodableImage, decode_image

    if isinstance(image, Image.Image):
        return image
    try:
        return decode_image(image)
    except UndecodableImage as error:
        raise InvalidQuery(f"the picture cannot be read: {error}") from error
