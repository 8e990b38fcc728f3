"""The document and the page say one thing, completely, and in a form that others understand."""

import ast
import re
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

import allocator.http
from allocator.domain.messages import AlreadyExpired, InsufficientStock, OrderNotOpen, Refusal
from allocator.errors import BrokenRuleError, OutcomeUnknownError, OverloadedError, UnavailableError
from allocator.http.openapi import document
from allocator.http.page.fields import Types
from allocator.http.page.markup import inline, json_listing, tag
from allocator.http.page.whole import Page, page
from allocator.http.problems import problem_of
from allocator.http.reference.everything import OPERATIONS
from allocator.http.reference.operation import Operation
from allocator.http.reference.problem_types import PROBLEM_TYPES
from allocator.http.reference.schemas import JsonObject, named_schemas, schema_of
from allocator.http.reference.values import example_of
from allocator.http.refusals import problem_for
from allocator.http.shapes import Order, PostOrder, PostProduct

WITH_BODY = [one for one in OPERATIONS if one.body is not None]
_VOID = {"meta", "link", "input", "wbr"}


@cache
def the_document() -> JsonObject:
    """The document as a client decodes it."""
    return msgspec.json.decode(msgspec.json.encode(document(version="1.2.3")), type=JsonObject)


@cache
def the_page() -> Page:
    return page(version="1.2.3")


def errors_in(value: object, *, pointer: str) -> list[str]:
    """What a schema of the document has against a value."""
    resource = DRAFT202012.create_resource(the_document())
    validator = OAS31Validator(
        {"$ref": f"urn:document#{pointer}"},
        registry=Registry().with_resource("urn:document", resource),
        format_checker=OAS31Validator.FORMAT_CHECKER,
    )
    return [error.message for error in validator.iter_errors(value)]


def examples(value: object, pointer: str = "") -> Iterator[tuple[str, object]]:
    """Every example in the document, with where its schema is."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from examples(one, f"{pointer}/{number}")
    if not isinstance(value, dict):
        return
    if "schema" in value and "example" in value:
        yield f"{pointer}/schema", value["example"]
    if "schema" in value:
        for named in value.get("examples", {}).values():
            yield f"{pointer}/schema", named["value"]
    for name, one in value.items():
        yield from examples(one, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")


class Elements(HTMLParser):
    """What a page consists of; fails where it is not well formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "action"}:
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"


def test_the_document_is_valid_openapi() -> None:
    errors = [error.message for error in OpenAPIV31SpecValidator(the_document()).iter_errors()]

    assert errors == []


def test_the_validator_of_these_tests_would_say_if_it_were_not() -> None:
    broken = the_document() | {"paths": {"/orders/{id}": {"get": {"responses": {}}}}}

    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def test_every_example_is_what_its_schema_says() -> None:
    found = list(examples(the_document()))

    assert len(found) > 100
    assert [(at, errors) for at, one in found if (errors := errors_in(one, pointer=at))] == []


def test_every_line_of_an_example_is_what_the_schema_of_lines_says() -> None:
    lines = 0
    for pointer, example in examples(the_document()):
        if "ndjson" not in pointer:
            continue
        for line in str(example).splitlines():
            lines += 1

            assert errors_in(msgspec.json.decode(line), pointer=f"{pointer}/contentSchema") == []
    assert lines == 4


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda one: one.name)
def test_examples_of_requests_decode_as_the_server_decodes_them(operation: Operation) -> None:
    assert operation.body is not None
    sent, said = example_of(operation.body), operation.body.example
    lines = sent.splitlines() if isinstance(sent, str) else [msgspec.json.encode(sent)]
    values = said if isinstance(said, tuple) else (said,)

    decoded = tuple(msgspec.json.decode(line, type=type(values[0])) for line in lines)

    assert decoded == values


def test_operations_are_told_apart_by_name_and_by_route() -> None:
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS)


def test_keys_of_examples_do_not_repeat_each_other() -> None:
    keys = [one.key for one in OPERATIONS if one.key]

    assert len(set(keys)) == len(keys)


