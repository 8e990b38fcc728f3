"""The fields of a type as rows of a table, read from its JSON schema."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from allocator.http.reference.schemas import REF, JsonObject

_NULL: Final = "null"
_FORMATS: Final = {"date-time": "time", "uuid": "id"}


class Schema(msgspec.Struct, frozen=True, rename="camel"):
    """As much of a JSON schema as there is to show."""

    ref: str | None = msgspec.field(name="$ref", default=None)
    type: str | None = None
    format: str | None = None
    description: str = ""
    properties: dict[str, "Schema"] = {}
    required: frozenset[str] = frozenset()
    items: "Schema | bool" = False
    any_of: "tuple[Schema, ...]" = ()
    enum: tuple[str, ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    default: str | int | float | bool | list[object] | UnsetType | None = UNSET


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field, named by its way from the outermost object."""

    path: str
    kind: str
    required: bool
    default: str
    meaning: str


class Types:
    """The named types of the API."""

    def __init__(self, schemas: dict[str, JsonObject]) -> None:
        self._schemas = msgspec.convert(schemas, dict[str, Schema])

    def fields(self, schema: JsonObject) -> list[Field]:
        """Return the fields of an object and of what it contains, outermost first."""
        return list(self._fields(msgspec.convert(schema, Schema), within=""))

    def _fields(self, schema: Schema, *, within: str) -> Iterator[Field]:
        schema = self._followed(schema)
        for name, given in schema.properties.items():
            shown = self._shown(given)
            many = shown.type == "array"
            path = f"{within}{name}"
            yield Field(
                path=path,
                kind=self.kind_of(given),
                required=name in schema.required,
                default=_default_of(given),
                meaning=given.description or shown.description,
            )
            inner = shown.items if many and isinstance(shown.items, Schema) else shown
            yield from self._fields(inner, within=f"{path}[]." if many else f"{path}.")

    def kind_of(self, schema: Schema) -> str:
        """Return what values look like, in words."""
        if schema.any_of:
            objects = all(one.ref is not None for one in schema.any_of)
            kinds = ["object"] if objects else [self.kind_of(one) for one in schema.any_of]
            return " or ".join(kinds)
        schema = self._followed(schema)
        if schema.enum:
            return " | ".join(schema.enum)
        if isinstance(schema.items, Schema) and schema.type == "array":
            return f"list of {self.kind_of(schema.items)}s"
        kind = _FORMATS.get(schema.format or "", schema.type or "any")
        return f"{kind}{_bounds_of(schema)}"

    def _shown(self, schema: Schema) -> Schema:
        """Return the schema itself, or the one that it is if it is not null."""
        others = [one for one in schema.any_of if one.type != _NULL]
        return self._followed(others[0] if len(others) == 1 else schema)

    def _followed(self, schema: Schema) -> Schema:
        return schema if schema.ref is None else self._schemas[schema.ref.removeprefix(REF)]


def kind_of_value(schema: JsonObject) -> str:
    """Return what values of an unnamed type look like, in words."""
    return Types({}).kind_of(msgspec.convert(schema, Schema))


def _bounds_of(schema: Schema) -> str:
    low, high, unit = schema.minimum, schema.maximum, ""
    if schema.max_length is not None:
        low, high, unit = schema.min_length, schema.max_length, " characters"
    if high is None:
        return ""
    if low is None:
        return f", at most {high:,}{unit}"
    return f", {low:,} to {high:,}{unit}"


def _default_of(schema: Schema) -> str:
    if schema.default is None or schema.default is UNSET or isinstance(schema.default, list):
        return ""
    if isinstance(schema.default, bool):
        return str(schema.default).lower()
    return str(schema.default)
