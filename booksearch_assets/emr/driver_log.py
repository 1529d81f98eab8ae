"""The end of a driver's log, from where EMR Serverless leaves it in S3.

Belongs here: finding and cutting it. The places are those of "Storing logs" in the EMR Serverless user guide.
"""

from __future__ import annotations

import gzip
from collections import deque
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from booksearch_assets.aws.objects import split_s3

_LINES = 40
_LONGEST_LINE = 500


def driver_log_folder(logs_uri: str, application_id: str, job_run_id: str) -> str:
    """The folder of the driver's logs, as a URI."""
    return f"{logs_uri.rstrip('/')}/applications/{application_id}/jobs/{job_run_id}/SPARK_DRIVER"


def driver_log_tail(s3: Any, folder: str) -> str:
    """The last lines of the driver's stderr, or else of its stdout; why there are none, where there are none.

    Raises nothing: it is asked for when something has failed already, which must be what is reported.
    """
    bucket, prefix = split_s3(folder)
    reasons = []
    for stream in ("stderr", "stdout"):
        key = f"{prefix}{stream}.gz"
        try:
            body = s3.get_object(Bucket=bucket, Key=key)["Body"]
            with gzip.open(body, "rt", encoding="utf-8", errors="replace") as lines:
                tail = deque((line.rstrip()[:_LONGEST_LINE] for line in lines), maxlen=_LINES)
        except (BotoCoreError, ClientError, OSError, EOFError) as error:
            reasons.append(f"no driver {stream} in s3://{bucket}/{key} ({error})")
            continue
        if tail:
            return "\n".join([f"the last lines of the driver's {stream}, s3://{bucket}/{key}:", *tail])
    return "\n".join(reasons) or f"the driver's logs in {folder} are empty"
