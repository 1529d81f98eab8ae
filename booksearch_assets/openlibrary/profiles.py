"""The named filter profiles: which editions count as recent English fiction.

Belongs here: what each profile asks for. Does not: how it is evaluated (`judging`), which words
speak for fiction (`subjects`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from booksearch_assets.openlibrary.subjects import (
    ABOUT_FICTION,
    BIOGRAPHY,
    CHILDREN,
    CONTAINS_CHILDREN,
    CONTAINS_FICTION,
    CONTAINS_JUVENILE,
    FICTION_RULES,
    JUVENILE,
    NONFICTION,
    SubjectRule,
)


class SubjectReading(StrEnum):
    """How subjects are read."""

    LETTERS_ON_EDITION = "letters_on_edition"
    """The letters of a word anywhere in the edition's own subjects, as the prototype did."""
    HEADINGS = "headings"
    """Whole headings of the work's subjects, the edition's subjects and its genres."""


class FilterReason(StrEnum):
    """Why an edition is no recent English fiction, in the order in which the reasons are tried.

    `nonfiction`, `about_fiction` and `biography` come from readings by heading alone, and win over words for fiction.
    """

    NO_LANGUAGE = "no_language"
    NOT_ENGLISH = "not_english"
    NO_SUBJECTS = "no_subjects"
    JUVENILE = "juvenile"
    CHILDREN = "children"
    NONFICTION = "nonfiction"
    ABOUT_FICTION = "about_fiction"
    BIOGRAPHY = "biography"
    NOT_FICTION = "not_fiction"
    NO_PAGES = "no_pages"
    TOO_SHORT = "too_short"
    NO_YEAR = "no_year"
    TOO_OLD = "too_old"
    IN_THE_FUTURE = "in_the_future"


class UnknownProfile(ValueError):
    """A filter profile was named that does not exist."""


@dataclass(frozen=True)
class FilterProfile:
    """What an edition must be. `pages_column` and `year_column` name columns of `tables.books.EDITIONS`.

    `min_pages` is the least number of pages that passes. The years that pass are `first_year` and later, or, where
    that is None, the `last_years` years that end with the dump's own.
    """

    name: str
    subjects: SubjectReading
    pages_column: str
    min_pages: int
    year_column: str
    first_year: int | None = None
    last_years: int | None = None
    language: str = "eng"

    def __post_init__(self) -> None:
        if (self.first_year is None) == (self.last_years is None):
            raise ValueError(
                f"the filter profile {self.name!r} needs either first_year or last_years, and has "
                f"first_year={self.first_year}, last_years={self.last_years}"
            )

    def years(self, dump_year: int) -> tuple[int, int | None]:
        """The first and the last year that pass; None where no year is too late."""
        if self.last_years is None:
            assert self.first_year is not None
            return self.first_year, None
        return dump_year - self.last_years + 1, dump_year

    @property
    def subject_columns(self) -> tuple[str, ...]:
        """The columns of editions whose headings are read."""
        if self.subjects is SubjectReading.LETTERS_ON_EDITION:
            return ("edition_subjects",)
        return ("work_subjects", "edition_subjects", "genres")

    @property
    def excluding_rules(self) -> tuple[SubjectRule, ...]:
        """Rules that reject, each named as its `FilterReason`, in order."""
        if self.subjects is SubjectReading.LETTERS_ON_EDITION:
            return (CONTAINS_JUVENILE, CONTAINS_CHILDREN)
        return (JUVENILE, CHILDREN, NONFICTION, ABOUT_FICTION, BIOGRAPHY)

    @property
    def fiction_rules(self) -> tuple[SubjectRule, ...]:
        """Rules that say fiction, in order: the first that fires is kept as `fiction_rule`."""
        return (CONTAINS_FICTION,) if self.subjects is SubjectReading.LETTERS_ON_EDITION else FICTION_RULES

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(**{**data, "subjects": SubjectReading(data["subjects"])})


ARTICLE = FilterProfile(
    name="article",
    subjects=SubjectReading.LETTERS_ON_EDITION,
    pages_column="number_of_pages",
    min_pages=100,
    year_column="first_four_digits",
    first_year=2010,
)
"""As the article's prototype coded it, less its accidents: no first line and no book with a single ISBN is lost."""

ARTICLE_STATED = FilterProfile(
    name="article-stated",
    subjects=SubjectReading.LETTERS_ON_EDITION,
    pages_column="number_of_pages",
    min_pages=101,
    year_column="first_four_digits",
    last_years=10,
)
"""As the article says: English fiction, more than 100 pages, the last ten years."""

DEFAULT = FilterProfile(
    name="default",
    subjects=SubjectReading.HEADINGS,
    pages_column="pages",
    min_pages=101,
    year_column="publish_year",
    last_years=10,
)
"""What the article means: the work's subjects count, headings are read whole, pages and years are read with care."""

PROFILES = {profile.name: profile for profile in (ARTICLE, ARTICLE_STATED, DEFAULT)}


def profile(name: str) -> FilterProfile:
    """The profile of that name. Raises `UnknownProfile`, which lists the names there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownProfile(
            f"there is no filter profile {name!r}; choose one of {', '.join(sorted(PROFILES))}"
        ) from None
