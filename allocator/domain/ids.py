"""Sealed ids: where a thing was created, unguessable and uncountable, as a UUID.

An id is the address of an event: 44 bits of actor, 36 bits of seq. A 42-bit **seal** is a keyed
hash of the address; the address is then hidden by XOR with a keyed hash of the seal. Whoever
lacks the secret can neither read the numbers nor make an id that passes. The 122 bits fill a
UUID of version 8 (RFC 9562 §5.8).
"""

from hashlib import blake2b
from typing import Final

ACTOR_BITS: Final = 44
SEQ_BITS: Final = 36
SEAL_BITS: Final = 42

_ADDRESS_BITS: Final = ACTOR_BITS + SEQ_BITS
_ADDRESS_BYTES: Final = _ADDRESS_BITS // 8
_SEAL_BYTES: Final = 6
_SEQ_MASK: Final = (1 << SEQ_BITS) - 1
_ADDRESS_MASK: Final = (1 << _ADDRESS_BITS) - 1
_SEAL_SHIFT: Final = _SEAL_BYTES * 8 - SEAL_BITS
_LOW_BITS: Final = 62
_LOW_MASK: Final = (1 << _LOW_BITS) - 1
_MIDDLE_MASK: Final = 0xFFF
_TEXT_LENGTH: Final = 36
_ID_BITS: Final = 128
_OFTEN_MAX: Final = 10_000

SECRET_BYTES: Final = 32

SHARD_BITS: Final = 8
SHARDS: Final = 1 << SHARD_BITS
SHARD_MASK: Final = SHARDS - 1
"""The low bits of an actor's id are its shard: an id routes without a table."""


def shard_of(key: str) -> int:
    """Return the shard of the actor with this key, the same for ever and everywhere."""
    return blake2b(key.encode(), digest_size=1).digest()[0]


class IdSeal:
    """Turns addresses into ids and back, with one installation's secret."""

    __slots__ = ("_hide", "_often", "_seal")

    def __init__(self, secret: bytes) -> None:
        # BLAKE2 has no length extension, so a secret prefix of fixed length is a sound key. A
        # hash that has taken the prefix in, copied for each id, is its cheapest use.
        self._seal = _keyed(secret, b"seal", digest_size=_SEAL_BYTES)
        self._hide = _keyed(secret, b"hide", digest_size=_ADDRESS_BYTES)
        self._often: dict[int, str] = {}

    def seal(self, actor_id: int, seq: int) -> str:
        """Return the id of what event `seq` of actor `actor_id` created, a lower-case UUID."""
        address = actor_id << SEQ_BITS | seq
        sealing = self._seal.copy()
        sealing.update(address.to_bytes(_ADDRESS_BYTES, "big"))
        seal = int.from_bytes(sealing.digest(), "big") >> _SEAL_SHIFT
        hidden = address ^ self._mask_of(seal)
        # 48 bits | version 8 | 12 bits | variant 0b10 | 62 bits; % is the fastest way to say so.
        first, low = seal << 6 | hidden >> 74, hidden & _LOW_MASK
        return "%08x-%04x-8%03x-%04x-%012x" % (  # noqa: UP031
            first >> 16,
            first & 0xFFFF,
            hidden >> 62 & 0xFFF,
            low >> 48 | 0x8000,
            low & 0xFFFFFFFFFFFF,
        )

    def seal_often(self, actor_id: int, seq: int) -> str:
        """Like `seal`, and remember it: many orders name the same lot."""
        address = actor_id << SEQ_BITS | seq
        text = self._often.get(address)
        if text is None:
            if len(self._often) >= _OFTEN_MAX:
                self._often.clear()
            text = self._often[address] = self.seal(actor_id, seq)
        return text

    def unseal(self, text: str) -> tuple[int, int] | None:
        """Return (actor id, seq), or None when `text` is no id that this secret sealed."""
        if len(text) != _TEXT_LENGTH:
            return None
        try:
            value = int(text.replace("-", ""), 16)
        except ValueError:
            return None
        if value >> _ID_BITS:
            return None  # fewer dashes and more digits than an id has
        bits = value >> 80 << 74 | (value >> 64 & _MIDDLE_MASK) << _LOW_BITS | value & _LOW_MASK
        seal = bits >> _ADDRESS_BITS
        address = (bits & _ADDRESS_MASK) ^ self._mask_of(seal)
        actor_id, seq = address >> SEQ_BITS, address & _SEQ_MASK
        # Sealing again also checks version, variant, dashes and digits: one id, one spelling.
        return (actor_id, seq) if self.seal(actor_id, seq) == text.lower() else None

    def _mask_of(self, seal: int) -> int:
        hiding = self._hide.copy()
        hiding.update(seal.to_bytes(_SEAL_BYTES, "big"))
        return int.from_bytes(hiding.digest(), "big")


def _keyed(secret: bytes, purpose: bytes, *, digest_size: int) -> blake2b:
    key = blake2b(purpose, key=secret, digest_size=SECRET_BYTES).digest()
    return blake2b(key, digest_size=digest_size)
