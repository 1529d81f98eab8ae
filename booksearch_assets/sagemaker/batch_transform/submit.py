"""What is asked of SageMaker for one job, and the three calls about it.

Belongs here: the request, finding a job by its name. Does not: what it reads (`inputs`), how long to ask (`aws.calls`).

A job is named by what it does, so a second request for the same is refused by the service, and a process that comes
after one that was killed finds the job by its name. A name is never free again; each further job counts up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from booksearch_assets.aws.calls import Patience, RequestRefused
from booksearch_assets.sagemaker.handler import JSON_LINES

RUNNING = "InProgress"
COMPLETED = "Completed"
ENDED = frozenset({COMPLETED, "Failed", "Stopped"})
# The next request is on its way while the container works on one; it works on one at a time.
_REQUESTS_AT_A_TIME = 2
# The longest that SageMaker waits: a full request takes minutes on a small machine, and waits for the one before it.
_ANSWER_SECONDS = 3600
_REPEATS = 3


@dataclass(frozen=True)
class Machines:
    """What a job runs on, as in 2 x ml.c5.xlarge."""

    instance: str
    count: int = 1

    def __str__(self) -> str:
        return f"{self.count} x {self.instance}"


@dataclass(frozen=True)
class Submission:
    """Everything that one job is started with."""

    name: str
    model: str
    input_uri: str
    output_uri: str
    machines: Machines
    payload_mb: int
    tags: Mapping[str, str]

    def request(self) -> dict[str, Any]:
        """The arguments of `CreateTransformJob`."""
        return {
            "TransformJobName": self.name,
            "ModelName": self.model,
            "MaxConcurrentTransforms": _REQUESTS_AT_A_TIME,
            "MaxPayloadInMB": self.payload_mb,
            "ModelClientConfig": {
                "InvocationsTimeoutInSeconds": _ANSWER_SECONDS,
                "InvocationsMaxRetries": _REPEATS,
            },
            # As many lines in a request as fit: the model is quickest in batches, and there are fewer requests.
            "BatchStrategy": "MultiRecord",
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self.input_uri}},
                "ContentType": JSON_LINES,
                # Requests end where lines do.
                "SplitType": "Line",
                "CompressionType": "None",
            },
            "TransformOutput": {
                "S3OutputPath": self.output_uri,
                "Accept": JSON_LINES,
                # The handler ends no answer with a line break; this puts one between the answers of an object.
                "AssembleWith": "Line",
            },
            "TransformResources": {
                "InstanceType": self.machines.instance,
                "InstanceCount": self.machines.count,
            },
            "Tags": [{"Key": name, "Value": value} for name, value in self.tags.items()],
        }


class TransformJobs:
    """The jobs of one account and region. Every call may be repeated, and is while the service is out of breath."""

    def __init__(self, client: Any, patience: Patience) -> None:
        self._client, self._patience = client, patience

    def start(self, submission: Submission) -> None:
        """Start a job, unless the one of this name is there: the answer to an earlier request may have been lost."""
        try:
            self._patience.call(self._client.create_transform_job, **submission.request())
        except RequestRefused as refusal:
            if refusal.code != "ResourceInUse":
                raise

    def get(self, name: str, patience: Patience | None = None) -> dict[str, Any]:
        """A job, as `DescribeTransformJob` says."""
        call = (patience or self._patience).call
        return dict(call(self._client.describe_transform_job, TransformJobName=name))

    def find(self, name: str) -> dict[str, Any] | None:
        """A job, or None where none has ever had this name."""
        try:
            return self.get(name)
        except RequestRefused as refusal:
            if refusal.code == "ResourceNotFound" or "could not find" in str(refusal).lower():
                return None
            raise

    def newest(self, work: str) -> tuple[str, dict[str, Any] | None]:
        """The last job that does some work, and its name; the first name of all where there is none."""
        name, found = f"{work}-0", None
        for number in count():
            job = self.find(f"{work}-{number}")
            if job is None:
                break
            name, found = f"{work}-{number}", job
        return name, found

    def stop(self, name: str) -> None:
        """Ask for the end of a job; it ends some time later. One that has ended already is left as it is."""
        try:
            self._patience.call(self._client.stop_transform_job, TransformJobName=name)
        except RequestRefused:
            if self.get(name)["TransformJobStatus"] == RUNNING:
                raise


def next_name(name: str) -> str:
    """The name of the job after one."""
    work, _, number = name.rpartition("-")
    return f"{work}-{int(number) + 1}"
