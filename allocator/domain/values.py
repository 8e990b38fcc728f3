"""What every command, event and refusal is."""

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False):
    """A value: comparable, immutable, and outside the garbage collector's sight."""
