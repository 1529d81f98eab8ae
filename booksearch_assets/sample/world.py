"""The sample world: which books there are, and what is true about each of them.

Belongs here: the facts of works, editions, authors and covers, each a pure function of the world and a
number, so that nothing is stored and a world of ten million editions costs no memory. Does not: how the
catalogue writes them down (`records`, `imprint`), the dump files (`dumps`), what a cover shows (`scenes`), words
(`titles`).

A *release* is one monthly dump. Release 0 is the world as it starts; each later one adds editions, revises
some and deletes a few, and leaves everything else exactly as it was.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cached_property

from booksearch_assets.sample import titles
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.imprint import extent, publication_date
from booksearch_assets.sample.scenes import Scene, scene_of

FIRST_EDITION, FIRST_WORK, FIRST_AUTHOR, FIRST_COVER = 20_000_000, 30_000_000, 4_000_000, 1_000_000
MERGED_WORK = 60_000_000  # where the target of a redirected work is
COVERS_PER_EDITION = 4  # up to three from the start, and the one that a later release puts first
REPLACEMENT = COVERS_PER_EDITION - 1
BUCKETS, RUN = 256, 2_000

# For each place in a block of twenty editions, that of the first edition of its work: five of twenty share.
_WORK_PATTERN = (0, 0, 2, 2, 2, *range(5, 20))
_FOREIGN_LANGUAGES = tuple(titles.FOREIGN)


class Kind(Enum):
    """What a work is, as its subjects say it."""

    FICTION = "fiction for adults"
    JUVENILE = "juvenile fiction"
    CRITICISM = "about fiction: its history and criticism"
    NONFICTION = "declared nonfiction"
    PLAIN = "another topic"
    SILENT = "no subjects at all"


class SubjectPlace(Enum):
    """Which records carry the subjects."""

    WORK = "work only"
    EDITION = "edition only"
    BOTH = "work and edition"
    GENRES = "the edition's genres only"


class WorkState(Enum):
    """What the works dump holds under the key that the editions name."""

    LISTED = "a work"
    REDIRECT = "a redirect to the work"
    MISSING = "nothing"


class CoverState(Enum):
    """What the covers service has for an id."""

    OK = "a picture"
    TINY = "a picture too small to be of use"
    DAMAGED = "a picture cut off in the middle"
    MISSING = "nothing, and covers_metadata does not list it"
    MISSING_LISTED = "nothing, though covers_metadata lists it"


class Change(Enum):
    """What a later release did to an edition that was there before."""

    TITLE = "corrected title"
    COVER = "new first cover"
    UNWANTED = "page count corrected to a booklet's"
    DELETED = "deleted"


_KIND_OF_REST = (
    (0.25, Kind.JUVENILE),
    (0.12, Kind.CRITICISM),
    (0.13, Kind.NONFICTION),
    (0.3, Kind.PLAIN),
    (0.2, Kind.SILENT),
)
_SUBJECT_PLACES = (
    (0.62, SubjectPlace.WORK),
    (0.16, SubjectPlace.EDITION),
    (0.2, SubjectPlace.BOTH),
    (0.02, SubjectPlace.GENRES),
)
_COVER_STATES = (
    (0.01, CoverState.MISSING), (0.01, CoverState.MISSING_LISTED), (0.005, CoverState.TINY),
    (0.003, CoverState.DAMAGED), (0.972, CoverState.OK),
)  # fmt: skip
_CHANGES = ((0.6, Change.TITLE), (0.2, Change.COVER), (0.2, Change.UNWANTED))


@dataclass(frozen=True, slots=True)
class SampleWork:
    """One work. `index` is that of its first edition; `key` is the one that editions name."""

    index: int
    key: str
    title: str
    language: str
    kind: Kind
    subject_place: SubjectPlace
    state: WorkState
    authors: tuple[int, ...]

    @property
    def record_key(self) -> str:
        """The key that the work's record is under: another one where `key` is a redirect."""
        return f"/works/OL{MERGED_WORK + self.index}W" if self.state is WorkState.REDIRECT else self.key


@dataclass(frozen=True, slots=True)
class SampleEdition:
    """One edition and what is true about it, however badly the catalogue says it.

    `year` and `pages` are the true ones, None where the record does not tell. `doubtful` marks a record that fair
    readers of the rules may keep or drop (a year in "c2019", pages written as a string); the others are beyond
    dispute, so that a correct filter keeps every edition that is `wanted` and none that is neither.
    """

    index: int
    key: str
    work: SampleWork
    orphan: bool
    title: str
    revision: int
    last_modified: str
    languages: tuple[str, ...]
    publish_date: str | None
    year: int | None
    number_of_pages: int | str | None
    pagination: str | None
    pages: int | None
    covers: tuple[int | None, ...] | None
    wanted: bool
    doubtful: bool

    @property
    def cover_id(self) -> int | None:
        """The cover that is displayed: the first id above zero."""
        return next((cover for cover in self.covers or () if cover and cover > 0), None)


