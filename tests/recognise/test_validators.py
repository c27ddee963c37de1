# SPDX-License-Identifier: Apache-2.0
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.recognise import validators as v

DIGITS = st.text("0123456789", min_size=1, max_size=20)


def with_check(body: str, valid: object) -> list[str]:
    return [body + d for d in "0123456789" if valid(body + d)]  # type: ignore[operator]


@given(DIGITS)
def test_luhn_has_exactly_one_check_digit(body: str) -> None:
    """Each number has one right check digit, and one wrong digit is always noticed."""
    [number] = with_check(body, v.luhn)
    for place in range(len(number)):
        other = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
        assert not v.luhn(other)


@given(st.sampled_from(["DE", "NL", "FR", "GB", "NO"]), st.data())
def test_iban_check_digits(country: str, data: st.DataObject) -> None:
    """Of the hundred pairs of check digits at most two are right (98 remainders), and the computed one is."""
    length = {"DE": 22, "NL": 18, "FR": 27, "GB": 22, "NO": 15}[country] - 4
    body = data.draw(st.text("0123456789ABCDEFGHIJ", min_size=length, max_size=length))
    right = 98 - int("".join(str(int(c, 36)) for c in body + country + "00")) % 97
    assert v.iban(f"{country}{right:02d}{body}")
    assert not v.iban(f"{country}{right % 97 + 2 if right % 97 + 2 != right else 50:02d}{body}"[:-1])
    assert sum(v.iban(f"{country}{n:02d}{body}") for n in range(100)) <= 2


@pytest.mark.parametrize("prefix", ["4", "51", "2221", "6011", "3528"])
def test_cards(prefix: str) -> None:
    """A number in an issuer's range with a right check digit is a card; with another, or in no range, it isn't."""
    [number] = with_check(prefix + "0203040506070809"[: 15 - len(prefix)], v.card)
    assert not v.card(number[:-1] + str((int(number[-1]) + 3) % 10))
    assert not v.card("9" + number[1:])
    assert not v.card("4" + "0" * 15)


@pytest.mark.parametrize(
    ("check", "body", "count"),
    [
        (v.pesel, "4405140135", 1),
        (v.steuer_id, "8609574271", 1),
        (v.bsn, "11122233", 1),
        (v.personnummer, "811218987", 1),
    ],
)
def test_national_check_digits(check: object, body: str, count: int) -> None:
    """Each of these numbers has exactly one right last digit."""
    assert count == len(with_check(body, check))


@given(st.integers(0, 99_999_999))
def test_dni(number: int) -> None:
    """Exactly one letter fits a Spanish number."""
    assert sum(v.dni(f"{number:08d}{letter}") for letter in "TRWAGMYFPDXBNJZSQVHLCKE") == 1


@given(st.integers(0, 9_999_999_999_999))
def test_nir(number: int) -> None:
    """Exactly one key from 1 to 97 fits a French number."""
    assert sum(v.nir(f"{number:013d}{key:02d}") for key in range(1, 98)) == 1


def test_other_numbers() -> None:
    """Ranges that were never given out, or that belong to nobody, don't count."""
    assert [v.ssn(n) for n in ("536-22-8745", "666-22-8745", "900-22-8745", "536-22-0000")] == [
        True,
        False,
        False,
        False,
    ]
    assert [v.nino(n) for n in ("AB123456C", "BG123456C", "AO123456C")] == [True, False, False]
    assert [v.address(a) for a in ("203.0.113.7", "127.0.0.1", "256.1.1.1", "255.255.255.0")] == [
        True,
        False,
        False,
        False,
    ]
    assert [v.codice_fiscale(c) for c in ("RSSMRA85T10A562S", "RSSMRA85T10A562X")] == [True, False]
    assert [v.belgian(n) for n in (f"850730033{97 - 850730033 % 97:02d}", "85073003300")] == [True, False]
    assert [v.birthday(d) for d in ("12/03/1984", "45/03/1984", "12/03/1784")] == [True, False, False]
    assert [v.phone(p) for p in ("+44 20 7946 0958", "1111111111", "2024-05-06")] == [True, False, False]


@given(st.text("ABCabc0189", min_size=30, max_size=30))
def test_github_checksum(body: str) -> None:
    """A token whose last six characters are the CRC-32 of the rest is one; with any other it isn't."""
    value, checksum = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, rest = divmod(value, 62)
        checksum = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[rest] + checksum
    assert v.github(f"ghp_{body}{checksum}")
    assert not v.github(f"ghp_{body}{checksum[:-1]}{'1' if checksum[-1] == '0' else '0'}")


def test_placeholders_are_no_secrets() -> None:
    """Examples from manuals and words for something to be filled in aren't secrets."""
    examples = (
        "AKIAIOSFODNN7" + "EXAMPLE",
        "your-api-key-here",
        "${API_KEY}",
        "xxxxxxxxxxxxxxxxxxxx",
        "<token>",
        "changeme123!",
        "aaaaaaaaaaaa",
    )
    assert not any(map(v.real, examples))
    assert v.mixed("q7RtZp2xLm9sWv4kBn6d")
    assert not v.mixed("production.database.credentials")


@given(st.text(max_size=60).filter(bool))
def test_validators_take_any_text(text: str) -> None:
    """The validators that see free text never fail on it."""
    for check in (
        v.real,
        v.random,
        v.mixed,
        v.password,
        v.jwt,
        v.dsn,
        v.address,
        v.birthday,
        v.phone,
        v.card,
        v.iban,
        v.luhn,
    ):
        assert check(text) in (True, False)
