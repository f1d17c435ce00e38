"""A workspace's templates from a few lines, and a customer to render them for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from treue.render.problem import RenderFailure
from treue.render.templates.names import NameSchema
from treue.render.templates.renderer import Rendered, Renderer

SCHEMA = NameSchema(
    attributes={"first_name": "text", "points_total": "number", "birthday": "date", "shop_url": "text"},
    events={"order.placed": {"total": "number", "currency": "text", "items": "list"}},
)

Make = Callable[..., Renderer]


def context(**more: Any) -> dict[str, Any]:
    """A customer from Graz with two orders, as the engine hands it over."""
    base: dict[str, Any] = {
        "customer": {
            "id": "c1", "email": "ada@example.com", "phone": None, "locale": "de-AT", "timezone": "Europe/Vienna",
            "first_name": "Ada", "points_total": 120, "birthday": "1990-05-17", "shop_url": "https://shop.example.com/ada",
        },
        "event": {"name": "order.placed", "at": datetime(2026, 3, 1, 23, 30, tzinfo=UTC), "total": 19.9, "currency": "EUR",
                  "items": [{"name": "Tee & Kekse", "price": 4.5, "url": "https://shop.example.com/1"},
                            {"name": "Kaffee", "price": 1234.5, "url": "https://shop.example.com/2"}]},
        "journey": {"name": "welcome"},
        "step": {"id": "steps.0"},
        "data": {},
        "now": datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        "links": {"unsubscribe": "https://u.example.com/u/abc", "preferences": "https://u.example.com/p/abc", "view": "https://u.example.com/m/abc"},
        "orders": [{"total": 30, "currency": "EUR"}, {"total": 20, "currency": "EUR"}],
        "sender": {"name": "Laden", "email": "hallo@laden.example.com", "postal_address": "Weg 1, 20095 Hamburg"},
        "workspace": {"name": "Laden", "email": "hallo@laden.example.com", "postal_address": "Weg 1, 20095 Hamburg"},
    }  # fmt: skip
    return base | more


def rendered(result: Rendered | RenderFailure) -> Rendered:
    """The result, which must be a message."""
    assert isinstance(result, Rendered), result
    return result


def failed(result: Rendered | RenderFailure) -> RenderFailure:
    """The result, which must be a failure."""
    assert isinstance(result, RenderFailure), result
    return result
