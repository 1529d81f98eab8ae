"""Checking SigV4 signatures as AWS does: by signing the same request again with the secret that both sides know."""

from __future__ import annotations

import re
from collections.abc import Callable

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from booksearch_assets_tests.vectorstores.knn_shim import Refused, Request

_FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([\w-]+)/(\w+)/aws4_request, SignedHeaders=([\w;-]+), "
    r"Signature=([0-9a-f]{64})"
)


def requires_signature(service: str, region: str, key: str, secret: str) -> Callable[[Request], None]:
    """A check for `KnnShim` that refuses, with 403, what is not signed for this service by this key."""

    def check(request: Request) -> None:
        given = {name.lower(): value for name, value in request.headers.items()}
        match = _FORM.fullmatch(given.get("authorization", ""))
        if match is None:
            raise Refused("Missing Authentication Token", "security_exception", 403)
        if (match[1], match[3], match[4]) != (key, region, service):
            raise Refused(
                "Credential should be scoped to a valid region and service", "security_exception", 403
            )
        signed = match[5].split(";")
        assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed), "AWS demands these"
        url = f"http://{given['host']}{request.path}" + (f"?{request.query}" if request.query else "")
        again = AWSRequest(
            request.method,
            url,
            data=request.body,
            headers={name: given[name] for name in signed if name != "host"},
        )
        again.context["timestamp"] = given["x-amz-date"]
        auth = SigV4Auth(Credentials(key, secret), service, region)
        canonical = auth.canonical_request(again)
        if auth.signature(auth.string_to_sign(again, canonical), again) != match[6]:
            raise Refused("The request signature we calculated does not match", "security_exception", 403)

    return check
