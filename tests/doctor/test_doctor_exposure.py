"""The examination of what others can reach: the public address, Prefect's server, telemetry."""

from __future__ import annotations

import pytest

from tests.doctor.scene import Shop, grades, said


@pytest.mark.parametrize(
    ("address", "grade"),
    [
        ("https://treue.shop.de", "well"),
        ("http://treue.shop.de", "wrong"),
        ("http://10.0.0.7:8420", "wrong"),
        ("treue.shop.de", "wrong"),
        ("ftp://treue.shop.de", "wrong"),
        ("https://[bad", "wrong"),
        ("http://localhost:8420", "warning"),
        ("http://127.0.0.1:8420", "warning"),
        ("http://[::1]:8420", "warning"),
    ],
)
def test_links_lead_to_https_unless_nothing_is_sent(shop: Shop, address: str, grade: str) -> None:
    shop.environment = {"TREUE_URL": address}
    assert grades(shop.found("public address")) == [grade]


def test_localhost_is_well_where_nothing_leaves_this_machine(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMTP_URL")
    assert grades(shop.found("public address")) == ["well"]


@pytest.mark.parametrize(
    ("environment", "grade"),
    [
        ({}, "well"),
        ({"PREFECT_API_URL": "http://127.0.0.1:4200/api"}, "well"),
        ({"PREFECT_API_URL": "http://localhost:4200/api"}, "well"),
        (
            {"PREFECT_API_URL": "http://10.0.0.7:4200/api", "TREUE_PREFECT": "http://10.0.0.7:4200/api"},
            "well",
        ),
        ({"PREFECT_API_URL": "https://prefect.shop.de/api", "PREFECT_API_AUTH_STRING": "a:b"}, "well"),
        ({"PREFECT_API_URL": "https://prefect.shop.de/api", "PREFECT_API_KEY": "k"}, "well"),
        ({"PREFECT_API_URL": "http://prefect:4200/api", "PREFECT_API_AUTH_STRING": "a:b"}, "warning"),
        ({"PREFECT_API_URL": "https://prefect.shop.de/api"}, "wrong"),
        ({"PREFECT_API_URL": "http://0.0.0.0:4200/api"}, "wrong"),
        ({"PREFECT_API_URL": "http://localhost.evil.example/api"}, "wrong"),
        ({"PREFECT_API_URL": "prefect"}, "wrong"),
    ],
)
def test_a_prefect_server_beyond_this_machine_needs_an_auth_string(
    shop: Shop, environment: dict[str, str], grade: str
) -> None:
    shop.environment = environment
    assert grades(shop.found("Prefect")) == [grade]


def test_an_open_prefect_server_is_told_with_the_advisories_and_the_remedy(shop: Shop) -> None:
    shop.environment = {"PREFECT_API_URL": "http://prefect:4200/api"}
    told = said(shop.found("Prefect"))
    assert "CVE-2026-7723" in told
    assert "PREFECT_SERVER_API_AUTH_STRING" in told


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, []),
        ({"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}, []),
        ({"DO_NOT_TRACK": "0"}, ["DO_NOT_TRACK"]),
        ({"PREFECT_SERVER_ANALYTICS_ENABLED": "True"}, ["PREFECT_SERVER_ANALYTICS_ENABLED"]),
        (
            {"DO_NOT_TRACK": "", "PREFECT_SERVER_ANALYTICS_ENABLED": "1"},
            ["DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED"],
        ),
    ],
)
def test_telemetry_that_somebody_has_switched_on_is_a_warning(
    shop: Shop, environment: dict[str, str], named: list[str]
) -> None:
    shop.environment = environment
    found = shop.found("telemetry")
    assert grades(found) == (["warning"] * len(named) or ["well"])
    assert [name for name in named if name not in said(found)] == []
