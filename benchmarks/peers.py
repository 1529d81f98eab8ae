"""The peers' own environment, `make bench-peers`: where their programs are, and running one.

Belongs here: finding and starting what is installed there. Does not: what it is asked to do (each benchmark).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT = Path(os.environ.get("BENCH_PEERS", Path(__file__).parent.parent / ".venv-peers"))
HOW = "not installed: make bench-peers"


def installed() -> bool:
    return (ENVIRONMENT / "bin" / "python").exists() and (ENVIRONMENT / ".installed").exists()


def run_peer(command: Sequence[str]) -> None:
    """Run a program of the peers' environment to its end. Its output goes where ours goes; raises where it fails."""
    subprocess.run(_found(command), env=_environment(), stdout=sys.stderr, check=True)


def start_peer(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start one that is told what to do, line by line."""
    pipe = subprocess.PIPE
    return subprocess.Popen(_found(command), env=_environment(), stdin=pipe, stdout=pipe, text=True)


def _found(command: Sequence[str]) -> list[str]:
    program, *arguments = command
    return [str(ENVIRONMENT / "bin" / program), *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Otherwise a library of img2dataset asks the network for its newest release, at each import.
    return kept | {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
