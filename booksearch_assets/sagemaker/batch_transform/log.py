"""The last words of a job's containers, from CloudWatch.

Belongs here: finding and cutting them.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

GROUP = "/aws/sagemaker/TransformJobs"
_LINES = 40
_LONGEST_LINE = 500


def log_tail(logs: Any, name: str) -> str:
    """The last lines of the containers of a job, or why there are none.

    Raises nothing: it is asked for when something has failed already, which must be what is reported.
    """
    try:
        streams = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
        tails = [_tail(logs, stream["logStreamName"]) for stream in streams]
    except (BotoCoreError, ClientError) as error:
        return f"no log of it in {GROUP} ({error})"
    return "\n".join(tails) or f"no log of it in {GROUP}"


def _tail(logs: Any, stream: str) -> str:
    events = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, limit=_LINES, startFromHead=False)[
        "events"
    ]
    lines = [event["message"].rstrip()[:_LONGEST_LINE] for event in events]
    return "\n".join([f"the last lines of {stream} in {GROUP}:", *lines])
