"""One build of the whole graph on a sample world, in a process of its own, and what each stage of it took.

Belongs here: building, and reading what was measured from Dagster's events, the lake and /proc. Does not: what is made
of it (`compute.cost_model`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from booksearch_assets.compute.cost_model import Build, Driver, Measurement, Stage
from booksearch_assets.compute.process_tree import Watch
from booksearch_assets.settings import Settings

_LOG_LINES = 20


class CalibrationFailed(ValueError):
    """The build that was to be measured did not succeed."""


def measure_build(
    editions: int,
    bundle: str,
    engine: str,
    home: Path,
    on_line: Callable[[str], None] = lambda line: None,
    whole: bool = True,
) -> Build:
    """Build a sample world of so many editions under `home`, a new folder, with the model in `bundle` run by `engine`.

    Not `whole` are the stages of the dump alone.

    Covers are painted as fast as they are asked for. `on_line` gets what the build prints.
    Raises `CalibrationFailed` with the end of its log.
    """
    environment = _environment(editions, bundle, engine, home)
    settings = Settings.from_environment(environment)
    _prepare(settings)
    started = time.time()
    assets = () if whole else tuple(asset for stage in Stage if stage.of_dump for asset in _assets_of(stage))
    with subprocess.Popen(
        [sys.executable, "-m", "booksearch_assets.cli", "materialize", *assets],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout
        last: deque[str] = deque(maxlen=_LOG_LINES)
        try:
            with Watch(process.pid) as watch:
                for line in process.stdout:
                    last.append(line)
                    on_line(line.strip())
                code = process.wait()
        except BaseException:
            # A build that nobody waits for would go on for minutes.
            process.terminate()
            raise
    if code:
        raise CalibrationFailed(
            f"the build of {editions:,} editions ended with code {code}; it last said:\n{''.join(last)}"
        )
    build = _measured(settings, watch, started, time.time())
    if whole:
        return build
    # Its process loads less, and is no measure of one that builds all.
    return replace(build, measurements=tuple(m for m in build.measurements if m.stage.of_dump))


def _environment(editions: int, bundle: str, engine: str, home: Path) -> dict[str, str]:
    """That of this process, but for what would make it another deployment."""
    ours = {
        "BOOKSEARCH_HOME": str(home),
        "BOOKSEARCH_PROFILE": "sample",
        "BOOKSEARCH_MODEL": bundle,
        "BOOKSEARCH_ENGINE": engine,
        "BOOKSEARCH_SAMPLE_EDITIONS": str(editions),
        "BOOKSEARCH_SAMPLE_PORT": str(_free_port()),
    }
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("BOOKSEARCH_", "DAGSTER_HOME"))}
    return kept | ours


def _free_port() -> int:
    """A port for the world's service: that of the deployment may be in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _prepare(settings: Settings) -> None:
    """Write the world beforehand: a real dump is there already."""
    from booksearch_assets.sample.dump_site import prepare_dumps
    from booksearch_assets.sample.service import write_queries
    from booksearch_assets.sample.world import World

    world = World(
        seed=settings.sample_seed, editions=settings.sample_editions, release=settings.sample_release
    )
    prepare_dumps(world, settings.sample_folder, (settings.sample_release,))
    write_queries(world, settings.sample_folder)


def _measured(settings: Settings, watch: Watch, started: float, ended: float) -> Build:
    import dagster as dg

    from booksearch_assets.assets.raw_dump import KINDS, dump_table
    from booksearch_assets.tables.books import COVER_URLS
    from booksearch_assets.tables.lake import Lake

    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        [run] = instance.get_runs(limit=1)
        spans = [
            (_stage_of(step.step_key), step.start_time, step.end_time)
            for step in instance.get_run_step_stats(run.run_id)
            if step.start_time and step.end_time
        ]
    lake = Lake(settings.lake)
    dumps = [lake.resolve(dump_table(kind)) for kind in KINDS]
    covers = sum(lake.resolve(COVER_URLS.name, year).rows for year in lake.partitions(COVER_URLS.name))
    units = {Driver.EDITIONS: settings.sample_editions, Driver.COVERS: covers}
    stages = [
        Measurement(
            stage=stage,
            units=units[stage.grows_with],
            seconds=sum(end - start for of, start, end in spans if of is stage),
            cpu_seconds=sum(watch.cpu_seconds(start, end) for of, start, end in spans if of is stage),
            peak_bytes=max((watch.peak(start, end) for of, start, end in spans if of is stage), default=0),
            stored_bytes=sum(_size(settings.home / folder) for folder in stage.folders),
        )
        for stage in Stage
        if stage is not Stage.PROCESS
    ]
    process = Measurement(
        stage=Stage.PROCESS,
        units=settings.sample_editions,
        seconds=ended - started - sum(stage.seconds for stage in stages),
        cpu_seconds=watch.cpu_seconds(started, ended) - sum(stage.cpu_seconds for stage in stages),
        peak_bytes=watch.peak(started, spans[0][1]),
        stored_bytes=0,
    )
    text_bytes = sum(int(dump.facts["raw_bytes"]) for dump in dumps)
    return Build(settings.sample_editions, covers, text_bytes, (process, *stages))


def _assets_of(stage: Stage) -> tuple[str, ...]:
    if stage is Stage.RAW_DUMP:
        from booksearch_assets.assets.raw_dump import KINDS, dump_table

        return tuple(dump_table(kind) for kind in KINDS)
    return (f"books/{stage.value}",)


def _stage_of(step: str) -> Stage:
    """The checks of an asset belong to its stage, and the four dump files to one."""
    name = step.removesuffix("_checks").removeprefix("books__").removeprefix("books_")
    return Stage.RAW_DUMP if name.startswith(Stage.RAW_DUMP) else Stage(name)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
