"""What is sent to OpenSearch, when, and what is made of refusals: seen, and caused, by the shim before osmem-server."""

from __future__ import annotations

import datetime
import ipaddress
import json
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from booksearch_assets.vectorstores import opensearch_bulk
from booksearch_assets.vectorstores.connect import open_store
from booksearch_assets.vectorstores.contract import IndexKind, IndexSpec, VectorStore
from booksearch_assets.vectorstores.errors import InvalidCollection, StoreUnavailable, VectorStoreError
from booksearch_assets.vectorstores.opensearch_client import Auth, Engine, OpenSearchAddress, _check_version
from booksearch_assets.vectorstores.opensearch_serverless import OpenSearchServerlessStore
from booksearch_assets_tests.vectorstores import worlds
from booksearch_assets_tests.vectorstores.knn_shim import KnnShim, Refused, Request, serving
from booksearch_assets_tests.vectorstores.opensearch import osmem_url
from booksearch_assets_tests.vectorstores.signatures import requires_signature

SECRET = "wJalrXUtnFEMIs3cret"


@pytest.fixture
def shim() -> Iterator[KnnShim]:
    with serving(KnnShim(osmem_url())) as started:
        yield started


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@contextmanager
def opened(shim: KnnShim, options: str = "", password: str | None = None) -> Iterator[VectorStore]:
    with open_store(f"opensearch+{shim.url}{options}", password) as store:
        yield store


def bulk_keys(shim: KnnShim) -> list[list[str]]:
    """The ids in each bulk request."""
    return [
        [json.loads(action)["index"].get("_id") for action in request.body.splitlines()[::2]]
        for request in shim.seen
        if request.last == "_bulk"
    ]


def test_only_what_was_turned_away_is_sent_again(
    shim: KnnShim, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opensearch_bulk, "_FIRST_PAUSE", 0.01)
    shim.busy = {"OL3M": 1, "OL7M": 2}
    with caplog.at_level(logging.INFO), opened(shim) as store:
        store.create(worlds.spec(name))
        assert store.load(name, [worlds.rows(10)]) == 10
        assert bulk_keys(shim) == [[f"OL{i}M" for i in range(10)], ["OL3M", "OL7M"], ["OL7M"]]
        assert store.seal(name) == 10
        assert "2 rows were turned away (429 queue is full)" in caplog.text
        store.drop(name)


def test_rows_that_are_always_turned_away_are_told(
    shim: KnnShim, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opensearch_bulk, "_FIRST_PAUSE", 0.001)
    shim.busy = {"OL3M": 99}
    with opened(shim) as store:
        store.create(worlds.spec(name))
        with pytest.raises(
            StoreUnavailable, match="1 rows .* turned away 8 times, the first with key 'OL3M'"
        ):
            store.load(name, [worlds.rows(10)])
        shim.busy, refusals = {}, iter(range(2))

        def busy(request: Request) -> None:
            if request.last == "_bulk" and next(refusals, None) is not None:
                raise Refused("Request throttled", "too_many_requests", 429)

        # A domain that throttles refuses the whole request.
        shim.check = busy
        assert store.load(name, [worlds.rows(10)]) == 10
        store.drop(name)


def test_large_loads_are_cut_into_requests(shim: KnnShim, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opensearch_bulk, "REQUEST_BYTES", 2_000)
    with opened(shim) as store:
        store.create(worlds.spec(name))
        store.load(name, [worlds.rows(20)])
        assert max(len(request.body) for request in shim.seen if request.last == "_bulk") <= 2_000
        assert [key for keys in bulk_keys(shim) for key in keys] == [f"OL{i}M" for i in range(20)]
        assert store.seal(name) == 20
        store.drop(name)


def test_the_order_of_a_load(shim: KnnShim, name: str) -> None:
    with opened(shim, "?engine=faiss") as store:
        store.create(worlds.spec(name))
        store.load(name, [worlds.rows(10)])
        store.seal(name)
        made = next(request for request in shim.seen if request.method == "PUT")
        assert json.loads(made.body)["settings"]["index"] == {
            "refresh_interval": "-1",
            "number_of_replicas": 0,
            "auto_expand_replicas": "false",
            "blocks.write": False,
            "number_of_shards": 1,
            "knn": True,
        }
        steps = [request.path.removeprefix(f"/{name}") for request in shim.seen if request.method != "GET"]
        assert steps == [
            "",
            "/_settings",
            "/_bulk",
            "/_refresh",
            "/_forcemerge",
            "/_refresh",
            "/_settings",
            "/_mapping",
            "/_count",
        ]
        asked = [request.path for request in shim.seen if request.method == "GET"]
        assert f"/_plugins/_knn/warmup/{name}" in asked
        # A merge goes on after the first look.
        assert sum("/_tasks/" in path for path in asked) == 2
        store.drop(name)


