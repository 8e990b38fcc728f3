"""Where webhooks may go. Whoever may set one up must not reach, through us, what only we can reach.

By default that is the public internet by https, and this very machine for what runs beside us.
Private networks, link-local addresses (where clouds hand out credentials) and plain http to others
are refused, unless the operator of the server says otherwise. A name is judged by the addresses
that it stands for at the moment in which we connect, not by those that it had before.
"""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

URL_MAX: Final = 2_000

_Address: TypeAlias = IPv4Address | IPv6Address
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+\Z|[0-9A-Fa-f:.]+\Z")
_NAT64: Final = IPv6Network("64:ff9b::/96")


class TargetError(ValueError):
    """An address to which no webhook may go; the message says why, and what would be right."""


def check_url(url: str, *, anywhere: bool) -> None:
    """Refuse what can never be the address of a webhook.

    Args:
        url: As it was given.
        anywhere: Whether private networks and http are allowed.

    Raises:
        TargetError: It can not.
    """
    host, scheme = _parts(url)
    address = _literal(host)
    if address is not None:
        check_address(address, host=host, anywhere=anywhere)
    if scheme == "http" and not anywhere and not _is_this_machine(host):
        raise TargetError("url must begin with https:// unless it leads to this machine")


def check_address(address: _Address, *, host: str, anywhere: bool) -> None:
    """Refuse to connect to an address that a host stands for.

    Raises:
        TargetError: No webhook may go there.
    """
    meant = _unwrapped(address)
    if meant.is_multicast or meant.is_unspecified:
        raise TargetError(f"url must lead to one machine, {_unlike(host, meant)}")
    if anywhere or (meant.is_loopback and _is_this_machine(host)):
        return
    if not meant.is_global:
        raise TargetError(
            f"url must lead to a public address, {_unlike(host, meant)}; "
            "a server that is started with --webhook-anywhere allows it"
        )


def _unlike(host: str, meant: _Address) -> str:
    return f"which {host} is not" if host == str(meant) else f"and {host} is {meant}"


def _parts(url: str) -> tuple[str, str]:
    if len(url) > URL_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise TargetError(f"url must be at most {URL_MAX} printable ASCII characters, no spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError("url must look like https://host/path") from error
    if "@" in parts.netloc:
        raise TargetError("url must have no user name or password: the signature says who we are")
    if parts.scheme not in {"http", "https"} or not host or not _HOST.match(host) or port == 0:
        raise TargetError("url must look like https://host/path")
    if "#" in url:
        raise TargetError("url must have no #fragment, which is never sent")
    return host, parts.scheme


def _literal(host: str) -> _Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_this_machine(host: str) -> bool:
    address = _literal(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _unwrapped(address: _Address) -> _Address:
    """Return the address of version 4 that one of version 6 leads to, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = None if address.teredo is None else address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or teredo or address
