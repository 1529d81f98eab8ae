"""How time and memory of the dump stages grow with the dump: 1x, 4x and 16x of it.

Small ones are done in turn by one session, since a start that is the same for all sizes would make any growth look small; dumps
that take minutes have a process each. What `dump_stages` has measured of the same dumps is not measured again.

Belongs here: sizes and what their times say. Does not: the stages themselves (`dump_contestants`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import dump_contestants
from dump_world import make_dump
from harness import Contestant, Measured, compare
from rows import At, Row

MOST_MEMORY = 2.5e9
_FACTORS = (1, 4, 16)
_UNIT = " MB"
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
    measured = getattr(options, "grown", None) or _measured(options)
    sizes = [float(one.name.removesuffix(_UNIT).replace(",", "")) for one in measured]
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


def is_small(options: argparse.Namespace) -> bool:
    return options.quick or options.growth_mb < _STARTS_COUNT_FROM_MB


def make_dumps(options: argparse.Namespace) -> dict[str, str]:
    """The editions of each dump by its size, the smallest first."""
    base, editions = (_QUICK_MB, _QUICK_EDITIONS) if options.quick else (options.growth_mb, _EDITIONS)
    dumps = [
        make_dump(options.scratch / f"{factor}x", base * factor * 1_000_000, editions) for factor in _FACTORS
    ]
    return {f"{dump.text_bytes / 1e6:,.1f}{_UNIT}": dump.editions for dump in dumps}


def by_size(together: Measured, sizes: Iterable[str]) -> list[Measured]:
    """What a session took for each of the sizes that it does in turn, and the peak while it did."""
    return [
        Measured(
            size,
            tuple(
                replace(
                    run,
                    seconds=run.figures[size],
                    peak_memory=int(run.figures[f"{size}, {dump_contestants.PEAK}"]),
                )
                for run in together.runs
            ),
        )
        for size in sizes
    ]


def _measured(options: argparse.Namespace) -> list[Measured]:
    dumps = make_dumps(options)
    if is_small(options):
        together = Contestant("ours", dump_contestants.ours_again, {"dumps": dumps})
        return by_size(compare([together], options.repetitions)["ours"], dumps)
    large = [Contestant(name, dump_contestants.ours, {"editions": path}) for name, path in dumps.items()]
    # Their answers differ, as their inputs do.
    return [*compare(large, options.repetitions, agree=lambda *_: True, timeout=7200).values()]


def _grown(sizes: Sequence[float]) -> list[float]:
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
