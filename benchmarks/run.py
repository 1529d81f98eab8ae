"""Run the benchmarks side by side with their peers, and print one table: `make bench`, or `python benchmarks/run.py`.

    python benchmarks/run.py --quick                a smoke run on tiny inputs: shows that all works, measures nothing
    python benchmarks/run.py dump_stages            one of them, with its own options (`--help` lists all)

Writes `benchmarks/results/bench.json` and `bench.png` (`<name>-quick.*` for a smoke run). Exits with 1 where a bar was missed or a
benchmark failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from report import table, write_results
from rows import Row

RESULTS = Path(__file__).parent / "results"
BENCHMARKS = (
    "load_definitions",
    "dump_stages",
    "growth",
    "fetch_pictures",
    "embed_pictures",
    "load_vectors",
    "search_warm",
    "rebuild",
)
"""The modules, in the order in which they run."""


def main() -> int:
    # Ended from outside, it still ends what it started, and deletes its inputs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options, modules = _options()
    rows: list[Row] = []
    failed: list[str] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.keep_in) as folder:
        options.scratch = Path(folder)
        for module in modules:
            print(f"{module.__name__} (load average {os.getloadavg()[0]:.1f})", flush=True)
            began = time.monotonic()
            try:
                rows.extend(_shown(module.rows(options)))
                print(f"  {time.monotonic() - began:,.0f} s", flush=True)
                # At once: what ends the run later does not take these with it.
                _write(rows, options)
            except Exception:  # noqa: BLE001, one that fails must not take the others' results with it
                traceback.print_exc()
                failed.append(module.__name__)
    print(f"\n{table(rows)}\n\n{time.monotonic() - started:,.0f} s in all")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed or (any(row.met is False for row in rows) and not options.quick) else 0


def _write(rows: list[Row], options: argparse.Namespace) -> None:
    """Keep the results so far; those of single benchmarks only under a name that was asked for."""
    if not options.benchmarks or options.name:
        settings = {name: value for name, value in vars(options).items() if name not in ("scratch", "grown")}
        write_results(rows, RESULTS, options.name or ("bench-quick" if options.quick else "bench"), settings)


def _options() -> tuple[argparse.Namespace, list[ModuleType]]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("benchmarks", nargs="*", metavar="benchmark", help=f"All of {', '.join(BENCHMARKS)}.")
    parser.add_argument("--quick", action="store_true", help="Tiny inputs, one repetition: a smoke run.")
    parser.add_argument("--repetitions", type=int, help="Of each contestant; 5, or 1 of a smoke run.")
    parser.add_argument(
        "--name", help="Name of the results; those of single benchmarks are kept only under one."
    )
    parser.add_argument("--keep-in", type=Path, help="Where inputs are made; the system's temporary folder.")
    modules = {name: import_module(name) for name in BENCHMARKS}
    for name, module in modules.items():
        module.add_options(parser.add_argument_group(name))
    options = parser.parse_args()
    unknown = set(options.benchmarks) - set(modules)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; choose of {', '.join(modules)}")
    options.repetitions = options.repetitions or (1 if options.quick else 5)
    return options, [modules[name] for name in options.benchmarks or modules]


def _shown(rows: Iterator[Row]) -> Iterator[Row]:
    for row in rows:
        print(table([row]).rpartition("\n")[2] if not row.note else table([row]), flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
