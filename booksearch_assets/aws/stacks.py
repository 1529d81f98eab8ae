"""Which stacks there are, in which order, and what their templates take.

Belongs here: the list, the templates' text, choosing parameters. Does not: calls to AWS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from booksearch_assets.aws.errors import TemplateError
from booksearch_assets.settings import PACKAGE

INFRA = PACKAGE.parent / "infra"
_PROJECT = re.compile(r"[a-z][a-z0-9-]{0,19}")


@dataclass(frozen=True)
class Stack:
    """One template. It may use the outputs of the stacks before it, by giving a parameter the name of an output."""

    name: str
    purpose: str
    only_when_named: bool = False
    """It costs money while nothing runs, or needs something that is uploaded first."""

    def stack_name(self, project: str) -> str:
        """The name in CloudFormation. Raises `TemplateError` for a project that cannot be part of every name."""
        if not _PROJECT.fullmatch(project):
            raise TemplateError(
                f"the project is {project!r}; expected at most 20 small letters, digits and dashes, a letter first"
            )
        return f"{project}-{self.name}"

    def template(self, folder: Path = INFRA) -> str:
        """The text of the template. Raises `TemplateError` where it is missing."""
        path = folder / f"{self.name}.yaml"
        try:
            return path.read_text()
        except OSError as error:
            raise TemplateError(
                f"cannot read the template {path} ({error.strerror}); run this from a checkout of the repository, "
                "installed with `pip install -e .`"
            ) from error


STACKS = (
    Stack("storage", "the bucket"),
    Stack("network", "VPC, private subnets, S3 endpoint"),
    Stack("logs", "log group of Spark jobs"),
    Stack("emr", "EMR Serverless application"),
    Stack("roles", "rights of Spark jobs and of the machine that runs Dagster"),
    Stack("studio", "EMR Studio"),
    Stack("milvus", "Milvus on EC2, or the address of a managed one", only_when_named=True),
    Stack("opensearch", "a domain of Amazon OpenSearch Service, in place of Milvus", only_when_named=True),
    Stack(
        "sagemaker",
        "vectors of queries by a serverless endpoint, of pictures by Batch Transform",
        only_when_named=True,
    ),
)


def chosen_stacks(names: Sequence[str]) -> list[Stack]:
    """The named stacks in the order of `STACKS`; where none is named, all but those that are `only_when_named`."""
    known = {stack.name for stack in STACKS}
    if unknown := sorted(set(names) - known):
        raise TemplateError(f"no stack is called {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    if not names:
        return [stack for stack in STACKS if not stack.only_when_named]
    return [stack for stack in STACKS if stack.name in names]


def parse_parameters(pairs: Iterable[str]) -> dict[str, str]:
    """`Name=value` pairs as a mapping. Raises `TemplateError` for anything else."""
    parameters = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise TemplateError(f"the parameter {pair!r} is not Name=value")
        parameters[name] = value
    return parameters


def parameters_for(
    declared: Mapping[str, bool],
    given: Mapping[str, str],
    outputs: Mapping[str, str],
    previous: Iterable[str],
) -> list[dict[str, object]]:
    """What CloudFormation is to be told of each declared parameter (name -> whether it has a default).

    What was given wins, then an output of an earlier stack, then the value that the stack has, then the default.
    Raises `TemplateError` where a parameter has none of them.
    """
    kept = set(previous)
    chosen: list[dict[str, object]] = []
    for name, has_default in declared.items():
        if name in given:
            chosen.append({"ParameterKey": name, "ParameterValue": given[name]})
        elif name in outputs:
            chosen.append({"ParameterKey": name, "ParameterValue": outputs[name]})
        elif name in kept:
            chosen.append({"ParameterKey": name, "UsePreviousValue": True})
        elif not has_default:
            raise TemplateError(
                f"the parameter {name} has no value: it is an output of a stack that does not exist yet. "
                f"Bring the earlier stacks up first, or give it: --parameter {name}=..."
            )
    return chosen
