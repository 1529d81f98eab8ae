"""Is `booksearch plan` right? Calibrate on small builds, then build 4 and 16 times as much: `python benchmarks/plan_truth.py`.

Each stage's wall time, processor time, peak memory and bytes in the lake are compared with what the cost model predicted
from the calibration, and the sum with a bar: within 20 %. Wall time means little while other jobs take the
processors, so processor time is beside it. Writes `benchmarks/results/plan-truth.json` and a picture.

With `--ship`, the calibration becomes the default of `compute/rates.json`, which a deployment has before it measures its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from rich.console import Console

from booksearch_assets.compute.calibrations import Encoder
from booksearch_assets.compute.cost_model import Build, CostModel
from booksearch_assets.encoder_engines import engine_of_large_builds
from booksearch_assets.plan_report import CALIBRATION, measure, measure_one
from booksearch_assets.planning import encoder_of
from booksearch_assets.settings import Settings

RESULTS = Path(__file__).parent / "results"
BAR = 0.2
FACTORS = (4, 16)
AMOUNTS = ("seconds", "cpu_seconds", "peak_bytes", "stored_bytes")


@dataclass(frozen=True)
class Compared:
    """An amount of a stage ("" for the whole build) that was predicted, and what came."""

    editions: int
    stage: str
    amount: str
    predicted: float
    actual: float

    @property
    def off(self) -> float:
        """How far the prediction is from the truth, as a share of it."""
        return abs(self.predicted - self.actual) / self.actual if self.actual else 0.0


def compare(model: CostModel, truth: Build) -> Iterator[Compared]:
    """Every amount of every stage, and of the whole: sums, and of memory the most."""
    costs = model.predict(truth.editions, truth.covers)
    for amount in AMOUNTS:
        whole = max if amount == "peak_bytes" else sum
        predicted = [
            getattr(cost, amount) if hasattr(cost, amount) else model.line(cost.stage, amount).at(cost.units)
            for cost in costs
        ]
        actual = [float(getattr(truth.of(cost.stage), amount)) for cost in costs]
        for cost, one, other in zip(costs, predicted, actual, strict=True):
            yield Compared(truth.editions, cost.stage.value, amount, one, other)
        yield Compared(truth.editions, "", amount, whole(predicted), whole(actual))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--editions",
        type=int,
        default=max(CALIBRATION),
        help="Of the larger calibration build; the other has a quarter.",
    )
    parser.add_argument(
        "--factors", type=int, nargs="*", default=FACTORS, help="How many times as much is built."
    )
    parser.add_argument(
        "--as-before",
        action="store_true",
        help="Compare a new calibration with the large builds of the last run, which take most of the time.",
    )
    parser.add_argument("--ship", action="store_true", help="Write the calibration into compute/rates.json.")
    options = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="plan-truth-") as home:
        settings = Settings.from_environment({"BOOKSEARCH_HOME": home})
        model = measure(settings, (options.editions // 4, options.editions), console)
        if options.ship:
            ship(model, encoder_of(settings))
        engine = engine_of_large_builds(settings)
        compared: list[Compared] = []
        truths: list[Build] = []
        before = _built_before() if options.as_before else {}
        for factor in options.factors:
            editions = factor * options.editions
            truth = before.get(editions) or measure_one(settings, editions, engine, console)
            truths.append(truth)
            compared += compare(model, truth)
            # At once: what ends the run later does not take these with it.
            _write(model, truths, compared)
    _print(compared)
    wholes = [row for row in compared if not row.stage and row.amount in ("seconds", "peak_bytes")]
    return 0 if all(row.off <= BAR for row in wholes) else 1


def ship(model: CostModel, encoder: Encoder) -> None:
    """Replace the shipped calibration."""
    place = Path(str(files("booksearch_assets.compute").joinpath("rates.json")))
    before, key, _ = place.read_text("utf-8").partition('"graph": ')
    known = {"gflop": round(encoder.gflop, 4), "worker_bytes": encoder.worker_bytes}
    graph = (
        known
        | model.to_json()
        | {"source": f"a default that was {model.source.replace('this machine', 'one')}"}
    )
    place.write_text(f"{before}{key}{json.dumps(graph, indent=1)}\n}}\n", "utf-8")


def _print(compared: Sequence[Compared]) -> None:
    print(f"\n{'editions':>9} {'stage':18}{'amount':14}{'predicted':>14}{'actual':>14}{'off':>7}")
    for row in compared:
        scale, unit = (1e6, " MB") if row.amount.endswith("bytes") else (1, " s")
        values = f"{row.predicted / scale:>11,.1f}{unit:3}{row.actual / scale:>11,.1f}{unit:3}"
        print(f"{row.editions:>9,} {row.stage or 'in all':18}{row.amount:14}{values}{row.off:>7.0%}")


def _built_before() -> dict[int, Build]:
    kept = json.loads((RESULTS / "plan-truth.json").read_text())["truths"]
    return {build["editions"]: Build.from_json(build) for build in kept}


def _write(model: CostModel, truths: Sequence[Build], compared: Sequence[Compared]) -> None:
    RESULTS.mkdir(exist_ok=True)
    result = {
        "bar": BAR,
        "calibration": model.to_json(),
        "truths": [asdict(truth) for truth in truths],
        "compared": [asdict(row) | {"off": round(row.off, 3)} for row in compared],
    }
    (RESULTS / "plan-truth.json").write_text(json.dumps(result, indent=1) + "\n")
    import matplotlib.pyplot as plt

    times = [row for row in compared if row.amount == "seconds" and row.actual >= 1]
    names = [f"{row.stage or 'in all'}, {row.editions:,}" for row in times]
    figure, axes = plt.subplots(figsize=(8, 0.3 * len(times) + 1.2))
    axes.barh(names, [row.predicted / row.actual for row in times], color="#31456a")
    axes.axvspan(1 - BAR, 1 + BAR, alpha=0.15)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("predicted wall time, as a share of the actual one")
    figure.tight_layout()
    figure.savefig(RESULTS / "plan-truth.png", dpi=120)


if __name__ == "__main__":
    sys.exit(main())
