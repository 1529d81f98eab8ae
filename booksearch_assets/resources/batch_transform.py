"""Embedding by SageMaker Batch Transform, where it is set up: a launcher that takes Spark's place for pictures.

Belongs here: Dagster's edge of it. Does not: the jobs (`sagemaker.batch_transform`), which is loaded where one is run.
"""

from __future__ import annotations

from typing import Any

import dagster as dg
from pydantic import Field

from booksearch_assets.compute.plan import Work
from booksearch_assets.compute.rates import Place, RateName, keep_rate, rate_of
from booksearch_assets.resources.spark import SparkTuning
from booksearch_assets.tables.counts import StageReport
from booksearch_assets.tables.lake import Lake

_LONGEST_WAIT_SECONDS = 60
# A job goes on while nobody sees it; an outage of half a day is worth waiting out.
_OUTAGE_SECONDS = 12 * 3600


class BatchTransformLauncher(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Jobs of SageMaker Batch Transform. Credentials are those of the environment that Dagster runs in."""

    model_name: str = Field(
        default="",
        description="The SageMaker model that jobs run, an output of infra/sagemaker.yaml. Empty: Spark embeds.",
    )
    staging: str = Field(default="", description="s3:// prefix for what goes in and out of jobs.")
    region: str = Field(default="", description="AWS region of the model, by which prices are looked up.")
    instance: str = Field(default="ml.c5.xlarge", description="Machine of a job.")
    instances: int = Field(default=1, ge=1, description="How many of them a job has.")
    poll_seconds: float = Field(default=15.0, gt=0, description="How often a job is looked at.")
    budget_usd: float = Field(
        default=0.0,
        ge=0,
        description="A job that is predicted to cost more than this is not started; 0 sets no limit. The tuning of an "
        "asset may set another one.",
    )

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model to run jobs with."""
        return bool(self.model_name)

    def run(
        self,
        stage: str,
        params: Any,
        tuning: SparkTuning,
        work: Work,
        context: dg.AssetExecutionContext,
        lake: Lake,
    ) -> StageReport:
        """As `SparkLauncher.run` of the stage `image_embeddings`; of `tuning`, only the budget matters here.

        A run that is cancelled stops its job; one that is killed leaves it, and its next attempt finds it again.
        Raises `dg.Failure`, which allows retries only where they may help.
        """
        from booksearch_assets.aws.calls import Patience, ServiceError, aws_client
        from booksearch_assets.resources.remote_jobs import failure_of, in_charge_of
        from booksearch_assets.sagemaker.batch_transform.cost import rate_of_job
        from booksearch_assets.sagemaker.batch_transform.stage import Clients, ImageTransform
        from booksearch_assets.sagemaker.batch_transform.stage import Place as TransformPlace
        from booksearch_assets.sagemaker.batch_transform.submit import Machines

        machines = Machines(self.instance, self.instances)
        patience = Patience(first=self.poll_seconds, longest=_LONGEST_WAIT_SECONDS)
        transform = ImageTransform(
            stage,
            params,
            TransformPlace(self.model_name, machines, self.staging, self.region),
            Clients(
                sagemaker=aws_client("sagemaker", self.region),
                s3=aws_client("s3", self.region),
                logs=aws_client("logs", self.region),
                patience=patience,
            ),
            poll_seconds=self.poll_seconds,
            outage=Patience(self.poll_seconds, _LONGEST_WAIT_SECONDS, _OUTAGE_SECONDS),
            say=context.log.info,
        )
        # A machine of another kind takes other times.
        name = RateName(stage, Place.SAGEMAKER, f"{work.kind}/{self.instance}")
        rate = rate_of(name, lake, work.units, work.gflop)
        tags = {"booksearch/run": context.run_id, "booksearch/asset": context.asset_key.to_user_string()}
        place = f"Batch Transform in {self.region}, with names that begin with {transform.work}"
        try:
            with in_charge_of(transform.end, place, context):
                report = transform.run(rate, tuning.budget_usd or self.budget_usd, tags)
        except ServiceError as error:
            raise failure_of(error) from error
        told = report.figures
        learnt = rate_of_job(machines, told.get("billed_seconds", 0.0), told.get("images", 0))
        if learnt:
            keep_rate(name, lake, learnt)
        return report
