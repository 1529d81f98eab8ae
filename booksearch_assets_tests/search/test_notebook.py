"""The notebooks of the documentation: they run from top to bottom, and what is stored of them is small and clean."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from booksearch_assets_tests.search.painted import publish_painted_books, settings_for
from booksearch_assets_tests.search.painted_products import publish_painted_products

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = ("search.ipynb", "products.ipynb")


def executed(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """The notebook, run in the deployment at `home`. Raises what a cell raises."""
    monkeypatch.setenv("BOOKSEARCH_HOME", str(home))
    # The process of the notebook needs no more than one core, and others have work for theirs.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(DOCS / name, as_version=4)
    NotebookClient(
        notebook, timeout=200, kernel_name="python3", resources={"metadata": {"path": str(home)}}
    ).execute()
    return notebook


def test_books_are_searched_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_painted_books(settings_for(tmp_path), 40)
    assert len(_pictures(executed("search.ipynb", tmp_path, monkeypatch))) == 5


def test_products_are_found_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cells in this process, which has the model's library loaded: a third of the work of a kernel."""
    publish_painted_products(settings_for(tmp_path), tmp_path / "release", 60)
    monkeypatch.setenv("BOOKSEARCH_HOME", str(tmp_path))
    names: dict[str, object] = {}
    for number, cell in enumerate(nbformat.read(DOCS / "products.ipynb", as_version=4).cells):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"products.ipynb, cell {number}", "exec"), names)
    assert capsys.readouterr().out.count("Image object") == 5


@pytest.mark.system
def test_products_are_found_in_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_painted_products(settings_for(tmp_path), tmp_path / "release", 60)
    assert len(_pictures(executed("products.ipynb", tmp_path, monkeypatch))) == 5


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_stored_is_small_and_clean(name: str) -> None:
    notebook = nbformat.read(DOCS / name, as_version=4)
    nbformat.validate(notebook)
    assert (DOCS / name).stat().st_size < 600_000
    kinds = {output["output_type"] for output in _outputs(notebook)}
    assert kinds == {"stream", "execute_result", "display_data"}
    # Warnings and errors go there, and they hold places of the machine that made the outputs.
    assert all(output.get("name") != "stderr" for output in _outputs(notebook))


def _pictures(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for output in _outputs(notebook) if "image/jpeg" in output.get("data", {})]


def _outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]
