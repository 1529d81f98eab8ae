"""A stage that counts its partitions, and can go wrong in every way that a driver can."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext

from booksearch_assets.emr.account import Usage
from booksearch_assets.emr.payload import say_usage
from booksearch_assets.tables.counts import Counts, StageReport


class DamagedInput(Exception):
    """What the stage is told to raise."""


@dataclass(frozen=True)
class TallyParams:
    """`diary` gets a line for each time that the stage is run. It goes on when the file `gate` is there.

    `ends` says how: "well", "raises", "leaves" (exit 0 without a report), "killed".
    """

    diary: str
    gate: str = ""
    ends: str = "well"
    used_gb_hours: float = 0.0
    rows: int = 3


def run(session: Any, params: TallyParams) -> StageReport:
    with Path(params.diary).open("a") as diary:
        diary.write(f"{os.getpid()}\n")
    print("what the driver said to its stderr", file=sys.stderr, flush=True)
    pipes = PipesContext.get()
    if params.used_gb_hours:
        say_usage(pipes, Usage(params.used_gb_hours / 4, params.used_gb_hours, 0.0))
    while params.gate and not Path(params.gate).exists():
        time.sleep(0.05)
    match params.ends:
        case "raises":
            raise DamagedInput("chunk 7 is no gzip file")
        case "leaves":
            os._exit(0)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
    partitions = pipes.get_extra("partitions") or [""]
    counts = {partition: Counts(params.rows, params.rows) for partition in partitions}
    return StageReport(counts, 0.1, {"session": repr(session)})
