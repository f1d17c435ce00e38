"""Dovecot on loopback, over a Maildir of the test's own: what providers run, with TLS and a login."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD = "bounces@klangladen.example", "secret/?pass@word"


@dataclass(frozen=True)
class Server:
    """A running server: its ports, what trusts it, and the Maildir behind INBOX."""

    imaps: int
    imap: int
    context: ssl.SSLContext
    maildir: Path


def dovecot() -> str | None:
    """Return where Dovecot is, or None."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def serving(folder: Path, files: tuple[Path, Path]) -> Iterator[Server]:
    """Run Dovecot until the test is done."""
    maildir = folder / "Maildir"
    for place in ("cur", "new", "tmp"):
        (maildir / place).mkdir(parents=True)
    secure, clear = _free(), _free()
    config = folder / "dovecot.conf"
    config.write_text(_config(folder, files, secure, clear), encoding="utf-8")
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody", str(maildir)], check=True)
        _reachable(folder)
    process = subprocess.Popen([dovecot() or "", "-F", "-c", str(config)], stderr=subprocess.PIPE)
    try:
        _wait(secure, process, folder / "log")
        context = ssl.create_default_context(cafile=str(files[0]))
        yield Server(secure, clear, context, maildir)
    finally:
        process.terminate()
        process.wait(10)


def _reachable(folder: Path) -> None:
    """Let others than the owner pass the folders above; pytest makes them private."""
    for one in (folder, *folder.parents):
        if one.stat().st_uid == 0 and not one.stat().st_mode & 0o001:
            one.chmod(one.stat().st_mode | 0o011)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"dovecot did not start: {log.read_text() if log.exists() else ''}")


def _config(folder: Path, files: tuple[Path, Path], secure: int, clear: int) -> str:
    root = os.geteuid() == 0
    me = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.getgrgid(os.getegid()).gr_name
    users = f"default_login_user = {me}\ndefault_internal_user = {me}\ndefault_internal_group = {group}\n"
    own = "" if root else users
    uid, gid = ("nobody", "nogroup") if root else (str(os.geteuid()), str(os.getegid()))
    return f"""\
{own}base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
auth_failure_delay = 0 secs
ssl_cert = <{files[0]}
ssl_key = <{files[1]}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{folder}/Maildir
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {clear}
  }}
  inet_listener imaps {{
    port = {secure}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
