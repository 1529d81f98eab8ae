"""A small table and an empty lake, for the tests of ``booksearch_assets.tables``."""

from __future__ import annotations

from pathlib import Path

import pytest

from booksearch_assets.tables.lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a folder of its own."""
    return Lake(str(tmp_path / "lake"))
