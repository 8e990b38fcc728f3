"""A request and its answer as one sees them in a terminal."""

from shlex import quote
from typing import Final
from urllib.parse import urlencode

import msgspec

from allocator.http.page.markup import json_listing, listing, status_badge, tag
from allocator.http.reference.operation import Answer, Body, Operation
from allocator.http.reference.values import example_of, path_parameters

_ORIGIN: Final = "http://127.0.0.1:8080"
"""Stands for the server; the page's script puts in where the page came from."""

_SHORT: Final = 46
"""Characters of JSON that fit into a line of the page, with something before them."""


def request_sample(operation: Operation) -> str:
    """Return the example request as a command."""
    return tag("h5", "Request") + listing(_curl(operation), label="Example request")


def _curl(operation: Operation) -> str:
    """Return the example as a command that works in a shell."""
    method = [] if operation.method == "GET" else [f"-X {operation.method}"]
    words = [" ".join(["curl", *method, quote(_ORIGIN + _example_path(operation))])]
    body = operation.body
    if body is not None:
        words.append(f"-H {quote(f'Content-Type: {body.media_type}')}")
    words += [f"-H {quote(f'{one.name}: {one.example}')}" for one in operation.headers]
    text = "" if body is None else body_text(body)
    if body is not None and isinstance(body.example, tuple):
        return " \\\n  ".join([*words, "--data-binary @- <<'END'"]) + f"\n{text}END"
    if body is not None:
        words.append(f"-d {quote(text)}".replace("\n", "\n  "))
    return " \\\n  ".join(words)


def _example_path(operation: Operation) -> str:
    path = operation.path
    for parameter in path_parameters(path):
        path = path.replace(f"{{{parameter.name}}}", parameter.example)
    chosen = {one.name: one.example for one in operation.query if one.example}
    return f"{path}?{urlencode(chosen)}" if chosen else path


def body_text(body: Body | Answer) -> str:
    """Return an example as people write it: a short one in a line."""
    example = example_of(body)
    if isinstance(example, str):
        return example
    text = msgspec.json.encode(example)
    indent = 2 if len(text) > _SHORT else 0
    return msgspec.json.format(text, indent=indent).decode()


def answer_sample(operation: Operation) -> str:
    """Return the ordinary answer to the example, or nothing if there is no example of one."""
    answer = operation.answers[0]
    if answer.example is None:
        return ""
    title = tag("h5", "Answer", status_badge(answer.status))
    text = body_text(answer)
    render = listing if answer.shape is str else json_listing
    return title + render(text, label="Example answer")
