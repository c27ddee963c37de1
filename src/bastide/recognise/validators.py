# SPDX-License-Identifier: Apache-2.0
"""Whether a match is what it looks like: check digits, checksums, ranges and entropy. Rules name these functions in `check`.

Sources: ISO 7064 and ISO 13616 (IBAN), ISO/IEC 7812 (card numbers), the issuers' published rules for national numbers.
"""

from __future__ import annotations

import ipaddress
import math
import re
import zlib
from base64 import urlsafe_b64decode
from binascii import Error
from collections import Counter
from collections.abc import Callable
from datetime import date

import msgspec


def digits(text: str) -> list[int]:
    """The decimal digits in a text."""
    return [ord(c) - 48 for c in text if "0" <= c <= "9"]


def luhn(text: str) -> bool:
    """Luhn's mod-10 check (ISO/IEC 7812-1 annex B)."""
    numbers = digits(text)[::-1]
    return sum(numbers[::2]) % 10 == sum(-(2 * n // 10 + 2 * n % 10) for n in numbers[1::2]) % 10


_CARDS = (
    # First digits from, to, lengths.
    (("4", "4"), (13, 16, 19)),
    (("51", "55"), (16,)),
    (("2221", "2720"), (16,)),
    (("34", "34"), (15,)),
    (("37", "37"), (15,)),
    (("36", "36"), (14, 15, 16, 17, 18, 19)),
    (("38", "39"), (14, 15, 16, 17, 18, 19)),
    (("300", "305"), (14, 15, 16, 17, 18, 19)),
    (("6011", "6011"), (16, 17, 18, 19)),
    (("644", "659"), (16, 17, 18, 19)),
    (("62", "62"), (16, 17, 18, 19)),
    (("3528", "3589"), (16, 17, 18, 19)),
    (("50", "50"), (12, 13, 14, 15, 16, 17, 18, 19)),
    (("56", "59"), (12, 13, 14, 15, 16, 17, 18, 19)),
    (("6304", "6304"), (12, 13, 14, 15, 16, 17, 18, 19)),
)


def card(text: str) -> bool:
    """A card number: an issuer's range and length, and Luhn's check; not one digit repeated."""
    number = "".join(map(str, digits(text)))
    fits = any(low <= number[: len(low)] <= high and len(number) in lengths for (low, high), lengths in _CARDS)
    return fits and len(set(number[1:])) > 1 and luhn(number)


_IBAN = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22,
    "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22,
    "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30,
    "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31,
    "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def iban(text: str) -> bool:
    """An IBAN: its country's length, and 1 modulo 97 (ISO 13616)."""
    value = re.sub(r"[ -]", "", text).upper()
    if _IBAN.get(value[:2]) != len(value) or not (value.isascii() and value.isalnum()):
        return False
    return int("".join(str(int(c, 36)) for c in value[4:] + value[:4])) % 97 == 1


def ssn(text: str) -> bool:
    """A US social security number that may have been given out: area not 000, 666 or 9xx, no part zero."""
    n = "".join(map(str, digits(text)))
    return (
        len(n) == 9
        and n[:3] not in ("000", "666")
        and n[0] != "9"
        and n[3:5] != "00"
        and n[5:] != "0000"
        and n != "078051120"
    )


def nino(text: str) -> bool:
    """A UK national insurance number: its prefix is one that is given out."""
    prefix = text[:2].upper()
    return (
        prefix not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")
        and not set(prefix) & set("DFIQUV")
        and prefix[1] != "O"
    )


def dni(text: str) -> bool:
    """A Spanish DNI or NIE: its letter is the number modulo 23."""
    value = re.sub(r"[ -]", "", text).upper()
    return value[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(value[:-1].translate({88: "0", 89: "1", 90: "2"})) % 23]


def nir(text: str) -> bool:
    """A French NIR (social security number): 97 minus the number modulo 97."""
    value = re.sub(r"[ -]", "", text).upper().replace("2A", "19").replace("2B", "18")
    return value.isdigit() and len(value) == 15 and 97 - int(value[:13]) % 97 == int(value[13:])


def steuer_id(text: str) -> bool:
    """A German tax identification number: ISO 7064 MOD 11,10, and exactly one digit twice or three times among the first ten."""
    n = digits(text)
    if len(n) != 11 or n[0] == 0 or sorted(Counter(n[:10]).values())[-1] not in (2, 3):
        return False
    product = 10
    for digit in n[:10]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == n[10]


_LETTERS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ODD = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", (*_LETTERS, *_LETTERS[:10]), strict=True))
"""What a character at an odd place counts."""


def codice_fiscale(text: str) -> bool:
    """An Italian codice fiscale: its last letter is the sum of the others by place, modulo 26."""
    value = text.upper()
    total = sum(_ODD[c] if i % 2 == 0 else int(c, 36) - (10 if c.isalpha() else 0) for i, c in enumerate(value[:15]))
    return chr(65 + total % 26) == value[15]


def bsn(text: str) -> bool:
    """A Dutch burgerservicenummer: the eleven test."""
    n = digits(text)
    return len(n) == 9 and any(n) and (sum(w * d for w, d in zip(range(9, 1, -1), n, strict=False)) - n[8]) % 11 == 0


def pesel(text: str) -> bool:
    """A Polish PESEL: weights 1 3 7 9, and a date in it."""
    n = digits(text)
    if len(n) != 11:
        return False
    month = (n[2] * 10 + n[3]) % 20
    sums = sum(w * d for w, d in zip([1, 3, 7, 9] * 3, n[:10], strict=False))
    return 1 <= month <= 12 and 1 <= n[4] * 10 + n[5] <= 31 and (10 - sums % 10) % 10 == n[10]


def belgian(text: str) -> bool:
    """A Belgian national number: 97 minus the first nine digits modulo 97, with a 2 in front for births since 2000."""
    n = "".join(map(str, digits(text)))
    return len(n) == 11 and int(n[9:]) in (97 - int(n[:9]) % 97, 97 - int("2" + n[:9]) % 97)


def personnummer(text: str) -> bool:
    """A Swedish personal number: a date and Luhn's check over the last ten digits."""
    n = "".join(map(str, digits(text)))[-10:]
    return len(n) == 10 and 1 <= int(n[2:4]) <= 12 and 1 <= int(n[4:6]) <= 31 and luhn(n)


def address(text: str) -> bool:
    """An IP address that could be a person's: valid, and neither loopback, unspecified nor a netmask."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_multicast or text.startswith("255."))


def phone(text: str) -> bool:
    """A telephone number: 8 to 15 digits (E.164), not all the same, not a date."""
    n = digits(text)
    return (
        8 <= len(n) <= 15
        and len(set(n)) > 2
        and not re.fullmatch(r"\d{4}-\d\d-\d\d|\d\d[./-]\d\d[./-]\d{4}", text.strip())
    )


def birthday(text: str) -> bool:
    """A date between 1900 and now-ish, in any of the usual orders."""
    parts = [int(p) for p in re.findall(r"\d+", text)]
    orders = ((2, 1, 0), (2, 0, 1), (0, 1, 2))
    return len(parts) == 3 and any(_date(*(parts[i] for i in order)) for order in orders)


def _date(year: int, month: int, day: int) -> bool:
    try:
        return 1900 <= date(year, month, day).year <= 2100
    except ValueError:
        return False


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def github(text: str) -> bool:
    """A GitHub or npm token: its last six characters are the CRC-32 of the others in base 62."""
    body = text.partition("_")[2]
    value, checksum = zlib.crc32(body[:-6].encode()), ""
    for _ in range(6):
        value, rest = divmod(value, 62)
        checksum = _BASE62[rest] + checksum
    return checksum == body[-6:]


def entropy(text: str) -> float:
    """Shannon's entropy, bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values()) if text else 0.0


_SAMPLE = re.compile(
    r"(?i)example|sample|dummy|placeholder|change.?me|your[_-]|redacted|xxxx|\*\*\*\*|\.\.\.\.|<[a-z_-]+>|\$\{|\{\{|insert|replace|fake|"
    r"12345678|abcdefg|qwerty|deadbeef|not.?a.?real|test.?(?:key|token|only)|lorem"
)


def real(text: str) -> bool:
    """Neither a placeholder nor an example from a manual, and not one character over and over."""
    return not _SAMPLE.search(text) and len(set(text)) > 5


def random(text: str) -> bool:
    """Looks drawn at random: no placeholder, and a high entropy for its length."""
    return real(text) and entropy(text) >= min(3.5, 0.85 * math.log2(max(len(text), 2)))


def mixed(text: str) -> bool:
    """Looks drawn at random and holds both letters and digits, as keys do and names of things don't."""
    return random(text) and any(c.isdigit() for c in text) and any(c.isalpha() for c in text)


def password(text: str) -> bool:
    """A value that somebody could have chosen as a password, and not a variable or a word of explanation."""
    kinds = sum(bool(re.search(kind, text)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^A-Za-z0-9]"))
    return real(text) and kinds >= 3 and entropy(text) >= 2.75


def jwt(text: str) -> bool:
    """A JSON web token: its first part is a JOSE header."""
    head = text.split(".", maxsplit=1)[0]
    try:
        return "alg" in msgspec.json.decode(urlsafe_b64decode(head + "=" * (-len(head) % 4)), type=dict)
    except (Error, ValueError, msgspec.DecodeError, msgspec.ValidationError):
        return False


def dsn(text: str) -> bool:
    """A password in a database address that isn't a placeholder."""
    return not _SAMPLE.search(text) and text.lower() not in (
        "password",
        "pass",
        "pwd",
        "secret",
        "user",
        "postgres",
        "root",
        "mysql",
        "guest",
    )


VALIDATORS: dict[str, Callable[[str], bool]] = {
    f.__name__.replace("_", "-"): f
    for f in (card, iban, ssn, nino, dni, nir, steuer_id, codice_fiscale, bsn, pesel, belgian, personnummer, address, phone, birthday,
              github, real, random, mixed, password, jwt, dsn, luhn)
}  # fmt: skip
