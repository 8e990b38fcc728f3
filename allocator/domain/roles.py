"""Who may do what: each API key has one role, each operation of the API needs one."""

from typing import Final, Literal, TypeAlias, get_args

Role: TypeAlias = Literal["client", "stock", "operator"]
"""What an API key may do: order, look after stock, or everything."""

Needed: TypeAlias = Literal["none", "any", "client", "stock", "operator"]
"""The role that an operation needs: of its name, whichever, or not even a key."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)


def may(role: Role, needed: Needed) -> bool:
    """Return whether a key of this role may do what needs that one; an operator may everything."""
    return role == "operator" or needed in {role, "any", "none"}
