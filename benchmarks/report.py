"""What a run of the benchmarks shows: one table, its JSON, and a picture of every ratio beside its bar.

Belongs here: presenting rows. Does not: measuring (`harness`), which benchmarks there are (`run`).
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rows import Row

_HEADER = ("stage", "ours", "peer", "ratio", "bar", "", "of the limit", "peak memory")
_FURTHEST = 100.0
"""How far from its bar a ratio is drawn at most: nothing lost is infinitely far."""
_MET = {True: "met", False: "MISSED", None: ""}


def table(rows: Sequence[Row]) -> str:
    """The rows as text, a column for each heading; notes stand below, numbered."""
    lines: list[tuple[str, ...]] = [_HEADER]
    notes: list[str] = []
    for row in rows:
        mark = ""
        if row.note:
            notes.append(row.note)
            mark = f" [{len(notes)}]"
        lines.append(
            (
                row.stage + mark,
                row.ours,
                row.peer,
                "" if row.ratio is None else f"{row.ratio:.2f}",
                "" if row.bar is None else f"{row.at.value} {row.bar:g}",
                _MET[row.met],
                "" if row.limit_share is None else f"{row.limit_share:.0%}",
                "" if row.peak_memory is None else f"{row.peak_memory / 1e6:,.0f} MB",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*text, *(f"[{number}] {note}" for number, note in enumerate(notes, 1))])


def write_results(rows: Sequence[Row], folder: Path, name: str, settings: dict[str, object]) -> None:
    """Write `<name>.json` and `<name>.png` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version()},
        "settings": settings,
        "rows": [row.to_json() for row in rows],
    }
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1, default=str) + "\n")
    drawn = [row for row in rows if row.headroom is not None]
    if drawn:
        _draw(drawn, folder / f"{name}.png")


def _draw(rows: Sequence[Row], path: Path) -> None:
    """Each ratio over its bar, on one logarithmic axis: right of the line is better than was asked for."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 0.42 * len(rows) + 1.6), layout="constrained")
    headrooms = [min(max(row.headroom or 0.0, 1 / _FURTHEST), _FURTHEST) for row in rows]
    colours = ["#2f7d4f" if row.met else "#b8432f" for row in rows]
    # A stage stands beside several peers; bars start at 1, their own bar.
    stages = [row.stage for row in rows]
    names = [row.stage if stages.count(row.stage) == 1 else f"{row.stage}\nand {row.peer}" for row in rows]
    bars = axes.barh(names, [h - 1 for h in headrooms], left=1, color=colours)
    labels = [f" {row.ratio:.2f} ({row.at.value} {row.bar:g}) " for row in rows]
    axes.bar_label(bars, labels, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(min(0.5, *(0.25 * h for h in headrooms)), max(2.0, *(2.5 * h for h in headrooms)))
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("times better than its bar")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
