"""What can be asked, and what is answered, of whatever catalogue: the types between a reader and the engine.

Belongs here: queries, results and their errors, with every rule that needs no collection to check. Does not: the filters
and items of one catalogue (`books`, `products`), answering (`engine`), the form of a cursor (`cursor`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

if TYPE_CHECKING:
    from PIL import Image

MAX_RESULTS = 1_000
"""The most results of one page."""

MAX_TEXT_LENGTH = 2_000
"""Characters of a text; CLIP reads some three hundred of them."""

_SPAN = re.compile(r"\s*(\d{1,6})?\s*(\.\.)?\s*(\d{1,6})?\s*")

ImageId = int | str
"""The id of an image, of the kind that its catalogue has."""

Result = TypeVar("Result", covariant=True)
"""What a catalogue shows of one item found."""


class InvalidQuery(ValueError):
    """A query that cannot be answered; the message says what is expected."""


class StaleCursor(ValueError):
    """The version of the collection that a cursor belongs to is gone: search again from the first page."""


class ItemNotFound(LookupError):
    """The collection holds no item with this key."""


class SearchMode(StrEnum):
    """What is compared: the meaning of pictures, the words of titles and names, or both, fused."""

    SEMANTIC = "semantic"
    LEXICAL = "lexical"
    HYBRID = "hybrid"


class MatchedBy(StrEnum):
    """Which of the two searches found a result."""

    SEMANTIC = "semantic"
    LEXICAL = "lexical"
    BOTH = "both"


class Template(StrEnum):
    """Prompts that frame a text for the model; the vectors of a template's prompts are averaged (`templates.PROMPTS`)."""

    NONE = "none"
    COVER = "cover"
    PHOTO = "photo"
    ILLUSTRATION = "illustration"


