"""The launcher that runs each stage as a job of EMR Serverless.

Belongs here: putting the parts together, and Dagster's edge: typed errors become `dg.Failure`. Does not: any part.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from booksearch_assets.aws.calls import Patience, ServiceError, aws_client
from booksearch_assets.compute.memory import GIB, MIB, memory_bytes
from booksearch_assets.compute.plan import Offer, SparkPlan, Wishes, Work
from booksearch_assets.compute.rates import Place
from booksearch_assets.emr.account import Architecture, Budget, price_in, usage_of
from booksearch_assets.emr.content import code_digest
from booksearch_assets.emr.driver_log import driver_log_folder, driver_log_tail
from booksearch_assets.emr.errors import OverBudget
from booksearch_assets.emr.job import Job
from booksearch_assets.emr.messages import JobContext, JobFolder, JobMessages, has_report
from booksearch_assets.emr.outcome import conclude, job_figures, seconds_of
from booksearch_assets.emr.package_store import ShippedModel, require_package
from booksearch_assets.emr.reattach import LeftBehind, Step, left_behind
from booksearch_assets.emr.submit import ENDED, JobRuns, Submission
from booksearch_assets.emr.watch import watch
from booksearch_assets.emr.workers import predicted_usage, sizes_of
from booksearch_assets.resources.remote_jobs import failure_of, in_charge_of
from booksearch_assets.resources.spark import SparkLauncher, SparkTuning
from booksearch_assets.tables.counts import StageReport
from booksearch_assets.tables.lake import Lake

# EMR's own limit ends a job that nobody can see; a little longer than that, an outage is worth waiting out.
_AFTER_TIMEOUT_SECONDS = 900
_BILLING_SECONDS = 60
_LONGEST_WAIT_SECONDS = 60
# Until executors that nobody keeps waiting are there: a guess, which the fixed seconds of the first run correct.
_WORKERS_START_SECONDS = 75.0


class EmrServerlessLauncher(SparkLauncher):
    """Spark on EMR Serverless. Credentials are those of the environment that Dagster runs in."""

    application_id: str = Field(description="The EMR Serverless application that runs the jobs.")
    execution_role: str = Field(description="ARN of the role that the jobs run as.")
    region: str = Field(description="AWS region of the application, by which prices are looked up.")
    entry_point: str = Field(description="s3:// URI of the payload's entry point.")
    archive: str = Field(
        default="",
        description="s3:// URI of the packed Python environment; empty where the application's image has it.",
    )
    staging: str = Field(
        default="",
        description="s3:// prefix that `booksearch emr package --upload` uploads to: what a job needs is looked for there "
        "before it starts. Empty where the application's image has it all.",
    )
    jobs_uri: str = Field(
        description="s3:// prefix for the context and messages of the jobs. A lifecycle rule may delete what is a week old."
    )
    logs_uri: str = Field(description="s3:// prefix that EMR Serverless writes the logs of the jobs to.")
    driver_cores: int = Field(default=1, ge=1, description="vCPUs of the driver.")
    executor_cores: int = Field(default=4, ge=1, description="vCPUs of each executor.")
    executor_memory: str = Field(
        default="",
        description="The most memory that a plan may give to an executor, JVM and Python workers together; empty: as much as "
        "a worker of so many vCPUs can have.",
    )
    max_executors: int = Field(default=8, ge=1, description="The most executors that one job may hold.")
    timeout_minutes: int = Field(
        default=720, ge=5, le=10_080, description="EMR Serverless ends a job that runs longer than this."
    )
    poll_seconds: float = Field(default=10.0, gt=0, description="How often a job is looked at.")
    budget_usd: float = Field(
        default=0.0,
        ge=0,
        description="A job that would cost more than this is not started, and one that has is cancelled; 0 sets no limit. "
        "The tuning of an asset may set another one.",
    )
    architecture: Architecture = Field(
        default=Architecture.x86_64, description="Processors of the application, by which prices differ."
    )

    def offer(self, wishes: Wishes) -> Offer:
        """Executors of the sizes that the service has. Raises `NoSuchWorker`."""
        cores = wishes.executor_cores or self.executor_cores
        sizes = sizes_of(cores)
        most = memory_bytes(self.executor_memory) if self.executor_memory else sizes.most * GIB
        return Offer(
            place=Place.EMR,
            executor_cores=cores,
            max_executors=wishes.max_executors or self.max_executors,
            least_memory=min(most, sizes.least * GIB),
            most_memory=most,
            memory_step=sizes.step * GIB,
            driver_cores=self.driver_cores,
            startup_seconds=_WORKERS_START_SECONDS,
        )

    def predicted_cost(self, plan: SparkPlan) -> dict[str, Any]:
        usage, price = predicted_usage(plan), price_in(self.region, self.architecture)
        figures: dict[str, Any] = {
            "predicted_vcpu_hours": round(usage.vcpu_hours, 4),
            "predicted_memory_gb_hours": round(usage.memory_gb_hours, 4),
        }
        if price:
            figures |= {
                "predicted_usd": round(price.of(usage), 4),
                "predicted_by": f"{price.region}, as of {price.as_of}",
            }
        return figures

    def run(
        self,
        stage: str,
        params: Any,
        tuning: SparkTuning,
        work: Work,
        context: dg.AssetExecutionContext | None = None,
        lake: Lake | None = None,
    ) -> StageReport:
        """As `SparkLauncher.run`, with the job's cost among the report's figures.

        Raises `dg.Failure`, which allows retries only where they may help.
        """
        try:
            return super().run(stage, params, tuning, work, context, lake)
        except ServiceError as error:
            raise failure_of(error) from error

    def run_planned(
        self,
        stage: str,
        params: Any,
        plan: SparkPlan,
        tuning: SparkTuning,
        context: dg.AssetExecutionContext | None,
    ) -> tuple[StageReport, float]:
        if context is None:
            raise TypeError(
                f"stage {stage} runs as a job, which needs the context of its asset; pass it to run()"
            )
        started = time.monotonic()
        budget = Budget.in_region(self.region, tuning.budget_usd or self.budget_usd, self.architecture)
        model = ShippedModel.of(params, self.staging) if self.staging else None
        params = model.parameters(params) if model else params
        job, step = Job.of(stage, params, _partitions(context)), Step.of(context)
        jobs, s3 = self._job_runs(), aws_client("s3", self.region)

        def reported(name: str) -> bool:
            return has_report(s3, JobFolder.of(self.jobs_uri, name), self._patience)

        find = partial(left_behind, jobs, step, job, reported)

        def cancel() -> str | None:
            job_run_id = find().job_run_id
            if job_run_id:
                jobs.cancel(job_run_id)
            return job_run_id

        left = find()
        for job_run_id in left.superseded:
            context.log.warning(
                f"cancelling job {job_run_id} of an earlier attempt, whose rows nobody will read"
            )
            jobs.cancel(job_run_id)
            watch(jobs, job_run_id, lambda _: None, self.poll_seconds, self._outage)
        if not left.job_run_id:
            budget.require_room_for(predicted_usage(plan))
            if plan.seconds > 60 * self.timeout_minutes:
                context.log.warning(
                    f"the plan takes longer than the {self.timeout_minutes} minutes after which the job is ended: raise "
                    "max_executors, or timeout_minutes of the launcher"
                )
            if self.staging:
                self._require_uploaded(model, s3)
        folder = JobFolder.of(self.jobs_uri, left.name)
        messages = JobMessages(s3, folder, self._patience)
        with dg.open_pipes_session(
            context, JobContext(s3, folder, self._patience), messages, extras=job.to_json()
        ) as session:
            submission = self._submission(left.name, plan, model, session)
            with in_charge_of(cancel, f"application {self.application_id}", context):
                job_run = self._attend(jobs, submission, left, messages, budget, context)
                messages.forward(to_the_end=True)
        if job_run["state"] == "SUCCESS":
            job_run = self._billed(jobs, job_run)
        report = self._settle(job_run, messages, budget, stage, s3)
        return report, seconds_of(job_run) or time.monotonic() - started

    def _settle(
        self, job_run: dict[str, Any], messages: JobMessages, budget: Budget, stage: str, s3: Any
    ) -> StageReport:
        """The report of an ended job with what it cost. Raises an `EmrError` where it did not end well."""
        usage, source = usage_of(job_run), "billed"
        if not usage.is_known:
            usage, source = messages.used, "counted by the job"
        rows_out = messages.report.total.rows_out if messages.report else 0
        figures = job_figures(job_run, usage, source, budget.price, stage, rows_out)
        most = max(usage, messages.used, key=budget.cost_of)
        if job_run["state"] == "CANCELLED" and budget.is_exceeded_by(most):
            raise OverBudget(
                f"job {job_run['jobRunId']} was cancelled: it has cost about ${budget.cost_of(most):,.2f}, and its "
                f"budget is ${budget.usd:,.2f}. Run fewer partitions, or raise budget_usd.",
                figures,
            )
        logs = driver_log_folder(self.logs_uri, self.application_id, job_run["jobRunId"])
        report = conclude(job_run, messages, figures, partial(driver_log_tail, s3, logs))
        return replace(report, figures=report.figures | figures)

    def _attend(
        self,
        jobs: JobRuns,
        submission: Submission,
        left: LeftBehind,
        messages: JobMessages,
        budget: Budget,
        context: dg.AssetExecutionContext,
    ) -> dict[str, Any]:
        """Start a job, or take up the one that was left behind, and stay with it until it has ended."""
        if left.job_run_id:
            job_run_id = left.job_run_id
            context.log.info(f"found job {job_run_id} of an earlier process: staying with it")
        else:
            job_run_id = jobs.start(submission)
            context.log.info(f"started job {job_run_id} of application {self.application_id}")
        said, cancelled = "", False

        def look(job_run: dict[str, Any]) -> None:
            nonlocal said, cancelled
            if job_run["state"] != said:
                said = job_run["state"]
                context.log.info(f"job {job_run_id} is {said}. {job_run.get('stateDetails') or ''}".rstrip())
            messages.forward()
            used = max(usage_of(job_run), messages.used, key=budget.cost_of)
            if not cancelled and said not in ENDED and budget.is_exceeded_by(used):
                cancelled = True
                context.log.error(f"job {job_run_id} is past its budget of ${budget.usd:,.2f}: cancelling it")
                jobs.cancel(job_run_id)

        return watch(jobs, job_run_id, look, self.poll_seconds, self._outage)

    def _billed(self, jobs: JobRuns, job_run: dict[str, Any]) -> dict[str, Any]:
        """An ended job with what is billed for it, which the service adds up a while after the end."""
        give_up = time.monotonic() + _BILLING_SECONDS
        while not usage_of(job_run).is_known and time.monotonic() < give_up:
            time.sleep(self.poll_seconds)
            job_run = jobs.get(job_run["jobRunId"])
        return job_run

    def _require_uploaded(self, model: ShippedModel | None, s3: Any) -> None:
        """A job that cannot run, or that would run other code than this, is not started."""
        if self.archive:
            require_package(self.archive, code_digest(), s3, self._patience)
        if model:
            model.require(s3, self._patience)

    def _submission(
        self,
        name: str,
        plan: SparkPlan,
        model: ShippedModel | None,
        session: dg.PipesSession,
    ) -> Submission:
        spark = self._settings(plan)
        return Submission(
            name=name,
            application_id=self.application_id,
            execution_role=self.execution_role,
            entry_point=self.entry_point,
            logs_uri=self.logs_uri,
            timeout_minutes=self.timeout_minutes,
            spark=model.settings(spark) if model else spark,
            driver_environment=session.get_bootstrap_env_vars(),
            tags=session.default_remote_invocation_info,
        )

    def _settings(self, plan: SparkPlan) -> dict[str, str]:
        settings = {
            **self.stage_settings(plan),
            **self.plan_settings(plan),
            "spark.driver.cores": str(plan.offer.driver_cores),
            "spark.executor.cores": str(plan.offer.executor_cores),
            "spark.executor.memory": f"{plan.executor_heap // MIB}m",
            # Python workers live outside of the heap, and the worker is as large as both together.
            "spark.executor.memoryOverhead": f"{(plan.executor_memory - plan.executor_heap) // MIB}m",
            "spark.default.parallelism": str(plan.cores),
            "spark.dynamicAllocation.initialExecutors": str(plan.executors),
            "spark.dynamicAllocation.maxExecutors": str(plan.executors),
            # Else Arrow asks for the region of a bucket in us-east-1, which no private subnet of another region reaches.
            "spark.emr-serverless.driverEnv.AWS_REGION": self.region,
            "spark.executorEnv.AWS_REGION": self.region,
        }
        if self.archive:
            python = "./environment/bin/python"
            settings |= {
                "spark.archives": f"{self.archive}#environment",
                "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": python,
                "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": python,
                "spark.executorEnv.PYSPARK_PYTHON": python,
            }
        return settings | self.base_config

    def _job_runs(self) -> JobRuns:
        return JobRuns(aws_client("emr-serverless", self.region), self.application_id, self._patience)

    @property
    def _patience(self) -> Patience:
        return Patience(first=self.poll_seconds, longest=_LONGEST_WAIT_SECONDS)

    @property
    def _outage(self) -> Patience:
        total = 60.0 * self.timeout_minutes + _AFTER_TIMEOUT_SECONDS
        return Patience(first=self.poll_seconds, longest=_LONGEST_WAIT_SECONDS, total=total)


def _partitions(context: dg.AssetExecutionContext) -> list[str]:
    has_partitions = context.has_partition_key or context.has_partition_key_range
    # Dagster keeps those of a range as a set, whose order is another one in each process.
    return sorted(context.partition_keys) if has_partitions else []
