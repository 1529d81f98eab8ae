"""Readers that outlive rebuilds: on Milvus Lite, and on a real Milvus server."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from booksearch_assets.cli import main
from booksearch_assets.sagemaker.errors import EndpointUnavailable
from booksearch_assets.search.books import BookFilters
from booksearch_assets.search.cursor import Cursor
from booksearch_assets.search.engine import ModelMismatch, QueryEncoder
from booksearch_assets.search.live import LiveSearch
from booksearch_assets.search.publications import Reason
from booksearch_assets.search.query import Query, SearchResults, StaleCursor
from booksearch_assets.settings import PACKAGE
from booksearch_assets.tables.lake import Lake
from booksearch_assets.vectorstores.contract import VectorStore
from booksearch_assets.vectorstores.errors import CollectionNotFound
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets.vectorstores.milvus_server import MilvusServerStore
from booksearch_assets_tests.search.releases import LetterEncoder, Releases
from booksearch_assets_tests.vectorstores.server import milvus_server

PUBLISHES = 10
QUERY = Query("book c", k=8, collapse=False)


@pytest.fixture(params=["lite", pytest.param("server", marks=[pytest.mark.milvus, pytest.mark.system])])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], VectorStore]:
    """Opens the store as another process would."""
    if request.param == "server":
        return lambda: MilvusServerStore(milvus_server())
    return lambda: MilvusLiteStore(tmp_path / "vectors")


@pytest.fixture
def releases(reopen: Callable[[], VectorStore], tmp_path: Path) -> Iterator[Releases]:
    with reopen() as store:
        # The server is shared with other tests.
        yield Releases(Lake(str(tmp_path / "lake")), store, f"books_{secrets.token_hex(4)}")


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Releases]:
    with MilvusLiteStore(tmp_path / "vectors") as store:
        yield Releases(Lake(str(tmp_path / "lake")), store)


def _publish(releases: Releases, number: int, encoder: LetterEncoder | None = None) -> str:
    name = releases.build(number, encoder)
    releases.versions.publish(name, Reason.ASSET)
    return name


def _number(results: SearchResults) -> int:
    """The version whose rows these are. Fails where they are of two, or not those that the results name."""
    assert len(results.results) == QUERY.k
    [told] = {(r.title, *r.authors, r.year) for r in results.results}
    number = int(told[1])
    assert told == (f"version {number}", str(number), 2000 + number)
    return number


def _letters(bundle_id: str) -> QueryEncoder:
    return LetterEncoder(bundle_id)


def test_a_client_queries_all_through_ten_publishes(
    releases: Releases, reopen: Callable[[], VectorStore]
) -> None:
    recheck_seconds = 0.0 if isinstance(releases.store, MilvusLiteStore) else 0.2
    numbers = {_publish(releases, 0): 0}
    stop = threading.Event()
    seen: list[list[int]] = [[], []]
    errors: list[BaseException] = []

    with reopen() as reading:
        live = LiveSearch(reading, releases.catalogue, _letters, recheck_seconds)

        def ask(mine: list[int]) -> None:
            try:
                while not stop.is_set():
                    before = len(numbers) - 1
                    results = live.search(QUERY)
                    number = _number(results)
                    assert releases.catalogue in results.collection
                    assert numbers.setdefault(results.collection, number) == number
                    assert recheck_seconds or number >= before
                    mine.append(number)
                    # Leaves the processor to the builds.
                    stop.wait(0.005)
            except BaseException as error:
                errors.append(error)

        clients = [threading.Thread(target=ask, args=(mine,)) for mine in seen]
        for client in clients:
            client.start()
        for number in range(1, PUBLISHES + 1):
            name = releases.build(number)
            releases.versions.publish(name, Reason.ASSET)
            numbers[name] = number
            retained = releases.versions.retain(keep=2)
            assert name in retained.kept
        stop.wait(2 * recheck_seconds)
        stop.set()
        for client in clients:
            client.join()
        assert errors == []
        for mine in seen:
            assert mine == sorted(mine), "a client went back to an older version"
            assert len(set(mine)) > PUBLISHES // 2, "the client missed most versions, so it shows little"
        assert _number(live.search(QUERY)) == PUBLISHES
        assert live.collection == name
        assert live.held_up is None
    ours = [c for c in releases.store.collections() if c.startswith(releases.catalogue)]
    assert len(ours) == 2


def test_a_version_that_is_dropped_under_a_slow_reader_is_no_error(releases: Releases) -> None:
    _publish(releases, 0)
    # Looks at the alias once and then never again by itself.
    live = LiveSearch(releases.store, releases.catalogue, _letters, recheck_seconds=3600.0)
    assert _number(live.search(QUERY)) == 0
    first = live.collection
    for number in (1, 2, 3):
        _publish(releases, number)
    assert first in releases.versions.retain(keep=2).dropped
    assert _number(live.search(QUERY)) in (0, 3)
    if not isinstance(releases.store, MilvusLiteStore):
        assert _number(live.search(QUERY)) == 3


@pytest.mark.parametrize("without", [ModelMismatch, EndpointUnavailable])
def test_a_version_of_another_model_waits_for_its_encoder(lite: Releases, without: type[Exception]) -> None:
    encoders: dict[str, QueryEncoder] = {"letters@1": LetterEncoder()}

    def encoder_for(bundle_id: str) -> QueryEncoder:
        if bundle_id not in encoders:
            raise without(f"no encoder of {bundle_id}")
        return encoders[bundle_id]

    old = _publish(lite, 0)
    live = LiveSearch(lite.store, "books", encoder_for, retry_seconds=0.0)
    other = LetterEncoder("wider@1", dimension=16)
    new = _publish(lite, 1, other)
    results = live.search(QUERY)
    assert (_number(results), results.collection, results.bundle_id) == (0, old, "letters@1")
    assert live.held_up == "no encoder of wider@1"
    encoders["wider@1"] = other
    results = live.search(QUERY)
    assert (_number(results), results.collection, results.bundle_id) == (1, new, "wider@1")
    assert live.held_up is None
    # And back, with the encoder of the older one.
    lite.versions.roll_back()
    assert live.search(QUERY).bundle_id == "letters@1"


def test_a_first_version_of_another_model_is_an_error(lite: Releases) -> None:
    _publish(lite, 0, LetterEncoder("other@1"))
    with pytest.raises(ModelMismatch, match="other@1"):
        LiveSearch(lite.store, "books", lambda bundle_id: LetterEncoder("letters@1"))


def test_nothing_published_is_an_error(lite: Releases) -> None:
    with pytest.raises(CollectionNotFound, match="nothing is published as 'books'"):
        LiveSearch(lite.store, "books", _letters)


def test_a_damaged_version_holds_up_the_change_and_no_query(lite: Releases, tmp_path: Path) -> None:
    _publish(lite, 0)
    live = LiveSearch(lite.store, "books", _letters, retry_seconds=0.0)
    broken = _publish(lite, 1)
    snapshot = tmp_path / "vectors" / f"{broken}.parquet"
    whole = snapshot.read_bytes()
    snapshot.write_bytes(b"PAR1")
    assert _number(live.search(QUERY)) == 0
    assert live.held_up and "is not the snapshot of a collection" in live.held_up
    snapshot.write_bytes(whole)
    assert _number(live.search(QUERY)) == 1


def test_a_walk_through_pages_stays_on_its_version(lite: Releases, tmp_path: Path) -> None:
    first = _publish(lite, 0)
    live = LiveSearch(lite.store, "books", _letters, cache=tmp_path / "words")
    page = live.search(QUERY)
    _publish(lite, 1)
    assert _number(live.search(QUERY)) == 1
    second = live.search(Query(cursor=page.next_cursor, k=QUERY.k))
    assert (_number(second), second.collection) == (0, first)
    assert not {r.edition_key for r in page.results} & {r.edition_key for r in second.results}
    # Another process has only the store to go by.
    again = LiveSearch(lite.store, "books", _letters, cache=tmp_path / "words")
    assert again.search(replace(QUERY, cursor=page.next_cursor)).results == second.results
    assert live.facets().collection != first
    for number in (2, 3):
        _publish(lite, number)
    assert first in lite.versions.retain(keep=1).dropped
    later = LiveSearch(lite.store, "books", _letters)
    with pytest.raises(StaleCursor, match=f"{first}.*Search again from the first page"):
        later.search(Query(cursor=page.next_cursor))


def test_words_of_dropped_versions_are_removed(lite: Releases, tmp_path: Path) -> None:
    words = tmp_path / "words"
    first = _publish(lite, 0)
    live = LiveSearch(lite.store, "books", _letters, cache=words)
    (words / "products_1.1.sqlite").touch()
    for number in (1, 2):
        _publish(lite, number)
        assert _number(live.search(QUERY)) == number
    assert first in lite.versions.retain(keep=1).dropped
    _publish(lite, 3)
    assert _number(live.search(QUERY)) == 3
    held = {path.name.partition(".")[0] for path in words.iterdir()}
    assert held == {*lite.store.collections(), "products_1"}


def test_readers_of_a_server_go_on_while_one_opens_the_next_version(lite: Releases) -> None:
    opening, go_on = threading.Event(), threading.Event()

    def encoder_for(bundle_id: str) -> QueryEncoder:
        if bundle_id == "slow@1":
            opening.set()
            assert go_on.wait(60)
        return LetterEncoder(bundle_id)

    _publish(lite, 0)
    live = LiveSearch(lite.store, "books", encoder_for, recheck_seconds=1e-9)
    _publish(lite, 1, LetterEncoder("slow@1"))
    answers: list[SearchResults] = []
    first = threading.Thread(target=lambda: answers.append(live.search(QUERY)))
    first.start()
    assert opening.wait(60)
    assert _number(live.search(QUERY)) == 0
    go_on.set()
    first.join()
    assert _number(answers[0]) == 1
    assert _number(live.search(QUERY)) == 1


def test_a_cursor_opens_no_collection_of_another_catalogue(lite: Releases) -> None:
    _publish(lite, 0)
    other = _publish(Releases(lite.lake, lite.store, "products"), 1)
    live = LiveSearch(lite.store, "books", _letters)
    cursor = live.search(QUERY).next_cursor
    assert cursor
    with pytest.raises(StaleCursor):
        live.search(Query(cursor=replace(Cursor.decode(cursor, BookFilters), collection=other).encode()))


def test_a_query_under_way_finishes_on_the_version_it_began_with(lite: Releases) -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Slow(LetterEncoder):
        def encode_texts(self, texts):  # type: ignore[no-untyped-def]
            if texts[0] == "slow":
                entered.set()
                assert go_on.wait(60)
            return super().encode_texts(texts)

    _publish(lite, 0)
    live = LiveSearch(lite.store, "books", Slow)
    answers: list[SearchResults] = []
    reader = threading.Thread(
        target=lambda: answers.append(live.search(Query("slow", k=QUERY.k, collapse=False)))
    )
    reader.start()
    assert entered.wait(60)
    for number in (1, 2, 3):
        _publish(lite, number)
    lite.versions.retain(keep=1)
    assert _number(live.search(QUERY)) == 3
    go_on.set()
    reader.join()
    assert _number(answers[0]) == 0


BUILDER = """
import sys
from pathlib import Path
from booksearch_assets.tables.lake import Lake
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets_tests.search.releases import LetterEncoder, rows_of, spec_of
store = MilvusLiteStore(Path(sys.argv[1]))
store.create(spec_of("books_next", LetterEncoder()))
def endless():
    yield rows_of(9, LetterEncoder(), count=2000)
    print("loading", flush=True)
    while not sys.stdin.readline():
        pass
