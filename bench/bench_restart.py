"""How long orders stop when everything is killed.

Question: how many seconds pass from `kill -9` of the server and of its PostgreSQL to the next
    durable order, when both start again at once?
Load shape: a server with its own embedded PostgreSQL takes orders in batches, then server and
    postmaster are killed while more are coming in. One client asks until it gets its 201.
Expected: 2 seconds, of which PostgreSQL's crash recovery is the lesser part.
Non-goals: a power cut: what the kernel holds is not lost here. The tests prove that nothing
    acknowledged is lost; this only takes the time.
"""

import os
import signal
import subprocess
import threading
import time
from http import HTTPStatus
from pathlib import Path

from bench.api import Api, ApiError
from bench.contenders import stock_products
from bench.databases import scratch_directory
from bench.load import LoadError
from bench.messages import HOT_PRODUCT, WAREHOUSE
from bench.mixes import Mix
from bench.ndjson import Batch, batch_load
from bench.processes import ServerError, free_port, serving, start, stop
from bench.targets import RESTART_S, Figure
from bench.turns import Bench

_RETURN_WITHIN_S = 120.0
_BATCH_WITHIN_S = 120.0
_POLL_S = 0.005
_ORDER = {"product": HOT_PRODUCT, "warehouse": WAREHOUSE}


def restart_figure(bench: Bench) -> Figure:
    """Kill a loaded server with its database, start it again, and place an order."""
    port = free_port()
    log = bench.directory / "restart.log"
    with scratch_directory() as scratch:
        data_dir = scratch / "data"
        arguments = [
            *("allocator", "serve", "--host", "127.0.0.1", "--port", str(port)),
            *("--data-dir", str(data_dir)),
        ]
        with serving(arguments, port=port, log=log) as server:
            orders = _load_and_kill(server, port=port, data_dir=data_dir, bench=bench)
        started = time.perf_counter()
        server = start(arguments, log=log)
        try:
            _order_until_created(server, port=port)
            elapsed_s = time.perf_counter() - started
        finally:
            stop(server)
    return Figure(name=RESTART_S, value=elapsed_s, details={"orders_before": orders})


def _load_and_kill(
    server: subprocess.Popen[bytes], *, port: int, data_dir: Path, bench: Bench
) -> int:
    """Return how many orders were acknowledged before a crowd was cut off by the kill."""
    with Api(port=port) as api:
        stock_products(api, Mix.HOT)
    orders_max = bench.size.fill_orders // 10
    load = batch_load(Batch(port=port, seconds=_BATCH_WITHIN_S, orders_max=orders_max))
    crowd = threading.Thread(target=_batch_into_the_void, args=(port,))
    crowd.start()
    time.sleep(bench.size.seconds)
    server.kill()
    os.kill(_postmaster(data_dir), signal.SIGKILL)
    server.wait()
    crowd.join()
    return load.created


def _batch_into_the_void(port: int) -> None:
    """Send batches until the server dies, which is not the load's failure here."""
    try:
        batch_load(Batch(port=port, seconds=_BATCH_WITHIN_S, orders_max=10_000_000))
    except LoadError as error:
        print(f"the crowd before the kill: {error}")


def _postmaster(data_dir: Path) -> int:
    """Return the process of the PostgreSQL in a directory of ours, which is running."""
    pid = int((data_dir / "cluster" / "postmaster.pid").read_text().splitlines()[0])
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    if name != "postgres":
        raise ServerError(f"process {pid} is {name}, not the PostgreSQL of {data_dir}")
    return pid


def _order_until_created(server: subprocess.Popen[bytes], *, port: int) -> None:
    deadline = time.monotonic() + _RETURN_WITHIN_S
    while not _order_is_created(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise ServerError("the server did not come back after the kill")
        time.sleep(_POLL_S)


def _order_is_created(port: int) -> bool:
    with Api(port=port) as api:
        try:
            status, _ = api.request("POST", "/orders", _ORDER)
        except ApiError:
            return False
        return status == HTTPStatus.CREATED
