"""API keys: a name, a role, and a secret of which only the digest is kept.

A secret is drawn, not chosen: 43 of 62 characters are 256 bits, as many as its digest has. Nobody
finds it by trying, so that a slow hash would only make every request slow.
"""

import re
from hashlib import sha256
from typing import Final, Literal, TypeAlias, get_args

import msgspec

Role: TypeAlias = Literal["client", "stock", "operator"]
"""What a key may do: order, look after stock, or everything."""

Needed: TypeAlias = Literal["none", "any", "client", "stock", "operator"]
"""The role that an operation needs: of its name, whichever, or not even a key."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)

API_KEY_CREATED: Final = "api_key_created"
API_KEY_REVOKED: Final = "api_key_revoked"
"""Kinds of the events that a key journals; the body of the first is its role."""

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_CHARACTERS: Final = 43
PREFIX: Final = "alk_"
"""By which people, and what searches their repositories for secrets, know one."""

_SECRET: Final = re.compile(rf"{PREFIX}[A-Za-z0-9]{{{SECRET_CHARACTERS}}}")


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown; times in milliseconds of Unix time."""

    name: str
    role: Role
    created_at_ms: int
    revoked_at_ms: int | None
    last_used_at_ms: int | None


class LiveKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a server has to know of a key that is not revoked."""

    name: str
    role: Role
    secret_digest: bytes


def may(role: Role, needed: Needed) -> bool:
    """Return whether a key of this role may do what needs that one; an operator may everything."""
    return role == "operator" or needed in {role, "any", "none"}


def is_secret(text: str) -> bool:
    """Return whether `text` looks like the secret of a key."""
    return _SECRET.fullmatch(text) is not None


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret: 32 bytes."""
    return sha256(secret.encode()).digest()


def api_key_key(name: str) -> str:
    """Return the key of the actor that an API key is."""
    return f"api_key:{name}"
