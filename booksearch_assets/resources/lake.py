"""The lake as a resource."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from booksearch_assets.tables.lake import Lake


class LakeResource(dg.ConfigurableResource[Lake]):
    """Parquet tables in committed versions, under a local folder or an `s3://` prefix."""

    root: str = Field(
        description="Local path, file:// or s3:// URI of the lake. Change it with BOOKSEARCH_LAKE."
    )

    def open(self) -> Lake:
        return Lake(self.root)
