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
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Otherwise a library of img2dataset asks the network for its newest release, at each import.
    environment |= {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
    program, *arguments = command
    subprocess.run(
        [str(ENVIRONMENT / "bin" / program), *arguments], env=environment, stdout=sys.stderr, check=True
    )
