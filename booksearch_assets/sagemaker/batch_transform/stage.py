"""Embed pictures by one job: bytes from a catalogue's cache to vectors in the vectors cache.

It does what `compute.image_embeddings` does on Spark, with the same parameters, the same caches and the same report.
Each output object becomes one shard of vectors and is deleted once the shard is there: a process that was killed while
it collected goes on with what is left.

Belongs here: the order of things. Does not: each of them (the modules beside this one), Dagster.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booksearch_assets.aws.calls import Patience
from booksearch_assets.aws.objects import ObjectFolder
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.compute.image_embeddings import ImageEmbeddingsParams, vector_rows, without_done
from booksearch_assets.compute.rates import Rate
from booksearch_assets.sagemaker.batch_transform.collect import Collection, Key
from booksearch_assets.sagemaker.batch_transform.cost import Estimate
from booksearch_assets.sagemaker.batch_transform.errors import UnexpectedOutput
from booksearch_assets.sagemaker.batch_transform.inputs import rows_per_object, write_inputs
from booksearch_assets.sagemaker.batch_transform.log import log_tail
from booksearch_assets.sagemaker.batch_transform.outcome import ended_badly, job_figures
from booksearch_assets.sagemaker.batch_transform.submit import (
    COMPLETED,
    RUNNING,
    Machines,
    Submission,
    TransformJobs,
    next_name,
)
from booksearch_assets.sagemaker.batch_transform.watch import Progress, watch
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets.tables.lake import Lake

TOO_LARGE = "too large for Batch Transform"
"""Why a picture is rejected that no request may hold: its line is over 30 MB."""

_DIGITS = 16
_NAMED_IN_ERRORS = 5

Say = Callable[[str], None]


@dataclass(frozen=True)
class Clients:
    """Clients of boto3 that try each call once; `patience` repeats what passes."""

    sagemaker: Any
    s3: Any
    logs: Any
    patience: Patience


@dataclass(frozen=True)
class Place:
    """Where jobs run: the SageMaker model, the machines, and the S3 prefix for what goes in and out."""

    model: str
    machines: Machines
    staging: str
    region: str


class ImageTransform:
    """The jobs of one work list. `end` may be called at any time, from what interrupts `run`."""

    def __init__(
        self,
        stage: str,
        params: ImageEmbeddingsParams,
        place: Place,
        clients: Clients,
        poll_seconds: float,
        outage: Patience,
        say: Say,
    ) -> None:
        self._stage, self._params, self._place, self._clients = stage, params, place, clients
        self._poll_seconds, self._outage, self._say = poll_seconds, outage, say
        self._jobs = TransformJobs(clients.sagemaker, clients.patience)
        # What goes in and what comes out lie apart, so that a job may read the one and write the other alone.
        self._staging = ObjectFolder.at(place.staging, clients.s3, clients.patience)
        self._bundle, self._lake = Bundle.open(params.bundle), Lake(params.lake)
        self._tables = params.tables
        self._key, self._key_type = self._tables.key.name, self._tables.key.type
        self._vectors = self._tables.vectors_cache(
            params.lake, params.source, self._bundle.bundle_id, self._bundle.dimension
        )

    @property
    def work(self) -> str:
        """What all jobs of this work list are named after: the same for the same work with the same model."""
        told = json.dumps([self._stage, asdict(self._params), self._place.model], sort_keys=True)
        digest = hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]
        return f"booksearch-{self._stage.replace('_', '-')}-{digest}"

    def end(self) -> str | None:
        """Ask for the end of the job that runs, if any, and return its name."""
        name, job = self._jobs.newest(self.work)
        if job is None or job["TransformJobStatus"] != RUNNING:
            return None
        self._jobs.stop(name)
        return name

    def run(self, rate: Rate, budget_usd: float, tags: Mapping[str, str]) -> StageReport:
        """Embed every picture of the work list. Counts: pictures in, vectors out, rejected ones by reason.

        `rate` is what pictures took before. Raises `ServiceError`. Vectors that were made until then are in the cache,
        and are not asked for again.
        """
        started = time.monotonic()
        left = self._left()
        name, job = self._jobs.newest(self.work)
        figures: dict[str, Any] = {}
        if job is not None and self._is_worth_staying(name, job):
            self._say(f"found Batch Transform {name} of an earlier process: staying with it")
            figures = self._attend(name, left)
        elif len(left):
            figures = self._start(next_name(name) if job else name, left, rate, budget_usd, tags)
        rejected = dict(Counter(self._rejections()["reason"].to_pylist()))
        counts = Counts(self._params.rows, self._params.rows - sum(rejected.values()), rejected)
        return StageReport({"": counts}, time.monotonic() - started, figures)

    def _is_worth_staying(self, name: str, job: dict[str, Any]) -> bool:
        """Whether a job that is there goes on, or has outputs that nobody has collected yet."""
        if job["TransformJobStatus"] == RUNNING:
            return True
        return job["TransformJobStatus"] == COMPLETED and bool(self._output(name).listing())

    def _start(
        self, name: str, left: pa.Table, rate: Rate, budget_usd: float, tags: Mapping[str, str]
    ) -> dict[str, Any]:
        """Write the pictures, start a job of a new name and stay with it. Returns its figures."""
        place, folder = self._place, self._input(name)
        estimate = Estimate.of(len(left), place.machines, rate, place.region)
        self._say(f"Batch Transform {name}: {estimate.explain()}")
        estimate.require_within(budget_usd)
        # A process that was killed while it wrote may have left some.
        folder.clear()
        rows = rows_per_object(len(left), self._params.rows_per_task, place.machines.count)
        inputs = write_inputs(self._pictures(left), folder, rows)
        self._say(f"wrote {inputs.lines:,} pictures, {inputs.size:,} bytes, as {inputs.objects:,} objects")
        unsendable = [self._texts(left)[text] for text in inputs.unsendable]
        self._reject([(key, TOO_LARGE) for key in unsendable], f"{name}-unsendable")
        figures: dict[str, Any] = estimate.figures()
        if inputs.lines:
            submission = Submission(
                name=name,
                model=place.model,
                input_uri=folder.uri,
                output_uri=self._output(name).uri,
                machines=place.machines,
                payload_mb=inputs.payload_mb,
                tags=tags,
            )
            self._jobs.start(submission)
            sent = left.filter(pc.invert(pc.is_in(left[self._key], pa.array(unsendable, self._key_type))))
            figures |= self._attend(name, sent)
        return figures

    def _attend(self, name: str, left: pa.Table) -> dict[str, Any]:
        """Stay with a job until it has ended, and collect what it leaves. Returns its figures."""
        source, output = self._input(name), self._output(name)
        progress = Progress(name, source, output, self._say)
        job = watch(self._jobs, name, progress.look, self._poll_seconds, self._outage)
        wanted = self._texts(left)
        done = {str(key) for key in self._listed().to_pylist()} - wanted.keys()
        collection = Collection(wanted, done, self._bundle.bundle_id, self._bundle.dimension)
        vectors = self._collect(collection, output)
        figures = job_figures(job, self._place.region, vectors)
        if job["TransformJobStatus"] != COMPLETED:
            raise ended_badly(job, vectors, figures, log_tail(self._clients.logs, name))
        if missing := collection.missing:
            raise UnexpectedOutput(
                f"job {name} is {COMPLETED} and left {len(missing)} of {len(left)} pictures without a line, such as "
                f"{', '.join(missing[:_NAMED_IN_ERRORS])}. What came of the others is kept, and its inputs are in "
                f"{source.uri}; another attempt asks for these pictures alone",
                figures,
            )
        source.clear()
        return figures

    def _collect(self, collection: Collection, output: ObjectFolder) -> int:
        """Keep what every output object holds, and then delete it. Returns how many vectors came."""
        vectors = 0
        for key in output.listing():
            place = f"s3://{output.bucket}/{key}"
            found = collection.read(output.read(key), place)
            # The same name for the same object, so that it is written over where it is read again.
            self._reject(found.rejected, hashlib.sha256(place.encode()).hexdigest()[:_DIGITS])
            if found.vectors:
                self._vectors.append(vector_rows(self._tables, found.vectors, self._bundle))
            output.delete(key)
            vectors += len(found.vectors)
        return vectors

    def _pictures(self, left: pa.Table) -> Iterator[tuple[str, bytes]]:
        """Pictures by the text of their keys, one shard of the cache in memory at a time."""
        cache = self._tables.bytes_cache(self._params.lake, self._params.source)
        for rows in cache.read_keys(left, [self._key, "content"]):
            for key, content in zip(rows[self._key].to_pylist(), rows["content"].to_pylist(), strict=True):
                yield str(key), content or b""

    def _left(self) -> pa.Table:
        """The rows of the work list that have neither a vector nor a reason for having none."""
        params = without_done(self._params)
        work = pq.read_table(params.work.removeprefix("s3://"), filesystem=self._lake.filesystem)
        rejected = self._rejections()[self._key]
        return work.filter(pc.invert(pc.is_in(work[self._key], rejected)))

    def _listed(self) -> pa.ChunkedArray:
        """All keys of the work list."""
        place = self._params.work.removeprefix("s3://")
        return pq.read_table(place, columns=[self._key], filesystem=self._lake.filesystem)[self._key]

    def _texts(self, rows: pa.Table) -> dict[str, Key]:
        return {str(key): key for key in rows[self._key].to_pylist()}

    def _reject(self, rejected: list[tuple[Key, str]], name: str) -> None:
        if not rejected:
            return
        rows = [{self._key: key, "reason": reason} for key, reason in rejected]
        table = pa.Table.from_pylist(rows, self._tables.rejections.schema)
        folder = self._params.rejections.removeprefix("s3://")
        with self._lake.writing():
            self._lake.filesystem.create_dir(folder, recursive=True)
            pq.write_table(table, f"{folder}/{name}.parquet", filesystem=self._lake.filesystem)

    def _rejections(self) -> pa.Table:
        return self._lake.read_aside(self._params.rejections, self._tables.rejections)

    def _input(self, name: str) -> ObjectFolder:
        return self._staging.folder("input").folder(name)

    def _output(self, name: str) -> ObjectFolder:
        return self._staging.folder("output").folder(name)
