"""Dropping what the lake no longer needs, so that it does not grow with every rebuild.

Belongs here: which commits and folders go. Does not: collections of the vector store (`search.versions`), and caches,
which are never pruned: they hold what would have to be fetched and embedded again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pyarrow.fs as pafs

from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import PENDING_GRACE, Lake, begun_at

_Key = tuple[str, str]
"""What the `inputs` of a commit say of another one: table and partition, and version."""


def prune(lake: Lake, *tables: str, keep: int = 2, pinned: Collection[str] = ()) -> list[str]:
    """Drop the commits of `tables` that are neither current nor among the last `keep` of their partition.

    `pinned` are versions of any table that are kept beside those, with everything that they were made from. A folder
    goes only when no commit that is left, of any table of the lake, lies in it: the rejected rows of one table may be
    in a version of another. What a version holds beside its commits, and a version that was never committed, go once
    `PENDING_GRACE` is over: until then a writer may be filling it.

    Returns the folders that were dropped, in the form of `Commit.path`, sorted. Safe beside readers, writers and
    another prune, and after a prune that was killed.
    """
    left, expired = _divided(lake, tables, keep, pinned)
    used = {commit.path for commit in left}
    versions = [path for table in tables for path in _versions(lake, table)]
    unused = [path for path in versions if not _overlaps(path, used)]
    abandoned = {path for path in unused if is_abandoned(path.rsplit("/", 1)[1])}
    dropped = abandoned | {commit.path for commit in expired if not _overlaps(commit.path, used)}
    # Folders first: a record that a kill leaves behind expires again, while a folder without one might stay.
    for path in dropped:
        _delete(lake, path)
    for path in unused:
        if any(commit.path.startswith(f"{path}/") for commit in expired) and not _files(lake, path):
            _delete(lake, path)
    for commit in expired:
        lake.forget(commit)
    return sorted(dropped)


def is_abandoned(version: str) -> bool:
    """Whether no writer can still be filling a version that was not committed."""
    begun = begun_at(version)
    return begun is not None and datetime.now(UTC) - begun > PENDING_GRACE


def _divided(
    lake: Lake, tables: Collection[str], keep: int, pinned: Collection[str]
) -> tuple[list[Commit], list[Commit]]:
    """Every commit of the lake: those that stay, and those of `tables` that go."""
    commits: dict[_Key, Commit] = {}
    stays: set[_Key] = set()
    for table in lake.tables():
        for partition in lake.partitions(table):
            history = lake.history(table, partition)
            current = lake.resolve(table, partition).version
            for place, commit in enumerate(history):
                commits[_key(commit)] = commit
                if table not in tables or place < keep or commit.version == current:
                    stays.add(_key(commit))
    stays |= _lineage(commits, [key for key in commits if key[1] in pinned])
    left = [commit for key, commit in commits.items() if key in stays]
    return left, [commit for key, commit in commits.items() if key not in stays]


def _lineage(commits: dict[_Key, Commit], start: Sequence[_Key]) -> set[_Key]:
    """The commits of `start`, those that they were made from, and so on."""
    found, todo = set(start), list(start)
    while todo:
        inputs = [key for key in commits[todo.pop()].inputs.items() if key in commits and key not in found]
        found.update(inputs)
        todo += inputs
    return found


def _key(commit: Commit) -> _Key:
    return "/".join(filter(None, (commit.table, commit.partition))), commit.version


def _overlaps(path: str, used: Collection[str]) -> bool:
    """Whether the folder is, holds, or lies in one of `used`."""
    return any(f"{path}/".startswith(f"{other}/") or other.startswith(f"{path}/") for other in used)


def _versions(lake: Lake, table: str) -> list[str]:
    infos = lake.filesystem.get_file_info(
        pafs.FileSelector(lake.location(table, "versions"), allow_not_found=True)
    )
    return [lake.uri(table, "versions", info.base_name) for info in infos if not info.is_file]


def _files(lake: Lake, path: str) -> list[str]:
    selector = pafs.FileSelector(_location(lake, path), recursive=True, allow_not_found=True)
    return [info.path for info in lake.filesystem.get_file_info(selector) if info.is_file]


def _delete(lake: Lake, path: str) -> None:
    # Another prune may have been here first.
    with suppress(FileNotFoundError):
        lake.filesystem.delete_dir(_location(lake, path))


def _location(lake: Lake, path: str) -> str:
    return lake.location(path.removeprefix(lake.uri("")))
