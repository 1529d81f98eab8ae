"""Pictures to the objects that a job reads: JSON Lines, each line with its key.

Belongs here: the lines, and how many go into an object. Does not: which pictures (`stage`), what a container makes of a
line (`sagemaker.handler`).

One object for each picture would cost a request and an invocation for each, and leave file names to join by. A line
carries its key, and many lines share one invocation.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from booksearch_assets.aws.objects import ObjectFolder

# A finished object is what a failed job leaves, and what is held in memory here; larger ones gain nothing.
_OBJECT_BYTES = 32_000_000
# No request may have more lines than the handler takes, and a request never spans two objects.
_OBJECT_ROWS = 10_000
# In the container a body has 32 MiB at most. Whether SageMaker's MB is a million bytes or 2**20, this fits.
_LINE_BYTES = 30_000_000
_USUAL_PAYLOAD_MB = 6
_MB = 1_000_000


@dataclass(frozen=True)
class Inputs:
    """What was written: `lines` in `objects` of `size` bytes together. `unsendable` are keys of pictures too large."""

    objects: int
    lines: int
    size: int
    longest_line: int
    unsendable: tuple[str, ...]

    @property
    def payload_mb(self) -> int:
        """The largest request that the job may make: SageMaker's default of 6 MB, or more where one line needs it."""
        return max(_USUAL_PAYLOAD_MB, -(-self.longest_line // _MB))


def rows_per_object(rows: int, wanted: int, instances: int) -> int:
    """Lines of one object: as many as are wanted, and few enough that each instance has an object of its own.

    Batch Transform hands out whole objects, so one object keeps one instance busy and leaves the others idle.
    """
    return max(1, min(wanted, _OBJECT_ROWS, -(-rows // instances)))


def write_inputs(pictures: Iterable[tuple[str, bytes]], folder: ObjectFolder, rows: int) -> Inputs:
    """Write pictures (key, bytes) as objects of at most `rows` lines. Raises `ServiceError`."""
    waiting: list[bytes] = []
    unsendable: list[str] = []
    objects = lines = size = longest = held = 0

    def put() -> None:
        nonlocal objects, held
        folder.put(f"{objects:06d}.jsonl", b"".join(waiting))
        objects += 1
        held = 0
        waiting.clear()

    for key, content in pictures:
        line = input_line(key, content)
        if len(line) > _LINE_BYTES:
            unsendable.append(key)
            continue
        if waiting and (len(waiting) == rows or held + len(line) > _OBJECT_BYTES):
            put()
        waiting.append(line)
        held += len(line)
        lines, size, longest = lines + 1, size + len(line), max(longest, len(line))
    if waiting:
        put()
    return Inputs(objects, lines, size, longest, tuple(unsendable))


def input_line(key: str, content: bytes) -> bytes:
    """One line, with its line break, as `sagemaker.handler` reads it."""
    return orjson.dumps({"key": key, "image": base64.b64encode(content).decode()}) + b"\n"
