"""The Dockerfiles as data: their stages, and the commands that the images start with."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

DOCKER = Path(__file__).parents[2] / "docker"
PLATFORM = DOCKER / "Dockerfile"
EMR = DOCKER / "emr" / "Dockerfile"
SAGEMAKER = DOCKER / "sagemaker" / "Dockerfile"


@dataclass
class Stage:
    """One `FROM ... AS name` with its instructions in order, comments and line breaks taken out."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all_of(self, keyword: str) -> list[str]:
        return [argument for word, argument in self.instructions if word == keyword]

    def command(self) -> list[str]:
        """The words of CMD."""
        (command,) = self.all_of("CMD")
        return [str(word) for word in json.loads(command)]

    def healthcheck(self) -> list[str]:
        (check,) = self.all_of("HEALTHCHECK")
        return [str(word) for word in json.loads(check.partition("CMD ")[2])]


def stages(path: Path) -> dict[str, Stage]:
    """The stages of a Dockerfile by name."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    found: dict[str, Stage] = {}
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        keyword, _, argument = line.strip().partition(" ")
        if keyword == "FROM":
            base, _, name = argument.partition(" AS ")
            found[name] = Stage(base, name)
        elif keyword and found:
            found[name].instructions.append((keyword, argument))
    return found
