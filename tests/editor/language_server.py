"""The YAML language server of editors, spoken to as an editor speaks to it: JSON-RPC over its standard streams."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).parents[2]
INSTALLED = REPOSITORY / ".venv" / "npm" / "node_modules" / ".bin" / "yaml-language-server"
QUIET = {"completion": True, "hover": True, "validate": True, "schemaStore": {"enable": False}}


def command() -> str | None:
    """Return the server's program: `.venv/npm` (as CI installs it), else the PATH's, else None."""
    return str(INSTALLED) if INSTALLED.exists() else shutil.which("yaml-language-server")


class LanguageServer:
    """One server over one workspace, as an editor has it open."""

    def __init__(self, program: str, root: Path) -> None:
        self.root, self._id = root, 0
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}
        self._process = subprocess.Popen(
            [program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> Self:
        capabilities = {
            "textDocument": {
                "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
                "hover": {"contentFormat": ["markdown"]},
            },
            "workspace": {"configuration": True},
        }
        self.ask(
            "initialize",
            {"processId": os.getpid(), "rootUri": self.root.as_uri(), "capabilities": capabilities},
        )
        self.tell("initialized", {})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def open(self, path: Path, text: str) -> str:
        """Open a file with this text; return its address."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._diagnostics.pop(path.as_uri(), None)
        self.tell("textDocument/didOpen", {"textDocument": document})
        return path.as_uri()

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """Return what the server finds wrong in an opened file."""
        while uri not in self._diagnostics:
            self._receive()
        return self._diagnostics[uri]

    def completions(self, uri: str, line: int, column: int) -> dict[str, str]:
        """Return what is offered at a place (from 0), with its text."""
        found = self.ask("textDocument/completion", _at(uri, line, column))
        items = found["items"] if isinstance(found, dict) else found
        return {item["label"]: _text(item.get("documentation")) for item in items}

    def hover(self, uri: str, line: int, column: int) -> str:
        """Return what is shown while the pointer rests on a place (from 0)."""
        found = self.ask("textDocument/hover", _at(uri, line, column))
        return _text(found["contents"]) if found else ""

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """Make a request and return its result."""
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})
        while True:
            answer = self._receive()
            if answer.get("id") == self._id and "method" not in answer:
                assert "error" not in answer, answer
                return answer["result"]

    def tell(self, method: str, params: dict[str, Any]) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while (line := self._process.stdout.readline().strip()) or not length:
            assert line or self._process.poll() is None, "the language server has ended"
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        self._answer(message)
        return message

    def _answer(self, message: dict[str, Any]) -> None:
        """Do what an editor does of itself: note the findings, answer the server's own questions."""
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif message.get("method") == "workspace/configuration":
            wanted = message["params"]["items"]
            result = [QUIET if item.get("section") == "yaml" else None for item in wanted]
            self._send({"id": message["id"], "result": result})
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})


def _at(uri: str, line: int, column: int) -> dict[str, Any]:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(map(_text, value))
    return value.get("value", "") if isinstance(value, dict) else str(value or "")
