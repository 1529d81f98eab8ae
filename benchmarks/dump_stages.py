"""From a dump's `.gz` to filtered fiction: our stages beside the prototype's Spark job, duckdb and polars; landing alone.

Belongs here: these comparisons. Does not: the input (`dump_world`), the contestants (`dump_contestants`), how time and
memory grow with the input (`growth`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

import dump_contestants
import growth
from dump_world import make_dump
from harness import Contestant, Measured, compare
from rows import At, Row, faster, slower

_BARS_FROM_MB = 5_000
"""Smaller dumps tell more of starting a JVM than of dumps."""


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--dump-mb",
        type=int,
        help=f"Text of the editions dump; the largest of `growth` by default. Its bars are for {_BARS_FROM_MB:,}.",
    )
    parser.add_argument(
        "--dump-prototype-alone",
        action="store_true",
        help="Of the peers of a large dump only the one that has a bar: the others take ten minutes at 5,000.",
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    if options.dump_mb and options.dump_mb >= _BARS_FROM_MB:
        dump = make_dump(options.scratch / "dump", options.dump_mb * 1_000_000)
        yield from _large(options, dump.editions, f"{dump.text_bytes / 1e6:,.0f} MB")
    elif options.dump_mb:
        dump = make_dump(options.scratch / "dump", options.dump_mb * 1_000_000)
        yield from _small(options, {f"{dump.text_bytes / 1e6:,.0f} MB": dump.editions})
    else:
        yield from _small(options, growth.make_dumps(options))


def _small(options: argparse.Namespace, dumps: dict[str, str]) -> Iterator[Row]:
    """The largest of the dumps in sessions that stay, and from their start, which would be nearly all of each repetition."""
    at, editions = [*dumps.items()][-1]
    limit, landing = _landing(options, editions, at)
    spark = [
        Contestant("ours", dump_contestants.ours_again, {"dumps": dumps}),
        Contestant("prototype", dump_contestants.prototype_again, {"editions": editions}),
    ]
    measured = compare([*spark, *_queries(editions)], options.repetitions)
    if len(dumps) > 1:
        options.grown = growth.by_size(measured["ours"], dumps)
    # Of the largest dump alone.
    measured["ours"] = measured["ours"].by(at)
    ours, prototype = measured["ours"], measured["prototype"]
    cold = ours.from_start()
    yield faster(
        f"dump to filtered fiction, {at}, from the start of Python and the JVM, once",
        cold,
        prototype.from_start(),
        limit_seconds=limit,
        note=_KEEPS,
    )
    yield _memory(f"its peak memory in GB, {at}", cold)
    yield faster(f"dump to filtered fiction, {at}, warm", ours, prototype, limit_seconds=limit)
    yield from _beside_queries(measured, at, limit)
    yield landing
    yield faster(f"filter again, {at}, warm", ours.by(dump_contestants.FILTER), prototype)


def _large(options: argparse.Namespace, editions: str, at: str) -> Iterator[Row]:
    """In a process of its own each time, whose start and the JVM's count."""
    limit, landing = _landing(options, editions, at)
    given, made = {"editions": editions}, str(options.scratch / "made")
    contestants = [
        Contestant("ours", dump_contestants.ours, given | {"keep_in": made}),
        Contestant("prototype", dump_contestants.prototype, given),
    ]
    if not options.dump_prototype_alone:
        contestants += [
            Contestant("row at a time", dump_contestants.row_at_a_time, given),
            *_queries(editions),
        ]
    measured = compare(contestants, options.repetitions, timeout=_PATIENCE)
    ours = measured["ours"]
    yield faster(
        f"dump to filtered fiction, {at}",
        ours,
        measured["prototype"],
        at_least=3.0,
        limit_seconds=limit,
        note=_KEEPS,
    )
    yield _memory(f"its peak memory in GB, {at}", ours)
    if not options.dump_prototype_alone:
        yield faster(f"dump to filtered fiction, {at}", ours, measured["row at a time"], limit_seconds=limit)
        yield from _beside_queries(measured, at, limit)
    yield landing
    again = compare(
        [Contestant("ours", dump_contestants.filter_again, {"folder": made})], options.repetitions
    )["ours"]
    yield faster(f"filter again, {at}", again, measured["prototype"], at_least=10.0)


_KEEPS = "Ours keeps every edition; the prototype's job keeps what it filtered, and reads twice, on one core."
_PATIENCE = 7200.0


def _landing(options: argparse.Namespace, editions: str, at: str) -> tuple[float, Row]:
    given = {"editions": editions}
    ours = Contestant("ours", dump_contestants.land_only, given)
    limit = Contestant("igzip -dc", dump_contestants.decompress, given)
    measured = compare([ours, limit], options.repetitions)
    row = slower(f"landing, {at}", measured["ours"], measured["igzip -dc"], at_most=4.0)
    return measured["igzip -dc"].seconds, row


_QUERIES = ("duckdb", "polars")


def _queries(editions: str) -> list[Contestant]:
    ways = {name: getattr(dump_contestants, f"with_{name}") for name in _QUERIES if find_spec(name)}
    return [Contestant(name, way, {"editions": editions}) for name, way in ways.items()]


def _beside_queries(measured: Mapping[str, Measured], at: str, limit: float) -> Iterator[Row]:
    for name in _QUERIES:
        stage = f"dump to filtered fiction, {at}"
        if name in measured:
            note = "Keeps only what passes; no table of all editions, no revisions, no joins."
            yield faster(stage, measured["ours"], measured[name], limit_seconds=limit, note=note)
        else:
            yield Row.missing(stage, name, "Not installed: pip install -e '.[bench]'.")


def _memory(stage: str, measured: Measured) -> Row:
    gigabytes = measured.peak_memory / 1e9
    return Row(
        stage, f"{gigabytes:.2f} GB", "", gigabytes, At.MOST, growth.MOST_MEMORY / 1e9, measured=(measured,)
    )
