"""Fill the tables of docs/performance.md that say where each second of the demo goes.

Runs `booksearch demo` in a process of its own, in which a few functions are timed: imports, the start of the JVM, the
work of stages, Dagster's events, commits, pictures. A second belongs to the innermost of them that is running in the
main thread, so the parts add up to the whole.

    python docs/make_profile.py [--editions 2000]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("performance.md")
BEFORE, AFTER = "start of the process", "search and print"
PARTS = ("imports", "JVM start", "stage", "events", "commit", "pictures", "rest")


class Spans:
    """Seconds of the main thread by (step, part); each second is that of the innermost part."""

    def __init__(self, began: float) -> None:
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self.calls: dict[tuple[str, str], int] = defaultdict(int)
        self.step = BEFORE
        self._parts = ["rest"]
        self._last = began

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.account()
        self._parts.append(name)
        self.calls[self.step, name] += 1
        try:
            yield
        finally:
            self.account()
            self._parts.pop()

    def account(self) -> None:
        """Give the time since the last call to the part that was running."""
        now = time.time()
        self.seconds[self.step, self._parts[-1]] += now - self._last
        self._last = now

    def enter(self, step: str) -> None:
        self.account()
        self.step = step

    def timed(self, owner: Any, name: str, part: str) -> None:
        """Time every call of a function that `owner`, a class or a module, has by this name."""
        setattr(owner, name, self._timed(getattr(owner, name), part))

    def _timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        import threading

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not threading.main_thread() or self._parts[-1] == part:
                return function(*args, **kwargs)
            with self.part(part):
                return function(*args, **kwargs)

        return call


def run_profiled(began: float, editions: int, result: Path) -> int:
    """Run the demo in this process, whose first instruction was at `began`, and write what it took."""
    import importlib._bootstrap as bootstrap  # type: ignore[import-not-found]

    spans = Spans(began)
    spans.timed(bootstrap, "_find_and_load", "imports")
    import booksearch_assets.definitions  # noqa: F401 - as the demo does, so that what follows finds it
    from booksearch_assets import demo

    _time_the_parts(spans)
    try:
        return demo.run_demo(editions)
    finally:
        spans.account()
        rows = [
            {"step": step, "part": part, "seconds": seconds, "calls": spans.calls[step, part]}
            for (step, part), seconds in spans.seconds.items()
        ]
        result.write_text(json.dumps(rows))


def _time_the_parts(spans: Spans) -> None:
    import dagster as dg

    import booksearch_assets.compute.fetch as fetch
    from booksearch_assets.assets import collection, pictures
    from booksearch_assets.resources import spark
    from booksearch_assets.tables import lake

    spans.timed(spark.LocalSparkLauncher, "_session", "JVM start")
    spans.timed(spark, "run_measured", "stage")
    spans.timed(fetch, "fetch_missing", "stage")
    spans.timed(collection, "near_duplicates", "stage")
    spans.timed(lake.PendingVersion, "commit", "commit")
    spans.timed(lake.PendingVersion, "write", "commit")
    for name in ("histogram", "bars", "sheet", "picture"):
        spans.timed(pictures, name, "pictures")
    store = dg.DagsterInstance.handle_new_event

    def handle_new_event(self: Any, event: Any, *args: Any, **kwargs: Any) -> Any:
        found = event.dagster_event.event_type_value if event.dagster_event else ""
        if found == "STEP_START":
            spans.enter(event.step_key)
        result = store(self, event, *args, **kwargs)
        if found in ("STEP_SUCCESS", "STEP_FAILURE"):
            spans.enter("between steps")
        if found in ("PIPELINE_SUCCESS", "PIPELINE_FAILURE"):
            spans.enter(AFTER)
        return result

    dg.DagsterInstance.handle_new_event = handle_new_event  # type: ignore[method-assign]
    spans.timed(dg.DagsterInstance, "handle_new_event", "events")


def profile(editions: int) -> list[dict[str, Any]]:
    """Run the demo in a new home, in a process of its own. Returns its rows of step, part, seconds and calls."""
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        result = Path(folder) / "profile.json"
        environment = {n: v for n, v in os.environ.items() if not n.startswith(("BOOKSEARCH_", "DAGSTER_"))}
        command = [sys.executable, __file__, "--editions", str(editions), "--result", str(result)]
        subprocess.run(
            [*command, "--began", str(time.time())],
            env=environment | {"BOOKSEARCH_HOME": f"{folder}/home"},
            check=True,
        )
        return list(json.loads(result.read_text()))


def page_with_profile(page: str, rows: list[dict[str, Any]], editions: int) -> str:
    """The page with its profile filled again."""
    text = f"{_table(rows)}\n\n{_circumstances(editions)}"
    page, count = re.subn(
        r"(<!-- profile -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{text}\n{match[2]}",
        page,
        flags=re.DOTALL,
    )
    assert count == 1
    return page


def _table(rows: list[dict[str, Any]]) -> str:
    seconds: dict[str, dict[str, float]] = {}
    for row in rows:
        of_step = seconds.setdefault(_name(row["step"]), defaultdict(float))
        of_step[row["part"]] += row["seconds"]
    lines = [f"| step | {' | '.join(PARTS)} | in all |", f"| --- |{' ---: |' * (len(PARTS) + 1)}"]
    for step, parts in seconds.items():
        lines.append(_line(step, parts))
    whole: dict[str, float] = defaultdict(float)
    for parts in seconds.values():
        for part, took in parts.items():
            whole[part] += took
    return "\n".join([*lines, _line("**in all**", whole)])


def _line(step: str, parts: dict[str, float]) -> str:
    shown = (f"{parts[part]:.1f}" if parts.get(part, 0) >= 0.05 else "" for part in PARTS)
    return f"| {step} | {' | '.join(shown)} | {sum(parts.values()):.1f} |"


def _name(step: str) -> str:
    """An asset's own name; all checks are one line but those of the collection, which search it."""
    name = step.removeprefix("books__").removeprefix("books_")
    return "other checks" if name.endswith("_checks") and name != "collection_checks" else name


def _circumstances(editions: int) -> str:
    return (
        f"{editions:,} editions, {os.cpu_count()} cores ({platform.machine()}), load average {os.getloadavg()[0]:.1f} at "
        f"the end, {time.strftime('%Y-%m-%d', time.gmtime())}."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--editions", type=int, default=2000)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.result:
        return run_profiled(options.began, options.editions, options.result)
    rows = profile(options.editions)
    PAGE.write_text(page_with_profile(PAGE.read_text("utf-8"), rows, options.editions), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
