"""Columns that are most likely something known under another name: "First Name", "E-Mail-Adresse", `emial`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

_ALSO_CALLED: Mapping[str, str] = {
    "id": "kundennummer kundennr kundenid customernumber customerno number nummer nr userid contactid subscriberid externalid",
    "customer_id": "kundennummer kundennr kundenid customernumber customerno user userid contactid kunde externalid",
    "email": "mail emailadresse emailaddress mailadresse mailaddress emailadr correo courriel epost",
    "phone": "telefon telephone telefonnummer phonenumber mobile mobil mobilephone handy handynummer rufnummer tel sms",
    "push_token": "pushid devicetoken token",
    "locale": "language lang sprache",
    "timezone": "zeitzone tz",
    "first_name": "vorname givenname forename prenom fname nombre",
    "last_name": "nachname surname familyname familienname nom lname apellido",
    "birthday": "geburtstag geburtsdatum birthdate dateofbirth dob",
    "country": "land pays countrycode",
    "city": "stadt ort town wohnort",
    "created_at": "registeredat angelegtam erstelltam signupdate",
    "at": "date datum time zeit zeitpunkt timestamp datetime eventtime occurredat happenedat createdat",
    "event": "eventname eventtype ereignis",
}
"""What columns are called elsewhere, in their plain form. Only what a workspace knows is proposed."""

_LIKENESS = 0.8
_OTHER_SIGNS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Doubt:
    """A column that is most likely `name`, under another spelling; "" where there is a column of that name already."""

    column: str
    name: str

    @property
    def option(self) -> str:
        """What says so to the command."""
        return f'--map "{self.column}={self.name}"'


def doubts(columns: Sequence[str], mapping: Mapping[str, str], known: Collection[str]) -> list[Doubt]:
    """Return the columns that nobody has mapped and that are not known, yet very nearly."""
    taken = {mapping.get(column, column) for column in columns}
    forms = {plain(name): name for name in known}
    found = []
    for column in columns:
        if not column or column in mapping or column in known:
            continue
        form = plain(column)
        if (same := forms.get(form)) is not None:
            found.append(Doubt(column, "" if same in taken else same))
            taken.add(same)
        elif (name := _called(form, known, taken) or _mistyped(form, forms, taken)) is not None:
            found.append(Doubt(column, name))
            taken.add(name)
    return found


def plain(name: str) -> str:
    """Return a name's letters and digits: the same for First Name, first_name and firstName."""
    return _OTHER_SIGNS.sub("", unicodedata.normalize("NFKD", name).casefold())


def _called(form: str, known: Collection[str], taken: Collection[str]) -> str | None:
    free = (name for name in _ALSO_CALLED if name in known and name not in taken)
    return next((name for name in free if form in _ALSO_CALLED[name].split()), None)


def _mistyped(form: str, forms: Mapping[str, str], taken: Collection[str]) -> str | None:
    """Return the free name that differs in a letter or two; `address2` is no misspelt `address`."""
    free = [known for known, name in forms.items() if name not in taken]
    near = get_close_matches(form, free, n=1, cutoff=_LIKENESS) if len(form) > 3 else []
    return forms[near[0]] if near and _digits(near[0]) == _digits(form) else None


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())
