"""The container's own process, driven as SageMaker drives it, and searches whose queries an endpoint encodes."""

from __future__ import annotations

import base64
import io
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.clip.preprocess import decode_image
from booksearch_assets.sagemaker import endpoint as endpoint_module
from booksearch_assets.sagemaker.endpoint import EndpointEncoder
from booksearch_assets.sagemaker.errors import (
    EndpointRefused,
    EndpointUnavailable,
    InputRefused,
    UnexpectedAnswer,
)
from booksearch_assets.sagemaker.handler import JSON, JSON_LINES, PICTURE
from booksearch_assets.search.api.problems import say_problems
from booksearch_assets.search.engine import ModelMismatch
from booksearch_assets.search.query import Query, SearchMode
from booksearch_assets.search.shell import open_live_search, open_search
from booksearch_assets.settings import Settings
from booksearch_assets_tests.sagemaker.container import Container, Loopback, looped_back, started
from booksearch_assets_tests.search.painted import picture, publish_painted_books

ENDPOINT = "booksearch-queries"
TEXTS = ["a red door", "ships at sea", "two cats"]
CLOSE = 1e-5


@pytest.fixture
def loopback(container: Container, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with looped_back(container) as running:
        for name, value in {
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": running.address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(endpoint_module, "_FIRST_WAIT_SECONDS", 0.0)
        yield running


def painted(cover_id: int, mode: str = "RGB", kind: str = "JPEG", **options: Any) -> bytes:
    """A painted cover in another mode and format."""
    stream = io.BytesIO()
    decode_image(picture(cover_id)).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def ask(container: Container, fields: object) -> Any:
    answer = container.invoke(json.dumps(fields).encode(), "application/json; charset=utf-8")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == JSON
    return answer.json()


def vectors_of(answer: Any) -> np.ndarray:
    vectors = np.array(answer["vectors"], np.float32)
    assert vectors.shape[1] == answer["dimension"]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=CLOSE)
    return vectors


def test_ping_is_ready_once_the_model_is_and_says_so_before(container: Container) -> None:
    assert container.ping() == 200
    assert container.said <= {503}


def test_texts_and_pictures_have_the_vectors_that_the_model_gives_here(
    container: Container, encoder: Encoder
) -> None:
    several = ask(container, {"inputs": TEXTS})
    assert several["bundle_id"] == encoder.bundle_id and several["dimension"] == encoder.dimension
    assert np.abs(vectors_of(several) - encoder.encode_texts(TEXTS)).max() < CLOSE
    one = ask(container, {"inputs": TEXTS[1], "prompt": "this is a {}"})
    assert np.abs(vectors_of(one) - encoder.encode_texts([f"this is a {TEXTS[1]}"])).max() < CLOSE
    assert ask(container, {"inputs": []})["vectors"] == []

    pictures = [picture(number) for number in range(1, 11)]
    here = encoder.encode_images([decode_image(content) for content in pictures])
    together = ask(container, {"images": [in_base64(content) for content in pictures]})
    assert np.abs(vectors_of(together) - here).max() < CLOSE
    alone = ask(container, {"image": in_base64(pictures[3])})
    for content_type in (PICTURE, "image/jpeg"):
        raw = container.invoke(pictures[3], content_type, accept=JSON)
        assert raw.json() == alone
    assert np.abs(vectors_of(alone) - here[3]).max() < CLOSE


def test_rows_of_json_lines_are_told_apart_by_their_keys_and_a_bad_one_spoils_no_other(
    container: Container, encoder: Encoder
) -> None:
    lines = [
        json.dumps({"key": "first", "inputs": TEXTS[0]}),
        json.dumps({"key": "torn", "image": in_base64(picture(1)[:900])}),
        "not json",
        json.dumps({"key": "cover", "image": in_base64(picture(1))}),
        json.dumps({"inputs": "no key"}),
        json.dumps({"key": "empty", "inputs": " "}),
        json.dumps({"key": "both", "inputs": "a", "image": ""}),
        json.dumps({"key": "two", "inputs": ["a", "b"]}),
        "",
        json.dumps({"key": "last", "inputs": TEXTS[2]}),
    ]
    answer = container.invoke("\r\n".join(lines).encode() + b"\n", JSON_LINES, accept=JSON_LINES)
    assert answer.status_code == 200 and answer.headers["content-type"] == JSON_LINES
    # Batch Transform adds the last line break itself.
    assert not answer.text.endswith("\n")
    rows = [json.loads(line) for line in answer.text.split("\n")]
    assert [row["key"] for row in rows] == [
        "first",
        "torn",
        None,
        "cover",
        None,
        "empty",
        "both",
        "two",
        "last",
    ]
    found = {row["key"]: row["vector"] for row in rows if "vector" in row}
    assert found.keys() == {"first", "cover", "last"}
    assert {row["bundle_id"] for row in rows if "vector" in row} == {encoder.bundle_id}
    cover = encoder.encode_images([decode_image(picture(1))])[0]
    texts = encoder.encode_texts([TEXTS[0], TEXTS[2]])
    expected = {"first": texts[0], "last": texts[1], "cover": cover}
    for key, vector in expected.items():
        assert np.abs(np.array(found[key], np.float32) - vector).max() < CLOSE
    errors = [row["error"] for row in rows if "error" in row]
    for error, says in zip(
        errors,
        ["truncated", "line 3 is not JSON", "key is None", "empty", "expected one of", "2 inputs"],
        strict=True,
    ):
        assert says in error


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "says"),
    [
        (b"a,b", "text/csv", "*/*", 415, "'text/csv'; expected application/json"),
        (b"{}", "", "*/*", 415, "content type is ''"),
        (b'{"inputs": "a"}', JSON, "text/csv", 406, "would be application/json"),
        (b'{"inputs": ', JSON, "*/*", 400, "not JSON"),
        (b'["a"]', JSON, "*/*", 400, "is a list; expected an object"),
        (b"{}", JSON, "*/*", 400, "found nothing; expected one of inputs"),
        (b'{"input": "a"}', JSON, "*/*", 400, "found input; expected"),
        (b'{"inputs": "a", "image": ""}', JSON, "*/*", 400, "expected one of"),
        (b'{"inputs": ["a", 1]}', JSON, "*/*", 400, "text 1 is a int"),
        (b'{"inputs": ["a", " "]}', JSON, "*/*", 422, "text 1 is empty"),
        (b'{"inputs": "a", "prompt": "a picture"}', JSON, "*/*", 400, "with {} in it once"),
        (b'{"image": "", "prompt": "a {}"}', JSON, "*/*", 400, "there are none"),
        (b'{"image": "%%"}', JSON, "*/*", 400, "not base64"),
        (b'{"image": 1}', JSON, "*/*", 400, "not base64"),
        (b'{"images": ""}', JSON, "*/*", 400, "images is no list"),
        (b'{"image": ""}', JSON, "*/*", 422, "empty"),
        (b"<svg/>", "image/svg+xml", "*/*", 422, "not an image"),
        (b"", PICTURE, "*/*", 422, "empty"),
        (b'{"inputs": "%s"}' % (b"a" * 10_001), JSON, "*/*", 413, "10001 characters"),
        (b'{"inputs": [%s]}' % b",".join([b'"a"'] * 20_001), JSON, "*/*", 413, "20001 inputs"),
        (bytes(32 * 1024 * 1024 + 1), PICTURE, "*/*", 413, "send several requests"),
    ],
)
def test_bad_requests_are_refused_with_a_reason(
    container: Container, body: bytes, content_type: str, accept: str, status: int, says: str
) -> None:
    answer = container.invoke(body, content_type, accept)
    assert (answer.status_code, answer.headers["content-type"]) == (status, JSON), answer.text
    assert says in answer.json()["error"]


