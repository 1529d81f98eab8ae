"""How a job and its step talk: a folder in S3 with the job's context and, in numbered chunks, its Pipes messages.

The folder is named after the job, so that a step that lost its process finds what the job said to the one before.

Belongs here: both ends of that folder on Dagster's side. Does not: the driver's end (`payload`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import dagster as dg
from botocore.exceptions import ClientError
from dagster_pipes import PipesContextData, PipesParams

from booksearch_assets.aws.calls import Patience, ServiceError, error_code
from booksearch_assets.aws.objects import split_s3
from booksearch_assets.emr.account import NOTHING, Usage
from booksearch_assets.tables.counts import StageReport

_FIRST_CHUNK = 1
_REPORT = "report"


@dataclass(frozen=True)
class JobFolder:
    """Where the context and the messages of one job lie."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, root: str, job_name: str) -> Self:
        bucket, prefix = split_s3(root)
        return cls(bucket, f"{prefix}{job_name}")

    @property
    def context_key(self) -> str:
        return f"{self.prefix}/context.json"

    @property
    def messages_prefix(self) -> str:
        return f"{self.prefix}/messages"

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def has_report(s3: Any, folder: JobFolder, patience: Patience) -> bool:
    """Whether a job that has ended said what its stage did."""
    try:
        for number in itertools.count(_FIRST_CHUNK):
            for line in _read_chunk(s3, folder, number, patience).splitlines():
                message = json.loads(line)
                if _REPORT in ((message.get("params") or {}).get("payload") or {}):
                    return True
    except ClientError as error:
        if error_code(error) != "NoSuchKey":
            raise
    return False


def _read_chunk(s3: Any, folder: JobFolder, number: int, patience: Patience) -> str:
    def read_chunk(**place: str) -> str:
        return str(s3.get_object(**place)["Body"].read().decode())

    key = f"{folder.messages_prefix}/{number}.json"
    return patience.call(read_chunk, Bucket=folder.bucket, Key=key)


class JobContext(dg.PipesContextInjector):
    """Leaves the context in the job's folder: parameters outgrow what a job's command line may hold.

    It stays there, since a job may start after the process that asked for it has gone.
    """

    def __init__(self, s3: Any, folder: JobFolder, patience: Patience) -> None:
        self._s3, self._folder, self._patience = s3, folder, patience

    @contextmanager
    def inject_context(self, context_data: PipesContextData) -> Iterator[PipesParams]:
        key = self._folder.context_key
        self._patience.call(
            self._s3.put_object, Bucket=self._folder.bucket, Key=key, Body=json.dumps(context_data).encode()
        )
        yield {"bucket": self._folder.bucket, "key": key}

    def no_messages_debug_text(self) -> str:
        return f"The context is in s3://{self._folder.bucket}/{self._folder.context_key}."


class JobMessages(dg.PipesMessageReader):
    """Reads the messages of one job, from its first, whenever `forward` is called. One job, one reader.

    It reads in the step's own thread between two looks at the job: no thread can die unnoticed, and when the job has
    ended, so have its messages.
    """

    def __init__(self, s3: Any, folder: JobFolder, patience: Patience) -> None:
        self._s3, self._folder, self._patience = s3, folder, patience
        self._next_chunk = _FIRST_CHUNK
        self._handler: dg.PipesMessageHandler | None = None
        self.report: StageReport | None = None
        self.used: Usage = NOTHING
        self.exception: str = ""
        self.exception_text: str = ""
        self.fault: str = ""

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[PipesParams]:
        self._handler = handler
        yield {"bucket": self._folder.bucket, "key_prefix": self._folder.messages_prefix}

    def no_messages_debug_text(self) -> str:
        return f"The messages were looked for in s3://{self._folder.bucket}/{self._folder.messages_prefix}/."

    def forward(self, *, to_the_end: bool = False) -> None:
        """Hand on what has come since the last call.

        A fault of S3 only puts it off; with `to_the_end`, when nothing more will come, it is worth waiting for.
        """
        try:
            while True:
                patience = self._patience if to_the_end else Patience(total=0)
                chunk = _read_chunk(self._s3, self._folder, self._next_chunk, patience)
                self._next_chunk, self.fault = self._next_chunk + 1, ""
                for line in chunk.splitlines():
                    self._hand_on(json.loads(line))
        except ClientError as error:
            if error_code(error) != "NoSuchKey":
                raise
        except ServiceError as error:
            self.fault = str(error)

    def _hand_on(self, message: dict[str, Any]) -> None:
        assert self._handler, "messages are forwarded within a Pipes session"
        self._note(message.get("method", ""), message.get("params") or {})
        self._handler.handle_message(message)  # type: ignore[arg-type]

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "report_custom_message":
            payload = params["payload"]
            if _REPORT in payload:
                self.report = StageReport.from_json(payload[_REPORT])
            if "usage" in payload:
                self.used = Usage(**payload["usage"])
        elif method == "closed" and "exception" in params:
            self.exception = params["exception"]["name"] or ""
            self.exception_text = params["exception"]["message"].strip()
