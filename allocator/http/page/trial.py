"""A form that sends a request; the page's script works it, and without the script it is hidden."""

from allocator.http.page.markup import tag
from allocator.http.page.samples import body_text
from allocator.http.reference.operation import Operation, Parameter
from allocator.http.reference.values import path_parameters


def trial(operation: Operation) -> str:
    """Return the form of an operation, filled in with the example."""
    fields = [_input(one, place="path") for one in path_parameters(operation.path)]
    fields += [_input(one, place="query") for one in operation.query]
    fields += [_input(one, place="header") for one in operation.headers]
    body = operation.body
    if body is not None:
        text = body_text(body)
        area = tag(
            "textarea",
            text,
            name="body",
            rows=str(min(12, text.count("\n") + 2)),
            spellcheck="false",
        )
        fields.append(tag("label", tag("span", "body"), area, class_="wide"))
    form = tag(
        "form",
        *fields,
        tag("button", "Send", type="submit"),
        data_method=operation.method,
        data_path=operation.path,
        data_type="" if body is None else body.media_type,
    )
    output = tag("div", class_="outcome", aria_live="polite")
    return tag("details", tag("summary", "Try it"), form, output, class_="trial")


def _input(parameter: Parameter, *, place: str) -> str:
    # Ids and keys of the examples are not this server's; filters of theirs would hide things.
    known = place == "path" and parameter.name != "id"
    box = tag(
        "input",
        name=parameter.name,
        value=parameter.example if known or (parameter.required and place == "query") else "",
        placeholder="" if parameter.default is None else str(parameter.default),
        data_place=place,
        autocomplete="off",
        spellcheck="false",
    ).removesuffix("</input>")
    return tag("label", tag("span", parameter.name), box)
