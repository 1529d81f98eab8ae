"""Reaching an OpenSearch: its address, who we are to it, and what its errors mean.

Belongs here: parsing the address, authentication, and turning every failure of a call into a `VectorStoreError`. Does
not: what is asked (`opensearch_index`, `opensearch_store`). No secret is part of an address, a message or a repr.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from booksearch_assets.vectorstores.errors import (
    CollectionExists,
    CollectionNotFound,
    StoreUnavailable,
    VectorStoreError,
)

if TYPE_CHECKING:
    from opensearchpy import OpenSearch
    from opensearchpy.exceptions import TransportError

_T = TypeVar("_T", bound=StrEnum)

SCHEME = "opensearch+"
"""What stands before http or https in the address of an OpenSearch."""

OLDEST = (2, 19)

_CALL_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}
_AWS_HOSTS = (".es.amazonaws.com", ".aoss.amazonaws.com", ".es.amazonaws.com.cn", ".aoss.amazonaws.com.cn")


class Auth(StrEnum):
    """How requests are authenticated: not, by user and password, or by SigV4 for one of two services of AWS."""

    NONE = "none"
    BASIC = "basic"
    ES = "es"
    AOSS = "aoss"

    @property
    def signs(self) -> bool:
        return self in (Auth.ES, Auth.AOSS)


class Engine(StrEnum):
    """What builds and searches the graphs: Lucene itself, or Faiss, of the k-NN plugin."""

    LUCENE = "lucene"
    FAISS = "faiss"


@dataclass(frozen=True)
class OpenSearchAddress:
    """Where an OpenSearch is and how it is used. `password` is for `Auth.BASIC`, and in no repr.

    `ca` is a file of certificates to trust for a cluster that has its own authority.
    """

    scheme: str
    host: str
    port: int
    auth: Auth
    engine: Engine
    user: str = ""
    region: str = ""
    ca: str = ""
    password: str = field(default="", repr=False)

    @property
    def serverless(self) -> bool:
        return self.auth is Auth.AOSS

    @classmethod
    def parse(cls, uri: str, password: str | None = None) -> Self:
        """Read `opensearch+https://[user@]host[:port][?auth=es|aoss&engine=lucene|faiss&region=...&ca=file]`.

        `auth` is basic for a user, that of the service for a host of AWS, else none; `engine` is lucene, and faiss on
        Serverless, which has no other. Raises `StoreUnavailable`, which never tells a password.
        """
        parts = urlsplit(uri.removeprefix(SCHEME))
        if parts.password is not None:
            raise _unusable(
                "an address with a password in it; give the password as BOOKSEARCH_OPENSEARCH_PASSWORD"
            )
        try:
            port = parts.port or _PORTS[parts.scheme]
        except (KeyError, ValueError):
            raise _unusable(f"{_shown(uri)}; expected https://host or https://host:port") from None
        if not parts.hostname or parts.path not in ("", "/") or parts.fragment:
            raise _unusable(f"{_shown(uri)}; expected https://host or https://host:port, and no path")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(options.keys() - {"auth", "engine", "region", "ca"}):
            raise _unusable(f"{_shown(uri)}; {unknown[0]!r} is not one of auth, engine, region, ca")
        user = unquote(parts.username or "")
        auth = _choice(Auth, options, "auth", _auth_of(parts.hostname, user))
        engine = _choice(Engine, options, "engine", Engine.FAISS if auth is Auth.AOSS else Engine.LUCENE)
        address = cls(
            parts.scheme,
            parts.hostname,
            port,
            auth,
            engine,
            user,
            options.get("region") or _region_of(parts.hostname),
            options.get("ca", ""),
            password or "",
        )
        address._check()
        return address

    def _check(self) -> None:
        if (self.auth is Auth.BASIC) != bool(self.user):
            raise _unusable(
                f"an address with auth={self.auth} and user {self.user!r}; basic needs a user, others none"
            )
        if self.auth is Auth.BASIC and not self.password:
            raise _unusable(f"the user {self.user!r} without a password; set BOOKSEARCH_OPENSEARCH_PASSWORD")
        if self.auth is not Auth.NONE and self.scheme != "https" and not _is_loopback(self.host):
            raise _unusable(
                f"http://{self.host} with authentication; use https, so that nobody can read along"
            )
        if self.serverless and self.engine is not Engine.FAISS:
            raise _unusable(
                "engine=lucene on Amazon OpenSearch Serverless, which has faiss alone; leave engine out"
            )


def connect_opensearch(address: OpenSearchAddress, where: str) -> OpenSearch:
    """A client. Raises `StoreUnavailable` where none answers, refuses us, or is no OpenSearch of 2.19 or later."""
    from opensearchpy import OpenSearch, Urllib3HttpConnection

    # It warns of each refused call, also of those that are answered with an error of our own.
    logging.getLogger("opensearch").setLevel(logging.ERROR)
    client = OpenSearch(
        hosts=[{"host": address.host, "port": address.port, "use_ssl": address.scheme == "https"}],
        http_auth=_credentials(address),
        connection_class=Urllib3HttpConnection,
        verify_certs=True,
        ca_certs=address.ca or None,
        timeout=_CALL_SECONDS,
        # Serverless names documents itself, so a bulk that is sent twice would store its rows twice.
        max_retries=0 if address.serverless else 3,
    )
    with opensearch_errors(where, "connect"):
        if address.serverless:
            client.indices.get_alias(request_timeout=_CONNECT_SECONDS)
        else:
            _check_version(client.info(request_timeout=_CONNECT_SECONDS)["version"], where)
    return client


@contextmanager
def opensearch_errors(where: str, doing: str) -> Iterator[None]:
    """Turn what opensearch-py and botocore raise into a `VectorStoreError` that says where and during what."""
    from botocore.exceptions import BotoCoreError
    from opensearchpy.exceptions import ConnectionError as Unreachable
    from opensearchpy.exceptions import SSLError, TransportError

    try:
        yield
    except SSLError as error:
        raise StoreUnavailable(
            f"{where}: cannot {doing}: its certificate is not trusted ({error.error}). For an authority of your own, "
            "add ?ca=/path/of/its/certificate.pem to the address"
        ) from error
    except Unreachable as error:
        raise StoreUnavailable(
            f"{where}: cannot {doing}: {error.error}. Check that OpenSearch is up and that the address is right"
        ) from error
    except TransportError as error:
        raise failure(where, doing, int(error.status_code), _cause(error)) from error
    except BotoCoreError as error:
        raise StoreUnavailable(
            f"{where}: cannot {doing}: no AWS credentials to sign with: {error}. Log in, or set AWS_PROFILE"
        ) from error


def failure(where: str, doing: str, status: int, error: Mapping[str, Any]) -> VectorStoreError:
    """The error for an answer with this status and `error` object."""
    kind, reason = error.get("type", ""), error.get("reason", "")
    caused = (error.get("caused_by") or {}).get("reason", "")
    said = f"{where}: cannot {doing}: OpenSearch answered {status} "
    said += ": ".join(part for part in (kind, reason) if part) + (f" ({caused})" if caused else "")
    if kind == "index_not_found_exception":
        return CollectionNotFound(f"{said}. It was dropped meanwhile")
    if kind in ("resource_already_exists_exception", "invalid_index_name_exception") and "exists" in reason:
        return CollectionExists(f"{said}. Drop it, or choose a new name")
    if status in (401, 403) and kind != "cluster_block_exception":
        return StoreUnavailable(f"{said}. Check user and password, or the rights of the AWS identity")
    if status in (429, 502, 503, 504):
        return StoreUnavailable(f"{said}. It is overloaded or restarting; try again later")
    return VectorStoreError(said)


def _cause(error: TransportError) -> Mapping[str, Any]:
    """The `error` object of an answer, or one made of what stands in its place: of AWS a message, of proxies a text."""
    told = error.info if isinstance(error.info, dict) else {}
    if isinstance(told.get("error"), dict):
        return dict(told["error"])
    message = told.get("error") or told.get("message") or told.get("Message") or error.error
    return {"type": "", "reason": str(message)}


def _credentials(address: OpenSearchAddress) -> Any:
    if address.auth is Auth.BASIC:
        return (address.user, address.password)
    if not address.auth.signs:
        return None
    import boto3
    from opensearchpy import Urllib3AWSV4SignerAuth

    session = boto3.Session()
    credentials, region = session.get_credentials(), address.region or session.region_name
    if credentials is None:
        raise _unusable("auth=" + address.auth + " without AWS credentials; log in, or set AWS_PROFILE")
    if not region:
        raise _unusable(
            "auth=" + address.auth + " without a region; set AWS_DEFAULT_REGION, or add ?region=..."
        )
    return Urllib3AWSV4SignerAuth(credentials, region, address.auth.value)


def _check_version(version: Mapping[str, Any], where: str) -> None:
    number = str(version.get("number", ""))
    parts = tuple(int(part) for part in number.split(".")[:2] if part.isdigit())
    if version.get("distribution") != "opensearch" or parts < OLDEST:
        raise StoreUnavailable(
            f"{where} is {version.get('distribution', 'no OpenSearch')} {number}; expected OpenSearch "
            f"{OLDEST[0]}.{OLDEST[1]} or later, with its k-NN plugin"
        )


def _auth_of(host: str, user: str) -> Auth:
    if user:
        return Auth.BASIC
    if not host.endswith(_AWS_HOSTS):
        return Auth.NONE
    return Auth.AOSS if ".aoss." in host else Auth.ES


def _region_of(host: str) -> str:
    """The region in a name such as search-books-abc.eu-central-1.es.amazonaws.com; "" where there is none."""
    return host.split(".")[-4 if host.endswith(".com") else -5] if host.endswith(_AWS_HOSTS) else ""


def _choice(kind: type[_T], options: Mapping[str, str], name: str, default: _T) -> _T:
    try:
        return kind(options[name]) if name in options else default
    except ValueError:
        raise _unusable(f"{name}={options[name]}; it is one of {', '.join(kind)}") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(uri: str) -> str:
    """An address as it may be told: without what stands before an @, of which nobody knows what it is."""
    return repr(re.sub(r"//.*@", "//...@", uri))


def _unusable(found: str) -> StoreUnavailable:
    return StoreUnavailable(f"the OpenSearch address cannot be used: {found}")
