"""Draws: cheap reproducible choices, one stream for each thing of the sample world.

Belongs here: turning a name such as ("edition", seed, 17) into a stream of choices. Does not: what is chosen.
`scenes.stable_rng` gives the same guarantee at many times the cost, which ten million editions would feel.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

_DIGEST_SIZE = 64
_unpack = struct.Struct(f"<{_DIGEST_SIZE // 4}I").unpack
_RANGE = 1 << 32


class Draws:
    """A stream of choices that depends on its name alone: the same on every machine, process and version."""

    __slots__ = ("_blocks", "_name", "_numbers")

    def __init__(self, *name: object) -> None:
        self._name = "|".join(map(str, name))
        self._blocks = 0
        self._numbers: Iterator[int] = iter(())

    def _number(self) -> int:
        """A whole number below 2**32."""
        for number in self._numbers:
            return number
        digest = hashlib.blake2b(f"{self._name}|{self._blocks}".encode(), digest_size=_DIGEST_SIZE).digest()
        self._blocks += 1
        self._numbers = iter(_unpack(digest))
        return next(self._numbers)

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1; `limit` is at most 2**32."""
        return self._number() % limit

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self._number() % (high - low + 1)

    def chance(self, probability: float) -> bool:
        return self._number() < probability * _RANGE

    def choice(self, options: Sequence[T]) -> T:
        return options[self._number() % len(options)]

    def weighted(self, options: Sequence[tuple[float, T]]) -> T:
        """One of the values, by its weight. The weights sum to 1; the last value takes what rounding leaves."""
        ticket = self._number() / _RANGE
        for weight, value in options:
            ticket -= weight
            if ticket < 0:
                return value
        return options[-1][1]
