"""What the end of a job means: its figures, or an error that says what happened and what its container said last.

Belongs here: that judgement. Does not: waiting for the end (`watch`), what it left (`collect`).
"""

from __future__ import annotations

from typing import Any

from booksearch_assets.sagemaker.batch_transform.cost import billed_seconds, cost_figures
from booksearch_assets.sagemaker.batch_transform.errors import (
    TransformError,
    TransformFailed,
    TransformStopped,
    is_permanent,
)
from booksearch_assets.sagemaker.batch_transform.submit import Machines


def job_figures(job: dict[str, Any], region: str, images: int) -> dict[str, Any]:
    """Which job it was, how long it waited and ran (seconds), and what it cost. `images` are vectors that came of it."""
    seconds, resources = billed_seconds(job), job["TransformResources"]
    machines = Machines(resources["InstanceType"], int(resources["InstanceCount"]))
    return {
        "transform_job": job["TransformJobName"],
        "transform_model": job["ModelName"],
        "images": images,
        "billed_seconds": round(seconds, 1),
        "images_per_second": round(images / seconds, 1) if seconds else 0.0,
        **cost_figures(machines, seconds, region, images),
    }


def ended_badly(job: dict[str, Any], images: int, figures: dict[str, Any], log_tail: str) -> TransformError:
    """The error of a job that ended as Failed or Stopped."""
    status, reason = job["TransformJobStatus"], job.get("FailureReason") or ""
    text = f"job {job['TransformJobName']} ended as {status}"
    if reason:
        text += f": {reason}"
    text += f"\n{images} vectors of objects that it had finished are kept.\n{log_tail}"
    if status == "Stopped":
        return TransformStopped(text, figures)
    return TransformFailed(text, figures, permanent=is_permanent(reason))
