"""The workspace's Prefect server: one process, shared by everything that runs flows on this machine.

Prefect's own ephemeral server has no UI, takes a random port, and lives on when the one who started it is
killed. This one serves the UI, and ends with its last user, however that one ends: each user holds a shared
lock on a file, and the server ends itself as soon as nobody does.

It listens on this machine alone, and a browser on this machine opens other sites' pages: so it asks for an auth string,
answers no other host's name (which such a page could rebind to us), and allows no other origin.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from treue.errors import SettingsError, TreueError
from treue_flows import environment

STARTUP_SECONDS = 120.0
USUAL_PORT = 4200
HOSTS = ("127.0.0.1", "localhost")
_USERS, _START, _FILE, _LOG = "users.lock", "start.lock", "server.json", "server.log"


class ServerShare:
    """This process's share in the server of a Prefect home. `url` is its address, its UI's too."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = ""
        self._users: IO[str] = (home / _USERS).open("a")
        self._process: subprocess.Popen[bytes] | None = None
        fcntl.flock(self._users, fcntl.LOCK_SH)

    @property
    def api_url(self) -> str:
        """The address of the API."""
        return f"{self.url}/api"

    def start(self, starting: Callable[[], None], known: Callable[[str], None]) -> None:
        """Find the server that runs, or start one, and wait until it answers.

        `starting` is called where one has to be started, `known` with the API's address before it answers.
        Raises TreueError where it does not come up.
        """
        with _alone(self.home):
            self.url = running(self.home) or ""
            if self.url:
                known(self.api_url)
                return
            starting()
            self.url, self._process = _spawn(self.home)
            known(self.api_url)
            _wait(self.url, self._process, self.home)
            (self.home / _FILE).write_text(json.dumps({"url": self.url}), encoding="utf-8")

    def leave(self) -> None:
        """Give up the share; the last one waits for the server to end, if it has started it."""
        with _alone(self.home):
            self._users.close()
            with _unused(self.home) as unused:
                if self._process is not None and unused:
                    _end(self._process)
                    (self.home / _FILE).unlink(missing_ok=True)
        self._process = None


def running(home: Path) -> str | None:
    """Return the address of the server that runs on this Prefect home, or None."""
    try:
        url = str(json.loads((home / _FILE).read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if answers(f"{url}/api", 10.0) else None


def answers(api_url: str, seconds: float) -> bool:
    """Whether a Prefect API is there and no worse than wanting a log-in. `api_url` ends in /api."""
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=seconds) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refusal:
        return refusal.code < 500
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / _START).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _unused(home: Path) -> Iterator[bool]:
    """Yield whether nobody uses the server, and keep newcomers waiting until the block ends."""
    with (home / _USERS).open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _listen() -> socket.socket:
    wanted = os.environ.get(environment.PORT, "")
    if wanted and not (wanted.isdigit() and int(wanted) < 65536):
        raise SettingsError(f"{environment.PORT} is {wanted!r}; it has to be a port's number.")
    for port in [int(wanted)] if wanted else [USUAL_PORT, 0]:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError:
            listening.close()
            continue
        listening.listen(128)
        return listening
    raise SettingsError(f"Port {wanted} for Prefect's server is taken; set {environment.PORT} to another.")


def _spawn(home: Path) -> tuple[str, subprocess.Popen[bytes]]:
    # -P: a module in the working directory must not pass for one of the library's.
    with _listen() as listening, (home / _LOG).open("wb") as log:
        number = listening.fileno()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "treue_flows.server", str(home), str(number)],
            pass_fds=[number],
            env=environment.for_the_server(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the user, who still has something to report
        )
        return f"http://127.0.0.1:{listening.getsockname()[1]}", process


def _wait(url: str, process: subprocess.Popen[bytes], home: Path) -> None:
    until = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < until:
        if answers(f"{url}/api", 5.0):
            return
        if process.poll() is not None:
            raise TreueError(f"Prefect's server ended as it started; {home / _LOG} says why.")
        time.sleep(0.1)
    _end(process)
    raise TreueError(
        f"Prefect's server did not answer for {STARTUP_SECONDS:.0f} s; {home / _LOG} may say why."
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_with_last_user(home: Path, server: dict[str, Any]) -> None:
    while True:
        with _unused(home) as unused:
            if unused:
                if "uvicorn" in server:
                    server["uvicorn"].should_exit = True
                    time.sleep(15)  # the process ends meanwhile, and the lock with it
                os._exit(0)
        time.sleep(1)


def serve(home: Path, listening: int) -> None:
    """Serve Prefect's API and UI on a listening socket until nobody uses it. The server's own process does this."""
    server: dict[str, Any] = {}
    threading.Thread(target=_end_with_last_user, args=(home, server), daemon=True).start()
    os.environ["PREFECT__SERVER_FINAL"] = "1"
    os.environ.setdefault("PREFECT_SERVER_UI_STATIC_DIRECTORY", str(home / "ui"))
    import uvicorn
    from prefect.server.api.server import create_app
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = TrustedHostMiddleware(create_app(), HOSTS, www_redirect=False)
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=3)
    server["uvicorn"] = uvicorn.Server(config)
    server["uvicorn"].run(sockets=[socket.socket(fileno=listening)])


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
