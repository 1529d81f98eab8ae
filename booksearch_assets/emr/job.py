"""What a job is asked to do, as JSON: which stage, with which parameters, for which partitions.

Belongs here: the hand-over from the asset's process to the driver, which both sides import. Does not: doing it
(`payload`), where it is sent (`submit`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, Self

from booksearch_assets.emr.errors import UnfitParameters

_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class Job:
    """One run of a stage. `params_type` is the name of the stage's parameters class, `params` its fields as JSON.

    `partitions` are said here because Dagster Pipes says none of them to the job of a run over a range.
    """

    stage: str
    params_type: str
    params: dict[str, Any]
    partitions: list[str]

    @classmethod
    def of(cls, stage: str, params: Any, partitions: list[str]) -> Self:
        """The job of a frozen parameters dataclass, whose fields are copied.

        Raises `UnfitParameters` where they do not come out of JSON as they went in: the job would run on others.
        """
        try:
            fields = json.loads(json.dumps(asdict(params)))
        except TypeError as error:
            raise UnfitParameters(
                f"the parameters of stage {stage} cannot be written as JSON: {error}"
            ) from error
        if type(params)(**fields) != params:
            raise UnfitParameters(
                f"the parameters of stage {stage} are not the same after a passage through JSON; use only text, "
                f"numbers, lists and dictionaries of text in {type(params).__name__}"
            )
        return cls(stage, type(params).__name__, fields, list(partitions))

    @property
    def digest(self) -> str:
        """The same for the same work: a job of another digest did something else, or wrote it elsewhere."""
        work = json.dumps([self.stage, self.params_type, self.params, self.partitions], sort_keys=True)
        return digest(work)

    def load_params(self, module: ModuleType) -> Any:
        """The parameters as the stage's module knows them."""
        return getattr(module, self.params_type)(**self.params)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["stage"], data["params_type"], data["params"], data["partitions"])


def digest(text: str) -> str:
    """16 hexadecimal digits: enough to tell the jobs of one application apart, short enough for a name."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
