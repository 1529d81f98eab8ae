"""The notebook of the documentation: it runs from top to bottom, and what is stored of it is small and clean."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from booksearch_assets_tests.search.painted import publish_painted_books, settings_for

NOTEBOOK = Path(__file__).parents[2] / "docs" / "search.ipynb"


def test_it_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_painted_books(settings_for(tmp_path), 40)
    monkeypatch.setenv("BOOKSEARCH_HOME", str(tmp_path))
    # The process of the notebook needs no more than one core, and others have work for theirs.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    pictures = [output for output in _outputs(notebook) if "image/jpeg" in output.get("data", {})]
    assert len(pictures) == 5


def test_what_is_stored_is_small_and_clean() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert NOTEBOOK.stat().st_size < 600_000
    kinds = {output["output_type"] for output in _outputs(notebook)}
    assert kinds == {"stream", "execute_result", "display_data"}
    # Warnings and errors go there, and they hold places of the machine that made the outputs.
    assert all(output.get("name") != "stderr" for output in _outputs(notebook))


def _outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]
