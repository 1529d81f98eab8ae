"""Modules of ``booksearch_assets.clip`` are cheap to import and know nothing of Dagster."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["bundle", "preprocess", "encoder", "fetch"])
def test_import_loads_no_heavy_library(module: str) -> None:
    heavy = "{'torch', 'transformers', 'huggingface_hub', 'safetensors', 'dagster', 'pyspark'}"
    program = f"import sys, booksearch_assets.clip.{module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
