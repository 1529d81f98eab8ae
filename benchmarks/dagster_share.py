"""Dagster's share of a run of the whole demo graph: the time in which none of our stages is at work.

    python benchmarks/dagster_share.py FIGURES    runs `booksearch materialize`, and writes what it found to that file

The run is sampled a hundred times a second. A sample belongs to a stage where the thread of the run is inside code that
would run the same without Dagster (`compute`, `vectorstores`, `search`, `clip`, `tables`, `sample`, and the launcher that
starts Spark); all else, as planning, events, storage and metadata, is what the graph costs. The start of Python is no part of it.

Belongs here: that measurement. Does not: the world that is built, and what a rebuild costs (`rebuild`).
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self

_SECONDS = 0.01
_STAGES = ("compute", "vectorstores", "search", "clip", "tables", "sample", "evaluating", "resources")


def main(figures: str) -> int:
    from booksearch_assets.materialize import materialize_assets
    from booksearch_assets.settings import Settings

    with _Sampler() as sampler:
        status = materialize_assets(Settings.from_environment(), (), "books", None, "default")
    Path(figures).write_text(json.dumps({"samples": sampler.samples, "stages": sampler.in_stages}))
    return status


@dataclass
class _Sampler:
    """Looks where the thread that made it is."""

    samples: int = 0
    in_stages: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: int = field(default_factory=threading.get_ident)

    def __enter__(self) -> Self:
        threading.Thread(target=self._sample, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _sample(self) -> None:
        package = Path(sys.modules["booksearch_assets"].__path__[0])
        folders = tuple(str(package / stage) for stage in _STAGES)
        while not self._stop.wait(_SECONDS):
            self.samples += 1
            self.in_stages += _is_inside(sys._current_frames().get(self._thread), folders)


def _is_inside(frame: FrameType | None, folders: tuple[str, ...]) -> bool:
    while frame:
        if frame.f_code.co_filename.startswith(folders):
            return True
        frame = frame.f_back
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
