"""JSON schemas of the types that the API decodes and encodes, as clients are to read them."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias, cast

import msgspec

from allocator.domain.codec import KINDS, POOL_KINDS
from allocator.domain.occurrences import TOLD_EVENTS, TOLD_KINDS
from allocator.http.reference.operation import Operation
from allocator.http.shapes import Happening

JsonObject: TypeAlias = dict[str, object]

REF: Final = "#/components/schemas/"

_LISTING: Final = re.compile(r"\bListing_(\w+)_")


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request failed (RFC 9457). Some types add facts, which are listed with the type."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | msgspec.UnsetType = msgspec.UNSET


def schema_of(shape: object) -> JsonObject:
    """Return the schema of a type; one that has a name is only referred to."""
    (schema,), _ = msgspec.json.schema_components([shape], ref_template=REF + "{name}")
    return _for_clients(schema)


def named_schemas(operations: Iterable[Operation]) -> dict[str, JsonObject]:
    """Return the schemas of all types that operations name, and of those that these name."""
    shapes: list[object] = [ProblemBody, Happening, *KINDS]
    for operation in operations:
        body = operation.body
        used = [] if body is None else [body.shape, body.other]
        used += [answer.shape for answer in operation.answers]
        shapes += [shape for shape in used if shape is not None]
    _, found = msgspec.json.schema_components(shapes, ref_template=REF + "{name}")
    schemas = {_client_name(name): _for_clients(schema) for name, schema in found.items()}
    _complete(schemas)
    return dict(sorted(schemas.items()))


def _complete(schemas: dict[str, JsonObject]) -> None:
    """Add what the types do not say because they hold ready-made JSON."""
    happening = _properties(schemas["Happening"])
    happening["kind"] |= {"enum": list(TOLD_KINDS)}
    happening["body"] = {
        "description": "what happened, by `kind`",
        "anyOf": [*({"$ref": REF + kind.__name__} for kind in TOLD_EVENTS), {"type": "object"}],
    }
    event = _properties(schemas["JournalEvent"])
    event["kind"] |= {"enum": list(POOL_KINDS.values())}
    event["body"] = {
        "description": "what happened, by `kind`",
        "anyOf": [{"$ref": REF + kind.__name__} for kind in POOL_KINDS],
    }
    _properties(schemas["BatchResult"])["problem"] = schema_of(ProblemBody)
    _properties(schemas["ProblemBody"])["type"] |= {"format": "uri-reference"}


def _properties(schema: JsonObject) -> dict[str, JsonObject]:
    return cast("dict[str, JsonObject]", schema["properties"])


def _for_clients(schema: JsonObject) -> JsonObject:
    """Spell for JavaScript, which OpenAPI's patterns are, and name lists as people do."""
    return {key: _value_for_clients(key, value) for key, value in schema.items()}


def _value_for_clients(key: str, value: object) -> object:
    match value:
        case dict():
            return _for_clients(value)
        case list():
            return [_value_for_clients(key, one) for one in value]
        case str() if key == "pattern":
            return value.replace(r"\Z", "$")
        case str() if key == "$ref":
            return _client_name(value)
        case str() if key == "title":
            return re.sub(r"^Listing\[(\w+)\]$", r"\1List", value)
        case _:
            return value


def _client_name(name: str) -> str:
    return _LISTING.sub(r"\1List", name)
