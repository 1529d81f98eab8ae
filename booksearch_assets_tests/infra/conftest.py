"""An empty AWS account, and one with the whole deployment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from booksearch_assets.aws import deployment
from booksearch_assets_tests.infra.moto_aws import completed_moto

PROJECT = "booksearch"
IMAGE_DIGEST = f"sha256:{'0123456789abcdef' * 4}"
BUNDLE = "sample-clip-0123456789ab"
ORCHESTRATOR = "arn:aws:iam::123456789012:role/dagster"


@pytest.fixture
def empty_account() -> Iterator[deployment.Clients]:
    with completed_moto():
        yield deployment.Clients.of_environment()


@pytest.fixture(scope="module")
def deployed() -> Iterator[deployment.Clients]:
    """Every stack, brought up as a user would: all of them, then Milvus on an instance, then what else is only made when it is named."""
    with completed_moto():
        clients = deployment.Clients.of_environment()
        assert deployment.up(clients, PROJECT, [], {}, lambda _: True, print)
        image = {"MachineImage": "ami-0123456789abcdef0"}
        assert deployment.up(clients, PROJECT, ["milvus"], image, lambda _: True, print)
        role = {"OrchestratorRoleArn": ORCHESTRATOR}
        assert deployment.up(clients, PROJECT, ["opensearch"], role, lambda _: True, print)
        uploaded = {"ImageDigest": IMAGE_DIGEST, "BundleId": BUNDLE, "WithBatchTransform": "yes"}
        assert deployment.up(clients, PROJECT, ["sagemaker"], uploaded, lambda _: True, print)
        yield clients
