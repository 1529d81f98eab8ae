"""The description of the API: what FastAPI finds by itself, and what it cannot know.

Belongs here: schemas that no route names, and the statuses that guards answer with. Does not: routes.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from booksearch_assets.search.api.parameters import Parameters
from booksearch_assets.search.api.problems import Problem

_REFERENCE = "#/components/schemas/{model}"
_UNPROCESSED = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI, parameters: Parameters, needs_token: bool) -> None:
    """Let `app` give a complete description of itself at /openapi.json."""

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _description(app, parameters, needs_token)
        return app.openapi_schema

    app.openapi = description  # type: ignore[method-assign]


def _description(app: FastAPI, parameters: Parameters, needs_token: bool) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = found["components"]["schemas"]
    for model in (Problem, parameters.body, parameters.form):
        schemas.update(_schemas(model))
    # What is left out of a form or of an address is left out: neither can hold null.
    for name, field in schemas[parameters.form.__name__]["properties"].items():
        schemas[parameters.form.__name__]["properties"][name] = _without_null(field)
    for operations in found["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
    # FastAPI thinks that its own errors are answered.
    for name in _UNPROCESSED:
        schemas.pop(name, None)
    for operations in found["paths"].values():
        for operation in operations.values():
            answer = operation["responses"].get("422", {})
            if "HTTPValidationError" in str(answer):
                del operation["responses"]["422"]
    if needs_token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for operations in found["paths"].values():
            for operation in operations.values():
                if "401" in operation["responses"]:
                    operation["security"] = [{"token": []}]
    return found


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model and of those that it names."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of what is there, of one that may be there or be null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return {**rest, **kinds[0]}
