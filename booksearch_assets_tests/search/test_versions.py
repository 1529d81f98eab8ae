"""Versions on Milvus Lite: what is listed, what may be published, where rolling back leads, what retention drops."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from booksearch_assets.search.publications import Reason, publications, published_table
from booksearch_assets.search.versions import (
    REQUIRED_TO_PUBLISH,
    NothingBefore,
    NotPublishable,
    State,
    UnknownVersion,
    quality_table,
)
from booksearch_assets.tables.lake import PENDING_GRACE, Lake, LakeError
from booksearch_assets.vectorstores.errors import CollectionPublished
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets_tests.search.releases import LetterEncoder, Releases


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Releases]:
    with MilvusLiteStore(tmp_path / "vectors") as store:
        yield Releases(Lake(str(tmp_path / "lake")), store)


def _publish(releases: Releases, collection: str) -> None:
    assert releases.versions.publish(collection, Reason.ASSET).moved


def _live(releases: Releases) -> str | None:
    return releases.store.published("books")


def test_a_version_is_listed_with_all_that_is_known_of_it(releases: Releases) -> None:
    old, new = releases.build(1), releases.build(2, LetterEncoder("other@2"), failed=["self_match"])
    _publish(releases, old)
    pending = releases.lake.begin(quality_table("books"))
    pending.commit(rows=1, facts={"collection": old, "caption_mrr": 0.9, "search_p50_ms": 1.0})
    second, first = releases.versions.all()
    assert (first.collection, first.live, first.state, first.rows) == (old, True, State.READY, 24)
    assert (first.dump_date, first.model_id, first.bundle_id) == ("2026-01-31", "letters", "letters@1")
    assert first.quality == {"caption_mrr": 0.9, "search_p50_ms": 1.0}
    assert first.objections == ()
    assert first.published and first.published > first.made
    assert (second.collection, second.live, second.published) == (new, False, None)
    assert (second.model_id, second.quality) == ("other", {"title_mrr": 0.5})
    assert second.objections == ("self_match failed",)


def test_what_only_one_side_knows_is_listed_as_such(releases: Releases) -> None:
    whole, lost = releases.build(1), releases.build(2)
    releases.store.drop(lost)
    building = releases.build(3, commit=False, seal=False)
    dead = releases.leave_behind(PENDING_GRACE * 2, seal=True)
    releases.store.create(replace(releases.store.describe(whole), name="books_of_somebody_else"))
    states = {version.collection: version.state for version in releases.versions.all()}
    assert states == {
        whole: State.READY,
        lost: State.LOST,
        building: State.BUILDING,
        dead: State.ABANDONED,
    }
    assert {v.rows for v in releases.versions.all() if v.collection in (building, dead)} == {None}


@pytest.mark.parametrize("check", REQUIRED_TO_PUBLISH)
def test_a_version_is_published_only_if_every_required_check_holds_for_it(
    releases: Releases, check: str
) -> None:
    live = releases.build(1)
    _publish(releases, live)
    failed, unchecked = releases.build(2, failed=[check]), releases.build(3, unchecked=[check])
    for name, says in ((failed, f"{check} failed"), (unchecked, f"{check} has not run")):
        with pytest.raises(NotPublishable, match=says):
            releases.versions.publish(name, Reason.COMMAND)
    assert _live(releases) == live
    assert releases.recorded() == [live]
    # The verdict of another version does not help, its own does.
    releases.judge(releases.record_of(unchecked), check, passed=True)
    assert releases.versions.publish(unchecked, Reason.COMMAND).replaced == live


def test_a_version_that_is_not_whole_is_not_published(releases: Releases) -> None:
    lost, building = releases.build(1), releases.build(2, commit=False, seal=False)
    releases.store.drop(lost)
    with pytest.raises(NotPublishable, match="lost by the store"):
        releases.versions.publish(lost, Reason.COMMAND)
    with pytest.raises(NotPublishable, match="being built"):
        releases.versions.publish(building, Reason.COMMAND)


def test_names_may_be_cut_where_they_stay_unambiguous(releases: Releases) -> None:
    first, second = releases.build(1), releases.build(2)
    find = releases.versions.find
    assert find(first).collection == first
    assert find(first[-6:]).collection == first
    assert find(second.removeprefix("books_")).collection == second
    assert find(releases.record_of(second).version).collection == second
    with pytest.raises(UnknownVersion, match=f"could be any of {second}, {first}"):
        find("books_")
    for text in ("", "nothing"):
        with pytest.raises(UnknownVersion, match=f"it has {second}, {first}"):
            find(text)


def test_publishing_what_is_live_changes_and_records_nothing(releases: Releases) -> None:
    name = releases.build(1)
    _publish(releases, name)
    again = releases.versions.publish(name, Reason.ASSET)
    assert not again.moved
    assert releases.recorded() == [name]
    # Unless it should not be live: that is said however often it is asked.
    releases.judge(releases.record_of(name), "self_match", passed=False)
    with pytest.raises(NotPublishable, match="may not be live: self_match failed"):
        releases.versions.publish(name, Reason.ASSET)


def test_publications_are_recorded_with_what_they_replaced_and_why(releases: Releases) -> None:
    first, second = releases.build(1), releases.build(2)
    _publish(releases, first)
    releases.versions.publish(second, Reason.COMMAND)
    releases.versions.roll_back()
    moves = [(p.collection, p.replaced, p.reason) for p in publications(releases.lake, "books")]
    assert moves == [
        (first, second, Reason.ROLLBACK),
        (second, first, Reason.COMMAND),
        (first, None, Reason.ASSET),
    ]
    record = releases.lake.resolve(published_table("books"))
    assert record.inputs == {"books/collection": releases.record_of(first).version}
    assert record.facts["dump_date"] == "2026-01-31"


def test_rolling_back_goes_back_one_by_one_and_never_to_and_fro(releases: Releases) -> None:
    a, b, c = (releases.build(number) for number in range(3))
    for name in (a, b, c):
        _publish(releases, name)
    assert releases.versions.roll_back().version.collection == b
    assert releases.versions.roll_back().version.collection == a
    with pytest.raises(NothingBefore, match="booksearch publish"):
        releases.versions.roll_back()
    assert _live(releases) == a
    # What was rolled back from may be published again, and then goes back to what was live before that.
    releases.versions.publish(c, Reason.COMMAND)
    assert releases.versions.roll_back().version.collection == a
    d = releases.build(4)
    _publish(releases, d)
    assert releases.versions.roll_back().version.collection == a
    assert releases.versions.was_rolled_back(d)
    assert not releases.versions.was_rolled_back(a)


def test_rolling_back_passes_over_what_is_gone(releases: Releases) -> None:
    a, b, c = (releases.build(number) for number in range(3))
    for name in (a, b, c):
        _publish(releases, name)
    releases.store.drop(b)
    assert releases.versions.roll_back().version.collection == a


def test_a_version_of_another_model_is_published_beside(releases: Releases) -> None:
    first, second = releases.build(1), releases.build(2, LetterEncoder("wider@1", dimension=16))
    _publish(releases, first)
    _publish(releases, second)
    assert releases.store.describe(first).dimension == 8
    assert releases.store.describe(second).dimension == 16
    assert {v.bundle_id for v in releases.versions.all()} == {"letters@1", "wider@1"}
    assert releases.versions.roll_back().version.bundle_id == "letters@1"


def test_retention_keeps_the_newest_the_live_and_the_one_before_it(releases: Releases) -> None:
    names = [releases.build(number) for number in range(6)]
    for name in names[:2]:
        _publish(releases, name)
    retained = releases.versions.retain(keep=2)
    assert retained.dropped == (names[2], names[3])
    assert set(retained.kept) == {names[0], names[1], names[4], names[5]} == set(releases.store.collections())
    assert [v.collection for v in releases.versions.all()] == [names[5], names[4], names[1], names[0]]
    assert releases.versions.retain(keep=2).dropped == ()
    assert releases.versions.roll_back().version.collection == names[0]
    assert releases.versions.retain(keep=1).dropped == (names[1], names[4])


def test_retention_leaves_a_build_alone_and_clears_up_after_a_killed_one(releases: Releases) -> None:
    live = releases.build(1)
    _publish(releases, live)
    building = releases.build(2, commit=False, seal=False)
    sealed = releases.build(3, commit=False)
    dead = [releases.leave_behind(PENDING_GRACE + timedelta(minutes=i), seal=i == 2) for i in (1, 2)]
    releases.store.create(replace(releases.store.describe(live), name="books_of_somebody_else"))
    assert sorted(releases.versions.retain(keep=1).dropped) == sorted(dead)
    assert set(releases.store.collections()) == {live, building, sealed, "books_of_somebody_else"}


def test_retention_leaves_for_next_time_what_a_process_uses(releases: Releases) -> None:
    names = [releases.build(number) for number in range(3)]
    _publish(releases, names[2])
    with MilvusLiteStore(Path(releases.store.where)) as other:  # type: ignore[attr-defined]
        assert other.count(names[0]) == 24
        retained = releases.versions.retain(keep=1)
        assert retained.dropped == (names[1],)
        assert "locked" in retained.left[names[0]]
    assert releases.versions.retain(keep=1).dropped == (names[0],)


def test_retention_keeps_what_the_kept_collections_were_made_from(releases: Releases) -> None:
    lake, made = releases.lake, []
    names = []
    for number in range(4):
        source = lake.begin("books/editions").commit(rows=0)
        made.append(source.version)
        names.append(releases.build(number, inputs={"books/editions": source.version}))
    for name in names[:2]:
        _publish(releases, name)
    releases.versions.retain(keep=1)
    assert [c.version for c in lake.history("books/editions")] == [made[3], made[1], made[0]]
    assert [c.facts["collection"] for c in lake.history("books/collection")] == [names[3], names[1], names[0]]
    assert releases.recorded() == names[:2]


def test_a_retention_that_is_killed_is_finished_by_the_next(releases: Releases, tmp_path: Path) -> None:
    names = [releases.build(number) for number in range(4)]
    for name in names[2:]:
        _publish(releases, name)
    releases.store.close()
    _killed(tmp_path, "shutil.rmtree = die; versions.retain(keep=1)")
    states = {v.collection: v.state for v in releases.versions.all()}
    # Half dropped: it is no longer whole, so nobody can publish or read it.
    assert states[names[0]] is State.LOST
    assert releases.versions.retain(keep=1).dropped == (names[0], names[1])
    assert sorted(p.name for p in (tmp_path / "vectors").glob("books_*.db")) == [f"{n}.db" for n in names[2:]]


@pytest.mark.parametrize(
    ("until", "moved"),
    [
        ("versions.store.publish = die", False),
        ("os.replace = die", False),
        ("lake.begin = die", True),
        ("PendingVersion.commit = die", True),
        (
            "lake.write_bytes = lambda path, content: die() if '/current/' in path else real(path, content)",
            True,
        ),
    ],
)
def test_publishing_that_is_killed_leaves_the_old_or_the_new_version(
    releases: Releases, tmp_path: Path, until: str, moved: bool
) -> None:
    old, new = releases.build(1), releases.build(2)
    _publish(releases, old)
    releases.store.close()
    _killed(tmp_path, f"{until}; versions.publish({new!r}, Reason.ASSET)")
    assert _live(releases) == (new if moved else old)
    assert releases.store.is_sealed(new if moved else old)
    # The next publication completes the record, and going back leads to the same place.
    releases.versions.publish(new, Reason.ASSET)
    assert list(dict.fromkeys(releases.recorded())) == [old, new]
    assert releases.lake.resolve(published_table("books")).facts["replaced"] == old
    assert releases.versions.roll_back().version.collection == old


def test_a_rollback_that_was_killed_is_not_undone_by_the_next(releases: Releases, tmp_path: Path) -> None:
    a, b, c = (releases.build(number) for number in range(3))
    for name in (a, b, c):
        _publish(releases, name)
    releases.store.close()
    _killed(tmp_path, "lake.begin = die; versions.roll_back()")
    assert _live(releases) == b
    assert releases.versions.roll_back().version.collection == a


def _killed(folder: Path, program: str) -> None:
    """Run a program in a process of its own that kills itself where it calls `die`."""
    code = f"""