def test_one_bad_picture_of_several_is_named(container: Container) -> None:
    fields = {"images": [in_base64(picture(1)), in_base64(b"no picture")]}
    answer = container.invoke(json.dumps(fields).encode(), JSON)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("input 1 of 2: the picture cannot be read: not an image")


def test_an_endpoint_encodes_as_the_model_here(loopback: Loopback, encoder: Encoder) -> None:
    there = EndpointEncoder.connect(ENDPOINT)
    assert (there.bundle_id, there.dimension) == (encoder.bundle_id, encoder.dimension)
    assert np.abs(there.encode_texts(TEXTS) - encoder.encode_texts(TEXTS)).max() < CLOSE
    asked = len(loopback.asked)
    assert there.encode_texts(TEXTS[::-1]).tolist() == there.encode_texts(TEXTS)[::-1].tolist()
    assert len(loopback.asked) == asked, "texts were asked for again"
    assert there.encode_texts([]).shape == there.encode_images([]).shape == (0, there.dimension)
    assert set(loopback.asked) == {f"/endpoints/{ENDPOINT}/invocations"}

    turned = Image.Exif()
    turned[0x0112] = 6
    kinds = [
        picture(2),
        painted(3, exif=turned),
        painted(4, "CMYK"),
        painted(5, "P", "PNG", transparency=0),
        painted(6, "LA", "PNG"),
    ]
    images = [decode_image(content) for content in kinds]
    assert np.abs(there.encode_images(images) - encoder.encode_images(images)).max() < CLOSE


def test_a_large_picture_is_made_smaller_for_the_endpoint(loopback: Loopback, encoder: Encoder) -> None:
    large = decode_image(picture(7)).resize((1200, 1800))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1000, 1000, 4), np.uint8))
    there = EndpointEncoder.connect(ENDPOINT)
    [found] = there.encode_images([large])
    assert found @ encoder.encode_images([large])[0] > 0.99
    # The worst that can be sent: nothing of it can be compressed.
    assert len(endpoint_module._png(noise)) < 4 * 1024 * 1024
    strip = Image.new("RGB", (1, 2_000_000))
    assert decode_image(endpoint_module._png(strip)).size[0] == 1