def test_vectors_are_sent_back_only_where_they_are_asked_for(shim: KnnShim, name: str) -> None:
    with opened(shim) as store:
        store.create(worlds.spec(name))
        store.load(name, [worlds.rows(10)])
        store.seal(name)
        shim.seen.clear()
        index = store.index(name)
        index.search(worlds.random_vectors(1), 5)
        index.search(worlds.random_vectors(1), 5, fields=("title",))
        index.fetch(["OL1M"], ["year"])
        list(index.scan(["title"]))
        index.search(worlds.random_vectors(1), 5, fields=("vector",))
        asked = [json.loads(r.body.splitlines()[1])["_source"] for r in shim.seen if r.last == "_msearch"]
        key = "edition_key"
        assert asked == [[key], [key, "title"], [key, "year"], [key, "title"], [key, "vector"]]
        store.drop(name)


def test_refusals_of_aws_are_told_in_its_words(shim: KnnShim, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "User: anonymous is not authorized to perform: es:ESHttpGet"
    monkeypatch.setattr(shim, "answer", lambda request: (403, json.dumps({"Message": message}).encode()))
    with pytest.raises(StoreUnavailable, match=f"answered 403 {message}. Check user and password"):
        with opened(shim):
            pass
    monkeypatch.setattr(shim, "answer", lambda request: (502, b"<html>Bad Gateway</html>"))
    with pytest.raises(StoreUnavailable, match="answered 502 .*Bad Gateway.*try again later"):
        with opened(shim):
            pass


@pytest.mark.parametrize("service", ["es", "aoss"])
def test_requests_are_signed_for_their_service(aws: None, name: str, service: str) -> None:
    check = requires_signature(service, "eu-central-1", "AKIDEXAMPLE", SECRET)
    shim = KnnShim(osmem_url(), check=check, serverless=service == "aoss")
    with serving(shim), opened(shim, f"?auth={service}&region=eu-central-1") as store:
        assert isinstance(store, OpenSearchServerlessStore) == (service == "aoss")
        store.create(worlds.spec(name))
        store.load(name, [worlds.rows(5)])
        assert store.seal(name) == 5
        assert [hit.key for hit in store.search(name, worlds.random_vectors(5)[3:4], 1)[0]] == ["OL3M"]
        store.publish(f"{name}_live", name)
        assert store.published(f"{name}_live") == name
        assert SECRET not in repr(store.__dict__)


def test_a_wrong_key_or_none_is_told_without_its_secret(
    aws: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    check = requires_signature("es", "eu-central-1", "AKIDEXAMPLE", "another")
    with caplog.at_level(logging.DEBUG), serving(KnnShim(osmem_url(), check=check)) as shim:
        options = "?auth=es&region=eu-central-1"
        with pytest.raises(StoreUnavailable, match="403 .*signature.*rights of the AWS identity") as raised:
            with opened(shim, options):
                pass
        assert SECRET not in f"{raised.value!r}{caplog.text}"
        with pytest.raises(StoreUnavailable, match="without a region"):
            with opened(shim, "?auth=es"):
                pass
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(StoreUnavailable, match="without AWS credentials"):
            with opened(shim, options):
                pass


def test_a_user_is_sent_as_basic_authentication(caplog: pytest.LogCaptureFixture) -> None:
    def check(request: Request) -> None:
        # base64 of me:s3cret
        if request.headers.get("authorization", request.headers.get("Authorization")) != "Basic bWU6czNjcmV0":
            raise Refused("Unauthorized", "security_exception", 401)

    with caplog.at_level(logging.DEBUG), serving(KnnShim(osmem_url(), check=check)) as shim:
        shim.url = shim.url.replace("//", "//me@")
        with opened(shim, password="s3cret") as store:
            assert isinstance(store.collections(), list)
            assert "s3cret" not in repr(store.__dict__)
        with pytest.raises(StoreUnavailable, match="401 .*Check user and password") as raised:
            with opened(shim, password="wr0ng"):
                pass
        assert "s3cret" not in caplog.text and "wr0ng" not in f"{raised.value!r}{caplog.text}"


def test_serverless_is_loaded_once_and_waited_for(
    aws: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenSearchServerlessStore, "poll_seconds", 0.01)
    with (
        serving(KnnShim(osmem_url(), serverless=True)) as shim,
        opened(shim, "?auth=aoss&region=eu-west-1") as store,
    ):
        with pytest.raises(InvalidCollection, match="builds HNSW alone"):
            store.create(worlds.spec(name, IndexSpec(IndexKind.FLAT)))
        store.create(worlds.spec(name))
        store.load(name, [worlds.rows(10)])
        with pytest.raises(VectorStoreError, match="rows would double; drop the collection"):
            store.load(name, [worlds.rows(10)])
        shim.unseen = 3
        assert store.seal(name) == 10
        assert shim.unseen == 0
        assert bulk_keys(shim) == [[None] * 10]
        assert store.fetch(name, ["OL4M"], ["year"]) == {"OL4M": {"year": 2004}}
        store.drop(name)

        store.create(worlds.spec(name))
        broken = [worlds.rows(5), worlds.rows(1, edition_key=[""])]
        with pytest.raises(VectorStoreError, match="empty key"):
            store.load(name, broken)
        with pytest.raises(VectorStoreError, match="its load broke off"):
            store.seal(name)
        store.drop(name)


def test_rows_that_serverless_took_twice_are_found(
    aws: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenSearchServerlessStore, "poll_seconds", 0.01)
    with (
        serving(KnnShim(osmem_url(), serverless=True)) as shim,
        opened(shim, "?auth=aoss&region=eu-west-1") as store,
    ):
        store.create(worlds.spec(name))
        store.load(name, [worlds.rows(3)])
        (request,) = [request for request in shim.seen if request.last == "_bulk"]
        shim.answer(request)
        with pytest.raises(VectorStoreError, match="holds 6 rows of 3: some were sent twice"):
            store.seal(name)
        store.drop(name)


def test_a_certificate_of_nobody_is_not_trusted(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(KnnShim(osmem_url()), context) as shim:
        with pytest.raises(StoreUnavailable, match="certificate is not trusted.*add \\?ca="):
            with opened(shim):
                pass
        with opened(shim, f"?ca={certificate}") as store:
            assert isinstance(store.collections(), list)


def test_what_is_no_opensearch_of_today_is_refused() -> None:
    _check_version({"distribution": "opensearch", "number": "2.19.1"}, "here")
    _check_version({"distribution": "opensearch", "number": "3.0.0-beta1"}, "here")
    for version in (
        {"distribution": "opensearch", "number": "2.18.0"},
        {"number": "8.15.0"},
        {},
    ):
        with pytest.raises(StoreUnavailable, match="expected OpenSearch 2.19 or later"):
            _check_version(version, "here")


@pytest.mark.parametrize(
    ("url", "auth", "region", "engine", "port"),
    [
        ("https://search.example.org", "none", "", "lucene", 443),
        ("http://127.0.0.1:9200?engine=faiss", "none", "", "faiss", 9200),
        ("https://me@search.example.org:9200/", "basic", "", "lucene", 9200),
        ("https://search-b-x.eu-central-1.es.amazonaws.com", "es", "eu-central-1", "lucene", 443),
        ("https://vpc-b-x.cn-north-1.es.amazonaws.com.cn", "es", "cn-north-1", "lucene", 443),
        ("https://me@search-b-x.eu-central-1.es.amazonaws.com", "basic", "eu-central-1", "lucene", 443),
        ("https://abc.us-east-1.aoss.amazonaws.com", "aoss", "us-east-1", "faiss", 443),
        ("https://books.example.org?auth=es&region=eu-west-1", "es", "eu-west-1", "lucene", 443),
    ],
)
def test_addresses_say_how_they_are_used(url: str, auth: str, region: str, engine: str, port: int) -> None:
    address = OpenSearchAddress.parse(f"opensearch+{url}", "s3cret")
    assert (address.auth, address.region) == (Auth(auth), region)
    assert (address.engine, address.port) == (Engine(engine), port)
    assert "s3cret" not in repr(address)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    me = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(me)
        .issuer_name(me)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "node.pem", folder / "node.key"
    pem[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem
