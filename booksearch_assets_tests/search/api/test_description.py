"""The service against its own description, by requests that schemathesis makes up: valid ones, and wrong ones.

BOOKSEARCH_API_CASES=2000 asks for as many requests at least.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from booksearch_assets.search.api.image_urls import ImageUrls
from booksearch_assets.search.api.limits import Limits
from booksearch_assets_tests.search.api.service import Service, cover_rows, picture

CASES = int(os.environ.get("BOOKSEARCH_API_CASES", "300"))
OPERATIONS = {
    "GET /v1/search",
    "POST /v1/search",
    "GET /v1/similar/{edition_key}",
    "GET /v1/items/{edition_key}",
    "GET /v1/facets",
    "GET /v1/versions",
    "GET /v1/catalogue",
    "GET /v1/covers/{cover_id}",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
}


_OF_THE_INTERPRETER = "AST constructor recursion depth mismatch"
"""What CPython 3.11 raises where two threads parse at a time, as those do that make requests up."""


async def _nowhere(host: str, port: int) -> list[str]:
    raise OSError("these tests resolve no names")


def test_every_answer_is_as_described(tmp_path: Path) -> None:
    service = Service(tmp_path, image_urls=ImageUrls(Limits(), resolve=_nowhere))
    service.cache.append(cover_rows({1: picture()}))
    config = SchemathesisConfig.from_dict(
        {
            "generation": {
                "max-examples": CASES // len(OPERATIONS),
                "deterministic": True,
                "database": "none",
            },
            "continue-on-failure": True,
            # 422 fits the description and still cannot be answered, as years that are reversed.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]}},
            # It follows links between operations, which this description has none of.
            "phases": {"stateful": {"enabled": False}},
        }
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", service.app, config=config)
    problems: set[str] = set()
    statuses: dict[str, Counter[int]] = {name: Counter() for name in OPERATIONS}
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            problems.add(str(event.info if isinstance(event, events.NonFatalError) else event.exception))
        if isinstance(event, events.ScenarioFinished):
            for interaction in event.recorder.interactions.values():
                if interaction.response is not None and event.label in OPERATIONS:
                    statuses[event.label][interaction.response.status_code] += 1
            problems |= {
                f"{event.label} {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
                for checks in event.recorder.checks.values()
                for check in checks
                if check.status is Status.FAILURE and check.failure_info
            }
    problems = {problem for problem in problems if _OF_THE_INTERPRETER not in problem}
    print({name: dict(sorted(counts.items())) for name, counts in statuses.items()})
    assert not problems, "\n\n".join(sorted(problems))
    assert sum(counts.total() for counts in statuses.values()) >= CASES
    # Otherwise nothing was shown but that wrong requests are refused.
    assert all(counts[200] for counts in statuses.values())
