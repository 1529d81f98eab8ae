"""The partitions of the catalogues.

Belongs here: partition definitions and the reading of year ranges. Does not: which assets use them.
"""

from __future__ import annotations

import dagster as dg

BY_YEAR = dg.BackfillPolicy.single_run()
"""A whole rebuild, or any range of years, is one run and so one Spark application."""


def publish_years(first_year: int) -> dg.TimeWindowPartitionsDefinition:
    """One partition for each year of publication, from `first_year` to the present year, which grows by itself."""
    # end_offset=1 opens the present year on its first of January instead of at its end.
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule="0 0 1 1 *", start=str(first_year), fmt="%Y", end_offset=1
    )


POOL_OPEN_LIBRARY = "open_library"
"""Steps that ask the Open Library services: one at a time, since the limit is theirs and for our whole address."""

POOL_SPARK = "spark"
"""Steps that start Spark: one at a time on one machine, since each takes all cores."""

POOL_VECTOR_STORE = "vector_store"
"""Steps that write to the vector store: Milvus Lite has one writer."""
