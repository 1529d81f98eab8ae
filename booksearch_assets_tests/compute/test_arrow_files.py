"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booksearch_assets.compute.arrow_files import open_parquet, whole_parquet

ROWS = pa.table({"n": [1, 2]})


@pytest.mark.parametrize("folder", ["plain", "with space", "per%20cent"])
def test_a_file_is_there_when_all_of_it_is_written(tmp_path: Path, folder: str) -> None:
    file = tmp_path / folder / "deeper" / "rows.parquet"
    with whole_parquet(str(file), ROWS.schema) as writer:
        writer.write_table(ROWS)
        assert not file.exists()
    assert open_parquet(str(file)).read().equals(ROWS)
    assert [path.name for path in file.parent.iterdir()] == ["rows.parquet"]


def test_a_write_that_is_cut_short_leaves_the_file_of_before(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    with whole_parquet(str(file), ROWS.schema) as writer:
        writer.write_table(ROWS)
    with pytest.raises(pa.ArrowInvalid), whole_parquet(str(file), ROWS.schema) as writer:
        writer.write_table(pa.table({"n": ["no number"]}).cast(ROWS.schema))
    assert pq.read_table(file).equals(ROWS)
    assert all(path.name.startswith(".") for path in tmp_path.iterdir() if path != file)
