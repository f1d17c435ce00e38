"""Amazon SES's SendEmail, as its documentation describes it (APIReference-V2); signatures are checked by Amazon's library."""

from __future__ import annotations

import re
from base64 import b64decode
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from typing import Any, cast

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.channels.descriptions import AmazonsModel, PublishedServer
from treue.testing.provider_server import Asked, Reply

ACCESS_KEY, SECRET_KEY, REGION = (
    "AKIDEXAMPLE0000000000",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "eu-central-1",
)
SET = "treue"
_ADDRESS = re.compile(r"[^\s@,<>]+@[^\s@,<>]+\.[^\s@,<>]+")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


class SesServer(PublishedServer):
    """Takes one raw message a request, signed by Signature Version 4 with one key; knows one configuration set."""

    description = AmazonsModel("sesv2", "SendEmail")

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[dict[str, Any], EmailMessage]] = []
        self._ids = count(1)

    def answer(self, asked: Asked) -> Reply:
        wrong = self._unsigned(asked)
        if wrong:
            return wrong
        if (asked.method, asked.path) != ("POST", "/v2/email/outbound-emails"):
            return error("UnknownOperationException", "", 404)
        document = asked.json()
        if document.get("ConfigurationSetName", SET) != SET:
            return error("NotFoundException", "Configuration set does not exist.", 404)
        if not all(_ADDRESS.fullmatch(to) for to in document["Destination"]["ToAddresses"]):
            return error("BadRequestException", "Domain contains illegal character", 400)
        tags = [text for tag in document["EmailTags"] for text in (tag["Name"], tag["Value"])]
        if not all(_TAG.fullmatch(text) for text in tags):
            return error("BadRequestException", "Invalid tag value", 400)
        raw = b64decode(document["Content"]["Raw"]["Data"])
        mail = cast("EmailMessage", message_from_bytes(raw, policy=policy.default))
        self.sent.append((document, mail))
        return Reply.json({"MessageId": f"0107019aexample-{next(self._ids):06d}"})

    def too_fast(self) -> Reply:
        return error("TooManyRequestsException", "Maximum sending rate exceeded.", 429)

    def _unsigned(self, asked: Asked) -> Reply | None:
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/ses/aws4_request, "
            r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
            asked.headers.get("authorization", ""),
        )
        if not found:
            return error("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        if found[1] != ACCESS_KEY:
            return error(
                "UnrecognizedClientException", "The security token included in the request is invalid.", 403
            )
        if (found[3], found[5]) != (REGION, self._signature(asked, found[4].split(";"))):
            return error(
                "InvalidSignatureException", "The request signature we calculated does not match.", 403
            )
        return None

    def _signature(self, asked: Asked, names: list[str]) -> str:
        headers = {name: asked.headers[name] for name in names if name != "host"}
        put = AWSRequest(asked.method, self.url + asked.path, headers, asked.body)
        put.context["timestamp"] = asked.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "ses", REGION)
        return str(signer.signature(signer.string_to_sign(put, signer.canonical_request(put)), put))


def error(type_: str, message: str, status: int, headers: dict[str, str] | None = None) -> Reply:
    named = {
        "x-amzn-ErrorType": f"{type_}:http://internal.amazon.com/coral/com.amazonaws.services.simpleemailservice.v2/"
    }
    return Reply.json({"message": message}, status, {**named, **(headers or {})})
