"""What a rebuild costs after a month's changes, beside the first build: `python benchmarks/rebuild.py`.

Builds the whole graph on a sample world as `booksearch materialize` does, in a process of its own, then again with the
world's next monthly dump (1 % of the editions new, 1 % changed, 0.2 % deleted), and compares wall time, bytes fetched,
covers embedded and the seconds of each step. Of the first build, it says what Dagster's share was (`dagster_share`). Covers are asked for at the pace that the real service is asked at, unless
`--covers-per-minute` says otherwise. Writes JSON and a picture into `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import dagster as dg
import dagster_share
from rows import At, Row

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.sample.dump_site import prepare_dumps
from booksearch_assets.sample.service import write_queries
from booksearch_assets.sample.world import World
from booksearch_assets.settings import Settings
from booksearch_assets.tables.books import COVERS

RESULTS = Path(__file__).parent / "results"
_QUICK_EDITIONS = 300
_BAR_FROM_EDITIONS = 20_000
"""The time of smaller builds is that of starting Python and a JVM, which a rebuild does too."""
LIMITS = {"fetched_bytes": 0.05, "embedded": 0.05, "seconds": 0.15}
"""The most that a rebuild may cost, as a share of the first build."""
_MOST_DAGSTER = 0.15


@dataclass(frozen=True)
class Build:
    """What one build cost; `seconds` is wall time from the command to its end, `steps` those inside the run.

    `dagster` is the share of the run in which no stage was at work.
    """

    release: int
    seconds: float
    dagster: float
    fetched_bytes: int
    embedded: int
    rows: int
    steps: dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--editions", type=int, default=20_000)
    parser.add_argument("--covers-per-minute", type=int, default=300, help="0: as fast as they are painted.")
    parser.add_argument("--home", type=Path, help="Where to build; a temporary folder by default.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rebuild-") as folder:
        home = arguments.home or Path(folder)
        pace = arguments.covers_per_minute
        first, second = (build(home, arguments.editions, release, pace) for release in (0, 1))
    shares = {name: getattr(second, name) / getattr(first, name) for name in LIMITS}
    _print(first, second, shares)
    _write(arguments.editions, pace, first, second, shares)
    return 0 if all(shares[name] <= limit for name, limit in LIMITS.items()) else 1


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--rebuild-editions",
        type=int,
        default=300,
        help=f"The bars of time are for {_BAR_FROM_EDITIONS:,}, that of the rebuild for 300 covers a minute, which takes "
        "half an hour.",
    )
    parser.add_argument(
        "--rebuild-covers-per-minute", type=int, default=0, help="0: as fast as they are painted."
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """The same for `run.py`: a build takes minutes, and is made once."""
    editions = _QUICK_EDITIONS if options.quick else options.rebuild_editions
    pace = options.rebuild_covers_per_minute
    first, second = (build(options.scratch / "rebuild", editions, release, pace) for release in (0, 1))
    is_large = editions >= _BAR_FROM_EDITIONS
    yield Row(
        f"Dagster's share of the demo graph, {editions:,} editions",
        f"{first.seconds:,.1f} s",
        f"in stages {first.seconds * (1 - first.dagster):,.1f} s",
        first.dagster,
        At.MOST,
        _MOST_DAGSTER if is_large else None,
    )
    for name, limit in LIMITS.items():
        before, after = getattr(first, name), getattr(second, name)
        stage = f"rebuild after 1 % of changes, {editions:,} editions: {name.replace('_', ' ')}"
        # As fast as covers are painted, which no service gives, a build of any size is mostly starts.
        told = name != "seconds" or (is_large and pace > 0)
        yield Row(stage, f"{after:,.0f}", f"{before:,.0f}", after / before, At.MOST, limit if told else None)


def build(home: Path, editions: int, release: int, covers_per_minute: int) -> Build:
    """Run the command, as an operator does, on one release of the world, whose dumps are there beforehand."""
    environment = os.environ | {
        "BOOKSEARCH_HOME": str(home),
        "BOOKSEARCH_PROFILE": "sample",
        "BOOKSEARCH_SAMPLE_EDITIONS": str(editions),
        "BOOKSEARCH_SAMPLE_RELEASE": str(release),
        "BOOKSEARCH_COVERS_PER_MINUTE": str(covers_per_minute),
    }
    settings = Settings.from_environment(environment)
    world = World(seed=settings.sample_seed, editions=editions, release=release)
    prepare_dumps(world, settings.sample_folder, tuple(range(release + 1)))
    write_queries(world, settings.sample_folder)
    before = _vectors(environment)
    print(f"release {release} of {editions:,} editions", flush=True)
    sampled = home / f"samples-{release}.json"
    started = time.monotonic()
    subprocess.run([sys.executable, dagster_share.__file__, str(sampled)], env=environment, check=True)
    seconds = time.monotonic() - started
    samples = json.loads(sampled.read_text())
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        run = instance.get_runs(limit=1)[0]
        steps = {
            step.step_key: step.end_time - step.start_time
            for step in instance.get_run_step_stats(run.run_id)
            if step.start_time and step.end_time
        }
        made = _newest(instance, "cover_images", run.run_id)
        rows = _newest(instance, "collection", run.run_id).get("dagster/row_count", 0)
    return Build(
        release=release,
        seconds=seconds,
        dagster=1 - samples["stages"] / samples["samples"],
        fetched_bytes=int(made.get("fetched_bytes_in_this_run", 0)),
        embedded=_vectors(environment) - before,
        rows=int(rows),
        steps=steps,
    )


def _newest(instance: dg.DagsterInstance, asset: str, run_id: str) -> dict[str, float]:
    """Figures of an asset's materialisations in one run."""
    records = instance.fetch_materializations(dg.AssetKey(["books", asset]), limit=100).records
    figures: dict[str, float] = {}
    for record in records:
        if record.run_id == run_id and record.asset_materialization:
            for name, value in record.asset_materialization.metadata.items():
                if isinstance(value.value, int | float):
                    figures[name] = value.value
    return figures


