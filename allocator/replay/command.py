"""The replay command: file in, report out, exit code.

Every run has a warehouse of its own. A second run on the same database therefore starts from
nothing, as the sequential calculation does, and ends in the same numbers; in a warehouse with a
past, orders that were refused then might be accepted now, and the comparison would accuse a
server that is right.
"""

import asyncio
import hashlib
import secrets
import time
from pathlib import Path

import msgspec
from rich.console import Console

from allocator.client.calling import base_of, require_key, session
from allocator.client.patience import ATTEMPT_S, PATIENCE_S, PatientClient
from allocator.errors import AllocatorError, UsageError
from allocator.replay.drive import Drive
from allocator.replay.history import HistoryError, read_history
from allocator.replay.ledger import differences
from allocator.replay.plan import Plan, plan_replay
from allocator.replay.progress import Progress, progress_on
from allocator.replay.report import Report, Times, render
from allocator.replay.shop import Shop

IDENTICAL = 0
DIFFERENT = 1
IMPOSSIBLE = 2
"""Exit codes. With the last, nothing was compared."""


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one invocation is about."""

    file: Path
    digest: str
    plan: Plan
    url: str
    key: str | None
    warehouse: str
    clients: int
    patience_s: float


def run_replay(  # noqa: PLR0913 (one argument a flag)
    *,
    file: Path,
    url: str,
    clients: int,
    console: Console,
    patience_s: float = PATIENCE_S,
    key: str | None = None,
) -> int:
    """Send a shop's order history through a running server and compare what comes of it.

    Args:
        file: The history, a CSV file. It is read and checked whole before anything is sent.
        url: The server, `http://HOST:PORT` or `https://…`.
        clients: How many connections send at the same time.
        console: Where progress, report and errors go.
        patience_s: How long a request is repeated while the server does not answer.
        key: The API key to send; None where none is needed.

    Returns:
        0 if every answer and balance is the one of a sequential calculation, 1 if any is not,
        2 if nothing could be compared: the file, the address or the number of clients is wrong
        (then nothing was sent), or the server stayed away or broke its contract.
    """
    try:
        run = _prepare(file=file, url=url, clients=clients, patience_s=patience_s, key=key)
        with progress_on(console) as progress:
            report = asyncio.run(_replay(run, progress))
    except AllocatorError as error:
        _print(console, str(error))
        return IMPOSSIBLE
    for line in render(report):
        _print(console, line)
    return IDENTICAL if report.identical else DIFFERENT


def _prepare(*, file: Path, url: str, clients: int, patience_s: float, key: str | None) -> _Run:
    if clients < 1:
        raise UsageError(f"{clients} clients cannot send anything; it takes at least 1")
    require_key(key)
    content = _content_of(file)
    try:
        plan = plan_replay(read_history(content))
    except HistoryError as error:
        raise UsageError(f"{file}: {error}") from error
    return _Run(
        file=file,
        digest=hashlib.sha256(content).hexdigest(),
        plan=plan,
        url=base_of(url),
        key=key,
        warehouse=f"online-{secrets.token_hex(4)}",
        clients=clients,
        patience_s=patience_s,
    )


def _content_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


async def _replay(run: _Run, progress: Progress) -> Report:
    async with session(clients=run.clients, key=run.key, attempt_s=ATTEMPT_S) as connections:
        client = PatientClient(
            connections, url=run.url, patience_s=run.patience_s, on_trouble=progress.trouble
        )
        shop = Shop(client, warehouse=run.warehouse, digest=run.digest)
        drive = Drive(run.plan, shop=shop, clients=run.clients, progress=progress)
        await shop.open_warehouse(name=f"Replay {run.digest[:12]}")
        started = time.perf_counter()
        await drive.open()
        opened = time.perf_counter()
        tally = await drive.send()
        sent = time.perf_counter()
        balances = await drive.balances()
        read = time.perf_counter()
    return Report(
        history=f"{run.file.name} ({run.digest[:12]})",
        warehouse=run.warehouse,
        clients=run.clients,
        plan=run.plan,
        tally=tally,
        differences=differences({lane.sku: lane.balance for lane in run.plan.lanes}, balances),
        answered=client.answered,
        repeated=client.repeated,
        times=Times(opening_s=opened - started, sending_s=sent - opened, reading_s=read - sent),
    )


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
