"""How time and memory of the dump stages grow with the dump: 1x, 4x and 16x of it.

Belongs here: sizes and what their times say. Does not: the stages themselves (`dump_contestants`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import dump_contestants
from dump_stages import MOST_MEMORY
from dump_world import make_dump
from harness import At, Contestant, Measured, Row, compare

_FACTORS = (1, 4, 16)
_QUICK_MB, _QUICK_EDITIONS = 1, 1_000
_MOST_OVER_LINEAR = 1.1
# What the peak may gain from a step to four times the input, of which the JVM's heap fills what it is given.
_MOST_GAINED = 1.25


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--growth-mb", type=int, default=20, help="Text of the smallest dump; 640 grows to 10 GB, an hour."
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    base = _QUICK_MB if options.quick else options.growth_mb
    editions = _QUICK_EDITIONS if options.quick else 20_000
    ours: list[Measured] = []
    prototype: list[Measured] = []
    sizes: list[float] = []
    for factor in _FACTORS:
        dump = make_dump(options.scratch / f"{factor}x", base * factor * 1_000_000, editions)
        sizes.append(dump.text_bytes)
        given = {"editions": dump.editions}
        contestants = [Contestant(f"ours, {factor}x", dump_contestants.ours, given)]
        if factor != _FACTORS[-1]:
            contestants.append(Contestant(f"prototype, {factor}x", dump_contestants.prototype, given))
        # Once each: a larger input repeats the smaller one's work many times over.
        measured = [*compare(contestants, 1).values()]
        ours.append(measured[0])
        prototype += measured[1:]
    for number in (1, 2):
        smaller, larger = ours[number - 1 : number + 1]
        grown = sizes[number] / sizes[number - 1]
        step = f"{sizes[number - 1] / 1e6:,.0f} to {sizes[number] / 1e6:,.0f} MB"
        yield _at_most(f"time over linear, {step}", smaller, larger, larger.seconds / smaller.seconds / grown)
    first, last = ours[1:]
    gained = last.peak_memory / first.peak_memory
    yield _at_most(f"peak memory, {step}", first, last, gained, _MOST_GAINED, by_memory=True)
    yield _at_most(
        f"peak memory in GB, {sizes[-1] / 1e6:,.0f} MB",
        last,
        last,
        last.peak_memory / 1e9,
        MOST_MEMORY / 1e9,
        by_memory=True,
    )
    each, theirs = (
        _per_byte(ours[0], ours[2], sizes[2] - sizes[0]),
        _per_byte(prototype[0], prototype[1], sizes[1] - sizes[0]),
    )
    yield Row(
        "each further GB of a dump",
        f"ours {each * 1e9:,.1f} s",
        f"prototype {theirs * 1e9:,.1f} s",
        theirs / each,
        note="What the ratio of the whole tends to as dumps grow, and what is fixed, as starting a JVM, counts less.",
        measured=(*ours, *prototype),
    )


def _per_byte(smaller: Measured, larger: Measured, further: float) -> float:
    return (larger.seconds - smaller.seconds) / further


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
