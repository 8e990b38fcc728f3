"""The provider that is asked by HTTP: one POST for a charge, its status the verdict."""

import ssl
from typing import Final

import msgspec
from yarl import URL

from allocator.domain.checkouts import Charge
from allocator.domain.money import charge_amount
from allocator.payments.answers import Answer
from allocator.payments.exchange import Door, NotSentError, UnansweredError, exchange
from allocator.payments.provider import Verdict

REFERENCE_MAX: Final = 255
"""A longer reference is none: half of it would be somebody else's."""

_PAID: Final = range(200, 300)
_FAILED: Final = range(400, 500)

_encode: Final = msgspec.json.Encoder().encode


class _Wanted(msgspec.Struct, frozen=True):
    """The body of the request: row O11 of what was asked for."""

    amount: float
    client_id: int


class HttpProvider:
    """Asks a provider by `POST {"amount", "client_id"}`, once for a charge.

    2xx is paid and 4xx is failed. Anything else is unknown, as is no answer: redirects are not
    followed, and nothing is ever sent a second time.

    **Where no connection could be opened, the charge has failed.** No byte of the request was
    written, so nobody can have heard it, and another attempt can charge nobody twice. To call it
    unknown would be as safe for the money, but would hold the goods of every checkout during an
    outage until a person has looked at each. From the first byte on it is unknown, even if the
    connection breaks at once.

    Args:
        url: Of the provider, http or https; see `Config.payment_url`. For https the system says
            who is to be trusted.
        agent: Who we say that we are.
        tls: Says who is to be trusted instead.
    """

    def __init__(self, url: str, *, agent: str, tls: ssl.SSLContext | None = None) -> None:
        parts = URL(url)
        assert parts.raw_host is not None, "checked by Config"
        assert parts.port is not None, "checked by Config"
        if parts.scheme == "https" and tls is None:
            tls = ssl.create_default_context()
        self._door = Door(
            host=parts.raw_host, port=parts.port, tls=tls if parts.scheme == "https" else None
        )
        self._head = (
            f"POST {parts.raw_path_qs} HTTP/1.1\r\n"
            f"Host: {parts.host_port_subcomponent}\r\n"
            f"User-Agent: {agent}\r\n"
            "Accept: application/json\r\n"
            "Accept-Encoding: identity\r\n"
            "Connection: close\r\n"
            "Content-Type: application/json\r\n"
            "Content-Length: "
        ).encode("ascii")

    async def charge(self, charge: Charge, *, within_s: float) -> Verdict:
        """Ask for a charge, once; see `PaymentProvider`."""
        try:
            answer = await exchange(self._request(charge), door=self._door, within_s=within_s)
        except NotSentError as error:
            return Verdict(outcome="failed", detail=f"nothing was sent: {error}")
        except UnansweredError as error:
            return Verdict(outcome="unknown", detail=str(error))
        return judge(answer)

    def _request(self, charge: Charge) -> bytes:
        amount = charge_amount(charge.amount, charge.currency)
        body = _encode(_Wanted(amount, charge.client_id))
        return b"%b%d\r\n\r\n%b" % (self._head, len(body), body)


def judge(answer: Answer) -> Verdict:
    """Say what an answer means."""
    detail, reference = f"answered {answer.status}", reference_in(answer.body)
    if answer.status in _PAID:
        return Verdict(outcome="paid", detail=detail, reference=reference)
    if answer.status in _FAILED:
        return Verdict(outcome="failed", detail=detail, reference=reference)
    return Verdict(outcome="unknown", detail=detail, reference=reference)


def reference_in(body: bytes | None) -> str | None:
    """Return the `id` of a JSON object, else its `reference`, if there is one that can be kept."""
    try:
        told: object = msgspec.json.decode(body or b"")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    for name in ("id", "reference"):
        value = told.get(name)
        if type(value) is int:
            value = str(value)
        if isinstance(value, str) and 0 < len(value) <= REFERENCE_MAX and value.isprintable():
            return value
    return None
