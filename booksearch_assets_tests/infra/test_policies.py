"""Least privilege: what the policies of the templates allow, and to whom."""

from __future__ import annotations

import re
from typing import Any

import pytest

from booksearch_assets_tests.infra.templates import Statement, statements

STATEMENTS = list(statements())
ALLOWED = [statement for statement in STATEMENTS if statement.body["Effect"] == "Allow"]
# Everything below one named thing: objects under a prefix, job runs of one application, streams of one log group, the
# indexes of one domain.
_BELOW_ONE_THING = re.compile(
    r"(:::[^*]+|applications/[^*]+|\$\{ApplicationArn\}/[^*]+|log-group:[^*]+|:domain/[^*]+)[/:]\*"
)

# The one action here that names no resource, by AWS's own reference of actions: signing in to a registry.
_NAMES_NO_RESOURCE = {"ecr:GetAuthorizationToken"}

_WORKS_FOR_OTHER_ACCOUNTS = {
    "emr-serverless.amazonaws.com",
    "elasticmapreduce.amazonaws.com",
    "sagemaker.amazonaws.com",
}


def test_policies_were_found_in_every_template_that_has_some() -> None:
    assert {s.template for s in STATEMENTS} == {
        "storage",
        "network",
        "roles",
        "studio",
        "milvus",
        "opensearch",
        "sagemaker",
    }
    assert len(STATEMENTS) > 20


def test_every_statement_says_what_it_is_for() -> None:
    sids = [s.where for s in STATEMENTS]
    assert all(s.body.get("Sid") for s in STATEMENTS)
    assert len(sids) == len(set(sids))


@pytest.mark.parametrize("statement", ALLOWED, ids=lambda s: s.where)
def test_no_action_has_a_wildcard(statement: Statement) -> None:
    actions = statement.each("Action")
    assert actions and not statement.each("NotAction") and not statement.each("NotResource")
    assert not [action for action in actions if "*" in action or "?" in action]


@pytest.mark.parametrize("statement", ALLOWED, ids=lambda s: s.where)
def test_no_resource_has_a_wildcard_without_a_reason(statement: Statement) -> None:
    wide = [text for text in map(_text, statement.each("Resource")) if "*" in text]
    unexplained = [text for text in wide if not _BELOW_ONE_THING.search(text)]
    if unexplained:
        reason = statement.reasons.get(statement.body["Sid"], "")
        assert len(reason.split()) > 5, f"{statement.where} allows {unexplained} and does not say why"
        everything = "*" in unexplained and not set(statement.each("Action")) <= _NAMES_NO_RESOURCE
        assert not everything, f"{statement.where} allows everything"


def test_every_reason_is_of_a_statement_that_needs_one() -> None:
    wide = {
        (s.resource, s.body["Sid"])
        for s in ALLOWED
        if any("*" in t and not _BELOW_ONE_THING.search(t) for t in map(_text, s.each("Resource")))
    }
    assert wide == {(s.resource, sid) for s in ALLOWED for sid in s.reasons}


def test_every_role_is_trusted_to_one_service_or_principal_and_only_in_this_account() -> None:
    trust = [s for s in ALLOWED if s.kind == "AWS::IAM::Role" and "Principal" in s.body]
    assert {s.resource for s in trust} == {
        "JobRole",
        "OrchestratorRole",
        "StudioRole",
        "MilvusRole",
        "ModelRole",
        "TransformRole",
    }
    for statement in trust:
        principal = statement.body["Principal"]
        assert len(principal) == 1 and "*" not in str(principal), statement.where
        assert statement.each("Action") == ["sts:AssumeRole"]
        if principal.get("Service") in _WORKS_FOR_OTHER_ACCOUNTS:
            # Otherwise the service could be made to use the role for a job of another account.
            conditions = statement.body["Condition"]
            assert conditions["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
            assert "aws:SourceArn" in conditions["ArnLike"]


def test_any_principal_is_only_refused_or_bounded() -> None:
    for statement in STATEMENTS:
        if statement.body.get("Principal") != "*":
            continue
        # An endpoint's policy is an upper bound of what the caller's own rights allow, never a right by itself.
        assert statement.body["Effect"] == "Deny" or statement.kind == "AWS::EC2::VPCEndpoint", (
            statement.where
        )


def test_a_role_is_passed_to_emr_serverless_alone() -> None:
    (passing,) = [s for s in ALLOWED if "iam:PassRole" in s.each("Action")]
    assert passing.body["Resource"] == {"Fn::GetAtt": ["JobRole", "Arn"]}
    assert passing.body["Condition"] == {
        "StringEquals": {"iam:PassedToService": "emr-serverless.amazonaws.com"}
    }


def test_jobs_may_not_change_the_packages_that_later_jobs_run() -> None:
    writable = [
        text
        for s in ALLOWED
        if s.resource == "JobRole" and {"s3:PutObject", "s3:DeleteObject"} & set(s.each("Action"))
        for text in map(_text, s.each("Resource"))
    ]
    assert sorted(text.partition("${BucketName}")[2] for text in writable) == ["/emr/runs/*", "/lake/*"]


def _text(resource: Any) -> str:
    """The text of an ARN, whose placeholders have no wildcard of their own."""
    if isinstance(resource, dict):
        ((_, value),) = resource.items()
        return ".".join(value) if isinstance(value, list) else str(value)
    return str(resource)
