"""The Dagster instance of a deployment: one folder that the demo, the command line and the UI share.

Belongs here: making that folder and pointing Dagster at it. Does not: what the instance is told (`dagster.yaml`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from booksearch_assets.settings import PACKAGE, Settings

_CONFIG = "dagster.yaml"


def use_instance(settings: Settings) -> Path:
    """Make `DAGSTER_HOME` of this process (and its children) the instance under the home folder. Returns it.

    A `DAGSTER_HOME` that is set already is left alone: an operator has an instance of their own.
    """
    os.environ["BOOKSEARCH_HOME"] = str(settings.home)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    if os.environ.get("DAGSTER_HOME"):
        return Path(os.environ["DAGSTER_HOME"])
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    checked_in = PACKAGE.parent / _CONFIG
    if checked_in.exists():
        shutil.copyfile(checked_in, home / _CONFIG)
    os.environ["DAGSTER_HOME"] = str(home)
    return home
