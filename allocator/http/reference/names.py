"""The operations under /warehouses and /products."""

from http import HTTPStatus
from typing import Final

from allocator.domain.catalogue import Product, Warehouse
from allocator.http.reference.examples import MAIN, NORTH, POT, PRODUCTS, TEA, WAREHOUSES
from allocator.http.reference.operation import (
    DECODING,
    PAGE,
    READING,
    Answer,
    Body,
    Operation,
)
from allocator.http.shapes import (
    Listing,
    PostProduct,
    PostWarehouse,
    PriceBody,
    PutName,
    PutProduct,
)

_CREATED: Final = HTTPStatus.CREATED
_OK: Final = HTTPStatus.OK

_WAREHOUSE_OPERATIONS: Final = (
    Operation(
        method="PUT",
        path="/warehouses/{code}",
        name="put_warehouse",
        tag="Catalogue",
        role="stock",
        summary="Create a warehouse, or rename it",
        meaning="Safe to repeat without a key. The code is fixed for ever; the name may change. "
        "409 if a location has the code.",
        body=Body(shape=PutName, example=PutName(name=MAIN.name)),
        answers=(
            Answer(status=_CREATED, meaning="It was created", shape=Warehouse, example=MAIN),
            Answer(status=_OK, meaning="It existed, and has this name now", shape=Warehouse),
        ),
        problems=("conflict", *DECODING, *READING),
    ),
    Operation(
        method="POST",
        path="/warehouses",
        name="post_warehouse",
        tag="Catalogue",
        role="stock",
        summary="Create a warehouse",
        meaning="For clients that must not overwrite: 409 if the code exists with another name, "
        "200 if it exists with the same.",
        body=Body(shape=PostWarehouse, example=PostWarehouse(code=NORTH.code, name=NORTH.name)),
        answers=(
            Answer(
                status=_CREATED,
                meaning="It was created",
                shape=Warehouse,
                example=NORTH,
                headers=("Location",),
            ),
            Answer(
                status=_OK,
                meaning="It existed with the same contents",
                shape=Warehouse,
                headers=("Location",),
            ),
        ),
        problems=("conflict", *DECODING, *READING),
    ),
    Operation(
        method="GET",
        path="/warehouses",
        name="list_warehouses",
        tag="Catalogue",
        role="any",
        summary="List warehouses",
        meaning="By code, without their locations; never stale.",
        query=PAGE,
        answers=(
            Answer(
                status=_OK,
                meaning="A page of warehouses",
                shape=Listing[Warehouse],
                example=WAREHOUSES,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
    Operation(
        method="GET",
        path="/warehouses/{code}",
        name="get_warehouse",
        tag="Catalogue",
        role="any",
        summary="Read a warehouse",
        meaning="Never stale.",
        answers=(Answer(status=_OK, meaning="The warehouse", shape=Warehouse, example=MAIN),),
        problems=("not-found", "invalid-request", *READING),
    ),
)

_PRODUCT_OPERATIONS: Final = (
    Operation(
        method="PUT",
        path="/products/{sku}",
        name="put_product",
        tag="Catalogue",
        role="stock",
        summary="Create a product, or change it",
        meaning="Safe to repeat without a key. Replaces name and price, so that a price that is "
        "left out is removed. The sku is fixed for ever.",
        body=Body(
            shape=PutProduct,
            example=PutProduct(name=TEA.name, price=PriceBody(amount=250, currency="EUR")),
        ),
        answers=(
            Answer(status=_CREATED, meaning="It was created", shape=Product, example=TEA),
            Answer(status=_OK, meaning="It existed, and is like this now", shape=Product),
        ),
        problems=(*DECODING, *READING),
    ),
    Operation(
        method="POST",
        path="/products",
        name="post_product",
        tag="Catalogue",
        role="stock",
        summary="Create a product",
        meaning="For clients that must not overwrite: 409 if the sku exists with other contents, "
        "200 if it exists with the same.",
        body=Body(shape=PostProduct, example=PostProduct(sku=POT.sku, name=POT.name)),
        answers=(
            Answer(
                status=_CREATED,
                meaning="It was created",
                shape=Product,
                example=POT,
                headers=("Location",),
            ),
            Answer(
                status=_OK,
                meaning="It existed with the same contents",
                shape=Product,
                headers=("Location",),
            ),
        ),
        problems=("conflict", *DECODING, *READING),
    ),
    Operation(
        method="GET",
        path="/products",
        name="list_products",
        tag="Catalogue",
        role="any",
        summary="List products",
        meaning="By sku; never stale.",
        query=PAGE,
        answers=(
            Answer(
                status=_OK,
                meaning="A page of products",
                shape=Listing[Product],
                example=PRODUCTS,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
    Operation(
        method="GET",
        path="/products/{sku}",
        name="get_product",
        tag="Catalogue",
        role="any",
        summary="Read a product",
        meaning="Never stale.",
        answers=(Answer(status=_OK, meaning="The product", shape=Product, example=TEA),),
        problems=("not-found", "invalid-request", *READING),
    ),
)

NAME_OPERATIONS: Final = (*_WAREHOUSE_OPERATIONS, *_PRODUCT_OPERATIONS)
