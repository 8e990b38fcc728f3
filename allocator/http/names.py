"""Warehouses and products: what must exist before anything can be stored."""

from typing import Final

import msgspec
from aiohttp import web

from allocator.domain.catalogue import Location, Price, Product, Warehouse, is_code
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body
from allocator.http.doors import principal_of
from allocator.http.paging import limit_of, listing, name_cursor, no_query, query
from allocator.http.problems import ProblemError, bad_code, conflict, not_found
from allocator.http.shapes import PostProduct, PostWarehouse, PriceBody, PutName, PutProduct

_put_name: Final = msgspec.json.Decoder(PutName)
_put_product: Final = msgspec.json.Decoder(PutProduct)
_post_warehouse: Final = msgspec.json.Decoder(PostWarehouse)
_post_product: Final = msgspec.json.Decoder(PostProduct)


class NameHandlers:
    """The routes under /warehouses and /products."""

    def __init__(self, context: Context) -> None:
        self._catalogue = context.catalogue

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.post("/warehouses", self.post_warehouse),
            web.get("/warehouses", self.list_warehouses, allow_head=False),
            web.put("/warehouses/{code}", self.put_warehouse),
            web.get("/warehouses/{code}", self.get_warehouse, allow_head=False),
            web.post("/products", self.post_product),
            web.get("/products", self.list_products, allow_head=False),
            web.put("/products/{sku}", self.put_product),
            web.get("/products/{sku}", self.get_product, allow_head=False),
        ]

    async def put_warehouse(self, request: web.Request) -> JsonAnswer:
        """Create a warehouse, or rename it."""
        code = _code(request, "code")
        body = await decode_body(request, _put_name)
        warehouse = Warehouse(code=code, name=body.name)
        stored, created = await self._catalogue.put_warehouse(
            warehouse, principal=principal_of(request), overwrite=True
        )
        _refuse_location(stored)
        return json_answer(warehouse, status=201 if created else 200)

    async def post_warehouse(self, request: web.Request) -> JsonAnswer:
        """Create a warehouse; 409 if the code is taken by another."""
        body = await decode_body(request, _post_warehouse)
        warehouse = Warehouse(code=body.code, name=body.name)
        stored, created = await self._catalogue.put_warehouse(
            warehouse, principal=principal_of(request), overwrite=False
        )
        _refuse_location(stored)
        if stored != warehouse:
            raise ProblemError(conflict(f"warehouse {body.code} exists with other contents"))
        location = {"Location": f"/warehouses/{body.code}"}
        return json_answer(warehouse, status=201 if created else 200, headers=location)

    async def get_warehouse(self, request: web.Request) -> JsonAnswer:
        """Return a warehouse."""
        no_query(request)
        code = request.match_info["code"]
        warehouse = await self._catalogue.warehouse(code) if is_code(code) else None
        if warehouse is None:
            raise ProblemError(not_found(await self._no_warehouse(code)))
        return json_answer(warehouse)

    async def _no_warehouse(self, code: str) -> str:
        location = await self._catalogue.location(code) if is_code(code) else None
        if location is None:
            return "warehouse"
        return f"warehouse: it is a location, see /locations/{code}"

    async def list_warehouses(self, request: web.Request) -> JsonAnswer:
        """List warehouses by code."""
        found = query(request, "limit", "cursor")
        limit = limit_of(found)
        rows = await self._catalogue.warehouses(after=name_cursor(found), limit=limit)
        return json_answer(
            listing(rows, limit=limit, shape=lambda row: row, position=lambda row: row.code)
        )

    async def put_product(self, request: web.Request) -> JsonAnswer:
        """Create a product, or change its name and price."""
        sku = _code(request, "sku")
        body = await decode_body(request, _put_product)
        product = Product(sku=sku, name=body.name, price=_price(body.price))
        _, created = await self._catalogue.put_product(
            product, principal=principal_of(request), overwrite=True
        )
        return json_answer(product, status=201 if created else 200)

    async def post_product(self, request: web.Request) -> JsonAnswer:
        """Create a product; 409 if the sku is taken by another."""
        body = await decode_body(request, _post_product)
        product = Product(sku=body.sku, name=body.name, price=_price(body.price))
        stored, created = await self._catalogue.put_product(
            product, principal=principal_of(request), overwrite=False
        )
        if stored != product:
            raise ProblemError(conflict(f"product {body.sku} exists with other contents"))
        location = {"Location": f"/products/{body.sku}"}
        return json_answer(product, status=201 if created else 200, headers=location)

    async def get_product(self, request: web.Request) -> JsonAnswer:
        """Return a product."""
        no_query(request)
        sku = request.match_info["sku"]
        product = await self._catalogue.product(sku) if is_code(sku) else None
        if product is None:
            raise ProblemError(not_found("product"))
        return json_answer(product)

    async def list_products(self, request: web.Request) -> JsonAnswer:
        """List products by sku."""
        found = query(request, "limit", "cursor")
        limit = limit_of(found)
        rows = await self._catalogue.products(after=name_cursor(found), limit=limit)
        return json_answer(
            listing(rows, limit=limit, shape=lambda row: row, position=lambda row: row.sku)
        )


def _refuse_location(stored: Warehouse | Location) -> None:
    """Say so if a location has the code that a warehouse was to have."""
    if isinstance(stored, Location):
        raise ProblemError(conflict(f"{stored.code} is a location of {stored.warehouse}"))


def _code(request: web.Request, name: str) -> str:
    code = request.match_info[name]
    if not is_code(code):
        raise ProblemError(bad_code(name))
    return code


def _price(body: PriceBody | None) -> Price | None:
    return None if body is None else Price(amount=body.amount, currency=body.currency)
