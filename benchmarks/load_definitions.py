"""What loading the definitions takes, which every command of Dagster waits for: processor time, beside Dagster's own import.

Belongs here: that bar of three seconds. Does not: what is loaded (`booksearch_assets_tests/test_definitions.py`).
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Iterator

from harness import Contestant, Done, compare
from rows import At, Row

_MOST_SECONDS = 3.0


def add_options(parser: argparse._ArgumentGroup) -> None:
    """It has no size."""


def rows(options: argparse.Namespace) -> Iterator[Row]:
    measured = compare(
        [Contestant("definitions", ours), Contestant("dagster alone", dagster)], options.repetitions
    )
    definitions = measured["definitions"]
    yield Row(
        "definitions load, seconds of processor",
        str(definitions),
        str(measured["dagster alone"]),
        definitions.seconds,
        At.MOST,
        _MOST_SECONDS,
        peak_memory=definitions.peak_memory,
        measured=tuple(measured.values()),
    )


def ours() -> Done:
    import booksearch_assets.definitions  # noqa: F401

    return Done(seconds=_processor_seconds())


def dagster() -> Done:
    import dagster  # noqa: F401

    return Done(seconds=_processor_seconds())


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
