"""Where requests come in: a listening socket, what speaks on its connections, what answers them."""

import asyncio
import resource
import socket
import ssl
from ipaddress import ip_address
from typing import Final

import msgspec
import structlog
from aiohttp import web

from allocator.config import Config
from allocator.http.connections import Patience, Reception
from allocator.http.statistics import ConnectionStatistics
from allocator.http.tls import tls_context

log = structlog.get_logger()

_OTHER_FILES: Final = 512
"""Of a worker: its database, its peers, its logs."""


class Entrance(msgspec.Struct, frozen=True, kw_only=True):
    """What lets requests in to one worker.

    Attributes:
        tls: What encrypts the connections; None if nothing does.
    """

    listening: asyncio.Server
    reception: Reception
    runner: web.AppRunner
    tls: ssl.SSLContext | None

    def shut(self) -> None:
        """Take no more connections; those that there are go on."""
        self.listening.close()

    async def hush(self) -> None:
        """Take no more requests either; those that have come are answered."""
        await asyncio.sleep(0)  # what has come may not have been looked at
        if self.runner.server is not None:
            self.runner.server.pre_shutdown()

    async def empty(self) -> None:
        """Wait for the requests under way, within the time that they have, and close everything."""
        await self.runner.cleanup()


async def open_entrance(
    config: Config,
    app: web.Application,
    listener: socket.socket,
    *,
    backlog: int,
    statistics: ConnectionStatistics,
) -> Entrance:
    """Answer requests from now on.

    Raises:
        UsageError: The certificate is no good.
    """
    tls = tls_of(config)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=config.drain_ms / 1000)
    await runner.setup()
    assert runner.server is not None, "it was just set up"
    reception = Reception(runner.server, _patience_of(config), statistics=statistics)
    _allow_files(config.connections_max + _OTHER_FILES)
    listening = await asyncio.get_running_loop().create_server(
        reception,
        sock=listener,
        backlog=backlog,
        ssl=tls,
        ssl_handshake_timeout=None if tls is None else config.head_timeout_ms / 1000,
    )
    return Entrance(listening=listening, reception=reception, runner=runner, tls=tls)


def _allow_files(count: int) -> None:
    """Have the system allow so many open files, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < count:
        log.warning("server.few_files", allowed=wanted, wanted=count)


def tls_of(config: Config) -> ssl.SSLContext | None:
    """Return what encrypts connections, or None if that is not wanted.

    Raises:
        UsageError: The certificate is no good.
    """
    if config.tls_cert is None or config.tls_key is None:
        return None
    return tls_context(config.tls_cert, config.tls_key)


def url_of(config: Config, listener: socket.socket) -> str:
    """Return where a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if config.tls_cert is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Return whether only this machine can reach a listening socket."""
    return ip_address(listener.getsockname()[0]).is_loopback


def _patience_of(config: Config) -> Patience:
    return Patience(
        connections_max=config.connections_max,
        line_max_bytes=config.line_max_bytes,
        header_max_bytes=config.header_max_bytes,
        headers_max=config.headers_max,
        head_s=config.head_timeout_ms / 1000,
        stall_s=config.stall_timeout_ms / 1000,
        keep_alive_s=config.keep_alive_ms / 1000,
    )
