"""Steps that have no use for Spark or for the model load neither: looked at in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from booksearch_assets_tests.graph.deployment import Deployment

_STEPS = [
    "raw_dump/editions",
    "editions",
    "filtered_fiction",
    "cover_urls",
    "cover_images",
    "cover_embeddings",
    "collection",
]

_RUN = """
import json, sys
import dagster as dg
from booksearch_assets.definitions import build_defs
from booksearch_assets.instance import use_instance
from booksearch_assets.materialize import run_job
from booksearch_assets.settings import Settings

settings = Settings.from_environment()
use_instance(settings)
store = dg.DagsterInstance.handle_new_event

def look(self, event, *args, **kwargs):
    found = event.dagster_event
    if found and found.event_type_value == "STEP_SUCCESS" and not event.step_key.endswith("_checks"):
        heavy = [name for name in ("torch", "transformers", "pyspark", "py4j") if name in sys.modules]
        print("loaded", json.dumps({event.step_key: heavy}), flush=True)
    return store(self, event, *args, **kwargs)

dg.DagsterInstance.handle_new_event = look
run_job(build_defs(settings), "books", None, [dg.AssetKey(["books", *name.split("/")]) for name in sys.argv[1:]])
"""


@pytest.mark.system
def test_steps_that_find_nothing_to_do_start_no_jvm_and_load_no_model(changeable: Deployment) -> None:
    """Landing, fetching and loading never need either; the others need them for work alone, and here is none."""
    settings = changeable.settings
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("BOOKSEARCH_", "DAGSTER_"))} | {
        "BOOKSEARCH_HOME": str(settings.home),
        "BOOKSEARCH_SAMPLE_EDITIONS": str(settings.sample_editions),
        "BOOKSEARCH_SAMPLE_PORT": str(settings.sample_port),
    }
    ran = subprocess.run(
        [sys.executable, "-c", _RUN, *_STEPS], env=environment, capture_output=True, text=True, check=False
    )
    lines = [line.removeprefix("loaded ") for line in ran.stdout.splitlines() if line.startswith("loaded ")]
    loaded: dict[str, list[str]] = {}
    for line in lines:
        loaded |= json.loads(line)
    assert set(loaded) == {"raw_dump", *(f"books__{name}" for name in _STEPS[1:])}, ran.stdout + ran.stderr
    assert not any(loaded.values()), loaded
