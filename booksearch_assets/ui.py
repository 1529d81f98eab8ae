"""`booksearch ui`: the Dagster UI, with the sample service beside it where the profile needs one.

Belongs here: starting and stopping the two. Does not: definitions.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext

import click
import dagster as dg

from booksearch_assets.instance import use_instance
from booksearch_assets.own_runs import end_killed_runs
from booksearch_assets.settings import PACKAGE, Profile, Settings


def serve_ui(settings: Settings, port: int) -> int:
    """Run `dagster dev` until it is stopped. Returns its exit code."""
    home = use_instance(settings)
    with dg.DagsterInstance.get() as instance:
        end_killed_runs(instance)
    click.echo(f"Dagster instance {home}; open http://127.0.0.1:{port}")
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        *_location(),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    with _sample_service(settings):
        process = subprocess.Popen(command)
        # Killed without its daemon and webserver, they would go on and hold the port.
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            return process.wait()


def _location() -> list[str]:
    """Where the definitions are. Sensors and schedules remember by the location's name whether they are on."""
    workspace = PACKAGE.parent / "workspace.yaml"
    return ["-w", str(workspace)] if workspace.exists() else ["-m", "booksearch_assets.definitions"]


def _sample_service(settings: Settings) -> AbstractContextManager[None]:
    """So that cover links in the UI answer, and steps in other processes find the service running."""
    if settings.profile is not Profile.SAMPLE:
        return nullcontext()
    from booksearch_assets.sample.products import ProductWorld
    from booksearch_assets.sample.service import running_service

    return running_service(
        settings.sample_folder,
        settings.sample_port,
        seed=settings.sample_seed,
        editions=settings.sample_editions,
        release=settings.sample_release,
        products=(
            settings.sample_products_folder,
            ProductWorld(seed=settings.sample_seed, listings=settings.sample_products),
        ),
    )