@dataclass(frozen=True)
class Span:
    """Whole numbers from `low` to `high`, both included; None leaves that side open."""

    low: int | None = None
    high: int | None = None

    _of: ClassVar[str] = "numbers"
    _example: ClassVar[tuple[int, int]] = (1, 2)

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise InvalidQuery(f"the {self._of} have no bounds; give a lowest, a highest, or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise InvalidQuery(f"the {self._of} {self} are reversed; write {self.high}..{self.low}")

    def __str__(self) -> str:
        if self.low == self.high:
            return str(self.low)
        return f"{'' if self.low is None else self.low}..{'' if self.high is None else self.high}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "2015..2020", "2015..", "..2020" or "2015". Raises `InvalidQuery`."""
        match = _SPAN.fullmatch(text)
        if match is None or not (match[1] or match[3]) or (match[1] and match[3] and not match[2]):
            first, last = cls._example
            raise InvalidQuery(
                f"{cls._of} {text!r}: expected {first}..{last}, {first}.., ..{last} or {first}"
            )
        low = int(match[1]) if match[1] else None
        high = int(match[3]) if match[3] else None if match[2] else low
        return cls(low, high)


@dataclass(frozen=True)
class Filters:
    """Which items may be found; what is None does not matter, and all that is given must hold.

    A catalogue's own filters are its fields: ranges of numbers, by their types in `SPANS`, and texts. Raises
    `InvalidQuery` for a text that is empty or not plain.
    """

    SPANS: ClassVar[Mapping[str, type[Span]]] = {}

    def __post_init__(self) -> None:
        for name, value in self.given().items():
            if name not in self.SPANS:
                _check_text(name, value)
                if not value.strip():
                    raise InvalidQuery(f"the {name} to filter by is empty; name one, or leave the filter out")

    def __bool__(self) -> bool:
        return bool(self.given())

    def given(self) -> dict[str, Any]:
        """The filters that are not None, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def written(self) -> dict[str, str]:
        """The filters that are not None as texts, which `parse` reads."""
        return {name: str(value) for name, value in self.given().items()}

    @classmethod
    def parse(cls, texts: Mapping[str, str | None]) -> Self:
        """From texts by name, such as {"years": "2015..2020"}. Raises `InvalidQuery`, also for a name that is no filter."""
        given = {name: text for name, text in texts.items() if text is not None}
        known = [each.name for each in fields(cls)]
        if strange := [name for name in given if name not in known]:
            raise InvalidQuery(
                f"there is no filter {', '.join(strange)} here; there are: {', '.join(known) or 'none'}"
            )
        return cls(
            **{name: cls.SPANS[name].parse(t) if name in cls.SPANS else t for name, t in given.items()}
        )


@dataclass(frozen=True)
class Query:
    """What to look for: a text, a picture (decoded, or the bytes of its file), an item to be like, or several of them.

    `text_weight` and `image_weight` say how much each counts where there are several; an item to be `like` counts 1.
    `without` is a text to keep away from: its vector is subtracted, and items with all its words are no lexical match.
    `filters` are those of the catalogue that is asked. `template` frames the texts for the model. `mode` None is hybrid for a text alone, and semantic otherwise.

    `k` is the size of a page, and `cursor` (`SearchResults.next_cursor`) asks for the page after. A cursor knows its
    query, so it may be given alone; the parts of the query that are given with it must be those that it was made for.

    `collapse` shows one item of those that are copies of one another: editions of a work, the same product in several
    shops, or items with the same picture, or nearly. Nothing is like itself: `like` leaves out its item, and with
    `collapse` the copies too.

    Raises `InvalidQuery` for an empty query and for values out of bounds.
    """

    text: str | None = None
    image: Image.Image | bytes | None = None
    like: str | None = None
    without: str | None = None
    text_weight: float = 1.0
    image_weight: float = 1.0
    template: Template = Template.NONE
    filters: Filters = Filters()
    mode: SearchMode | None = None
    k: int = 10
    cursor: str | None = None
    collapse: bool = True

    def __post_init__(self) -> None:
        for name in ("text", "without", "like"):
            value = getattr(self, name)
            if value is not None:
                _check_text(name, value)
        for name, kind in (("template", Template), ("mode", SearchMode)):
            value = getattr(self, name)
            if value is None:
                continue
            try:
                object.__setattr__(self, name, kind(value))
            except ValueError:
                raise InvalidQuery(f"{name} {value!r}: expected one of {', '.join(kind)}") from None
        if not self.asks and self.cursor is None:
            raise InvalidQuery("the query is empty; give a text, a picture, an item to be like, or several")
        if self.mode in (SearchMode.LEXICAL, SearchMode.HYBRID) and not self.has_text and not self.cursor:
            raise InvalidQuery(f"{self.mode} search compares words; give a text, or search semantically")
        for name in ("text_weight", "image_weight"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and 0 <= weight <= 100):
                raise InvalidQuery(f"{name} is {weight}; give a number from 0 to 100")
        if not 1 <= self.k <= MAX_RESULTS:
            raise InvalidQuery(f"k is {self.k}; ask for 1 to {MAX_RESULTS} results")

    @property
    def has_text(self) -> bool:
        """Whether there is a text with more than white space."""
        return bool((self.text or "").strip())

    @property
    def asks(self) -> bool:
        """Whether anything is looked for."""
        return self.has_text or self.image is not None or bool((self.like or "").strip())

    @property
    def effective_mode(self) -> SearchMode:
        """`mode`, or what it is by default."""
        if self.mode is not None:
            return self.mode
        alone = self.has_text and self.image is None and not self.like
        return SearchMode.HYBRID if alone else SearchMode.SEMANTIC


@dataclass(frozen=True)
class Took:
    """Seconds of a search: making the query's vector, and everything else."""

    encode_seconds: float
    search_seconds: float


@dataclass(frozen=True)
class SearchResults(Generic[Result]):
    """One page of results, best first, and where they came from.

    `next_cursor` asks for the next page, and is None after the last. `collection` is the version that answered, and
    `bundle_id` the exact model; `model_id` is its name.
    """

    results: tuple[Result, ...]
    next_cursor: str | None
    collection: str
    bundle_id: str
    model_id: str
    took: Took

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class FacetCount:
    """How many items have this value."""

    value: str
    count: int


def _check_text(name: str, text: str) -> None:
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidQuery(f"{name} has {len(text)} characters; give {MAX_TEXT_LENGTH} at most")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidQuery(f"{name} holds a null character or half of a surrogate pair; send plain Unicode")