def _vectors(environment: dict[str, str]) -> int:
    settings = Settings.from_environment(environment)
    bundle = Bundle.open(settings.bundle)
    return len(
        COVERS.vectors_cache(settings.lake, settings.source, bundle.bundle_id, bundle.dimension).index([])
    )


def _print(first: Build, second: Build, shares: dict[str, float]) -> None:
    print(f"\n{'':24}{'first build':>14}{'rebuild':>14}{'share':>10}{'limit':>10}")
    for name, limit in LIMITS.items():
        values = f"{getattr(first, name):>14,.0f}{getattr(second, name):>14,.0f}"
        print(f"{name:24}{values}{shares[name]:>10.1%}{limit:>10.0%}")
    print(f"{'share of Dagster':24}{first.dagster:>14.1%}{second.dagster:>14.1%}")
    print(f"\n{'step':40}{'first':>10}{'rebuild':>10}")
    for step, seconds in first.steps.items():
        print(f"{step:40}{seconds:>10.1f}{second.steps.get(step, 0.0):>10.1f}")


def _write(
    editions: int, covers_per_minute: int, first: Build, second: Build, shares: dict[str, float]
) -> None:
    RESULTS.mkdir(exist_ok=True)
    result = {
        "editions": editions,
        "covers_per_minute": covers_per_minute,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "first_build": asdict(first),
        "rebuild": asdict(second),
        "shares": shares,
        "limits": LIMITS,
    }
    name = f"rebuild-{covers_per_minute or 'unlimited'}"
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    import matplotlib.pyplot as plt

    steps = [step for step, seconds in first.steps.items() if max(seconds, second.steps.get(step, 0)) >= 1]
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(steps) + 1.5))
    places = range(len(steps))
    axes.barh([p - 0.2 for p in places], [first.steps[s] for s in steps], 0.4, label="first build")
    axes.barh([p + 0.2 for p in places], [second.steps.get(s, 0) for s in steps], 0.4, label="rebuild")
    axes.set_yticks(list(places), [step.replace("books__", "").replace("books_", "") for step in steps])
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    pace = f"{covers_per_minute:,} covers a minute" if covers_per_minute else "covers as fast as painted"
    axes.set_title(
        f"{editions:,} editions, {pace}: a month's changes take {shares['seconds']:.0%} of the time"
    )
    axes.legend()
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.png", dpi=120)


if __name__ == "__main__":
    sys.exit(main())
