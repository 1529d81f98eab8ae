"""A deployment that is watched: a sample server with dumps, a lake, an instance, and ticks as the daemon makes them.

Belongs here: making and ticking one. Does not: what is expected of a tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from booksearch_assets.assets.books import books_catalogue
from booksearch_assets.automation.new_dump import Pace, build_new_dump_sensor
from booksearch_assets.definitions import build_defs
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.settings import Settings
from booksearch_assets.tables.lake import Lake

CATALOGUE = books_catalogue(2024)


@cache
def definitions() -> dg.Definitions:
    """Those of a default deployment, made once; ticks bring resources of their own."""
    return build_defs(Settings.from_environment({"BOOKSEARCH_FIRST_YEAR": "2024"}))


@dataclass
class Watch:
    """One deployment that looks for dumps at `url`; `cursor` is that of the last tick."""

    home: Path
    url: str
    pace: Pace
    instance: dg.DagsterInstance
    cursor: str | None = None
    smallest_share: float = 0.8

    @property
    def lake(self) -> Lake:
        return Lake(str(self.home / "lake"))

    def tick(self) -> SensorExecutionData:
        """One evaluation with the cursor of the one before."""
        sensor = build_new_dump_sensor(CATALOGUE, self.pace, dg.DefaultSensorStatus.STOPPED)
        site = OpenLibraryResource(
            dumps_url=self.url,
            listing_url=self.url,
            downloads=str(self.home / "downloads"),
            smallest_share=self.smallest_share,
        )
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=definitions(),
            resources={"lake": LakeResource(root=str(self.home / "lake")), "open_library": site},
        ) as context:
            answer = sensor.evaluate_tick(context)
        self.cursor = answer.cursor
        return answer

    def run(
        self,
        request: dg.RunRequest,
        status: dg.DagsterRunStatus,
        job: str = "books",
        assets: Sequence[str] = (),
        parent: dg.DagsterRun | None = None,
    ) -> dg.DagsterRun:
        """The run that the daemon makes of a request, in the state that it got to."""
        return self.instance.add_run(
            dg.DagsterRun(
                job_name=job,
                run_config=request.run_config,
                tags=dict(request.tags),
                status=status,
                asset_selection=frozenset(dg.AssetKey(name.split("/")) for name in assets) or None,
                parent_run_id=parent.run_id if parent else None,
                root_run_id=(parent.root_run_id or parent.run_id) if parent else None,
            )
        )

    def commit(self, table: str, date: str, partition: str = "") -> None:
        self.lake.begin(table).commit(partition, data_version=date, facts={"dump_date": date})

    def land(self, date: str) -> None:
        """The lake holds the dump."""
        for kind in ("editions", "works", "authors", "covers_metadata"):
            self.commit(f"books/raw_dump/{kind}", date)

    def publish(self, date: str, years: Sequence[str] | None = None) -> None:
        """The lake holds the dump, and the given years (by default all) and the published search are of it."""
        self.land(date)
        for year in years or CATALOGUE.partitions.get_partition_keys():
            self.commit("books/filtered_fiction", date, year)
        self.commit("books/search", date)
