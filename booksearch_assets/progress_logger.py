"""A Dagster logger for people who watch a terminal: which step runs, how far it is, how long it took.

Belongs here: the `progress` logger of the demo and of `booksearch materialize`. Dagster's own console logger shows
every event; this one shows what a newcomer wants to see.
"""

from __future__ import annotations

import logging

import dagster as dg

_EVENTS = {
    "STEP_START": "started",
    "STEP_SUCCESS": "done",
    "STEP_FAILURE": "FAILED",
    "STEP_SKIPPED": "skipped",
}


class _ProgressHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        line = describe(record)
        if line:
            from rich.console import Console

            Console(highlight=False).print(line)


def describe(record: logging.LogRecord) -> str | None:
    """One line for a step's start and end and for what assets log themselves; None for the rest."""
    meta = getattr(record, "dagster_meta", {}) or {}
    step = meta.get("step_key") or ""
    event = meta.get("dagster_event")
    if event is not None:
        said = _EVENTS.get(event.event_type_value)
        if said is None or step.endswith("_checks"):
            return None
        return f"[bold]{step}[/bold] {said}"
    message = meta.get("orig_message") or record.getMessage()
    return f"  [dim]{message}[/dim]" if record.levelno >= logging.INFO else None


@dg.logger
def progress_logger(init_context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("booksearch_assets.progress", level=logging.INFO)
    logger.addHandler(_ProgressHandler())
    return logger
