"""What texts in bodies have to look like, for programs and, if one does not, in words."""

from typing import Final

CODE: Final = r"^(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}\Z"
TEXT: Final = r"^[^\x00]*\Z"
CURRENCY: Final = r"^[A-Z]{3}\Z"
KEY: Final = r"^[\x20-\x7e]{1,255}\Z"
UUID: Final = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z"
URL: Final = r"^https?://[!-~]+\Z"
STATE: Final = r"^[a-z][a-z0-9_]{0,31}\Z"

_MEANT: Final = {
    CODE: "a code of 1 to 64 of A-Z a-z 0-9 . _ - (neither . nor ..)",
    TEXT: "text without the character NUL",
    CURRENCY: "three capital letters",
    KEY: "1 to 255 printable ASCII characters",
    UUID: "a UUID",
    URL: "a URL that begins with https:// or http:// and has no spaces",
    STATE: "a state, a word of lower-case letters",
}
_INSTEAD: Final = {f"`str` matching regex {each!r}": it for each, it in _MEANT.items()}


def in_words(refused: str) -> str:
    """Return what msgspec says of a refused body, with what patterns mean in their places."""
    for pattern, meant in _INSTEAD.items():
        refused = refused.replace(pattern, meant)
    return refused
