"""What the pages for customers say, in German and in English."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """One language's texts. `{shop}` is the sender's name, `{what}` the kind of message."""

    language: str
    question: str
    explanation: str
    button: str
    everything: str
    done: str
    done_everything: str
    done_explanation: str
    already: str
    still: str
    unknown: str
    unknown_explanation: str
    not_as_sent: str
    channels: dict[str, str]


WORDINGS = {
    "de": Wording(
        language="de",
        question="{what} abbestellen?",
        explanation="{shop} schickt dir dann keine {what} mehr. Das gilt sofort.",
        button="{what} abbestellen",
        everything="Alles abbestellen: {what}",
        done="Du bist abgemeldet.",
        done_everything="Du bist von allem abgemeldet.",
        done_explanation="{shop} schickt dir keine {what} mehr. Das gilt ab sofort; du musst nichts weiter tun.",
        already="{what} von {shop} sind bereits abbestellt.",
        still="Was zu einer Bestellung gehört, etwa eine Rechnung, kommt weiterhin.",
        unknown="Diesen Link gibt es nicht.",
        unknown_explanation="Vielleicht wurde er beim Kopieren abgeschnitten. Öffne ihn bitte direkt aus der Nachricht.",
        not_as_sent="So sähe diese E-Mail heute aus. Wie sie damals aussah, ist nicht mehr gespeichert.",
        channels={"email": "E-Mails", "sms": "SMS", "push": "Push-Nachrichten"},
    ),
    "en": Wording(
        language="en",
        question="Unsubscribe from {what}?",
        explanation="{shop} will send you no more {what}. This takes effect at once.",
        button="Unsubscribe from {what}",
        everything="Unsubscribe from everything: {what}",
        done="You are unsubscribed.",
        done_everything="You are unsubscribed from everything.",
        done_explanation="{shop} will send you no more {what}. This is in effect now; there is nothing else to do.",
        already="You are already unsubscribed from {shop}’s {what}.",
        still="What belongs to an order, such as an invoice, will still come.",
        unknown="There is no such link.",
        unknown_explanation="It may have been cut off when it was copied. Please open it from the message itself.",
        not_as_sent="This is how this e-mail would look today. How it looked then is no longer stored.",
        channels={"email": "e-mails", "sms": "text messages", "push": "push notifications"},
    ),
}


def language(of_customer: str | None, accepted: str | None, fallback: str) -> str:
    """Return the language to speak: the customer's, else the first the browser asks for, else the workspace's."""
    asked = [
        of_customer or "",
        *(part.partition(";")[0] for part in (accepted or "").split(",")[:10]),
        fallback,
    ]
    for wish in asked:
        found = wish.strip().replace("_", "-").partition("-")[0].lower()
        if found in WORDINGS:
            return found
    return "en"
