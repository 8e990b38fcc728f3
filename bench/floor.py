"""The floor: what aiohttp itself costs.

Question: how many requests a second can a bare aiohttp handler on uvloop take, which decodes
    an order, and answers 201 with the same JSON?
Load shape: `POST /orders` on kept-alive connections, one request in flight on each.
Expected: 25,000 to 40,000 a second on a core of its own. Every other figure is a share of this.
Non-goals: it stores nothing, checks nothing and is of no use to anybody. It leaves out what an
    application may leave out (access log, middleware), and nothing that HTTP needs.
"""

import argparse
import asyncio
import gc
import signal
from http import HTTPStatus

import msgspec
import uvloop
from aiohttp import web

from bench.messages import OrderRequest

_JSON = {"Content-Type": "application/json"}
_decode_order = msgspec.json.Decoder(OrderRequest).decode
_encode = msgspec.json.Encoder().encode


async def post_order(request: web.Request) -> web.Response:
    """Answer with what was asked."""
    order = _decode_order(await request.read())
    return web.Response(body=_encode(order), status=HTTPStatus.CREATED, headers=_JSON)


async def get_ready(_request: web.Request) -> web.Response:
    """Say that requests are taken."""
    return web.Response()


async def serve(app: web.Application, *, port: int) -> None:
    """Serve an application on the loopback address until SIGTERM or SIGINT."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    gc.freeze()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def floor_app() -> web.Application:
    """Return the application."""
    app = web.Application()
    app.router.add_post("/orders", post_order)
    app.router.add_get("/readyz", get_ready)
    return app


def main() -> None:
    """Serve on the port named by `--port`."""
    arguments = argparse.ArgumentParser(description="bare aiohttp, echoing orders")
    arguments.add_argument("--port", type=int, required=True)
    uvloop.run(serve(floor_app(), port=arguments.parse_args().port))


if __name__ == "__main__":
    main()
