"""The partitions of the catalogues.

Belongs here: partition definitions, and how a run says which range of them it is about. Does not: which assets use
them.
"""

from __future__ import annotations

import dagster as dg

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""The tags by which a run is about a range of partitions, both ends included."""

IN_ONE_RUN = dg.BackfillPolicy.single_run()
"""A whole rebuild, or any range of years, is one run and so one Spark application."""


def publish_years(first_year: int) -> dg.TimeWindowPartitionsDefinition:
    """One partition for each year of publication, from `first_year` to the present year, which grows by itself."""
    # end_offset=1 opens the present year on its first of January instead of at its end.
    return dg.TimeWindowPartitionsDefinition(
        cron_schedule="0 0 1 1 *", start=str(first_year), fmt="%Y", end_offset=1
    )


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags of a run over the partitions from `first` to `last`."""
    return {RANGE_START: first, RANGE_END: last}


def whole_range_tags(partitions: dg.PartitionsDefinition) -> dict[str, str]:
    """The tags of a run over every partition there is today."""
    keys = partitions.get_partition_keys()
    return range_tags(keys[0], keys[-1])


LISTING_FILE = "file"
"""The name of the partitions of products in the folders of the lake."""

_LISTING_FILES = "0123456789abcdef"


def listing_files(count: int) -> dg.StaticPartitionsDefinition:
    """One partition for each listing file of a release, `listings_0` to `listings_f` where there are all sixteen."""
    return dg.StaticPartitionsDefinition([f"listings_{digit}" for digit in _LISTING_FILES[:count]])


POOL_OPEN_LIBRARY = "open_library"
"""Steps that ask the Open Library services: one at a time, since the limit is theirs and for our whole address."""

POOL_PRODUCT_RELEASE = "product_release"
"""Steps that read the release of product listings and photos: one at a time, as for any other service."""

POOL_SPARK = "spark"
"""Steps that start Spark: one at a time on one machine, since each takes all cores."""

POOL_VECTOR_STORE = "vector_store"
"""Steps that write to the vector store: Milvus Lite has one writer."""

_BACKFILL_TAG, _ASSET_BACKFILL_JOB = "dagster/backfill", "__ASSET_JOB"


def refuse_job_backfill(context: dg.AssetExecutionContext) -> None:
    """Raises `dg.Failure` in a run of a backfill that was launched on a job instead of on assets.

    Dagster starts a run of the whole job for each partition then, whatever the backfill policy
    (https://github.com/dagster-io/dagster/issues/17404): the dump landed and the collection published once a year.
    """
    if _BACKFILL_TAG in context.run.tags and context.run.job_name != _ASSET_BACKFILL_JOB:
        raise dg.Failure(
            f"a backfill of the job {context.run.job_name} would run the whole graph once for each year. Expected a "
            "backfill of assets, in which a range of years is one run: select the assets in the asset graph, "
            "Materialize, and choose the years; or booksearch materialize --years 2015..2019",
            allow_retries=False,
        )
