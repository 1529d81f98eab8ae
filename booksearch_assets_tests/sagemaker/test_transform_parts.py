"""The parts of Batch Transform that need no service: what goes in, what is refused of what comes out, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from booksearch_assets.aws.calls import Patience
from booksearch_assets.aws.objects import ObjectFolder
from booksearch_assets.compute.rates import Measure, Rate
from booksearch_assets.sagemaker.batch_transform import inputs as inputs_module
from booksearch_assets.sagemaker.batch_transform.collect import Collection
from booksearch_assets.sagemaker.batch_transform.cost import (
    Estimate,
    billed_seconds,
    cost_figures,
    rate_of_job,
)
from booksearch_assets.sagemaker.batch_transform.errors import (
    TransformOverBudget,
    UnexpectedOutput,
    is_permanent,
)
from booksearch_assets.sagemaker.batch_transform.inputs import rows_per_object, write_inputs
from booksearch_assets.sagemaker.batch_transform.submit import Machines

BUNDLE = "clip-0123456789ab"
RATE = Rate(0.1, 0.0, 1_000, "measured in a test")
MACHINES = Machines("ml.c5.xlarge", 2)


class Written:
    """Takes what is put, as a client of S3 does."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self.objects[f"{Bucket}/{Key}"] = Body


def put(pictures: Iterator[tuple[str, bytes]], rows: int) -> tuple[Written, inputs_module.Inputs]:
    written = Written()
    return written, write_inputs(pictures, ObjectFolder(written, "b", "in/", Patience()), rows)


def test_objects_end_where_their_rows_or_bytes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [(f"key {number}", b"x" * 300) for number in range(7)]
    written, inputs = put(iter(pictures), 3)
    assert list(written.objects) == [f"b/in/{number:06d}.jsonl" for number in range(3)]
    assert [body.count(b"\n") for body in written.objects.values()] == [3, 3, 1]
    assert (inputs.lines, inputs.size) == (7, sum(map(len, written.objects.values())))
    monkeypatch.setattr(inputs_module, "_OBJECT_BYTES", 1_000)
    written, _ = put(iter(pictures), 100)
    assert [body.count(b"\n") for body in written.objects.values()] == [2, 2, 2, 1]
    keys = [orjson.loads(line)["key"] for body in written.objects.values() for line in body.splitlines()]
    assert keys == [key for key, _ in pictures]


def test_a_request_is_as_large_as_the_largest_picture_and_no_larger_than_the_container_takes() -> None:
    _, small = put(iter([("a", b"x")]), 10)
    assert small.payload_mb == 6
    _, large = put(iter([("a", b"x"), ("b", bytes(20_000_000)), ("c", bytes(23_000_000))]), 10)
    assert (large.payload_mb, large.lines, large.unsendable) == (27, 2, ("c",))
    # Two of the largest at a time stay within SageMaker's 100 MB.
    assert 2 * (inputs_module._LINE_BYTES // 1_000_000) <= 100


def test_each_machine_has_an_object_and_no_request_too_many_lines() -> None:
    assert rows_per_object(1_000, 512, 1) == 512
    assert rows_per_object(1_000, 512, 4) == 250
    assert rows_per_object(1_000_000, 50_000, 4) == 10_000
    assert rows_per_object(1, 512, 4) == 1


def collection(done: frozenset[str] = frozenset()) -> Collection:
    return Collection({"1": 1, "2": 2}, done, BUNDLE, 4)


def line(key: Any, **fields: Any) -> bytes:
    return orjson.dumps({"key": key, "bundle_id": BUNDLE, "vector": [0.5] * 4} | fields)


def test_lines_are_joined_by_key_and_what_is_done_is_left_alone() -> None:
    lines = collection(frozenset({"9"}))
    found = lines.read(b"\n".join([line("2"), line("9"), b""]) + b"\n", "object 1")
    assert [key for key, _ in found.vectors] == [2] and lines.missing == ["1"]
    torn = {"key": "1", "error": "the picture cannot be read: empty", "reason": "empty"}
    assert lines.read(orjson.dumps(torn), "object 2").rejected == [(1, "empty")]
    assert lines.missing == []


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (line("3"), "line 1 of it: the key is '3', which no picture of this job has"),
        (line(None), "the key is None"),
        (line(1), "the key is 1, which"),
        (line("1") + b"\n" + line("1"), "line 2 of it: the key '1' came before"),
        (
            line("1", bundle_id="other-0123456789ab"),
            "of the model bundle 'other-0123456789ab', expected 'clip-",
        ),
        (orjson.dumps({"key": "1", "vector": [0.5] * 4}), "of the model bundle None"),
        (line("1", vector=[0.5] * 3), r"has the shape \(3,\), expected \(4,\)"),
        (line("1", vector=[1.0] * 4), "has the length 2.0, expected 1"),
        (line("1", vector=[None] * 4), "has the length nan"),
        (orjson.dumps({"key": "1", "error": "line 1 has 2 inputs"}), "no vector of '1': line 1 has 2 inputs"),
        (b"\x00", "line 1 of it is not JSON"),
        (b"[]", "is a list, expected an object with a key"),
    ],
)
def test_what_is_not_one_good_line_for_each_picture_is_refused(output: bytes, says: str) -> None:
    with pytest.raises(UnexpectedOutput, match=says):
        collection().read(output, "it")


def test_a_job_is_estimated_and_accounted_by_the_list_price() -> None:
    estimate = Estimate.of(80_000, MACHINES, RATE, "us-east-1")
    # Two minutes until the containers are there, and 8,000 core seconds on eight processors.
    assert estimate.seconds == 1_120
    assert estimate.usd == pytest.approx(2 * 0.204 * 1_120 / 3_600)
    assert "80,000 pictures on 2 x ml.c5.xlarge in 1,120 s, about $0.13" in estimate.explain()
    estimate.require_within(0.13)
    with pytest.raises(TransformOverBudget, match=r"\$0.13, and its budget is \$0.12; nothing was started"):
        estimate.require_within(0.12)
    started = datetime(2026, 1, 1, tzinfo=UTC)
    job = {"TransformStartTime": started, "TransformEndTime": started + timedelta(hours=1)}
    assert billed_seconds(job) == 3_600 and billed_seconds({}) == 0
    figures = cost_figures(MACHINES, 3_600, "us-east-1", 1_000)
    assert (figures["billed_instance_hours"], figures["estimated_cost_usd"]) == (2.0, 0.408)
    assert figures["images_per_dollar"] == round(1_000 / 0.408)
    assert "estimated_cost_usd" not in cost_figures(MACHINES, 3_600, "ap-south-2", 1_000)


def test_a_job_teaches_the_next_estimate_what_its_start_does_not_explain() -> None:
    rate = rate_of_job(MACHINES, 1_120, 80_000)
    assert rate and rate.core_seconds == pytest.approx(0.1)
    assert rate.units == 80_000 and Measure.ROW.value in rate.source
    assert rate_of_job(MACHINES, 100, 10) is None


@pytest.mark.parametrize(
    ("reason", "lasts"),
    [
        ("AlgorithmError: See job logs for more information", True),
        ("ClientError: The bucket does not exist", True),
        ("InternalServerError: We encountered an internal error. Please try again.", False),
        ("CapacityError: Unable to provision requested ML compute capacity", False),
    ],
)
def test_which_failures_may_pass(reason: str, lasts: bool) -> None:
    assert is_permanent(reason) is lasts
