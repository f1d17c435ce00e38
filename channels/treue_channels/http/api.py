"""What all adapters to a provider's HTTP API share: how a batch becomes requests, and what becomes of them.

An adapter says how messages are put as a request and how a yes is read. The rest is here: several requests side by
side, the line between "certainly not sent" (no connection was made) and "perhaps sent" (no answer came), and that a
provider which asks for a pause, refuses our key or falls silent is left alone for the rest of the batch.

A whole batch that is refused for one message's sake (a 4xx, which is certain not to have been processed) is put again
in halves, so that the one costs only itself; but not message by message where all of them wait for what is ours.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import httpx

from treue.channel import TAKEN_OVER, Capabilities, Outgoing, Progress, Receipt, Refused, Retry, Unknown
from treue.clock import utc_now
from treue.errors import ChannelError
from treue_channels.http.answers import HttpAnswer, asked_pause, by_status, our_fault, printable

Extra = Mapping[str, Any]
"""What the settings add to every request: fields that the provider knows, and the adapter does not."""

NO_EXTRA: Extra = MappingProxyType({})

TIMEOUT = 30.0
"""Seconds that an answer may take; a connection has at most ten."""

LARGEST_ANSWER = 4_000_000
"""Bytes of an answer that are read."""

_CONNECT = 10.0
_LOSSES = 3
_ALIKE = 8
"""So many messages of a batch that all wait for what is ours: the rest would, too."""
_NEVER_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_NEVER_BEGUN = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)


@dataclass(frozen=True)
class HttpRequest:
    """One request to the provider. `path` is appended to the adapter's base URL.

    One that is `repeatable` is put once more where no answer came: the provider knows it by a key of its own.
    """

    path: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"
    repeatable: bool = False


def json_request(path: str, document: Any, headers: Mapping[str, str]) -> HttpRequest:
    """Return a request with a JSON document."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return HttpRequest(path, body, {"Content-Type": "application/json", **headers})


def form_request(
    path: str, form: Mapping[str, Any], headers: Mapping[str, str], files: Any = None
) -> HttpRequest:
    """Return a request with a form; with `files` (as httpx takes them) it is a multipart one."""
    put = httpx.Request("POST", "http://localhost/", data=form, files=files)
    return HttpRequest(path, put.read(), {"Content-Type": put.headers["Content-Type"], **headers})


def merged(ours: Mapping[str, Any], extra: Extra) -> dict[str, Any]:
    """Return a document with `extra` in it: what are mappings or lists on both sides is joined, else `extra` counts."""
    found = dict(ours)
    for name, more in extra.items():
        had = found.get(name)
        if isinstance(had, Mapping) and isinstance(more, Mapping):
            found[name] = merged(had, more)
        else:
            found[name] = [*had, *more] if isinstance(had, list) and isinstance(more, list) else more
    return found


def merged_form(ours: Mapping[str, Any], extra: Extra) -> dict[str, Any]:
    """Return the fields of a form with `extra` among them, whose values are texts, or lists of them."""
    return merged(
        ours,
        {
            name: [_text(one) for one in more] if isinstance(more, list) else _text(more)
            for name, more in extra.items()
        },
    )


def checked_extra(extra: Extra, provider: str) -> Extra:
    """Return what is added to every request. Raises ChannelError where it has no names."""
    if not isinstance(extra, Mapping):
        raise ChannelError(f"The option `extra` of {provider} is a mapping of its own fields.")
    return extra


