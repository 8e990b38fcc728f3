"""A flash sale that ends with a proof.

Question: when hundreds of impatient customers want three times what there is, is exactly the
    stock sold, each order once, and first come, first served?
Load shape: 10,000 units of one product, 300 customers with wishes of one to three units. Half
    of the attempts go wrong: customers give up after some milliseconds, lose the connection in
    the middle of the request, hang up, click twice or ask again, always with the same
    Idempotency-Key. A few walk away and never learn what came of it.
Expected: every claim holds, always; the whole takes some 20 seconds.
Non-goals: speed. The customers share the cores with the server and wait for nothing politely.

Run `python -m bench.flash_sale`; with `--url` against a server that is already there. Exits
with 1 when a claim does not hold.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from http.client import HTTP_PORT
from urllib.parse import SplitResult

from rich.console import Console

from bench.arguments import at_least_one, http_address
from bench.contenders import serve_arguments
from bench.databases import scratch_directory
from bench.errors import BenchError
from bench.processes import free_port, serving, unwind_on_sigterm
from bench.sale import DEMAND, Sale, SaleError, hold_sale, report_claims
from bench.targets import Figure
from bench.turns import Bench

_WITHIN_S = 180


def prove_flash_sale(bench: Bench) -> list[Figure]:
    """Hold a sale as a part of a run; it has no figure, only claims.

    Raises:
        SaleError: one of them does not hold.
    """
    console = Console(stderr=True, soft_wrap=True)
    sale = Sale(
        units=bench.size.sale_units,
        clients=bench.size.sale_clients,
        seed=bench.seed,
        within_s=_WITHIN_S,
    )
    port = free_port()
    log = bench.directory / "flash_sale.log"
    with (
        bench.databases.fresh("bench_flash_sale") as url,
        serving(serve_arguments(port, url), port=port, log=log),
    ):
        evidence = hold_sale(sale, host="127.0.0.1", port=port, console=console)
    if not report_claims(evidence, console=console):
        raise SaleError("the flash sale was not fair")
    return []


@contextlib.contextmanager
def _server(url: SplitResult | None) -> Iterator[tuple[str, int]]:
    """Yield the host and port of the server at `url`, or of one with a PostgreSQL of its own."""
    if url is not None:
        assert url.hostname is not None
        yield url.hostname, url.port or HTTP_PORT
        return
    port = free_port()
    with scratch_directory() as scratch:
        arguments = ["allocator", "serve", "--port", str(port), "--data-dir", str(scratch / "data")]
        with serving(arguments, port=port, log=scratch / "server.log"):
            yield "127.0.0.1", port


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="hold a flash sale and prove that it was fair")
    parser.add_argument(
        "--url", type=http_address, help="of a running server, http://127.0.0.1:8080"
    )
    parser.add_argument("--units", type=at_least_one, default=10_000)
    parser.add_argument("--clients", type=at_least_one, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--within-s", type=at_least_one, default=_WITHIN_S, help="give up after so long"
    )
    return parser.parse_args()


def main() -> None:
    """Hold a sale; exit with 1 when a claim about it does not hold."""
    chosen = _arguments()
    unwind_on_sigterm()
    sale = Sale(
        units=chosen.units, clients=chosen.clients, seed=chosen.seed, within_s=chosen.within_s
    )
    console = Console(soft_wrap=True)
    console.print(f"{sale.units} units, {sale.clients} customers who want {DEMAND} times as many")
    try:
        with _server(chosen.url) as (host, port):
            evidence = hold_sale(sale, host=host, port=port, console=console)
    except BenchError as error:
        sys.exit(f"flash sale: {error}")
    sys.exit(0 if report_claims(evidence, console=console) else 1)


if __name__ == "__main__":
    main()
