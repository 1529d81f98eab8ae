"""The versions of a catalogue's collection: what there is, which is live, publishing, rolling back, retention.

A version is known from two sides: the lake's record of its build, and the collection that the vector store holds. The
store's alias says what is live, and moves in one step; the record of the move follows (`publications`).

Belongs here: decisions about versions, the same for the asset and for the commands. Does not: building one
(`assets.collection`), checking one (`checks`), printing (`booksearch_assets.publishing`), reading one (`live`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from booksearch_assets.search.publications import (
    Publication,
    Reason,
    before_live,
    last_recorded,
    publications,
    published_table,
    record_publication,
    was_rolled_back,
)
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake, begun_at
from booksearch_assets.tables.pruning import is_abandoned, prune
from booksearch_assets.tables.verdicts import objections, read_verdict
from booksearch_assets.vectorstores.contract import VectorStore
from booksearch_assets.vectorstores.errors import (
    CollectionNotFound,
    CollectionNotSealed,
    CollectionPublished,
    StoreLocked,
)

REQUIRED_TO_PUBLISH = ("counts_reconcile", "count_matches_embeddings", "self_match", "quality_not_below_live")
"""The checks of a collection that must have left a passing verdict on a version before it is published."""

RECORDS_KEPT = 100
"""How many publications and measurements the lake remembers. They hold no data, and rolling back reads them."""

_MEASURING_CHECK = "quality_not_below_live"
_MEASURED = "candidate_"
"""What that check writes before the name of a figure of the version that it judges."""


class PublishingError(ValueError):
    """A version cannot be published, rolled back to, or found. The message says why and what to do."""


class UnknownVersion(PublishingError):
    """No version, or more than one, is called that."""


class NotPublishable(PublishingError):
    """The version is not whole, or a required check failed or never ran on it."""


class NothingBefore(PublishingError):
    """No version that was live before the present one is left."""


class State(StrEnum):
    """How whole a version is. Only a ready one can be published."""

    READY = "ready"
    BUILDING = "being built"
    ABANDONED = "left by a killed build"
    LOST = "lost by the store"


@dataclass(frozen=True)
class Version:
    """One version. `version` is its id in the lake; `rows` is None where its build left no record.

    `objections` are the required checks that failed or have not run on it. `quality` holds measures by name, such as
    "caption_mrr": those of the last measurement while it was live, else those of the check before it was published.
    """

    collection: str
    version: str
    state: State
    live: bool
    dump_date: str
    model_id: str
    bundle_id: str
    rows: int | None
    made: datetime
    published: datetime | None
    objections: tuple[str, ...]
    quality: Mapping[str, float]


@dataclass(frozen=True)
class Published:
    """What publishing did. `replaced` was live before; `moved` is False where the version was live already."""

    version: Version
    replaced: str | None
    moved: bool


@dataclass(frozen=True)
class Retained:
    """What retention did.

    `kept` and `dropped` are collections; `left` are those that it could not drop yet, with the reason; `pruned` are the
    folders of the lake that went, as `Commit.path`.
    """

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    left: Mapping[str, str]
    pruned: tuple[str, ...]


def collection_table(catalogue: str) -> str:
    """Name of the lake table that records the collection's versions."""
    return f"{catalogue}/collection"


def quality_table(catalogue: str) -> str:
    """Name of the lake table that records how well the live version finds what is asked."""
    return f"{catalogue}/search_quality"


def collection_name(catalogue: str, version: str) -> str:
    """The collection of a version of the lake."""
    return f"{catalogue}_{version.replace('-', '_')}"


