"""Pictures by address: which addresses are public, and each way around that, tried on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from booksearch_assets.search.api.image_urls import ImageUrls, IPAddress, UnusableImageUrl, is_public
from booksearch_assets.search.api.limits import Limits
from booksearch_assets_tests.compute.loopback import Asked, Loopback, Reply, loopback
from booksearch_assets_tests.search.api.service import picture

COVER = picture()
LIMITS = Limits(image_bytes=100_000, fetch_seconds=5.0)


@dataclass
class Names:
    """A name server: what each name answers, in turn, the last answer for ever, and what it was asked."""

    answers: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def only_the_first_loopback(address: IPAddress) -> bool:
    """In the place of `is_public`: the server of these tests is public, all else is not."""
    return str(address) == "127.0.0.1"


def image_urls(names: Names, limits: Limits = LIMITS) -> ImageUrls:
    return ImageUrls(limits, "me@example.org", names, only_the_first_loopback)


def answer(asked: Asked) -> Reply:
    path = asked.path
    if path.startswith("/to?"):
        return Reply(302, headers={"Location": path.partition("?")[2]})
    if path.startswith("/again/"):
        return Reply(307, headers={"Location": f"/again/{int(path.rpartition('/')[2]) + 1}"})
    replies = {
        "/cover.jpg": Reply(body=COVER, headers={"Content-Type": "text/html"}),
        "/large.jpg": Reply(body=COVER + bytes(100_000)),
        "/endless.jpg": Reply(
            body=COVER + bytes(100_000), headers={"Content-Length": "", "Connection": "close"}
        ),
        "/slow.jpg": Reply(body=COVER, seconds=30.0),
        "/cut.jpg": Reply(body=COVER, cut_at=100),
        "/packed.jpg": Reply(body=COVER, headers={"Content-Encoding": "gzip"}),
        "/nowhere": Reply(301, headers={"Location": "http://[nonsense"}),
    }
    return replies.get(path, Reply(404))


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with loopback(answer) as running:
        yield running


@pytest.fixture
def named(server: Loopback) -> str:
    """The address of the server by a name."""
    server.asked.clear()
    return server.url.replace("127.0.0.1", "pictures.example")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7"),
        *("203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:169.254.169.254", "fe80::1"),
        *("fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("2001::1", "2001:db8::1", "2002:7f00:1::1", "2002:c0a8:101::", "100::1"),
    ],
)  # fmt: skip
def test_addresses_that_are_not_the_internet(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "207.241.224.2", "2606:4700::6810:85e5", "2a00:1450:4001::200e"]
)
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(ip_address(address))


async def test_a_picture_is_fetched_by_name_whatever_its_sender_calls_it(
    named: str, server: Loopback
) -> None:
    names = Names({"pictures.example": [["127.0.0.1"]]})
    assert await image_urls(names).fetch(f"{named}/cover.jpg#top") == COVER
    [asked] = server.asked
    assert asked.path == "/cover.jpg"
    assert asked.headers["Host"] == named.removeprefix("http://")
    assert asked.headers["User-Agent"] == "booksearch (me@example.org)"
    assert asked.headers["Accept-Encoding"] == "identity"


async def test_a_name_that_answers_differently_the_second_time_gains_nothing(
    named: str, server: Loopback
) -> None:
    names = Names({"pictures.example": [["127.0.0.1"], ["127.0.0.2"]]})
    fetching = image_urls(names)
    assert await fetching.fetch(f"{named}/cover.jpg") == COVER
    assert names.asked == ["pictures.example"], "the checked address is the one that was connected to"
    with pytest.raises(UnusableImageUrl, match="pictures.example is not on the public internet"):
        await fetching.fetch(f"{named}/cover.jpg")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answers", [["127.0.0.2"], ["127.0.0.1", "10.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%lo"]]
)
async def test_one_address_that_is_not_public_is_enough_to_refuse(
    named: str, server: Loopback, answers: list[str]
) -> None:
    with pytest.raises(UnusableImageUrl, match="not on the public internet"):
        await image_urls(Names({"pictures.example": [answers]})).fetch(f"{named}/cover.jpg")
    assert server.asked == []


@pytest.mark.parametrize(
    "target",
    [
        *("http://127.0.0.2:{port}/cover.jpg", "http://[::1]:{port}/cover.jpg", "http://localhost:{port}/cover.jpg"),
        *("//10.0.0.1/cover.jpg", "http://[::ffff:7f00:2]/", "http://127.2:{port}/", "http://2130706434:{port}/"),
        *("file:///etc/passwd", "gopher://pictures.example:{port}/", "http://user:secret@pictures.example:{port}/"),
        *("http://pictures.example.:{port}/", "data:image/png;base64,AAAA"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("by_redirect", [False, True])
async def test_ways_around(named: str, server: Loopback, target: str, by_redirect: bool) -> None:
    """Each as the address itself, and as what a public address redirects to."""
    port = server.url.rpartition(":")[2]
    local = [["127.0.0.2"]]
    names = Names(
        {
            "pictures.example": [["127.0.0.1"]],
            # What getaddrinfo makes of them.
            **dict.fromkeys(("localhost", "127.2", "2130706434", "pictures.example."), local),
        }
    )
    target = target.format(port=port)
    url = f"{named}/to?{target}" if by_redirect else target
    with pytest.raises(UnusableImageUrl) as refused:
        await image_urls(names).fetch(url)
    assert [asked.path for asked in server.asked] == ([f"/to?{target}"] if by_redirect else [])
    message = str(refused.value)
    assert "secret" not in message
    assert "127.0.0" in target or "127.0.0" not in message, "what a name stands for is told to nobody"


async def test_redirects_are_followed_to_public_addresses_and_not_for_ever(
    named: str, server: Loopback
) -> None:
    names = Names({"pictures.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]})
    other = named.replace("pictures", "other")
    assert await image_urls(names).fetch(f"{named}/to?{other}/cover.jpg") == COVER
    assert names.asked == ["pictures.example", "other.example"]
    with pytest.raises(UnusableImageUrl, match="redirects more than 3 times"):
        await image_urls(names).fetch(f"{named}/again/1")
    assert server.asked[-1].path == "/again/4"
    with pytest.raises(UnusableImageUrl):
        await image_urls(names).fetch(f"{named}/nowhere")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/large.jpg", "larger than 100,000 bytes"),
        ("/endless.jpg", "larger than 100,000 bytes"),
        ("/slow.jpg", "no picture came within 0.5 s"),
        ("/cut.jpg", "the connection failed"),
        ("/packed.jpg", "compressed"),
        ("/missing.jpg", "answered with status 404"),
    ],
)
async def test_what_is_no_good_answer(named: str, path: str, problem: str) -> None:
    limits = replace(LIMITS, fetch_seconds=0.5) if "slow" in path else LIMITS
    with pytest.raises(UnusableImageUrl, match=problem):
        await image_urls(Names({"pictures.example": [["127.0.0.1"]]}), limits).fetch(f"{named}{path}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cover.jpg",
        "http://",
        "https:///cover.jpg",
        "http://a b/",
        "http://\x00/",
        "http://" + "a" * 300 + "/",
    ],
)
async def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UnusableImageUrl):
        await image_urls(Names({})).fetch(url)


async def test_a_host_that_does_not_answer(named: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(UnusableImageUrl, match="pictures.example does not answer"):
            await image_urls(Names({"pictures.example": [["127.0.0.1"]]})).fetch(
                f"http://pictures.example:{port}/"
            )


async def test_certificates_are_those_of_the_name_and_not_of_the_address(tmp_path: Path) -> None:
    authority, server = _certified("pictures.example", tmp_path)
    with _tls_server(server) as (port, greeted):
        names = Names({"pictures.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]})
        fetching = ImageUrls(LIMITS, "", names, only_the_first_loopback, authority)
        assert await fetching.fetch(f"https://pictures.example:{port}/cover.jpg") == COVER
        assert greeted == ["pictures.example"]
        with pytest.raises(UnusableImageUrl, match="does not answer|the connection failed"):
            await fetching.fetch(f"https://other.example:{port}/cover.jpg")
        with pytest.raises(UnusableImageUrl, match="does not answer|the connection failed"):
            await ImageUrls(LIMITS, "", names, only_the_first_loopback).fetch(
                f"https://pictures.example:{port}/"
            )


def _certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What trusts a new certificate of `name`, and what shows it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file = folder / "certificate.pem"
    file.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return ssl.create_default_context(cadata=pem.decode()), server


class _tls_server:
    """One cover over TLS on loopback: its port, and the names that clients greeted it with (SNI)."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context, self._greeted = context, list[str | None]()
        context.sni_callback = lambda _, name, __: self._greeted.append(name)
        self._socket = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> tuple[int, list[str | None]]:
        threading.Thread(target=self._serve, daemon=True).start()
        return self._socket.getsockname()[1], self._greeted

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(4096)
                    secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(COVER) + COVER)
            except OSError:
                continue
