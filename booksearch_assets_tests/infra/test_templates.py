"""The templates as text: what CloudFormation's own schemas say of them, and the conventions that `up` relies on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cfnlint.api import lint

from booksearch_assets.aws.stacks import INFRA, STACKS
from booksearch_assets_tests.infra import templates

NAMES = [stack.name for stack in STACKS]
# A template that is sent with the request, and not through S3, may have this many bytes.
LARGEST_BODY = 51_200


@pytest.mark.parametrize("path", templates.PATHS, ids=lambda path: path.stem)
def test_cfn_lint_finds_nothing(path: Path) -> None:
    assert [str(match) for match in lint(path.read_text(), regions=["eu-central-1"])] == []


def test_cfn_lint_would_find_a_wrong_property() -> None:
    text = (INFRA / "emr.yaml").read_text()
    (match,) = lint(text.replace("IdleTimeoutMinutes", "IdleMinutes"), regions=["eu-central-1"])
    assert match.rule.id == "E3002" and "IdleMinutes" in match.message


def test_every_template_belongs_to_a_stack() -> None:
    assert sorted(path.stem for path in INFRA.glob("*.yaml")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_outputs_are_described(name: str) -> None:
    template = templates.load(name)
    undescribed = [
        key
        for section in ("Parameters", "Outputs")
        for key, item in template.get(section, {}).items()
        if not item.get("Description", "").rstrip().endswith(".")
    ]
    assert not undescribed
    assert len((INFRA / f"{name}.yaml").read_bytes()) < LARGEST_BODY


def test_each_parameter_has_a_default_or_is_an_output_of_an_earlier_stack() -> None:
    outputs: set[str] = set()
    for name in NAMES:
        template = templates.load(name)
        required = {key for key, item in template.get("Parameters", {}).items() if "Default" not in item}
        assert required <= outputs, name
        mine = set(template["Outputs"])
        assert not mine & outputs, f"two stacks tell the same output: {mine & outputs}"
        outputs |= mine


def test_outputs_name_each_environment_variable_once() -> None:
    named = [
        match[1]
        for name in NAMES
        for output in templates.load(name)["Outputs"].values()
        if (match := re.match(r"(BOOKSEARCH_[A-Z_]+): ", output["Description"]))
    ]
    assert sorted(named) == [
        "BOOKSEARCH_EMR_APPLICATION_ID",
        "BOOKSEARCH_EMR_ROLE_ARN",
        "BOOKSEARCH_EMR_STAGING",
        "BOOKSEARCH_LAKE",
        "BOOKSEARCH_MILVUS_URI",
        "BOOKSEARCH_OPENSEARCH_URL",
        "BOOKSEARCH_QUERY_ENDPOINT",
        "BOOKSEARCH_TRANSFORM_MODEL",
        "BOOKSEARCH_TRANSFORM_STAGING",
    ]


def test_no_template_holds_a_secret_or_an_account() -> None:
    for path in templates.PATHS:
        text = path.read_text()
        assert not re.search(r"AKIA[0-9A-Z]{16}|(?<![0-9])[0-9]{12}(?![0-9])|[Pp]assword: *[^\s!]", text), (
            path
        )


def test_the_application_is_the_release_that_the_platform_is_pinned_to() -> None:
    template = templates.load("emr")
    application = template["Resources"]["Application"]["Properties"]
    assert template["Parameters"]["ReleaseLabel"]["Default"] == "emr-spark-8.0.0"
    # Workers that wait are billed while they wait.
    assert "InitialCapacity" not in application
    assert application["AutoStopConfiguration"]["Enabled"] is True
    assert set(application["MaximumCapacity"]) == {"Cpu", "Memory", "Disk"}
