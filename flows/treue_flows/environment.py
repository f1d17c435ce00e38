"""What Prefect reads from the environment. To be set before Prefect is imported; what a user has set stays."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from treue.workspace.files import read_or_make_secret

OURS = "TREUE_PREFECT"
"""Marks an API address in the environment as one that Treue put there itself."""

PORT = "TREUE_PREFECT_PORT"
"""The port of the Prefect server that Treue starts; 4200 where it is free, else any free one."""

AUTH = "PREFECT_SERVER_API_AUTH_STRING"
AUTH_FILE = "auth_string"

_SETTINGS = {
    # Nothing is told to anybody outside.
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_UI_API_URL": "/api",  # on whatever port
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "",  # pages of other sites; the UI is of the server's own
    # Measured: with these a server takes in two to three times as many task runs.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_LOGGING_SETTINGS_PATH": str(Path(__file__).with_name("logging.yml")),
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def users_server() -> str | None:
    """Return the address of the Prefect API that the user wants to be used, or None."""
    url = os.environ.get("PREFECT_API_URL")
    return None if not url or url == os.environ.get(OURS) else url


def prepare(state: Path) -> Path:
    """Set what the user has not set; return Prefect's home, in the workspace's state folder by default."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    home = Path(os.environ.setdefault("PREFECT_HOME", str(state / "prefect")))
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return home


def auth_file(home: Path) -> Path | None:
    """Return where the auth string lies that Treue makes for its server, or None where the user has set one."""
    return None if os.environ.get(AUTH) else home / AUTH_FILE


def auth_string(home: Path) -> str:
    """Return what the server that Treue starts asks for, as `user:password`."""
    path = auth_file(home)
    if path is None:
        return os.environ[AUTH]
    return read_or_make_secret(path, lambda: f"treue:{secrets.token_urlsafe(32)}\n".encode()).decode().strip()


def point_to(url: str, home: Path) -> None:
    """Make Prefect talk to the server Treue has started."""
    os.environ["PREFECT_API_URL"] = os.environ[OURS] = url
    os.environ["PREFECT_API_AUTH_STRING"] = auth_string(home)


def for_the_server(home: Path) -> dict[str, str]:
    """Return the environment of the server's process: its logging is Prefect's own, its API is itself."""
    ours = ("PREFECT_API_URL", OURS, "PREFECT_LOGGING_SETTINGS_PATH", "PREFECT_LOGGING_CONFIG_PATH")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {AUTH: auth_string(home)}