def basic_authorization(user: str, password: str) -> str:
    """Return the header's value for HTTP Basic authentication (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class HttpApi:
    """A channel behind an HTTP API; inherit it, declare `provider` and `capabilities`, say `request` and `receipts`.

    `url` is where the API lives: https, or http on this machine alone. `secrets` are the texts that no reason may
    show. What `extra` has, an adapter adds to its requests. Raises ChannelError where the URL is none or a secret is empty.
    """

    provider: ClassVar[str]
    """What the provider calls itself, for people."""

    capabilities: Capabilities
    """Declared on the class of each adapter."""

    def __init__(
        self, url: str, secrets: Iterable[str], timeout: float = TIMEOUT, extra: Extra = NO_EXTRA
    ) -> None:
        self.url = base_url(url, self.provider)
        self._secrets = _forms(secrets, self.provider)
        self._timeout = checked_timeout(timeout, self.provider)
        self.extra = checked_extra(extra, self.provider)
        self._client: httpx.Client | None = None
        self._threads: ThreadPoolExecutor | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def request(self, messages: Sequence[Outgoing]) -> HttpRequest:
        """Return the request that hands over these messages, at most `capabilities.batch` of them."""
        raise NotImplementedError

    def receipts(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> Sequence[Receipt]:
        """Return each message's receipt from a 2xx; whatever it raises is taken for an answer that cannot be read."""
        raise NotImplementedError

    def problem(self, answer: HttpAnswer) -> Receipt:
        """Return what an answer that is no 2xx means for every message of its request."""
        return by_status(answer, self.reason(answer), self.pause(answer))

    def said(self, answer: HttpAnswer) -> str:
        """Return the provider's own words about what went wrong; whatever it raises leaves the start of the body."""
        return str(answer.json()["message"])

    def pause(self, answer: HttpAnswer) -> float:
        """Return for how many seconds the provider wants to be left alone."""
        return asked_pause(answer.headers, utc_now())

    def objection(self, message: Outgoing) -> Refused | None:
        """Return why a message cannot be put to the provider at all, or None."""
        return None

    def portions(self, batch: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
        """Yield the messages of one request after the other, in their order."""
        size = self.capabilities.batch
        for start in range(0, len(batch), size):
            yield batch[start : start + size]

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Send each message and return its receipt, in order. Never raises.

        Once the provider wants nothing from anybody, the rest is not tried and comes back with the same Retry.
        """
        sending = _Sending(self, progress)
        for messages in self.portions(batch):
            sending.put(messages)
        return sending.finished()

    def close(self) -> None:
        """Let go of connections and threads; the next batch makes new ones."""
        client, threads = self._client, self._threads
        self._client = self._threads = None
        if threads is not None:
            threads.shutdown()
        if client is not None:
            client.close()

    def reason(self, answer: HttpAnswer) -> str:
        """Return what the provider answered as one sentence."""
        try:
            said = self.said(answer)
        except Exception:
            said = answer.body[:600].decode(errors="replace")
        return self.redacted(f"{self.provider} answered {answer.status}: {printable(said) or 'nothing'}")

    def redacted(self, text: str) -> str:
        """Return a reason without anything secret in it."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return printable(text)

    def hand_over(self, messages: Sequence[Outgoing]) -> list[Receipt]:
        """Put messages to the provider by one request, or by more where it refuses all for the sake of a few."""
        try:
            request = self.request(messages)
        except ChannelError as error:
            return [our_fault(self.redacted(str(error)))] * len(messages)
        except Exception as error:
            reason = f"A request to {self.provider} could not be made of it: {type(error).__name__}."
            return [Retry(reason)] * len(messages)
        answer = self._request(request)
        if request.repeatable and _is_lost(answer):
            answer = self._request(request)
        if not isinstance(answer, HttpAnswer):
            return [answer] * len(messages)
        return self._read(messages, answer)

    def submit(self, messages: Sequence[Outgoing]) -> Future[list[Receipt]]:
        """Hand messages over in a thread of its own."""
        self._threads = self._threads or ThreadPoolExecutor(self.capabilities.at_once, "provider")
        self._client = self._client or self._connect()
        return self._threads.submit(self.hand_over, messages)

    def _read(self, messages: Sequence[Outgoing], answer: HttpAnswer) -> list[Receipt]:
        try:
            receipt = None if answer.ok else self.problem(answer)
            receipts = list(self.receipts(messages, answer)) if receipt is None else [receipt] * len(messages)
        except Exception:
            receipts = []
        if len(receipts) != len(messages):
            reason = self.redacted(
                f"{self.provider} answered {answer.status}, and its answer cannot be read."
            )
            return [Unknown(reason)] * len(messages)
        if isinstance(receipt, Refused | Retry) and len(messages) > 1 and not pause_in([receipt]):
            return self._halves(messages) if isinstance(receipt, Refused) or receipt.ours else receipts
        return receipts

    def _halves(self, messages: Sequence[Outgoing]) -> list[Receipt]:
        middle = len(messages) // 2
        first = self.hand_over(messages[:middle])
        rest = pause_in(first) or _alike(first)
        return first + ([rest] * (len(messages) - middle) if rest else self.hand_over(messages[middle:]))

    def _connect(self) -> httpx.Client:
        limits = httpx.Limits(max_connections=self.capabilities.at_once)
        timeout = httpx.Timeout(self._timeout, connect=min(_CONNECT, self._timeout))
        headers = {"User-Agent": "Treue", "Accept": "application/json", "Accept-Encoding": "identity"}
        tls = self.url.startswith("https:")
        # Without TLS it is on this machine: no proxy that the environment names, no certificates.
        return httpx.Client(headers=headers, timeout=timeout, limits=limits, trust_env=tls, verify=tls)

    def _request(self, request: HttpRequest) -> HttpAnswer | Receipt:
        """Return the provider's answer, or the receipt where there is none."""
        assert self._client is not None
        try:
            with self._client.stream(
                request.method, self.url + request.path, content=request.body, headers=dict(request.headers)
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return HttpAnswer(response.status_code, headers, _body(response))
        except _NEVER_CONNECTED as error:
            return Retry(self.redacted(f"{self.provider} cannot be reached: {_said(error)}"), everyone=True)
        except (*_NEVER_BEGUN, UnicodeError) as error:
            return our_fault(self.redacted(f"No request to {self.provider} can be made: {_said(error)}"))
        except Exception as error:
            return Unknown(self.redacted(f"{self.provider} did not answer: {_said(error)}"))


@dataclass
class _Portion:
    """What one request is made of: the messages, what is known of some without asking, and the answer to come."""

    messages: Sequence[Outgoing]
    known: dict[int, Receipt]
    answer: Future[list[Receipt]] | None = None

    def receipts(self) -> list[Receipt]:
        rest = iter(self.answer.result() if self.answer else ())
        return [self.known[n] if n in self.known else next(rest) for n in range(len(self.messages))]


class _Sending:
    """One batch on its way: a few requests side by side, their ends noted in the messages' order."""

    def __init__(self, api: HttpApi, progress: Progress) -> None:
        self._api, self._progress = api, progress
        self._under_way: deque[_Portion] = deque()
        self._receipts: list[Receipt] = []
        self._pause: Retry | None = None
        self._losses = 0

    def put(self, messages: Sequence[Outgoing]) -> None:
        """Hand over the messages, once there is room for another request."""
        while len(self._under_way) >= self._api.capabilities.at_once:
            self._settle(self._under_way.popleft())
        known = {n: known for n, message in enumerate(messages) if (known := self._start(message))}
        portion = _Portion(messages, known)
        asked = [message for n, message in enumerate(messages) if n not in known]
        if asked:
            portion.answer = self._api.submit(asked)
        self._under_way.append(portion)

    def _start(self, message: Outgoing) -> Receipt | None:
        """Note a message as started, or return its receipt where the provider need not be asked."""
        found = self._api.objection(message) or self._pause
        return found or (None if self._progress.started(message.key) else TAKEN_OVER)

    def finished(self) -> list[Receipt]:
        """Wait for what is under way and return all receipts."""
        while self._under_way:
            self._settle(self._under_way.popleft())
        return self._receipts

    def _settle(self, portion: _Portion) -> None:
        receipts = portion.receipts()
        for message, receipt in zip(portion.messages, receipts, strict=True):
            self._progress.settled(message.key, receipt)
        self._receipts += receipts
        self._pause = self._pause or pause_in(receipts) or self._silence(portion, receipts)

    def _silence(self, portion: _Portion, receipts: Sequence[Receipt]) -> Retry | None:
        """Return the pause that a provider is given which leaves one request after another in doubt."""
        if portion.answer is None:
            return None
        lost = any(isinstance(receipt, Unknown) for receipt in receipts)
        self._losses = self._losses + 1 if lost else 0
        if self._losses < (_LOSSES if self._api.capabilities.batch == 1 else 1):
            return None
        return Retry(f"{self._api.provider} leaves requests in doubt; the rest was not tried.", everyone=True)


def runs(
    batch: Sequence[Outgoing], size: int, alike: Callable[[Outgoing], Hashable]
) -> Iterator[Sequence[Outgoing]]:
    """Yield neighbours that are `alike`, at most `size` at once; a message for which that is None comes alone."""
    run: list[Outgoing] = []
    for message in batch:
        if run and (len(run) == size or alike(message) is None or alike(message) != alike(run[-1])):
            yield run
            run = []
        run.append(message)
    if run:
        yield run


def pause_in(receipts: Iterable[Receipt]) -> Retry | None:
    """Return the receipt among these that asks for a pause from everyone, or None."""
    return next((r for r in receipts if isinstance(r, Retry) and r.everyone), None)


def _alike(receipts: Sequence[Receipt]) -> Receipt | None:
    """Return the receipt that all of these many are, where it is about us; else None."""
    ours = all(isinstance(r, Retry) and r.ours for r in receipts)
    return receipts[0] if ours and len(receipts) >= _ALIKE else None


def base_url(url: str, provider: str) -> str:
    """Return an API's address without its last slash.

    Raises ChannelError unless it is https, or http on this machine.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if not host or not plain or parts.scheme not in ("https", "http"):
        raise ChannelError(f"The option `url` of {provider} is an address such as https://api.example.com.")
    if parts.scheme == "http" and not _loopback(host):
        raise ChannelError(f"The option `url` of {provider} must be https: a key is not sent in the open.")
    return url.rstrip("/")


def checked_timeout(timeout: float, provider: str) -> float:
    """Return the seconds an answer may take. Raises ChannelError where that is no number above 0 and up to 600."""
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds <= 600:
        raise ChannelError(f"The option `timeout` of {provider} is a number of seconds, such as 30.")
    return seconds


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _forms(secrets: Iterable[str], provider: str) -> list[str]:
    """Return every form in which a secret could turn up in a text, longest first."""
    plain = list(secrets)
    if not all(plain):
        raise ChannelError(f"{provider} needs its key, and it is empty; set it in the environment.")
    raw = [text.encode(errors="surrogateescape") for text in plain]
    forms = {*plain, *(quote(text, safe="") for text in raw), *(b64encode(text).decode() for text in raw)}
    return sorted(forms, key=len, reverse=True)


def _is_lost(answer: HttpAnswer | Receipt) -> bool:
    return answer.status >= 500 if isinstance(answer, HttpAnswer) else isinstance(answer, Unknown)


def _body(response: httpx.Response) -> bytes:
    """Return an answer's body as far as it came and is of use; that it breaks off changes nothing of its status."""
    body = bytearray()
    try:
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                break
    except (httpx.HTTPError, httpx.StreamError):
        pass
    return bytes(body[:LARGEST_ANSWER])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _said(error: Exception) -> str:
    return printable(str(error), 150) or type(error).__name__