@dataclass(frozen=True)
class World:
    """All facts of one sample world at one release. Shares are of editions unless said otherwise.

    The defaults keep about 35 % of the editions: a demo needs results. Of the real catalogue it is near 0.1 %.
    """

    seed: int = 0
    editions: int = 2000
    release: int = 0
    year: int = 2026
    fiction_share: float = 0.8  # of works
    english_share: float = 0.9  # of works
    silent_language_share: float = 0.13  # records that name no language, as of the real dump of 2026-04-30
    recent_share: float = 0.8
    long_share: float = 0.88
    cover_share: float = 0.9
    orphan_share: float = 0.05

    def __post_init__(self) -> None:
        if self.editions < 1 or not 0 <= self.release <= 11:
            raise ValueError(
                f"a sample world has at least 1 edition and a release from 0 to 11 (January to December "
                f"of {self.year}), got editions={self.editions}, release={self.release}"
            )

    # -- the world as a whole

    @property
    def parameters(self) -> dict[str, float]:
        """Everything that decides the content, for a file that says which world a folder holds."""
        return asdict(self)

    @cached_property
    def date(self) -> str:
        """The date of this release's dump: the last day of the month `release` + 1."""
        return f"{self.year}-{self.release + 1:02}-{calendar.monthrange(self.year, self.release + 1)[1]}"

    @cached_property
    def new_per_release(self) -> int:
        return max(1, round(self.editions / 100))

    @cached_property
    def size(self) -> int:
        """How many editions there have been up to this release, deleted ones included."""
        return self.editions + self.release * self.new_per_release

    @cached_property
    def author_count(self) -> int:
        return self.size // 2 + 1

    def runs(self, count: int | None = None) -> Iterator[range]:
        """0 to `count` - 1 (default: every edition) in the order of the dumps, in runs of `RUN` at most.

        Open Library's dumps are 256 hash buckets, each sorted by key. So are these.
        """
        for bucket in range(BUCKETS):
            numbers = range((bucket * 157 + 101) % BUCKETS, self.size if count is None else count, BUCKETS)
            yield from (numbers[start : start + RUN] for start in range(0, len(numbers), RUN))

    # -- works and authors

    def is_first_of_work(self, index: int) -> bool:
        return _WORK_PATTERN[index % 20] == index % 20

    def work(self, index: int) -> SampleWork:
        """The work of edition `index`."""
        first = index - index % 20 + _WORK_PATTERN[index % 20]
        draws = Draws("work", self.seed, first)
        kind = Kind.FICTION if draws.chance(self.fiction_share) else draws.weighted(_KIND_OF_REST)
        language = "eng" if draws.chance(self.english_share) else draws.choice(_FOREIGN_LANGUAGES)
        place = draws.weighted(_SUBJECT_PLACES)
        state = draws.weighted(
            ((0.98, WorkState.LISTED), (0.01, WorkState.REDIRECT), (0.01, WorkState.MISSING))
        )
        authors = tuple(
            dict.fromkeys(draws.below(first // 2 + 1) for _ in range(2 if draws.chance(0.06) else 1))
        )
        title = self._work_title(first, kind, language, draws)
        return SampleWork(
            first, f"/works/OL{FIRST_WORK + first}W", title, language, kind, place, state, authors
        )

    def _work_title(self, first: int, kind: Kind, language: str, draws: Draws) -> str:
        if language != "eng":
            return titles.foreign_title(language, draws)
        if kind is Kind.FICTION and draws.chance(0.25):
            return titles.motif_title(self.scene_of_work(first).motif, draws)
        if kind in (Kind.FICTION, Kind.JUVENILE, Kind.SILENT):
            return titles.english_title(draws)
        if kind is Kind.CRITICISM:
            return f"Essays on {titles.person_name(draws)}"
        return f"{draws.choice(titles.PLAIN_TOPICS)[1]}, vol. {draws.between(1, 40)}"

    def scene_of_work(self, first: int) -> Scene:
        """The scene of the cover of the work's first edition: what its subjects are about."""
        return scene_of(FIRST_COVER + COVERS_PER_EDITION * first, self.seed)

    def author_name(self, author: int) -> str:
        return titles.person_name(Draws("author", self.seed, author))

    # -- editions

    def history(self, index: int) -> tuple[tuple[int, Change], ...]:
        """What releases 1 to `release` did to edition `index`: (release, change) in order; a deletion is last."""
        changes: list[tuple[int, Change]] = []
        for release in range(1, self.release + 1):
            if index >= self.editions + (release - 1) * self.new_per_release:
                continue
            draws = Draws("change", self.seed, release, index)
            if draws.chance(0.002):
                return (*changes, (release, Change.DELETED))
            if draws.chance(0.01):
                change = draws.weighted(_CHANGES)
                repeated = change is Change.COVER and any(earlier is Change.COVER for _, earlier in changes)
                changes.append((release, Change.TITLE if repeated else change))
        return tuple(changes)

    def exists(self, index: int) -> bool:
        """Whether edition `index` is in this release: added by now, and not deleted."""
        return index < self.size and all(change is not Change.DELETED for _, change in self.history(index))

    def edition(self, index: int) -> SampleEdition:
        """Edition `index`.

        Raises:
            IndexError: where it is not in this release.
        """
        history = self.history(index)
        if index >= self.size or (history and history[-1][1] is Change.DELETED):
            raise IndexError(
                f"edition {index} is not in release {self.release} of a world of {self.size} editions"
            )
        draws = Draws("edition", self.seed, index)
        work = self.work(index)
        orphan = self.is_first_of_work(index) and draws.chance(self.orphan_share)
        silent = draws.chance(self.silent_language_share)
        languages: tuple[str, ...] = (work.language,)
        if draws.chance(0.004):
            languages = ("spa", "eng") if work.language == "eng" else (work.language, "fre")
        publish_date, year, year_doubtful = publication_date(draws, self.year, self.recent_share)
        number_of_pages, pagination, pages, pages_doubtful = extent(draws, self.long_share)
        title, revision, modified = (
            work.title,
            draws.between(2, 9),
            timestamp(draws, draws.between(2008, self.year - 1), 6),
        )
        for release, change in history:
            revision, modified = revision + 1, timestamp(draws, self.year, release + 1)
            if change is Change.TITLE:
                title = f"{work.title} (revised {self.year}-{release + 1:02})"
            elif change is Change.UNWANTED:
                number_of_pages, pagination, pages, pages_doubtful = 64, None, 64, False
        covers = self.covers(index)
        subjects_reachable = work.subject_place is not SubjectPlace.WORK or (
            not orphan and work.state is not WorkState.MISSING
        )
        wanted = (
            work.kind is Kind.FICTION
            and subjects_reachable
            and not silent
            and "eng" in languages
            and year is not None
            and year > self.year - 10
            and pages is not None
            and pages > 100
            and any(cover and cover > 0 for cover in covers or ())
        )
        doubtful = wanted and (year_doubtful or pages_doubtful)
        return SampleEdition(
            index, f"/books/OL{FIRST_EDITION + index}M", work, orphan, title, revision, modified,
            () if silent else languages, publish_date, year, number_of_pages, pagination, pages, covers,
            wanted and not doubtful, doubtful,
        )  # fmt: skip

    # -- covers

    def covers(self, index: int) -> tuple[int | None, ...] | None:
        """What edition `index` says in `covers`; None where it has no such field."""
        own = FIRST_COVER + COVERS_PER_EDITION * index
        covers = self._first_covers(index, own)
        if any(change is Change.COVER for _, change in self.history(index)):
            return own + REPLACEMENT, *(covers or ())
        return covers

    def _first_covers(self, index: int, own: int) -> tuple[int | None, ...] | None:
        draws = Draws("covers", self.seed, index)
        if not draws.chance(self.cover_share):
            return draws.choice(_NO_COVERS)
        if not self.is_first_of_work(index) and draws.chance(0.1):
            return (own - COVERS_PER_EDITION,)  # the same picture as the sibling edition before it
        style = draws.below(1000)
        if style < 960:
            return (own,) if style < 780 else (own, own + 1) if style < 940 else (own, own + 1, own + 2)
        return draws.choice(((-1, own), (None, own), (0, own), (own, -1), (own, None)))

    def edition_of_cover(self, cover_id: int) -> int:
        """The edition that a cover was made for; defined for every id, though not every edition exists."""
        return abs(cover_id - FIRST_COVER) // COVERS_PER_EDITION

    def title_of_cover(self, cover_id: int) -> tuple[str, str]:
        """(title, author) printed on a cover. A cover never changes, whatever later releases correct."""
        work = self.work(self.edition_of_cover(cover_id))
        return work.title, self.author_name(work.authors[0])

    def cover_state(self, cover_id: int) -> CoverState:
        return Draws("cover", self.seed, cover_id).weighted(_COVER_STATES)

    def cover_exists(self, cover_id: int) -> bool:
        """Whether the covers service has it: about 2 % are missing."""
        return self.cover_state(cover_id) not in (CoverState.MISSING, CoverState.MISSING_LISTED)

    def cover_size(self, cover_id: int) -> tuple[int, int]:
        """(width, height) of the original, px."""
        tiny = self.cover_state(cover_id) is CoverState.TINY
        height = Draws("size", self.seed, cover_id).between(*((40, 70) if tiny else (480, 2000)))
        return round(height * 2 / 3), height


def timestamp(draws: Draws, year: int, month: int) -> str:
    """A moment of that month in ISO 8601 with microseconds and no zone, as Open Library writes them."""
    day, second = draws.between(1, 28), draws.below(86_400)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{year}-{month:02}-{day:02}T{clock}.{draws.below(1_000_000):06}"


_NO_COVERS: tuple[tuple[int | None, ...] | None, ...] = (
    *(None,) * 12, (-1,), (None,), (), (0,), (-2,), (-1, -1),
)  # fmt: skip
