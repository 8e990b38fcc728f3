"""An operation as a part of the page: what it says on the left, what it looks like on the right."""

from allocator.http.page.fields import Field, Types, kind_of_value
from allocator.http.page.markup import (
    code,
    inline,
    method_badge,
    paragraphs,
    status_badge,
    table,
    tag,
)
from allocator.http.page.samples import answer_sample, request_sample
from allocator.http.page.trial import trial
from allocator.http.reference.conventions import ROLE_WORDS
from allocator.http.reference.operation import (
    HEADERS,
    Answer,
    Operation,
    Parameter,
)
from allocator.http.reference.problem_types import PROBLEM_TYPES
from allocator.http.reference.schemas import schema_of
from allocator.http.reference.values import path_parameters


def anchor(operation: Operation) -> str:
    """Return the id of the operation's element."""
    return f"op-{operation.name.replace('_', '-')}"


def operation_article(operation: Operation, types: Types) -> str:
    """Return the part of the page that explains an operation."""
    title = tag("h3", tag("a", operation.summary, href=f"#{anchor(operation)}"))
    route = tag("p", method_badge(operation.method), _path(operation.path), class_="route")
    told = [
        paragraphs(operation.meaning),
        tag("p", tag("small", inline(ROLE_WORDS[operation.role]))),
        _parameters(operation),
        _body(operation, types),
        _answers(operation, types),
        _problems(operation),
    ]
    shown = [request_sample(operation), answer_sample(operation), trial(operation)]
    return tag(
        "article",
        tag("header", title, route),
        tag(
            "div",
            tag("div", *told, class_="told"),
            tag("div", *shown, class_="shown"),
            class_="two",
        ),
        id=anchor(operation),
    )


def _path(path: str) -> str:
    """Return a path with its open parts set off; no other part holds a brace."""
    return code(path).replace("{", "<var>{").replace("}", "}</var>")


def _parameters(operation: Operation) -> str:
    rows = [
        *[_parameter_row(one, place="path") for one in path_parameters(operation.path)],
        *[_parameter_row(one, place="query") for one in operation.query],
        *[_parameter_row(one, place="header") for one in operation.headers],
    ]
    return tag("h4", "Parameters") + table(("Name", "Meaning"), rows) if rows else ""


def _parameter_row(parameter: Parameter, *, place: str) -> list[str]:
    needed = parameter.required or place == "path"
    default = "" if parameter.default is None else str(parameter.default)
    return [
        code(parameter.name) + tag("small", place if needed else f"{place}, optional"),
        _meaning(parameter.meaning, kind_of_value(schema_of(parameter.shape)), default=default),
    ]


def _meaning(meaning: str, kind: str, *, default: str = "") -> str:
    note = f"{kind}; default {default}" if default else kind
    return inline(meaning) + tag("small", inline(note))


def _body(operation: Operation, types: Types) -> str:
    body = operation.body
    if body is None:
        return ""
    needed = "" if body.required or body.media_type.endswith("ndjson") else ", optional"
    title = f"Body {tag('small', code(body.media_type) + needed)}"
    told = tag("h4", title) + _body_fields(types.fields(schema_of(body.shape)))
    if body.other is not None:
        told += tag("h4", "Or") + _body_fields(types.fields(schema_of(body.other)))
    return told


def _body_fields(fields: list[Field]) -> str:
    rows = [
        [
            code(field.path) + ("" if field.required else tag("small", "optional")),
            _meaning(field.meaning, field.kind, default=field.default),
        ]
        for field in fields
    ]
    return table(("Field", "Meaning"), rows)


def _answers(operation: Operation, types: Types) -> str:
    return tag("h4", "Answers") + tag(
        "ul", *[_answer(answer, types) for answer in operation.answers], class_="answers"
    )


def _answer(answer: Answer, types: Types) -> str:
    parts = [status_badge(answer.status), tag("span", inline(answer.meaning))]
    parts += [
        tag("small", f"{code(name)} header: {inline(HEADERS[name])}") for name in answer.headers
    ]
    fields = [] if answer.shape is None else types.fields(schema_of(answer.shape))
    if fields and answer.example is not None:
        parts.append(_answer_fields(fields))
    return tag("li", *parts)


def _answer_fields(fields: list[Field]) -> str:
    rows = [[code(one.path), _meaning(one.meaning, one.kind)] for one in fields]
    return tag("details", tag("summary", "Fields"), table(("Field", "Meaning"), rows))


def _problems(operation: Operation) -> str:
    names = dict.fromkeys((*operation.problems, *operation.at_the_door))
    kinds = sorted((PROBLEM_TYPES[name] for name in names), key=lambda one: one.status)
    if not kinds:
        return ""
    items = [
        tag(
            "li",
            tag(
                "a",
                status_badge(kind.status),
                kind.name,
                href=f"#problem-{kind.name}",
                title=kind.example.title,
            ),
        )
        for kind in kinds
    ]
    return tag("h4", "Problems") + tag("ul", *items, class_="problems")
