"""Dagster's share of a run of the whole demo graph: the time in which none of our stages is at work.

The run is sampled a hundred times a second. A sample belongs to a stage where the thread of the run is inside code that
would run the same without Dagster (`compute`, `vectorstores`, `search`, `clip`, `tables`, `sample`, and the launcher that
starts Spark); all else, as planning, events, storage and metadata, is what the graph costs.

Belongs here: that measurement. Does not: how fast the stages are.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from harness import Contestant, Done, compare
from rows import At, Row

_SECONDS = 0.01
_MOST = 0.15
_BAR_FROM_EDITIONS = 20_000
"""Most of the share is fixed, and smaller graphs tell of little else."""
_QUICK_EDITIONS = 300
_STAGES = ("compute", "vectorstores", "search", "clip", "tables", "sample", "evaluating", "resources")


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--graph-editions",
        type=int,
        default=300,
        help=f"Editions of the demo graph's world; the bar is for {_BAR_FROM_EDITIONS:,}.",
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    editions = _QUICK_EDITIONS if options.quick else options.graph_editions
    given = {"home": str(options.scratch / "graph"), "editions": editions}
    # Once: a run has thousands of samples, and covers are painted while it waits for them.
    run = compare([Contestant("graph", whole_graph, given)], 1)["graph"]
    inside = run.figure("stages") / run.figure("samples")
    yield Row(
        f"Dagster's share of the demo graph, {editions:,} editions",
        f"{run.seconds:,.1f} s",
        f"in stages {run.seconds * inside:,.1f} s",
        1 - inside,
        At.MOST,
        _MOST if editions >= _BAR_FROM_EDITIONS else None,
        peak_memory=run.peak_memory,
        measured=(run,),
    )


def whole_graph(home: str, editions: int) -> Done:
    """`booksearch materialize` in this process, sampled."""
    os.environ.update(
        BOOKSEARCH_HOME=home,
        BOOKSEARCH_PROFILE="sample",
        BOOKSEARCH_SAMPLE_EDITIONS=str(editions),
        BOOKSEARCH_COVERS_PER_MINUTE="0",
    )
    from booksearch_assets.materialize import materialize_assets
    from booksearch_assets.sample.dump_site import prepare_dumps
    from booksearch_assets.sample.service import write_queries
    from booksearch_assets.sample.world import World
    from booksearch_assets.settings import Settings

    settings = Settings.from_environment()
    world = World(seed=settings.sample_seed, editions=editions, release=0)
    prepare_dumps(world, settings.sample_folder, (0,))
    write_queries(world, settings.sample_folder)
    started = time.perf_counter()
    with _Sampler() as sampler:
        status = materialize_assets(settings, (), "books", None, "default")
    seconds = time.perf_counter() - started
    if status:
        raise RuntimeError("the run of the graph failed; its output says why")
    figures = {"samples": sampler.samples, "stages": sampler.in_stages}
    return Done(seconds=seconds, figures=figures)


@dataclass
class _Sampler:
    """Looks where the thread that made it is."""

    samples: int = 0
    in_stages: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: int = field(default_factory=threading.get_ident)

    def __enter__(self) -> _Sampler:
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
