"""Amounts of memory: as Spark writes them ("14g", "512m"), and what this machine has.

Belongs here: reading and writing them. Does not: how much is needed (`compute.plan`).
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

MIB = 2**20
GIB = 2**30
_UNITS = {"k": 2**10, "m": MIB, "g": GIB, "t": 2**40}
_AMOUNT = re.compile(r"(\d+)([kmgt])b?")


def memory_bytes(text: str) -> int:
    """The bytes of "14g", "512m", "64MB". Raises `ValueError` where the text is no amount with its unit."""
    match = _AMOUNT.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(
            f"{text!r} is no amount of memory; expected a whole number with k, m, g or t, as in 512m or 14g"
        )
    return int(match[1]) * _UNITS[match[2]]


def memory_setting(amount: int) -> str:
    """Bytes as a setting of Spark: in whole gibibytes where it is that, or else in mebibytes, rounded up."""
    return f"{amount // GIB}g" if amount and amount % GIB == 0 else f"{-(-amount // MIB)}m"


def memory_words(amount: float) -> str:
    """Bytes for people, in the largest unit that leaves a digit before the point."""
    for unit, size in (("TB", 2**40), ("GB", GIB), ("MB", MIB), ("KB", 2**10)):
        if amount >= size:
            return f"{amount / size:,.3g} {unit}"
    return f"{amount:,.0f} bytes"


def machine_memory() -> int:
    """What this machine, or the container that this runs in, has in all, in bytes."""
    return int(min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), container_memory()))


def container_memory(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> float:
    """What the container that this runs in may use at most, in bytes, by its control group."""
    try:
        text = limit.read_text().strip()
    except OSError:
        return math.inf
    return math.inf if text == "max" else int(text)
