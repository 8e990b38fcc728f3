"""The little HTML that everything else is made of. What comes in is text, what goes out is safe."""

import re
from collections.abc import Iterable
from html import escape
from http import HTTPStatus
from typing import Final

_CODE: Final = re.compile(r"`([^`]+)`")
_JSON_TOKEN: Final = re.compile(
    r'(?P<name>"(?:[^"\\]|\\.)*")(?=\s*:)'
    r'|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b)"
)


def tag(name: str, /, *content: str, **attributes: str) -> str:
    """Return an element; for its attributes, `class_` says class and `data_path` data-path."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{said}>{''.join(content)}</{name}>"


def inline(text: str) -> str:
    """Return text with its `code` as such."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def paragraphs(text: str) -> str:
    """Return text whose paragraphs an empty line separates."""
    return "".join(tag("p", inline(part)) for part in text.split("\n\n"))


def code(text: str) -> str:
    """Return text as code."""
    return tag("code", escape(text, quote=False))


def listing(text: str, *, label: str) -> str:
    """Return a block of code that can be scrolled by keyboard."""
    return tag("pre", code(text), tabindex="0", role="region", aria_label=label)


def json_listing(text: str, *, label: str) -> str:
    """Return a block of JSON in colour."""
    parts, end = [], 0
    for token in _JSON_TOKEN.finditer(text):
        parts.append(escape(text[end : token.start()], quote=False))
        parts.append(tag("i", escape(token[0], quote=False), class_=str(token.lastgroup)))
        end = token.end()
    parts.append(escape(text[end:], quote=False))
    return tag("pre", tag("code", *parts), tabindex="0", role="region", aria_label=label)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; its cells are HTML already."""
    head = tag("tr", *[tag("th", name, scope="col") for name in heads])
    body = [tag("tr", *[tag("td", cell) for cell in row]) for row in rows]
    return tag(
        "div", tag("table", tag("thead", head), tag("tbody", *body)), class_="table", tabindex="0"
    )


def method_badge(method: str) -> str:
    """Return a method in its colour."""
    return tag("b", method, class_=f"method {method.lower()}")


def status_badge(status: HTTPStatus) -> str:
    """Return a status in the colour of its class."""
    return tag("b", str(int(status)), class_=f"status s{status // 100}")
