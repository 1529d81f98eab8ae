"""A small table: what the tests of the lake and of the shards write and read."""

from __future__ import annotations

import pyarrow as pa

from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.contract import Column, Table
from booksearch_assets.tables.lake import WHOLE, Lake

PEOPLE = Table(
    name="test/people",
    description="People.",
    columns=(
        Column("id", pa.int64(), "Number of the person."),
        Column("name", pa.string(), "Name; null where nobody knows it.", nullable=True),
    ),
    key=("id",),
)


def people(*ids: int) -> pa.Table:
    """One person for each number."""
    return pa.table(
        {"id": pa.array(ids, pa.int64()), "name": [f"person {i}" for i in ids]}, schema=PEOPLE.schema
    )


def commit_people(lake: Lake, *ids: int, partition: str = WHOLE) -> Commit:
    """One committed version with these people."""
    pending = lake.begin(PEOPLE.name)
    pending.write(people(*ids), PEOPLE.schema, partition)
    return pending.commit(partition)


def committed_ids(lake: Lake, partition: str = WHOLE) -> list[int]:
    """The numbers of the people that a reader sees."""
    return sorted(lake.read(PEOPLE, partition)["id"].to_pylist())
