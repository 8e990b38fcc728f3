"""The whole page: what holds for all routes, the routes by group, and the types of problems."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from string import Template

import msgspec

from allocator.http.page.fields import Types
from allocator.http.page.markup import (
    code,
    inline,
    json_listing,
    method_badge,
    paragraphs,
    status_badge,
    table,
    tag,
)
from allocator.http.page.operations import (
    anchor,
    operation_article,
)
from allocator.http.reference.conventions import CONVENTIONS, SUMMARY, TAGS, TITLE
from allocator.http.reference.everything import OPERATIONS
from allocator.http.reference.problem_type import ProblemType
from allocator.http.reference.problem_types import PROBLEM_TYPES
from allocator.http.reference.schemas import named_schemas


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The page, and what a browser may load for it: only what is in it, and answers of the API."""

    html: bytes
    security_policy: str


def page(*, version: str) -> Page:
    """Render the page of this release."""
    style, script = _asset("docs.css"), _asset("docs.js")
    html = Template(_asset("docs.html")).substitute(
        title=TITLE,
        summary=SUMMARY,
        version=version,
        style=style,
        script=script,
        nav=_nav(),
        main=_main(),
    )
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        f"connect-src 'self'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'"
    )
    return Page(html=html.encode(), security_policy=policy)


def _asset(name: str) -> str:
    return (files("allocator.http") / "assets" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def _nav() -> str:
    about = [tag("a", title, href=f"#{_slug(title)}") for title in CONVENTIONS]
    groups = [_group("About", about)]
    for name in TAGS:
        links = [
            tag(
                "a",
                method_badge(one.method),
                tag("span", one.path.replace("/", "/<wbr>")),
                href=f"#{anchor(one)}",
                title=one.summary,
            )
            for one in OPERATIONS
            if one.tag == name
        ]
        groups.append(_group(name, links))
    problems = [
        tag("a", status_badge(kind.status), tag("span", kind.name), href=f"#problem-{kind.name}")
        for kind in PROBLEM_TYPES.values()
    ]
    return "".join([*groups, _group("Problems", problems)])


def _group(title: str, links: list[str]) -> str:
    return tag("h2", title) + tag("ul", *[tag("li", link) for link in links])


def _main() -> str:
    about = [
        tag("section", tag("h2", title), paragraphs(text), id=_slug(title), class_="card")
        for title, text in CONVENTIONS.items()
    ]
    types = Types(named_schemas(OPERATIONS))
    groups = [_tagged(name, text, types) for name, text in TAGS.items()]
    return "".join([tag("div", *about, class_="cards"), *groups, _problems()])


def _tagged(name: str, text: str, types: Types) -> str:
    articles = [operation_article(one, types) for one in OPERATIONS if one.tag == name]
    return tag("section", tag("h2", name), tag("p", inline(text), class_="lead"), *articles)


def _problems() -> str:
    lead = "What `type` may say, and what to do about it."
    articles = [_problem(kind) for kind in PROBLEM_TYPES.values()]
    return tag("section", tag("h2", "Problems"), tag("p", inline(lead), class_="lead"), *articles)


def _problem(kind: ProblemType) -> str:
    path = f"/problems/{kind.name}"
    title = tag("h3", tag("a", kind.example.title, href=f"#problem-{kind.name}"))
    told = [
        tag("p", inline(kind.meaning)),
        tag("p", tag("strong", "What to do. "), inline(kind.remedy)),
    ]
    if kind.facts:
        rows = [[code(name), inline(text)] for name, text in kind.facts.items()]
        told.append(table(("Fact", "Meaning"), rows))
    example = msgspec.json.encode(kind.example.members(instance=kind.instance))
    shown = json_listing(msgspec.json.format(example).decode(), label="Example of this problem")
    return tag(
        "article",
        tag("header", title, tag("p", status_badge(kind.status), code(path), class_="route")),
        tag(
            "div", tag("div", *told, class_="told"), tag("div", shown, class_="shown"), class_="two"
        ),
        id=f"problem-{kind.name}",
    )
