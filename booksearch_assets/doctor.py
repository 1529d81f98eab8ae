"""`booksearch doctor`: what is wrong with this machine or deployment, and how to mend it.

Belongs here: one small examination for each thing that a run needs. Does not: mending.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

import click

from booksearch_assets.aws_settings import SettingsError
from booksearch_assets.compute.memory import machine_memory
from booksearch_assets.java import find_java, install_line
from booksearch_assets.settings import Settings

MEMORY_NEEDED_GB = 4
DISK_NEEDED_GB = 5
_GB = 1024**3


@dataclass(frozen=True)
class Finding:
    """What was found of one thing; `mend` is what to do where it is not well."""

    subject: str
    well: bool
    found: str
    mend: str = ""


def examine() -> int:
    """Print every finding. Returns 1 when something is not well."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        click.echo(f"FAIL settings: {error}")
        return 1
    findings = [_guarded(examination, settings) for examination in _examinations(settings)]
    for finding in findings:
        click.echo(f"{'ok  ' if finding.well else 'FAIL'} {finding.subject}: {finding.found}")
        if not finding.well:
            click.echo(f"       mend: {finding.mend}")
    return 0 if all(finding.well for finding in findings) else 1


def _examinations(settings: Settings) -> tuple[Callable[[Settings], Finding], ...]:
    if settings.emr is None:
        return EXAMINATIONS
    from booksearch_assets.emr.examination import EMR_EXAMINATIONS

    # Spark runs elsewhere, which is what Java is for.
    return (*(e for e in EXAMINATIONS if e is not examine_java), *EMR_EXAMINATIONS)


def _guarded(examination: Callable[[Settings], Finding], settings: Settings) -> Finding:
    """A thing that cannot even be looked at is a finding too, and must not hide the others."""
    try:
        return examination(settings)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
        return Finding(
            examination.__name__.removeprefix("examine_"),
            False,
            f"{type(error).__name__}: {error}",
            "see the message",
        )


def examine_python(settings: Settings) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "python",
        (3, 11) <= sys.version_info[:2] <= (3, 13),
        f"{version} at {sys.executable}",
        "use Python 3.11, 3.12 or 3.13",
    )


def examine_java(settings: Settings) -> Finding:
    java = find_java()
    found = f"{java.release} at {java.home}" if java else "none that Spark runs on"
    return Finding("java", java is not None, found, install_line())


def examine_memory(settings: Settings) -> Finding:
    total = machine_memory() / _GB
    mend = f"have {MEMORY_NEEDED_GB} GB, or set tuning.preset of the Spark assets to `small` in the launchpad"
    return Finding("memory", total >= MEMORY_NEEDED_GB, f"{total:.1f} GB", mend)


def examine_disk(settings: Settings) -> Finding:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free / _GB
    return Finding(
        "disk",
        free >= DISK_NEEDED_GB,
        f"{free:.1f} GB free at {place}",
        "free some space, or set BOOKSEARCH_HOME to another disk",
    )


def examine_model(settings: Settings) -> Finding:
    from booksearch_assets.clip.bundle import Bundle, BundleError

    try:
        bundle = Bundle.open(settings.bundle)
    except BundleError as error:
        return Finding(
            "model bundle",
            False,
            str(error),
            "booksearch model fetch, or unset BOOKSEARCH_MODEL for the sample model",
        )
    return Finding("model bundle", True, f"{bundle.bundle_id}, {bundle.dimension} wide, in {bundle.folder}")


def examine_engine(settings: Settings) -> Finding:
    """Whether what was asked to embed pictures runs here, and what would embed."""
    from booksearch_assets.clip.bundle import Bundle, BundleError
    from booksearch_assets.clip.choosing import engine_folder, read_decision
    from booksearch_assets.clip.engines import AUTO, Capabilities, EngineUnavailable, wished_choice

    machine = Capabilities.of_this_machine()
    if settings.engine != AUTO:
        try:
            choice = wished_choice(settings.engine, machine)
        except EngineUnavailable as error:
            return Finding("engine", False, str(error), "unset BOOKSEARCH_ENGINE, or do as it says")
        return Finding("engine", True, f"{choice} embeds, by BOOKSEARCH_ENGINE")
    try:
        bundle = Bundle.open(settings.bundle)
    except BundleError:
        return Finding("engine", True, "auto: nothing to embed with before the model bundle is mended")
    decision = read_decision(engine_folder(settings.engines, bundle), bundle, machine)
    found = decision.why if decision else "not measured yet; booksearch model engines --measure"
    return Finding("engine", True, f"auto: {found}")


def examine_lake(settings: Settings) -> Finding:
    from booksearch_assets.tables.lake import Lake, LakeError

    try:
        lake = Lake(settings.lake)
        # The same probe each time, so that an examined lake holds one more small object and no more.
        lake.write_bytes("_doctor/probe", b"ok")
        tables = [
            table
            for table in ("books/editions", "books/cover_embeddings", "books/search")
            if lake.partitions(table)
        ]
    except LakeError as error:
        return Finding(
            "lake", False, str(error), "mend the permissions of the folder, or set BOOKSEARCH_LAKE"
        )
    return Finding(
        "lake", True, f"{settings.lake} can be written; holds {', '.join(tables) or 'nothing yet'}"
    )


def examine_vector_store(settings: Settings) -> Finding:
    from booksearch_assets.vectorstores.connect import open_store
    from booksearch_assets.vectorstores.errors import VectorStoreError

    try:
        store = open_store(settings.store_uri, settings.store_token(), lock_timeout=5)
        published = store.published("books")
        store.close()
    except VectorStoreError as error:
        return Finding(
            "vector store",
            False,
            str(error),
            "start OpenSearch, or unset BOOKSEARCH_OPENSEARCH_URL to use Milvus Lite"
            if settings.opensearch_uri
            else "start the server, or set BOOKSEARCH_MILVUS_URI to a local folder",
        )
    return Finding(
        "vector store", True, f"{settings.store_uri}; published: {published or 'nothing yet, run make demo'}"
    )


def examine_embedded_search(settings: Settings) -> Finding:
    """Whether what is published is small enough to be searched in the process of each reader."""
    from booksearch_assets.vectorstores.connect import open_store
    from booksearch_assets.vectorstores.errors import VectorStoreError
    from booksearch_assets.vectorstores.exact import MOST_NUMBERS
    from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore

    subject = "embedded search"
    try:
        with open_store(settings.store_uri, settings.store_token(), lock_timeout=5) as store:
            published = store.published("books")
            if not isinstance(store, MilvusLiteStore) or published is None:
                return Finding(subject, True, "not in use")
            rows, dimension = store.rows(published), store.describe(published).dimension
    except VectorStoreError:
        return Finding(subject, True, "not in use, since the vector store cannot be read")
    return Finding(
        subject,
        rows * dimension <= MOST_NUMBERS,
        f"{rows:,} vectors of {dimension}; meant for {MOST_NUMBERS // dimension:,} at most",
        "set BOOKSEARCH_MILVUS_URI to a Milvus server and materialise the collection: each process that searches the "
        "embedded store keeps every vector in memory and reads all of them for every query",
    )


EXAMINATIONS: tuple[Callable[[Settings], Finding], ...] = (
    examine_python,
    examine_java,
    examine_memory,
    examine_disk,
    examine_model,
    examine_engine,
    examine_lake,
    examine_vector_store,
    examine_embedded_search,
)
