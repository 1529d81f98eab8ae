"""`books/raw_dump/*`: the four dump files, landed as many small gzip chunks of whole lines.

Belongs here: which dump is taken, and committing it. Does not: HTTP (`compute.download`), cutting (`compute.landing`).
"""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from pydantic import Field

from booksearch_assets.assets.progress import log_progress
from booksearch_assets.assets.reporting import markdown_table
from booksearch_assets.automation.partitions import POOL_OPEN_LIBRARY, refuse_job_backfill
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.open_library import OpenLibraryResource

KINDS = ("editions", "works", "authors", "covers_metadata")
_DESCRIPTIONS = {
    "editions": "Every edition of every book: what is searched.",
    "works": "The works that editions belong to: where most subjects and authors are.",
    "authors": "Author names.",
    "covers_metadata": "Width and height of every cover: tells the blank and the odd ones before any download.",
}


def dump_table(kind: str) -> str:
    """Name of the lake table that holds the landed chunks of one dump file."""
    return f"books/raw_dump/{kind}"


class RawDumpConfig(dg.Config):
    """Which dump to land."""

    date: str = Field(default="latest", description="`latest`, or the date of an older dump as YYYY-MM-DD.")
    land_again: bool = Field(
        default=False, description="Land the dump even when the same file is in the lake already."
    )
    chunk_bytes: int = Field(
        default=0,
        ge=0,
        description="Text in one chunk, in bytes: what one task parses, and what a killed run may lose. 0 plans it from the size of the file and the cores.",
    )


@dg.multi_asset(
    name="raw_dump",
    specs=[
        dg.AssetSpec(
            dg.AssetKey(["books", "raw_dump", kind]),
            description=_DESCRIPTIONS[kind],
            group_name="books",
            kinds={"python", "gzip"},
            skippable=True,
        )
        for kind in KINDS
    ],
    can_subset=True,
    pool=POOL_OPEN_LIBRARY,
)
def raw_dump(
    context: dg.AssetExecutionContext,
    config: RawDumpConfig,
    lake: LakeResource,
    open_library: OpenLibraryResource,
) -> Iterator[dg.MaterializeResult]:
    """The Open Library dump, its bytes untouched. The data version is the dump date."""
    from booksearch_assets.compute.raw_dump import land_dump

    refuse_job_backfill(context)

    selected = [
        kind for kind in KINDS if dg.AssetKey(["books", "raw_dump", kind]) in context.selected_asset_keys
    ]
    with open_library.reachable():
        site, downloads = open_library.dump_site(), Path(open_library.downloads)
        for landed in land_dump(
            site,
            lake.open(),
            selected,
            config.date,
            config.land_again,
            downloads,
            log_progress(context),
            config.chunk_bytes,
        ):
            commit = landed.commit
            for warning in landed.warnings:
                context.log.warning(warning)
            yield dg.MaterializeResult(
                asset_key=["books", "raw_dump", landed.kind],
                data_version=dg.DataVersion(commit.data_version),
                metadata={
                    "dump_date": commit.facts["dump_date"],
                    "dagster/row_count": commit.rows,
                    "dagster/uri": commit.path,
                    "bytes": commit.size,
                    "raw_bytes": commit.facts["raw_bytes"],
                    "seconds": round(landed.seconds, 2),
                    "already_landed": landed.reused,
                    "chunks_cut": landed.cut_chunks,
                    "chunks_kept_from_a_killed_run": landed.kept_chunks,
                    "source": commit.facts["url"],
                    "version": commit.version,
                    "chunks": dg.MetadataValue.md(
                        markdown_table(
                            ["chunk", "lines", "bytes", "sha256"],
                            [
                                [c["name"], str(c["lines"]), str(c["gz_bytes"]), c["sha256"][:12]]
                                for c in commit.facts["chunks"][:20]
                            ],
                        )
                    ),
                },
            )