class Versions:
    """The versions of one catalogue, whose alias has the catalogue's name.

    `required` are the checks that must hold for a version before it may be published.
    """

    def __init__(
        self, lake: Lake, store: VectorStore, catalogue: str, required: Sequence[str] = REQUIRED_TO_PUBLISH
    ) -> None:
        self.lake, self.store, self.catalogue, self.required = lake, store, catalogue, tuple(required)

    def all(self) -> list[Version]:
        """Every version that the lake records or the store holds, the one that was begun last first."""
        commits = self._commits()
        held = {name for name in self.store.collections() if self._version_of(name)}
        history = publications(self.lake, self.catalogue)
        measured = {
            c.facts["collection"]: c for c in reversed(self.lake.history(quality_table(self.catalogue)))
        }
        live = self.live()
        versions = [
            self._version(name, commits.get(name), name in held, live, history, measured.get(name))
            for name in held | commits.keys()
        ]
        return sorted(versions, key=lambda version: version.version, reverse=True)

    def find(self, text: str) -> Version:
        """The version with this collection name or lake version, or the only one that begins or ends so.

        Raises `UnknownVersion`.
        """
        versions = self.all()
        for matches in (
            [v for v in versions if text in (v.collection, v.version)],
            [v for v in versions if any(_begins_or_ends(n, text) for n in (v.collection, v.version))],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise UnknownVersion(
                    f"{text!r} could be any of {_names(matches)}; give more of the name of one of them"
                )
        raise UnknownVersion(f"{self.catalogue} has no version {text!r}; it has {_names(versions)}")

    def live(self) -> str | None:
        """The collection that readers see."""
        return self.store.published(self.catalogue)

    def was_rolled_back(self, collection: str) -> bool:
        """Whether somebody went back from this version, and nobody has published it since."""
        return was_rolled_back(publications(self.lake, self.catalogue), collection)

    def publish(self, collection: str, reason: Reason) -> Published:
        """Make a version live, if it is whole and every required check holds for it. Raises `NotPublishable`."""
        version = self.find(collection)
        if version.state is State.READY and version.objections:
            raise NotPublishable(
                f"{version.collection} may not be live: {'; '.join(version.objections)}. Readers keep the version they "
                "have. Run the checks of the collection (`booksearch checks`), mend what they say, and materialise it "
                "again."
            )
        return self._move_to(version, reason)

    def roll_back(self) -> Published:
        """Make the version live that was live before the present one, as far as it is still there.

        Rolling back twice goes back two (`publications.before_live`). Verdicts are not asked again, since the version
        has been live. Raises `NothingBefore`.
        """
        live = self.live()
        ready = {version.collection: version for version in self.all() if version.state is State.READY}
        target = self._before(live, ready)
        if target is None:
            raise NothingBefore(
                f"{self.catalogue} has no version to go back to: none that was live before {live or 'now'} is left. "
                "`booksearch versions` lists what there is, and `booksearch publish` takes any of it"
            )
        return self._move_to(ready[target], Reason.ROLLBACK)

    def retain(self, keep: int) -> Retained:
        """Drop what is older than the newest `keep` versions, of the store and of the lake.

        Of the whole versions stay the live one, the one that rolling back would go to, and the newest `keep`; so does
        one that is being built. Of the catalogue's tables in the lake stay the last `keep` commits of each partition
        and whatever the collections that stay were made from. A collection that a process uses, or has published
        meanwhile, is left for the next time, and so is what a kill leaves behind.
        """
        versions, live = self.all(), self.live()
        ready = {version.collection: version for version in versions if version.state is State.READY}
        kept = {live, self._before(live, ready), *list(ready)[:keep]} & ready.keys()
        held = set(self.store.collections())
        dropped, left = [], {}
        for version in reversed(versions):
            name = version.collection
            if name in kept or name not in held or version.live or version.state is State.BUILDING:
                continue
            try:
                self.store.drop(name)
                dropped.append(name)
            except CollectionNotFound:
                # Another process was first.
                continue
            except (CollectionPublished, StoreLocked) as error:
                left[name] = str(error)
        pinned = [version.version for version in versions if version.collection in kept | left.keys()]
        pruned = self._prune(keep, pinned)
        return Retained(tuple(n for n in ready if n in kept), tuple(dropped), left, tuple(pruned))

    def _before(self, live: str | None, ready: Mapping[str, Version]) -> str | None:
        """What rolling back goes to: of what was live before, the last that is still whole."""
        history = publications(self.lake, self.catalogue)
        return next((name for name in before_live(history, live) if name in ready), None)

    def _move_to(self, version: Version, reason: Reason) -> Published:
        if version.state is not State.READY:
            raise NotPublishable(
                f"{version.collection} cannot be published: it is {version.state}. Materialise the collection again, or "
                "publish another version (`booksearch versions` lists them)"
            )
        last = last_recorded(self.lake, self.catalogue)
        if version.live and last and last.collection == version.collection:
            return Published(version, last.replaced, moved=False)
        if version.live:
            # Whoever published it was killed before it had recorded that.
            replaced = last.collection if last else None
        else:
            replaced = self.live()
            try:
                self.store.publish(self.catalogue, version.collection)
            except (CollectionNotFound, CollectionNotSealed) as error:
                raise NotPublishable(f"{version.collection} was dropped meanwhile: {error}") from error
        record_publication(self.lake, self.catalogue, self._commits()[version.collection], replaced, reason)
        return Published(version, replaced, moved=not version.live)

    def _prune(self, keep: int, pinned: Sequence[str]) -> list[str]:
        records = [published_table(self.catalogue), quality_table(self.catalogue)]
        tables = [t for t in self.lake.tables() if t.startswith(f"{self.catalogue}/") and t not in records]
        return sorted(
            prune(self.lake, *tables, keep=keep, pinned=pinned)
            + prune(self.lake, *records, keep=RECORDS_KEPT)
        )

    def _version(
        self,
        name: str,
        commit: Commit | None,
        held: bool,
        live: str | None,
        history: Iterable[Publication],
        measured: Commit | None,
    ) -> Version:
        version = self._version_of(name) if commit is None else commit.version
        properties = commit.facts if commit else self._properties(name)
        return Version(
            collection=name,
            version=version,
            state=self._state(name, version, commit, held),
            live=name == live,
            dump_date=str(properties.get("dump_date", "")),
            model_id=str(properties.get("model_id", "")),
            bundle_id=str(properties.get("bundle_id", "")),
            rows=commit.rows if commit else None,
            made=begun_at(version) or datetime.min.replace(tzinfo=UTC),
            published=next((p.at for p in history if p.collection == name), None),
            objections=tuple(objections(self.lake, commit, self.required))
            if commit
            else ("no check has run",),
            quality=self._quality(commit, measured),
        )

    def _state(self, name: str, version: str, commit: Commit | None, held: bool) -> State:
        try:
            sealed = held and self.store.is_sealed(name)
        except CollectionNotFound:
            sealed = False
        if commit:
            return State.READY if sealed else State.LOST
        return State.ABANDONED if is_abandoned(version) else State.BUILDING

    def _quality(self, commit: Commit | None, measured: Commit | None) -> dict[str, float]:
        if measured:
            return _numbers(measured.facts)
        verdict = read_verdict(self.lake, commit, _MEASURING_CHECK) if commit else None
        figures = _numbers(verdict.figures) if verdict else {}
        return {k.removeprefix(_MEASURED): v for k, v in figures.items() if k.startswith(_MEASURED)}

    def _properties(self, name: str) -> Mapping[str, str]:
        try:
            return self.store.describe(name).properties
        except CollectionNotFound:
            return {}

    def _commits(self) -> dict[str, Commit]:
        history = self.lake.history(collection_table(self.catalogue))
        return {commit.facts["collection"]: commit for commit in history}

    def _version_of(self, name: str) -> str:
        """The lake version of a collection of this catalogue; "" for a collection that is none of ours."""
        stamp, _, token = name.removeprefix(f"{self.catalogue}_").rpartition("_")
        version = f"{stamp}-{token}"
        return version if begun_at(version) and collection_name(self.catalogue, version) == name else ""


def _begins_or_ends(name: str, text: str) -> bool:
    return bool(text) and (name.startswith(text) or name.endswith(text))


def _names(versions: Iterable[Version]) -> str:
    return ", ".join(version.collection for version in versions) or "none yet"


def _numbers(values: Mapping[str, object]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