def test_every_type_of_problem_that_the_code_names_is_explained() -> None:
    named = set()
    for source in Path(allocator.http.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                values = [word.value for word in node.keywords if word.arg == "type"]
                named |= {one.value for one in values if isinstance(one, ast.Constant)}

    assert "insufficient-stock" in named
    assert named <= set(PROBLEM_TYPES)


def test_every_refusal_and_error_is_answered_with_a_type_that_is_explained() -> None:
    refusals: list[Refusal] = [
        InsufficientStock(requested=2, available=1),
        OrderNotOpen(order=1),
        AlreadyExpired(expires_at_ms=1, now_ms=2),
    ]
    errors = [
        OverloadedError(whose="server", limit=1),
        UnavailableError(reason="the server is stopping"),
        OutcomeUnknownError(),
        BrokenRuleError(actor_id=1),
    ]
    problems = [*map(problem_for, refusals), *map(problem_of, errors)]

    assert {one.type for one in problems} <= set(PROBLEM_TYPES)
    assert all(one.status == PROBLEM_TYPES[one.type].status for one in problems)


def test_patterns_are_those_of_javascript() -> None:
    patterns = re.findall(r'"pattern":"(.*?)"', msgspec.json.encode(the_document()).decode())

    assert len(patterns) > 10
    assert [one for one in patterns if r"\Z" in one] == []


def test_lists_have_names_that_clients_can_have_too() -> None:
    names = set(named_schemas(OPERATIONS))

    assert {"OrderList", "StockList", "WarehouseList"} <= names
    assert [name for name in names if not name.isalpha()] == []


def test_fields_within_fields_are_named_by_the_way_to_them() -> None:
    types = Types(named_schemas(OPERATIONS))

    fields = {field.path: field for field in types.fields(schema_of(Order))}

    assert fields["lines[].stocks[].id"].kind == "id"
    assert fields["status"].kind == "cancelled | dispatched | new | partly_dispatched"
    assert fields["customer"].kind == "string, 1 to 200 characters or null"


def test_bounds_and_defaults_of_fields_are_those_of_the_types() -> None:
    types = Types(named_schemas(OPERATIONS))

    [quantity] = [one for one in types.fields(schema_of(PostOrder)) if one.path == "quantity"]
    price = [one.path for one in types.fields(schema_of(PostProduct)) if "price" in one.path]

    assert (quantity.kind, quantity.default) == ("integer, 1 to 1,000,000,000", "1")
    assert not quantity.required
    assert price == ["price", "price.amount", "price.currency"]


def test_every_operation_and_problem_has_its_place_on_the_page() -> None:
    ids = Elements(the_page().html.decode()).ids

    assert len(set(ids)) == len(ids)
    assert {f"op-{one.name.replace('_', '-')}" for one in OPERATIONS} <= set(ids)
    assert {f"problem-{name}" for name in PROBLEM_TYPES} <= set(ids)


def test_links_of_the_page_lead_to_the_page_and_to_this_server() -> None:
    elements = Elements(the_page().html.decode())
    inner = {link[1:] for link in elements.links if link.startswith("#")}
    others = {link for link in elements.links if not link.startswith(("#", "data:"))}

    assert inner <= set(elements.ids)
    assert others == {"/openapi.json"}


def test_the_page_loads_nothing_from_anywhere() -> None:
    html = the_page().html.decode()
    hosts = set(re.findall(r"https?://([^/'\"`\s:]+)", html))

    # In examples, and a name of SVG.
    assert hosts == {"127.0.0.1", "shop.example", "www.w3.org"}
    assert "@import" not in html
    assert "url(" not in html


def test_browsers_may_run_what_is_on_the_page_and_nothing_else() -> None:
    html, policy = the_page().html.decode(), the_page().security_policy
    for kind in ("style", "script"):
        [content] = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()

        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert " style=" not in html


def test_the_page_says_what_each_operation_takes() -> None:
    html = the_page().html.decode()
    for operation in OPERATIONS:
        start = html.index(f'id="op-{operation.name.replace("_", "-")}"')
        article = html[html.rindex("<article", 0, start) : html.index("</article>", start)]

        assert operation.summary in article
        assert all(f"<code>{one.name}</code>" in article for one in operation.query)
        assert all(f"#problem-{name}" in article for name in operation.problems)
        assert ("<code>Idempotency-Key</code>" in article) == bool(operation.key)


def test_text_on_the_page_is_text() -> None:
    assert inline("a < b & `<i>`") == "a &lt; b &amp; <code>&lt;i&gt;</code>"
    assert tag("a", "x", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;">x</a>'
    assert "<script>" not in json_listing('{"<script>": "</code><script>"}', label="x")
