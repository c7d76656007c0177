"""International bank account numbers (ISO 13616): country, two check digits, an account of the country's length.

The check is modulo 97 (ISO/IEC 7064, MOD 97-10): one in 97 random strings passes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from winnow.filters.personal.found import Found

LENGTHS = dict(
    pair.split(":")
    for pair in [
        "AD:24",
        "AE:23",
        "AL:28",
        "AT:20",
        "AZ:28",
        "BA:20",
        "BE:16",
        "BG:22",
        "BH:22",
        "BR:29",
        "BY:28",
        "CH:21",
        "CR:22",
        "CY:28",
        "CZ:24",
        "DE:22",
        "DK:18",
        "DO:28",
        "EE:20",
        "EG:29",
        "ES:24",
        "FI:18",
        "FO:18",
        "FR:27",
        "GB:22",
        "GE:22",
        "GI:23",
        "GL:18",
        "GR:27",
        "GT:28",
        "HR:21",
        "HU:28",
        "IE:22",
        "IL:23",
        "IQ:23",
        "IS:26",
        "IT:27",
        "JO:30",
        "KW:30",
        "KZ:20",
        "LB:28",
        "LC:32",
        "LI:21",
        "LT:20",
        "LU:20",
        "LV:21",
        "LY:25",
        "MC:27",
        "MD:24",
        "ME:22",
        "MK:19",
        "MR:27",
        "MT:31",
        "MU:30",
        "NL:18",
        "NO:15",
        "PK:24",
        "PL:28",
        "PS:29",
        "PT:25",
        "QA:29",
        "RO:24",
        "RS:22",
        "SA:24",
        "SC:31",
        "SE:24",
        "SI:19",
        "SK:24",
        "SM:27",
        "ST:25",
        "SV:28",
        "TL:23",
        "TN:24",
        "TR:26",
        "UA:29",
        "VA:22",
        "VG:24",
        "XK:20",
    ]
)
"""Country -> number of characters, by the registry of ISO 13616."""

_HEAD = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?=[ -]?[A-Z0-9]{3})", re.ASCII)
_GROUP = re.compile(r"[ -]?([A-Z0-9])", re.ASCII)


def find(text: str) -> Iterator[Found]:
    """IBANs in folded text, with or without blanks between groups."""
    for head in _HEAD.finditer(text):
        size = int(LENGTHS.get(head[0][:2], "0"))
        if not size:
            continue
        value, at = head[0], head.end()
        while len(value) < size and (more := _GROUP.match(text, at)):
            value += more[1]
            at = more.end()
        if len(value) < size or (text[at : at + 1].isascii() and text[at : at + 1].isalnum()):
            continue
        if "02" <= value[2:4] <= "98" and value[4:].strip("0") and remainder(value) == 1:
            yield Found(head.start(), at, "ibans", value)


def remainder(iban: str) -> int:
    """The IBAN as a number, its first four characters behind, letters from A = 10, modulo 97; 1 where it is right."""
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97
