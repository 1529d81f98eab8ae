"""From the start of a job to its end: looking at it.

Belongs here: polling. Does not: what its end means (`stage`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from booksearch_assets.aws.calls import Patience
from booksearch_assets.aws.objects import ObjectFolder
from booksearch_assets.sagemaker.batch_transform.submit import ENDED, TransformJobs

_SAID_EVERY_SECONDS = 60


class Progress:
    """Says what becomes of a job: each new status, and now and then how many of its objects are done.

    That is all that Batch Transform lets see: an output is there once its whole object is done.
    """

    def __init__(
        self, name: str, inputs: ObjectFolder, outputs: ObjectFolder, say: Callable[[str], None]
    ) -> None:
        self._name, self._inputs, self._outputs, self._say = name, inputs, outputs, say
        self._said, self._said_at, self._objects = "", 0.0, 0

    def look(self, job: dict[str, Any]) -> None:
        """Take notice of one description."""
        status, now = job["TransformJobStatus"], time.monotonic()
        if status == self._said and now - self._said_at < _SAID_EVERY_SECONDS:
            return
        self._said, self._said_at = status, now
        self._objects = self._objects or len(self._inputs.listing())
        done = len(self._outputs.listing())
        self._say(f"Batch Transform {self._name} is {status}: {done} of {self._objects} objects done")


def watch(
    jobs: TransformJobs,
    name: str,
    look: Callable[[dict[str, Any]], None],
    every: float,
    outage: Patience,
) -> dict[str, Any]:
    """Look at a job about every `every` seconds until it has ended. Returns it as it ended.

    `look` is called with each answer. `outage` says how long the service may give none: the job goes on meanwhile.
    """
    while True:
        job = jobs.get(name, outage)
        look(job)
        if job["TransformJobStatus"] in ENDED:
            return job
        time.sleep(every * random.uniform(0.8, 1.2))
