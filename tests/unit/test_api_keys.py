"""Who may do what."""

import pytest

from allocator.domain.api_keys import ROLES, Needed, Role, may
from allocator.http.reference.everything import OPERATIONS

BY_NAME = {one.name: one.role for one in OPERATIONS}


@pytest.mark.parametrize(
    ("needed", "who"),
    [
        ("none", {"client", "stock", "operator"}),
        ("any", {"client", "stock", "operator"}),
        ("client", {"client", "operator"}),
        ("stock", {"stock", "operator"}),
        ("operator", {"operator"}),
    ],
)
def test_a_role_may_do_its_own_and_an_operator_everything(needed: Needed, who: set[Role]) -> None:
    assert {role for role in ROLES if may(role, needed)} == who


def test_whatever_changes_something_needs_a_role_of_its_own() -> None:
    changing = {one.name: one.role for one in OPERATIONS if one.method != "GET"}

    assert set(changing.values()) <= set(ROLES)


def test_only_what_tells_nothing_about_the_business_is_open_to_everybody() -> None:
    assert {name for name, role in BY_NAME.items() if role == "none"} == {
        "get_health",
        "get_readiness",
        "get_openapi",
        "get_docs",
        "get_problem_type",
    }


def test_clients_order_and_stock_keepers_keep_stock() -> None:
    assert {name for name, role in BY_NAME.items() if role == "client"} == {
        "place_order",
        "place_orders",
        "cancel_order",
        "purchase_tickets",
        "open_cart",
        "put_cart_line",
        "close_cart",
        "check_out",
    }
    assert {name for name, role in BY_NAME.items() if role == "stock"} == {
        "dispatch_order",
        "receive_stock",
        "put_warehouse",
        "post_warehouse",
        "put_product",
        "post_product",
        "open_ticket_option",
        "put_location",
        "move_stock",
        "adjust_stock",
        "set_state",
        "tell_events",
        "tell_snapshot",
    }
