"""Deployments of the whole graph for tests: a small sample world in a folder, on an instance of its own.

Belongs here: making a deployment and running parts of it. Does not: what is expected of a run.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg

from booksearch_assets.automation.partitions import publish_years
from booksearch_assets.definitions import build_defs
from booksearch_assets.materialize import run_job
from booksearch_assets.resources.spark import LocalSparkLauncher
from booksearch_assets.settings import PACKAGE, Profile, Settings
from booksearch_assets.tables.lake import Lake

LAUNCHER = LocalSparkLauncher(master="local[2]")
"""Every test that needs Spark uses this one, so that no test stops the session of another."""

_LITTLE_MEASURED = {"books__search_quality": {"config": {"pictures": 4, "prototype_covers": 20}}}
"""Measuring in full would cost more than the rest of a run on so small a world."""


@dataclass
class Deployment:
    """One deployment: its settings, its Dagster instance, and resources that replace the default ones."""

    settings: Settings
    instance: dg.DagsterInstance
    resources: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_sample(cls, home: Path, editions: int = 240, **changes: Any) -> Deployment:
        settings = Settings(
            profile=Profile.SAMPLE,
            home=home,
            lake=str(home / "lake"),
            milvus_uri=str(home / "milvus"),
            milvus_token=False,
            bundle=str(PACKAGE / "sample" / "model"),
            sample_editions=editions,
            sample_seed=0,
            sample_release=0,
            sample_port=free_port(),
            first_year=2010,
            contact="",
        )
        return cls(replace(settings, **changes), dg.DagsterInstance.ephemeral(), {"spark": LAUNCHER})

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake)

    @property
    def years(self) -> list[str]:
        """Every yearly partition that there is today: another one from the first of January."""
        return list(publish_years(self.settings.first_year).get_partition_keys())

    @property
    def defs(self) -> dg.Definitions:
        return build_defs(self.settings, self.resources)

    def run(
        self,
        *assets: str,
        years: tuple[str, str] | None = None,
        config: dict[str, Any] | None = None,
        job: str = "books",
    ) -> dg.ExecuteInProcessResult:
        """One run of some assets (of all of them by default), with their checks; nothing is raised for a failure."""
        keys = [dg.AssetKey(name.split("/")) for name in assets]
        if job == "books" and (not assets or "books/search_quality" in assets):
            config = {"ops": _LITTLE_MEASURED | (config or {}).get("ops", {})}
        return run_job(self.defs, job, years, keys, config, self.instance)

    def with_settings(self, **changes: Any) -> Deployment:
        """The same instance and data under other settings."""
        return replace(self, settings=replace(self.settings, **changes))

    def with_resources(self, **changes: Any) -> Deployment:
        """The same deployment with other resources."""
        return replace(self, resources={**self.resources, **changes})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def materializations(deployment: Deployment, asset: str, limit: int = 100) -> list[dg.EventLogRecord]:
    """The newest materialisations of an asset, newest first."""
    key = dg.AssetKey(asset.split("/"))
    return list(deployment.instance.fetch_materializations(key, limit=limit).records)


def failures(result: dg.ExecuteInProcessResult) -> str:
    """What a run said of its failures, in one text."""
    from booksearch_assets.materialize import failed_checks, failure_messages

    checks: Sequence[str] = [f"{e.asset_key.to_user_string()}:{e.check_name}" for e in failed_checks(result)]
    return "\n".join([*failure_messages(result), *checks])
