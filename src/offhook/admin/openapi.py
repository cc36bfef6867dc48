"""The description of the admin port as an OpenAPI document, made of the routes that it serves."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from offhook.admin.answers import ErrorAnswer
from offhook.admin.routes import API_PATH, HTML, JSON, Access, Route

API_VERSION = "1"

_REFUSALS = {
    HTTPStatus.UNAUTHORIZED: "Not signed in, or the token is wrong.",
    HTTPStatus.FORBIDDEN: "The request was made by a page of another site.",
    HTTPStatus.MISDIRECTED_REQUEST: "The port is not known by this name.",
    HTTPStatus.TOO_MANY_REQUESTS: "There were too many wrong tokens; Retry-After says when to try again.",
}
_SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    Access.OPEN: [],
    Access.LOCAL: [{}, {"token": []}, {"session": []}],
    Access.SIGNED_IN: [{"token": []}, {"session": []}],
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the OpenAPI document of the routes."""
    answers = [answer for route in routes for answer in route.answers.values()]
    types = [ErrorAnswer, *(answer.body for answer in answers if answer.body is not None)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    known = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "offhook admin port", "version": API_VERSION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of admin_token."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "offhook",
                    "description": "Set by /login; its name ends with the port. Writes want X-CSRF-Token too.",
                },
            },
        },
    }


def _operation(route: Route, schemas: dict[int, dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": _SECURITY[route.access],
        "responses": _responses(route, schemas),
    }
    names = re.findall(r"{(\w+)}", route.path)
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if route.form:
        form = {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}
        operation["requestBody"] = {"required": True, "content": form}
    return operation


def _responses(route: Route, schemas: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Return what a route answers, and how the door, or whatever fails, answers in its place."""
    refusals = dict(_REFUSALS)
    if route.access is Access.OPEN:
        del refusals[HTTPStatus.UNAUTHORIZED], refusals[HTTPStatus.TOO_MANY_REQUESTS]
    error: dict[str, Any] = {JSON: {"schema": schemas[id(ErrorAnswer)]}}
    if not route.path.startswith(API_PATH):
        error[HTML] = {}  # for browsers
    responses: dict[str, Any] = {"default": {"description": "Something is wrong with it.", "content": error}}
    for status, text in refusals.items():
        responses[str(int(status))] = {"description": text, "content": error}
    for status, answer in sorted(route.answers.items()):
        content = {answer.content_type: {"schema": schemas[id(answer.body)]} if answer.body is not None else {}}
        if answer.body is ErrorAnswer:
            content = error
        responses[str(int(status))] = {"description": answer.description, "content": content}
    return responses
