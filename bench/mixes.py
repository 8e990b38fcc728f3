"""What those who make a load ask for, as the bytes that go over the wire."""

import enum
import itertools
import random
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from bench.bearing import HEADERS
from bench.messages import HOT_PRODUCT, WAREHOUSE, place_names, product_name

PRODUCTS = 1000
HOT_PRODUCTS = 10
LINES = 3
"""Of an order of several lines, each of another product."""
PURCHASE = b'{"user_id":"406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c","quantity":1}'
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Mix(enum.Enum):
    """Which product each order is for, and whether it carries a key, of its own or of the API.

    Two mixes are no orders: moves of one unit between any two of many locations, and between two.
    Two are orders of several lines, of many products and of a few.
    """

    HOT = "hot"
    SPREAD = "spread"
    KEYED = "keyed"
    TICKETS = "tickets"
    BEARING = "bearing"
    MOVES = "moves"
    HOT_MOVES = "hot_moves"
    LINES = "lines"
    HOT_LINES = "hot_lines"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries beside its own."""
        return HEADERS if self is Mix.BEARING else {}

    @property
    def products(self) -> list[str]:
        """Every product that this mix may ask for."""
        if self in {Mix.SPREAD, Mix.LINES}:
            return [product_name(number) for number in range(PRODUCTS)]
        if self is Mix.HOT_LINES:
            return [product_name(number) for number in range(HOT_PRODUCTS)]
        return [HOT_PRODUCT]


def order_body(product: str, *, key: str | None = None) -> bytes:
    """Return the JSON of an order for one unit; a key only for a line of a batch."""
    named = "" if key is None else f'"key":"{key}",'
    return f'{{{named}"product":"{product}","warehouse":"{WAREHOUSE}","quantity":1}}'.encode()


def request_bytes(
    path: str,
    body: bytes,
    *,
    method: str = "POST",
    key: str | None = None,
    headers: Mapping[str, str] = NOTHING,
) -> bytes:
    """Return a whole HTTP/1.1 request on a connection that stays open."""
    head = (
        f"{method} {path} HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    for name, value in headers.items():
        head += f"{name}: {value}\r\n"
    if key is not None:
        head += f"Idempotency-Key: {key}\r\n"
    return head.encode() + b"\r\n" + body


def order_requests(  # noqa: PLR0911 (one a mix)
    mix: Mix, *, seed: int, option: str = ""
) -> Iterator[bytes]:
    """Yield requests without end; equal seeds give equal products and equal keys."""
    match mix:
        case Mix.HOT | Mix.BEARING:
            return itertools.repeat(_order_request(mix.products[0], headers=mix.headers))
        case Mix.SPREAD:
            prepared = [_order_request(product) for product in mix.products]
            dice = random.Random(seed)
            return (dice.choice(prepared) for _ in itertools.count())
        case Mix.KEYED:
            body = order_body(HOT_PRODUCT)
            return (
                request_bytes("/orders", body, key=f"{seed}-{number}")
                for number in itertools.count()
            )
        case Mix.TICKETS:
            return itertools.repeat(request_bytes(f"/ticket_options/{option}/purchases", PURCHASE))
        case Mix.MOVES:
            dice = random.Random(seed)
            sources, destinations = place_names("from"), place_names("to")
            return (
                _move_request(dice.choice(sources), dice.choice(destinations))
                for _ in itertools.count()
            )
        case Mix.HOT_MOVES:
            return itertools.repeat(_move_request(place_names("from")[0], place_names("to")[0]))
        case Mix.LINES | Mix.HOT_LINES:
            dice = random.Random(seed)
            return (_lines_request(dice.sample(mix.products, LINES)) for _ in itertools.count())


def _order_request(product: str, *, headers: Mapping[str, str] = NOTHING) -> bytes:
    return request_bytes("/orders", order_body(product), headers=headers)


def _lines_request(products: list[str]) -> bytes:
    lines = ",".join(order_body(product).decode() for product in products)
    return request_bytes("/orders", f'{{"lines":[{lines}]}}'.encode())


def _move_request(source: str, destination: str) -> bytes:
    ends = f'"from":"{source}","to":"{destination}"'
    body = f'{{"product":"{HOT_PRODUCT}",{ends},"quantity":1}}'
    return request_bytes("/moves", body.encode())
