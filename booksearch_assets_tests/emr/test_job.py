"""The hand-over of a job: the same parameters on both sides, and a digest that tells other work from the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from booksearch_assets.compute import cover_urls, image_embeddings
from booksearch_assets.compute.cover_urls import CoverUrlsParams
from booksearch_assets.compute.image_embeddings import ImageEmbeddingsParams
from booksearch_assets.emr.errors import UnfitParameters
from booksearch_assets.emr.job import Job

EMBEDDINGS = ImageEmbeddingsParams(
    lake="s3://lake",
    catalogue="books",
    source="openlibrary",
    work="s3://w",
    rows=70_000,
    rejections="s3://r",
    bundle="/b",
)
URLS = CoverUrlsParams(
    filtered={"2020": "s3://f"}, covers_metadata=["s3://c"], base_url="https://c", output="s3://o"
)


@pytest.mark.parametrize(("params", "module"), [(EMBEDDINGS, image_embeddings), (URLS, cover_urls)])
def test_the_driver_gets_the_parameters_that_the_asset_gave(params: object, module: object) -> None:
    stage = module.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    sent = json.dumps(Job.of(stage, params, ["2020", "2021"]).to_json())
    job = Job.from_json(json.loads(sent))
    assert job.load_params(module) == params  # type: ignore[arg-type]
    assert job.partitions == ["2020", "2021"]


@dataclass(frozen=True)
class PathParams:
    folder: Path | tuple[str, ...]


@pytest.mark.parametrize("folder", [Path("/lake"), ("a", "b")])
def test_parameters_that_json_changes_are_refused(folder: Path | tuple[str, ...]) -> None:
    with pytest.raises(UnfitParameters, match="parameters of stage editions"):
        Job.of("editions", PathParams(folder), [])


def test_other_work_has_another_digest() -> None:
    job = Job.of("image_embeddings", EMBEDDINGS, ["2020"])
    assert job.digest == Job.of("image_embeddings", replace(EMBEDDINGS), ["2020"]).digest
    others = [
        Job.of("image_embeddings", replace(EMBEDDINGS, rejections="s3://elsewhere"), ["2020"]),
        Job.of("image_embeddings", EMBEDDINGS, ["2021"]),
        Job.of("cover_urls", EMBEDDINGS, ["2020"]),
    ]
    assert len({job.digest, *(other.digest for other in others)}) == 4


def test_a_job_is_not_changed_by_who_made_it() -> None:
    filtered, years = {"2020": "s3://f"}, ["2020"]
    job = Job.of("cover_urls", replace(URLS, filtered=filtered), years)
    before = job.digest
    filtered["2021"] = "s3://g"
    years.append("2021")
    assert job.digest == before