store.load("books_next", endless())
store.seal("books_next")
"""


def _of_shipped_model() -> LetterEncoder:
    """Vectors that say that they are of the model that the package ships."""
    from booksearch_assets.clip.bundle import Bundle

    bundle = Bundle.open(PACKAGE / "sample" / "model")
    return LetterEncoder(bundle.bundle_id, bundle.dimension)


def test_reading_and_publishing_go_on_while_another_process_builds(
    lite: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(Releases(lite.lake, lite.store, "letters"), 0)
    _publish(lite, 5, _of_shipped_model())
    lite.store.close()
    command = [sys.executable, "-c", BUILDER, str(tmp_path / "vectors")]
    builder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert builder.stdout and builder.stdout.readline() == "loading\n"
        with MilvusLiteStore(tmp_path / "vectors", lock_timeout=0.0) as store:
            live = LiveSearch(store, "letters", _letters)
            assert _number(live.search(QUERY)) == 0
            monkeypatch.setenv("BOOKSEARCH_HOME", str(tmp_path))
            monkeypatch.setenv("BOOKSEARCH_MILVUS_URI", str(tmp_path / "vectors"))
            told = CliRunner().invoke(main, ["search", "a lighthouse", "--json"])
            assert "version 5" in told.output, told.output
            other = Releases(lite.lake, store, "letters")
            _publish(other, 1)
            assert _number(live.search(QUERY)) == 1
            other.versions.roll_back()
            assert _number(live.search(QUERY)) == 0
    finally:
        builder.communicate("\n")
    assert builder.returncode == 0
    assert lite.store.is_sealed("books_next")
