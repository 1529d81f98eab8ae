"""From a dump's `.gz` to filtered fiction: our stages beside the prototype's Spark job, duckdb and polars; landing alone.

Belongs here: these comparisons. Does not: the input (`dump_world`), the contestants (`dump_contestants`), how time and
memory grow with the input (`growth`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib.util import find_spec

import dump_contestants
from dump_world import make_dump
from harness import At, Contestant, Measured, Row, compare, faster, slower

MOST_MEMORY = 2.5e9
_BARS_FROM_MB = 5_000
"""Smaller dumps tell more of starting a JVM than of dumps."""
_QUICK_MB, _QUICK_EDITIONS = 4, 2_000


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--dump-mb",
        type=int,
        default=60,
        help="Text of the editions dump. Its bars are for 5,000, hours of five repetitions.",
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    size = _QUICK_MB if options.quick else options.dump_mb
    dump = make_dump(options.scratch / "dump", size * 1_000_000, _QUICK_EDITIONS if options.quick else 20_000)
    at = f"{dump.text_bytes / 1e6:,.0f} MB"
    as_large = size >= _BARS_FROM_MB
    editions = {"editions": dump.editions}

    def contestant(name: str, function: str, **arguments: str) -> Contestant:
        return Contestant(name, getattr(dump_contestants, function), arguments or editions)

    peers = [
        contestant("prototype", "prototype"),
        contestant("row at a time", "row_at_a_time"),
        *(contestant(name, f"with_{name}") for name in ("duckdb", "polars") if find_spec(name)),
    ]
    measured = compare([contestant("ours", "ours"), *peers], options.repetitions)
    ours = measured["ours"]
    landing = compare(
        [contestant("ours", "land_only"), contestant("igzip -dc", "decompress")], options.repetitions
    )
    limit = landing["igzip -dc"].seconds
    yield faster(
        f"dump to filtered fiction, {at}",
        ours,
        measured["prototype"],
        at_least=3.0 if as_large else None,
        limit_seconds=limit,
        note="Ours keeps every edition; the prototype's job keeps what it filtered, and reads twice, on one core.",
    )
    yield _memory(f"its peak memory in GB, {at}", ours)
    yield faster(f"the same, {at}", ours, measured["row at a time"], limit_seconds=limit)
    for name in ("duckdb", "polars"):
        if name in measured:
            note = "Keeps only what passes; no table of all editions, no revisions, no joins."
            yield faster(f"the same, {at}", ours, measured[name], limit_seconds=limit, note=note)
        else:
            yield Row.missing(f"the same, {at}", name, "Not installed: pip install -e '.[bench]'.")
    yield slower(f"landing, {at}", landing["ours"], landing["igzip -dc"], at_most=4.0)

    table = str(options.scratch / "table")
    compare([contestant("editions", "make_editions", folder=table, **editions)], 1)
    again = compare([contestant("ours", "filter_again", folder=table)], options.repetitions)["ours"]
    yield faster(f"filter again, {at}", again, measured["prototype"], at_least=10.0 if as_large else None)


def _memory(stage: str, measured: Measured) -> Row:
    gigabytes = measured.peak_memory / 1e9
    return Row(stage, f"{gigabytes:.2f} GB", "", gigabytes, At.MOST, MOST_MEMORY / 1e9, measured=(measured,))
