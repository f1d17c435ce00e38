"""`python -m treue_channels.inbox --box FILE [--port N]`: the inbox's SMTP server, until its input closes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="treue_channels.inbox", description=__doc__)
    parser.add_argument("--box", type=Path, required=True, help="the SQLite file to keep mails in")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--parent", type=int, help="end when this is no longer the parent process")
    options = parser.parse_args()
    from treue_channels.inbox.server import run

    return run(options.box, options.port, options.parent)


if __name__ == "__main__":
    sys.exit(main())