import os, shutil, signal
from pathlib import Path
from booksearch_assets.search.publications import Reason
from booksearch_assets.search.versions import Versions
from booksearch_assets.tables.lake import Lake, PendingVersion
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
def die(*args, **kwargs): os.kill(os.getpid(), signal.SIGKILL)
lake = Lake({str(folder / "lake")!r})
real = lake.write_bytes
versions = Versions(lake, MilvusLiteStore(Path({str(folder / "vectors")!r})), "books")
{program}
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_two_processes_may_publish_and_retain_at_once(releases: Releases, tmp_path: Path) -> None:
    names = [releases.build(number) for number in range(8)]
    _publish(releases, names[0])
    releases.store.close()
    code = """
import sys
from pathlib import Path
from booksearch_assets.search.versions import NotPublishable, UnknownVersion, Versions
from booksearch_assets.search.publications import Reason
from booksearch_assets.tables.lake import Lake
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
folder = Path(sys.argv[1])
versions = Versions(Lake(str(folder / "lake")), MilvusLiteStore(folder / "vectors"), "books")
for name in sys.argv[2:]:
    try:
        versions.publish(name, Reason.ASSET)
    except (NotPublishable, UnknownVersion) as error:
        # The other process has published two newer ones meanwhile, and dropped this one.
        assert "dropped" in str(error) or "lost" in str(error) or "no version" in str(error), error
    versions.retain(keep=2)
    live = versions.live()
    assert live in versions.store.collections(), live
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [
        subprocess.Popen([*command, *names[start::2]], stderr=subprocess.PIPE, text=True) for start in (0, 1)
    ]
    for process in processes:
        assert process.wait() == 0, process.stderr and process.stderr.read()
    live = _live(releases)
    assert live is not None
    assert releases.store.index(live).count() == 24
    assert set(names[-2:]) <= set(releases.store.collections())


def test_dropping_and_publishing_exclude_each_other(releases: Releases) -> None:
    first, second = releases.build(1), releases.build(2)
    _publish(releases, first)
    _publish(releases, second)
    with pytest.raises(CollectionPublished):
        releases.store.drop(second)
    assert releases.store.index(second).count() == 24


def test_a_damaged_verdict_says_so_and_is_no_passing_one(releases: Releases) -> None:
    name = releases.build(1)
    verdict = Path(releases.lake.uri("books/collection/verdicts", releases.record_of(name).version))
    (verdict / "self_match.json").write_text("")
    with pytest.raises(LakeError, match="run the check self_match again"):
        releases.versions.publish(name, Reason.ASSET)
