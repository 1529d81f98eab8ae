"""How time and memory of the dump stages grow with the dump: 1x, 4x and 16x of it.

Small ones are done in turn by one session, since a start that is the same for all sizes would make any growth look small; dumps
that take minutes have a process each.

Belongs here: sizes and what their times say. Does not: the stages themselves (`dump_contestants`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import dump_contestants
from dump_stages import MOST_MEMORY
from dump_world import make_dump
from harness import Contestant, Measured, compare
from rows import At, Row

_FACTORS = (1, 4, 16)
_QUICK_MB, _QUICK_EDITIONS = 1, 1_000
_EDITIONS = 1_200
_STARTS_COUNT_FROM_MB = 200
_MOST_OVER_LINEAR = 1.1
# What the peak may gain from a step to four times the input, of which the JVM's heap fills what it is given.
_MOST_GAINED = 1.25


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--growth-mb",
        type=int,
        default=2,
        help="Text of the smallest dump; 640 grows to 10 GB, twelve minutes for each repetition.",
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    base = _QUICK_MB if options.quick else options.growth_mb
    dumps = [
        make_dump(
            options.scratch / f"{factor}x",
            base * factor * 1_000_000,
            _QUICK_EDITIONS if options.quick else _EDITIONS,
        )
        for factor in _FACTORS
    ]
    sizes = [dump.text_bytes for dump in dumps]
    names = [f"{size / 1e6:,.0f} MB" for size in sizes]
    measured = _measured(options, dict(zip(names, (dump.editions for dump in dumps), strict=True)), base)
    for smaller, larger, grown in zip(measured, measured[1:], _grown(sizes), strict=False):
        yield _at_most(
            f"time over linear, {smaller.name} to {larger.name}",
            smaller,
            larger,
            larger.seconds / smaller.seconds / grown,
        )
    middle, last = measured[1:]
    gained = last.peak_memory / middle.peak_memory
    yield _at_most(
        f"peak memory, {middle.name} to {last.name}", middle, last, gained, _MOST_GAINED, by_memory=True
    )
    yield _at_most(
        f"peak memory in GB, {last.name}",
        last,
        last,
        last.peak_memory / 1e9,
        MOST_MEMORY / 1e9,
        by_memory=True,
    )


def _measured(options: argparse.Namespace, dumps: Mapping[str, str], base: int) -> list[Measured]:
    """In the order of the sizes. Their answers differ, as their inputs do."""
    if base >= _STARTS_COUNT_FROM_MB:
        large = [Contestant(name, dump_contestants.ours, {"editions": path}) for name, path in dumps.items()]
        return [*compare(large, options.repetitions, agree=lambda *_: True, timeout=7200).values()]
    small = Contestant("ours", dump_contestants.in_one_session, {"dumps": dict(dumps)})
    together = compare([small], options.repetitions)["ours"]
    return [_of_size(together, name) for name in dumps]


def _of_size(together: Measured, size: str) -> Measured:
    """What a session took for one of the sizes that it does in turn, and the peak while it did."""
    runs = (
        replace(run, seconds=run.figures[size], peak_memory=int(run.figures[f"{size}, peak"]))
        for run in together.runs
    )
    return Measured(size, tuple(runs))


def _grown(sizes: Sequence[int]) -> list[float]:
    return [larger / smaller for smaller, larger in pairwise(sizes)]


def _at_most(
    stage: str,
    smaller: Measured,
    larger: Measured,
    ratio: float,
    bar: float = _MOST_OVER_LINEAR,
    by_memory: bool = False,
) -> Row:
    shown = [
        f"{m.peak_memory / 1e6:,.0f} MB" if by_memory else f"{m.seconds:,.1f} s" for m in (larger, smaller)
    ]
    return Row(stage, shown[0], shown[1], ratio, At.MOST, bar, peak_memory=larger.peak_memory)
