"""Turns what a shop calls its products into skus, and never two products into one."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from itertools import count

SKU_MAX = 64
"""Characters of a sku (`A-Z a-z 0-9 . _ -`)."""

_FORBIDDEN = re.compile(r"[^A-Za-z0-9._-]")
_MARK_LENGTH = 12


def name_skus(codes: Iterable[str]) -> dict[str, str]:
    """Give each code a sku of its own.

    Characters that a sku may not have become `_`, and what is too long is cut. A code that is a
    sku already always keeps it. Where several codes would end in one sku, the others get a mark
    made from the code itself, so that two products never share one balance.

    Args:
        codes: The shop's codes, none empty; order and repetition do not matter.
    """
    distinct = sorted(set(codes))
    crowd = Counter(_spell(code) for code in distinct)
    alone = {code for code in distinct if crowd[_spell(code)] == 1 or _spell(code) == code}
    skus = {code: _spell(code) for code in alone}
    taken = set(skus.values())
    for code in distinct:
        if code not in skus:
            skus[code] = next(sku for sku in _marked(code) if sku not in taken)
            taken.add(skus[code])
    return skus


def _spell(code: str) -> str:
    sku = _FORBIDDEN.sub("_", code)[:SKU_MAX]
    # In a path, `.` and `..` are directions and not names.
    return sku.replace(".", "_") if sku in {".", ".."} else sku


def _marked(code: str) -> Iterable[str]:
    stem = _spell(code)[: SKU_MAX - _MARK_LENGTH - 1]
    for salt in count():
        mark = hashlib.sha256(f"{salt} {code}".encode()).hexdigest()[:_MARK_LENGTH]
        yield f"{stem}-{mark}"