def test_what_passes_is_asked_again_and_what_lasts_is_not(loopback: Loopback) -> None:
    there = EndpointEncoder.connect(ENDPOINT)
    loopback.first[:] = [
        (400, "ThrottlingException"),
        (429, "ModelNotReadyException"),
        (503, "ServiceUnavailable"),
    ]
    assert there.encode_texts(["a house"]).shape == (1, there.dimension)
    loopback.first[:] = [(400, "ThrottlingException")] * 9
    with pytest.raises(EndpointUnavailable, match="did not answer 5 times.*ThrottlingException"):
        there.encode_texts(["a garden"])
    assert len(loopback.first) == 4
    loopback.first[:] = [(400, "ValidationError")]
    with pytest.raises(EndpointRefused, match="ValidationError.*sagemaker:InvokeEndpoint"):
        there.encode_texts(["a garden"])
    loopback.first.clear()
    with pytest.raises(InputRefused, match=r"refused the input \(422\): text 0 is empty"):
        there.encode_texts([" "])


def test_an_endpoint_that_cannot_be_reached_is_told(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv(
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{nobody.getsockname()[1]}"
        )
        with pytest.raises(EndpointUnavailable, match="'booksearch-queries' did not answer 5 times.*connect"):
            EndpointEncoder.connect(ENDPOINT)


def test_an_endpoint_that_was_given_another_model_is_noticed(loopback: Loopback, encoder: Encoder) -> None:
    there = EndpointEncoder.connect(ENDPOINT)
    loopback.rename_bundle = (encoder.bundle_id.encode(), b"another-model-0123456789ab")
    with pytest.raises(UnexpectedAnswer, match="has the model 'another-model-0123456789ab' now, and had"):
        there.encode_texts(["a street"])


def test_another_service_at_the_endpoint_is_told(loopback: Loopback) -> None:
    loopback.rename_bundle = (b"bundle_id", b"something")
    with pytest.raises(UnexpectedAnswer, match="expected vectors with their bundle_id"):
        EndpointEncoder.connect(ENDPOINT)


def test_a_search_through_the_endpoint_finds_what_the_model_here_finds(
    loopback: Loopback, tmp_path: Path, encoder: Encoder
) -> None:
    environment = {"BOOKSEARCH_HOME": str(tmp_path)}
    here = Settings.from_environment(environment)
    there = Settings.from_environment(environment | {"BOOKSEARCH_QUERY_ENDPOINT": ENDPOINT})
    publish_painted_books(here, 12)
    queries = [Query(text="a ship at sea", k=12), Query(image=picture(4), k=12)]
    local, remote = open_search(here), open_live_search(there)
    for query in queries:
        expected, found = local.search(query).results, remote.search(query).results
        assert [result.edition_key for result in found] == [result.edition_key for result in expected]
        assert [result.score for result in found] == pytest.approx([r.score for r in expected], abs=CLOSE)
    # A catalogue's picture finds itself.
    assert remote.search(queries[1]).results[0].edition_key == "OL4M"

    loopback.first[:] = [(400, "ThrottlingException")] * 5
    with pytest.raises(EndpointUnavailable):
        remote.search(Query(text="a forest"))
    # Words alone need no vector.
    assert remote.search(Query(text="a forest", mode=SearchMode.LEXICAL)).collection == remote.collection

    loopback.rename_bundle = (encoder.bundle_id.encode(), b"another-model-0123456789ab")
    with pytest.raises(ModelMismatch, match=f"the endpoint {ENDPOINT} holds 'another-model-0123456789ab'"):
        open_live_search(there)


def test_an_endpoint_that_does_not_answer_is_no_defect_of_the_api() -> None:
    app = FastAPI()
    say_problems(app, {})

    @app.get("/search")
    def search() -> None:
        raise EndpointUnavailable("the endpoint 'booksearch-queries' did not answer 5 times")

    answer = TestClient(app).get("/search")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert ENDPOINT not in answer.text, "a place of the deployment was told"


def test_a_container_without_a_model_ends_and_says_why(tmp_path: Path) -> None:
    with started(tmp_path) as running:
        _, log = running.process.communicate(timeout=60)
    assert running.process.returncode == 1
    assert "0 files manifest.json" in log and "docs/sagemaker.md" in log


def test_sigterm_stops_it_in_order(container: Container) -> None:
    """The last of this folder: the container is gone after it."""
    container.process.send_signal(signal.SIGTERM)
    _, log = container.process.communicate(timeout=60)
    assert container.process.returncode == 0, log
    assert "Traceback" not in log
