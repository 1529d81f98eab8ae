"""Modules of ``booksearch_assets.clip`` are cheap to import and know nothing of Dagster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from booksearch_assets import clip


def test_imports_load_no_heavy_library() -> None:
    modules = [path.stem for path in Path(clip.__file__).parent.glob("*.py")]
    assert {"bundle", "encoder", "openvino_engine", "torch_engine"} <= set(modules)
    heavy = "{'torch', 'transformers', 'openvino', 'huggingface_hub', 'safetensors', 'dagster', 'pyspark'}"
    names = ", ".join(f"booksearch_assets.clip.{module}" for module in modules if module != "__init__")
    program = f"import sys, {names}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
