"""The whole books graph with its lake in S3 and its Spark stages as jobs.

Run as a script, it is an orchestrator of its own, which a test may kill.
"""

from __future__ import annotations

import json
import sys
import sysconfig
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from booksearch_assets.automation.partitions import range_tags
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.definitions import build_defs
from booksearch_assets.emr.content import PackageContent
from booksearch_assets.emr.launcher import EmrServerlessLauncher
from booksearch_assets.emr.package import build_package
from booksearch_assets.emr.package_store import PackageUris, upload_bundle, upload_package
from booksearch_assets.settings import Settings
from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.emr.cluster import cluster_driver
from booksearch_assets_tests.emr.serverless import BUCKET, REGION, ROLE, LocalServerless
from booksearch_assets_tests.graph.deployment import Deployment

LAKE = "lake"
_STAGING = f"s3://{BUCKET}/staging"
_CONFIG = {
    # So few covers would be embedded without Spark.
    "ops": {"books__cover_embeddings": {"config": {"spark_from": 0}}},
    "loggers": {"progress": {}},
}


@dataclass(frozen=True)
class BooksOnEmr:
    """The sample world of another deployment, on an application and in a home of its own."""

    application_id: str
    home: str
    sample_editions: int
    sample_port: int
    first_year: int
    package: PackageUris

    @classmethod
    def like(cls, settings: Settings, service: LocalServerless, home: Path) -> BooksOnEmr:
        """With everything that jobs need in S3. The archive has our modules alone: see `cluster`."""
        home.mkdir()
        nothing = home / "requirements.txt"
        nothing.touch()
        interpreter = str(Path(sysconfig.get_config_var("BINDIR"), "python3.11"))
        package = build_package(PackageContent(nothing, nothing, interpreter=interpreter), home / "dist")
        s3 = service.client("s3")
        s3.create_bucket(Bucket=LAKE)
        upload_bundle(Bundle.open(settings.bundle), _STAGING, s3)
        return cls(
            application_id=service.create_application(cluster_driver(service.objects)),
            home=str(home),
            sample_editions=settings.sample_editions,
            sample_port=settings.sample_port,
            first_year=settings.first_year,
            package=upload_package(package, _STAGING, s3),
        )

    @property
    def settings(self) -> Settings:
        deployment = Deployment.of_sample(
            Path(self.home), self.sample_editions, sample_port=self.sample_port, first_year=self.first_year
        )
        return replace(deployment.settings, lake=f"s3://{LAKE}/books")

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake)

    @property
    def launcher(self) -> EmrServerlessLauncher:
        return EmrServerlessLauncher(
            application_id=self.application_id,
            execution_role=ROLE,
            region=REGION,
            entry_point=self.package.entry_point,
            archive=self.package.archive,
            staging=_STAGING,
            jobs_uri=f"s3://{BUCKET}/jobs",
            logs_uri=f"s3://{BUCKET}/logs",
            poll_seconds=0.5,
        )

    def instance(self) -> dg.DagsterInstance:
        """The instance that every process of this deployment opens."""
        folder = Path(self.home, "dagster")
        folder.mkdir(exist_ok=True)
        return dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}})

    def run(self, instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        """One run of everything for all years; nothing is raised when it fails."""
        job = build_defs(self.settings, {"spark": self.launcher}).resolve_job_def("books")
        assert job.partitions_def
        years = job.partitions_def.get_partition_keys()
        return job.execute_in_process(
            run_config=_CONFIG,
            instance=instance,
            tags=range_tags(years[0], years[-1]) | tags,
            raise_on_error=False,
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BooksOnEmr:
        data: dict[str, Any] = json.loads(text)
        return cls(**data | {"package": PackageUris(**data["package"])})


if __name__ == "__main__":
    told = BooksOnEmr.from_json(sys.argv[1])
    sys.exit(0 if told.run(told.instance(), {}).success else 1)
