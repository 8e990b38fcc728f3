"""The API as its own document describes it, held against what a server really answers."""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urlencode

import aiohttp
import msgspec
from openapi_schema_validator import OAS31Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from allocator.http.reference.everything import OPERATIONS
from allocator.http.reference.operation import KEY, Operation
from allocator.http.reference.values import example_of, path_parameters

PROBLEM = "application/problem+json"

BY_NAME = {operation.name: operation for operation in OPERATIONS}

_DESCRIBED_HEADERS = ("Allow", "ETag", "Location", "Retry-After", "WWW-Authenticate")


class Said(msgspec.Struct, frozen=True):
    """An answer.

    Attributes:
        problem: The type of the problem that it is, without its path; None if it is none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    problem: str | None = None

    def json(self) -> object:
        """Return the body as a client would decode it."""
        decoded: object = msgspec.json.decode(self.body)
        return decoded


class Values(msgspec.Struct, frozen=True, rename="camel"):
    """What values of a parameter may be."""

    minimum: int = 0
    maximum: int | None = None
    max_length: int | None = None
    enum: tuple[str, ...] = ()

    def at_the_edge(self) -> list[tuple[str, bool]]:
        """Return values at the bounds and just beyond, and whether they are within."""
        edge = [(value, True) for value in self.enum]
        if self.enum:
            edge.append(("no such value", False))
        if self.maximum is not None:
            edge += [(str(self.minimum), True), (str(self.maximum), True)]
            edge += [(str(self.minimum - 1), False), (str(self.maximum + 1), False)]
        if self.max_length is not None:
            edge += [("x" * self.max_length, True), ("x" * (self.max_length + 1), False)]
        return edge


class Described(msgspec.Struct, frozen=True):
    """A parameter as the document describes it."""

    name: str
    place: str = msgspec.field(name="in")
    required: bool
    schema: Values
    example: str = ""


class _Media(msgspec.Struct, frozen=True):
    schema: dict[str, object]
    examples: dict[str, object] = {}


class _Response(msgspec.Struct, frozen=True):
    headers: dict[str, object] = {}
    content: dict[str, _Media] = {}


class _Operation(msgspec.Struct, frozen=True):
    responses: dict[str, _Response]
    parameters: list[Described] = []


class _Document(msgspec.Struct, frozen=True):
    paths: dict[str, dict[str, msgspec.Raw]]


class Contract:
    """A client that believes nothing: each answer must be one that the document describes.

    Attributes:
        ids: What stands in a path instead of an id of the examples.
        seen: (name of an operation, type of a problem) that was answered.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, document: bytes) -> None:
        self.ids: dict[str, str] = {}
        self.seen: set[tuple[str, str]] = set()
        self._session = session
        self._url = url
        self._paths = msgspec.json.decode(document, type=_Document).paths
        contents: dict[str, object] = msgspec.json.decode(document)
        self._registry = Registry().with_resource(
            "urn:document", DRAFT202012.create_resource(contents)
        )

    async def ask(  # noqa: PLR0913 (what a request consists of)
        self,
        name: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        at: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Said:
        """Send the example of an operation, but for what is given, and check the answer.

        Args:
            name: Of the operation.
            body: What to send instead of the example.
            headers: More of them.
            query: All parameters of the query.
            at: Values of the path's parameters.
            key: The Idempotency-Key; the example's has an effect only once.
        """
        operation = BY_NAME[name]
        sent = {one.name: one.example for one in operation.headers}
        if operation.key and key is not None:
            sent[KEY] = key
        if operation.body is not None:
            sent["Content-Type"] = operation.body.media_type
        async with self._session.request(
            operation.method,
            self._url + self._path(operation, at or {}, query),
            data=example_body(operation) if body is None else body,
            headers=sent | dict(headers or {}),
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),
        ) as response:
            said = Said(response.status, response.headers, await _beginning(response))
        checked = self._check(operation, said)
        if checked.problem is not None:
            self.seen.add((name, checked.problem))
        return checked

    async def patch(self, name: str) -> Said:
        """Ask an operation's path with a method that none knows."""
        path = self._path(BY_NAME[name], {}, {})
        async with self._session.patch(self._url + path) as response:
            return Said(response.status, response.headers, await response.read())

    def parameters(self, name: str, *, place: str) -> list[Described]:
        """Return what an operation takes in its query or in headers."""
        found = self._operation(BY_NAME[name]).parameters
        return [one for one in found if one.place == place]

    def description(self, path: str) -> str:
        """Return what the document says about a path, whatever the method."""
        return msgspec.json.decode(self._paths[path]["description"], type=str)

    def _path(
        self, operation: Operation, at: Mapping[str, str], query: Mapping[str, str] | None
    ) -> str:
        path = operation.path
        for parameter in path_parameters(path):
            example = self.ids.get(parameter.example, parameter.example)
            path = path.replace(f"{{{parameter.name}}}", at.get(parameter.name, example))
        if query is None:
            query = {one.name: one.example for one in operation.query if one.example}
        return f"{path}?{urlencode(query)}" if query else path

    def _operation(self, operation: Operation) -> _Operation:
        described = self._paths[operation.path][operation.method.lower()]
        return msgspec.json.decode(described, type=_Operation)

    def _check(self, operation: Operation, said: Said) -> Said:
        described = self._operation(operation)
        what = f"{operation.name} answered {said.status}: {said.body[:300]!r}"
        assert str(said.status) in described.responses, what
        response = described.responses[str(said.status)]
        sent = {name for name in _DESCRIBED_HEADERS if name in said.headers}
        assert sent == set(response.headers), what
        media_type = said.headers.get("Content-Type", "")
        if not response.content:
            assert said.body == b"", what
            return said
        assert media_type in response.content, f"{what} as {media_type}"
        method, status = operation.method.lower(), str(said.status)
        way = ("paths", operation.path, method, "responses", status, "content", media_type)
        at = "".join(f"/{_escaped(part)}" for part in (*way, "schema"))
        for value, pointer in _values(said.body, media_type, at):
            assert self._errors(value, pointer) == [], what
        if media_type != PROBLEM:
            return said
        return self._check_problem(said, set(response.content[PROBLEM].examples), what)

    def _check_problem(self, said: Said, described: set[str], what: str) -> Said:
        members = said.json()
        assert isinstance(members, dict), what
        kind = re.fullmatch(r"/problems/([a-z-]+)", members["type"])
        assert kind is not None, what
        assert kind[1] in described, what
        assert members["status"] == said.status, what
        return msgspec.structs.replace(said, problem=kind[1])

    def _errors(self, value: object, pointer: str) -> list[str]:
        validator = OAS31Validator(
            {"$ref": f"urn:document#{pointer}"},
            registry=self._registry,
            format_checker=OAS31Validator.FORMAT_CHECKER,
        )
        return [error.message for error in validator.iter_errors(value)]


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """Return the body, and of one that never ends what comes first."""
    if response.content_type == "text/event-stream":
        return await response.content.readuntil(b"\n\n")
    return await response.read()


def example_body(operation: Operation) -> bytes | None:
    """Return what an operation's example sends."""
    if operation.body is None:
        return None
    example = example_of(operation.body)
    return example.encode() if isinstance(example, str) else msgspec.json.encode(example)


def _values(body: bytes, media_type: str, pointer: str) -> list[tuple[object, str]]:
    """Return what is to be checked, and against which schema."""
    if media_type.endswith("ndjson"):
        lines = body.decode().splitlines()
        return [(msgspec.json.decode(line), f"{pointer}/contentSchema") for line in lines]
    if media_type.endswith("json"):
        return [(msgspec.json.decode(body), pointer)]
    return [(body.decode(), pointer)]


def _escaped(part: str) -> str:
    """Spell a part of a JSON pointer in a URL's fragment (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


async def settled(contract: Contract, name: str, expected: int) -> Said:
    """Ask for a list until it has as many items, none on its way: read models follow later."""
    async with asyncio.timeout(20):
        while True:
            said = await contract.ask(name)
            listed = said.json()
            assert isinstance(listed, dict)
            if len(listed["items"]) == expected and b'"in_transit"' not in said.body:
                return said
            await asyncio.sleep(0.05)
