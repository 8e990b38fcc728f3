"""The OpenAPI document, made from the reference and from the types that decode and encode."""

from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from allocator.http.problems import CONTENT_TYPE as PROBLEM
from allocator.http.problems import RETRY_AFTER_S
from allocator.http.reference.conventions import (
    API_KEY_SCHEME,
    CONVENTIONS,
    ROLE_WORDS,
    SUMMARY,
    TAGS,
    TITLE,
)
from allocator.http.reference.everything import OPERATIONS
from allocator.http.reference.operation import (
    HEADERS,
    Answer,
    Body,
    Operation,
    Parameter,
)
from allocator.http.reference.problem_type import ProblemType
from allocator.http.reference.problem_types import PROBLEM_TYPES
from allocator.http.reference.schemas import JsonObject, ProblemBody, named_schemas, schema_of
from allocator.http.reference.values import example_of, path_parameters

_VERSION: Final = "3.1.1"
_INTERNAL: Final = "internal"
_API_KEY: Final = "apiKey"
_ANYWHERE: Final = (
    ("MethodNotAllowed", "method-not-allowed"),
    ("ExpectationFailed", "expectation-failed"),
    ("MalformedRequest", "malformed-request"),
    ("UriTooLong", "uri-too-long"),
    ("HeaderTooLarge", "header-too-large"),
    ("TooManyConnections", "too-many-connections"),
)
"""Problems that no operation has of its own."""


def document(*, version: str) -> JsonObject:
    """Return the document of this release."""
    return {
        "openapi": _VERSION,
        "info": {
            "title": TITLE,
            "summary": SUMMARY,
            "description": "\n\n".join(
                f"## {title}\n\n{text}" for title, text in CONVENTIONS.items()
            ),
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            "version": version,
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": _paths(OPERATIONS),
        "components": {
            "schemas": named_schemas(OPERATIONS),
            "headers": {name: _header(name) for name in HEADERS},
            "responses": {name: _problems([PROBLEM_TYPES[kind]]) for name, kind in _ANYWHERE},
            "securitySchemes": {_API_KEY: API_KEY_SCHEME},
        },
    }


def _paths(operations: Iterable[Operation]) -> JsonObject:
    by_path: defaultdict[str, dict[str, object]] = defaultdict(dict)
    for operation in operations:
        by_path[operation.path][operation.method.lower()] = _operation(operation)
    return {path: _path_item(path, methods) for path, methods in by_path.items()}


def _path_item(path: str, methods: dict[str, object]) -> JsonObject:
    known = {method.upper() for method in methods} | ({"HEAD"} if "get" in methods else set())
    allow = ", ".join(sorted(known))
    item: JsonObject = {
        "description": f"Other methods are answered 405 (MethodNotAllowed), `Allow: {allow}`."
    }
    if parameters := path_parameters(path):
        item["parameters"] = [_parameter(one, place="path") for one in parameters]
    return item | methods


def _operation(operation: Operation) -> JsonObject:
    described: JsonObject = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.meaning}\n\n{ROLE_WORDS[operation.role]}",
    }
    described["security"] = _security(operation)
    parameters = [_parameter(one, place="query") for one in operation.query]
    parameters += [_parameter(one, place="header") for one in operation.headers]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body.required,
            "content": _content(operation.body),
        }
    return described | {"responses": _responses(operation)}


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """Say which role of a key it needs, as OpenAPI 3.1 §4.8.30 has it for people."""
    match operation.role:
        case "none":
            return []
        case "any":
            return [{_API_KEY: []}]
        case role:
            return [{_API_KEY: [role]}]


def _parameter(parameter: Parameter, *, place: str) -> JsonObject:
    schema = schema_of(parameter.shape)
    if parameter.default is not None:
        schema["default"] = parameter.default
    described: JsonObject = {
        "name": parameter.name,
        "in": place,
        "required": parameter.required or place == "path",
        "description": parameter.meaning,
        "schema": schema,
    }
    return described | ({"example": parameter.example} if parameter.example else {})


def _responses(operation: Operation) -> JsonObject:
    responses: dict[str, JsonObject] = {
        str(int(answer.status)): _answer(answer) for answer in operation.answers
    }
    for status, kinds in _by_status(_problems_of(operation)).items():
        responses[str(int(status))] = _problems(kinds)
    return dict(sorted(responses.items()))


def _problems_of(operation: Operation) -> list[str]:
    """Return the types of all its problems, each once."""
    return list(dict.fromkeys((*operation.problems, *operation.at_the_door, _INTERNAL)))


def _by_status(names: Iterable[str]) -> dict[HTTPStatus, list[ProblemType]]:
    kinds: defaultdict[HTTPStatus, list[ProblemType]] = defaultdict(list)
    for name in names:
        kind = PROBLEM_TYPES[name]
        kinds[kind.status].append(kind)
    return kinds


def _answer(answer: Answer) -> JsonObject:
    described: JsonObject = {"description": answer.meaning}
    if answer.headers:
        described["headers"] = _headers(answer.headers)
    if answer.shape is not None:
        described["content"] = _content(answer)
    return described


def _problems(kinds: list[ProblemType]) -> JsonObject:
    """Describe an answer that has one of these types, which have one status."""
    described: JsonObject = {"description": "; or: ".join(kind.example.title for kind in kinds)}
    headers = {
        HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
        HTTPStatus.FORBIDDEN: ("WWW-Authenticate",),
        HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
        HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
        HTTPStatus.METHOD_NOT_ALLOWED: ("Allow",),
    }.get(kinds[0].status)
    if headers is not None:
        described["headers"] = _headers(headers)
    examples = {
        kind.name: {
            "summary": kind.example.title,
            "value": kind.example.members(instance=kind.instance),
        }
        for kind in kinds
    }
    content = {"schema": schema_of(ProblemBody), "examples": examples}
    return described | {"content": {PROBLEM: content}}


def _content(body: Body | Answer) -> JsonObject:
    """Describe a body; one of lines is a text, of which each line is described."""
    schema = schema_of(body.shape)
    if isinstance(body, Body) and body.other is not None:
        schema = {"anyOf": [schema, schema_of(body.other)]}
    if body.media_type.endswith("ndjson"):
        schema = {"type": "string", "contentMediaType": body.media_type, "contentSchema": schema}
    content: JsonObject = {"schema": schema}
    if body.example is not None:
        content["example"] = example_of(body)
    return {body.media_type: content}


def _headers(names: Iterable[str]) -> JsonObject:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(name: str) -> JsonObject:
    schema: JsonObject = {"type": "string"}
    if name == "Retry-After":
        schema = {"type": "integer", "minimum": RETRY_AFTER_S}
    return {"description": HEADERS[name], "required": True, "schema": schema}
