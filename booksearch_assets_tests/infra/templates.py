"""The templates of `infra/` as plain data, with CloudFormation's short tags written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from booksearch_assets.aws.stacks import INFRA, STACKS


class _Loader(yaml.SafeLoader):
    """YAML with `!Ref x` as {"Ref": x} and `!Sub x` as {"Fn::Sub": x}."""


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _tag)

PATHS = [INFRA / f"{stack.name}.yaml" for stack in STACKS]


def load(name: str) -> dict[str, Any]:
    return yaml.load((INFRA / f"{name}.yaml").read_text(), _Loader)


@dataclass(frozen=True)
class Statement:
    """One statement of a policy document, and the resource that it is written in."""

    template: str
    resource: str
    kind: str
    body: dict[str, Any]
    reasons: dict[str, str]

    @property
    def where(self) -> str:
        return f"{self.template}/{self.resource}/{self.body.get('Sid')}"

    def each(self, element: str) -> list[Any]:
        value = self.body.get(element, [])
        return value if isinstance(value, list) else [value]


def statements() -> Iterator[Statement]:
    """Every statement of every policy in every template, trust policies and endpoint policies included."""
    for stack in STACKS:
        for resource, definition in load(stack.name)["Resources"].items():
            reasons = definition.get("Metadata", {}).get("WildcardReasons", {})
            for body in _statements_in(definition.get("Properties", {})):
                yield Statement(stack.name, resource, definition["Type"], body, reasons)


def _statements_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _statements_in(item)
    elif isinstance(value, dict):
        if "Statement" in value:
            yield from value["Statement"]
        for inner in value.values():
            yield from _statements_in(inner)
