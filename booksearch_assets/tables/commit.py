"""The record of one committed version of one partition, as it is kept in the lake.

Belongs here: what a record says, and its JSON. Does not: where records lie and what is current (`tables.lake`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from booksearch_assets.tables.counts import Counts


@dataclass(frozen=True)
class Commit:
    """The record of one committed version of one partition (`partition` is "" for an unpartitioned table).

    `path` is the folder that holds its files, in the form of `Lake.uri`; `inputs` maps "table/partition" to the
    version read; `facts` are JSON values that a later stage or the UI needs (dump date, bundle id, ...). `data_version`
    is equal for two versions of the same rows, and `recipe` for two that were made from the same
    (`tables.fingerprint`).
    """

    table: str
    partition: str
    version: str
    path: str
    rows: int
    size: int
    counts: Counts | None
    data_version: str
    inputs: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    recipe: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Commit:
        data = json.loads(text)
        data["counts"] = Counts.from_json(data["counts"]) if data["counts"] else None
        return cls(**data)
