"""Runs in the process of a command, and those of them whose process was killed.

A killed process cannot say that its run has ended: Dagster would show it as started for ever, and its slots in the
pools would stay taken, so that every later run waited for them. Each run holds a lock file while it lives; the kernel
gives a lock back whatever ends the process, so a lock that can be had is that of a dead run.

Belongs here: holding the lock, and ending the runs of dead processes. Does not: what is run (`materialize`).
"""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

_KILLED = (
    "The process of this run was killed. What it had committed is kept; run the same again to do the rest."
)


@contextmanager
def own_run(instance: dg.DagsterInstance) -> Iterator[str]:
    """The id for a run of this process, which counts as alive for the time of the block."""
    run_id = str(uuid.uuid4())
    path = _folder(instance) / f"{run_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    unlocked = path.with_suffix(".new")
    with unlocked.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Locked before others can find it, or they would take it for that of a dead run.
        unlocked.rename(path)
        try:
            yield run_id
        finally:
            path.unlink(missing_ok=True)


def end_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs of killed processes as failed, and give back what they held. Returns their ids."""
    ended = []
    for path in sorted(_folder(instance).glob("*.lock")):
        with path.open() as lock:
            if not _is_free(lock):
                continue
            run = instance.get_run_by_id(path.stem)
            if run and not run.is_finished:
                instance.report_run_failed(run, _KILLED)
                instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
                ended.append(run.run_id)
            path.unlink(missing_ok=True)
    return ended


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / "own_runs"


def _is_free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
