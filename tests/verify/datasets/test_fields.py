# SPDX-License-Identifier: Apache-2.0
"""Personal data and secrets are found by field and counted; honest columns are quiet; classification and purpose are held against what is found."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from bastide.errors import UsageError
from bastide.recognise.model import Detection, Span
from bastide.verify.datasets.check import Settings, check
from bastide.verify.datasets.model import Report, Severity
from tests.verify.datasets.conftest import Check, Write, ids

RNG = random.Random(4)
MAIL = "ann.lee" + "@mail.example.org"


def luhn(prefix: str) -> str:
    body = prefix + "".join(RNG.choice("0123456789") for _ in range(15 - len(prefix)))
    total = sum(d if i % 2 else d * 2 - 9 * (d > 4) for i, d in enumerate(map(int, body)))
    return body + str(-total % 10)


HONEST: dict[str, Callable[[], object]] = {
    "id": lambda: RNG.randrange(10**6),
    "order_id": lambda: RNG.randrange(4 * 10**15, 5 * 10**15),
    "tracking": lambda: str(RNG.randrange(10**15, 10**16)),
    "customer_ref": lambda: f"{RNG.randrange(1000):03}-{RNG.randrange(100):02}-{RNG.randrange(10**5):05}",
    "uuid": lambda: str(uuid.UUID(int=RNG.getrandbits(128))),
    "sha256": lambda: hashlib.sha256(str(RNG.random()).encode()).hexdigest(),
    "digest": lambda: f"{RNG.getrandbits(160):040x}",
    "created_at": lambda: f"2025-0{RNG.randrange(1, 9)}-1{RNG.randrange(10)}T10:{RNG.randrange(10, 60)}:00Z",
    "day": lambda: f"{RNG.randrange(1, 28):02}/0{RNG.randrange(1, 9)}/2024",
    "unix": lambda: RNG.randrange(1_600_000_000, 1_700_000_000),
    "millis": lambda: RNG.randrange(1_600_000_000_000, 1_700_000_000_000),
    "price": lambda: round(RNG.random() * 900, 2),
    "version": lambda: f"{RNG.randrange(9)}.{RNG.randrange(20)}.{RNG.randrange(20)}.{RNG.randrange(99)}",
    "isbn": lambda: f"978-{RNG.randrange(10)}-{RNG.randrange(1000):03}-{RNG.randrange(10**5):05}-{RNG.randrange(10)}",
    "ean": lambda: str(RNG.randrange(10**12, 10**13)),
    "embedding": lambda: [round(RNG.random(), 6) for _ in range(8)],
    "path": lambda: f"/data/part-{RNG.randrange(10**5):05}.parquet",
    "url": lambda: f"https://shop.example.org/item/{RNG.randrange(10**9)}",
    "token_count": lambda: RNG.randrange(4000),
    "tokens": lambda: ["the", "parcel", "came"],
    "nine": lambda: RNG.randrange(10**8, 10**9),
    "eleven": lambda: RNG.randrange(10**10, 10**11),
    "sku": lambda: f"AB-{RNG.randrange(10**4):04}-C",
    "country": lambda: RNG.choice(["DE", "FR"]),
    "city": lambda: RNG.choice(["Bonn", "Lyon"]),
    "note": lambda: f"order {RNG.randrange(4 * 10**15, 5 * 10**15)} went out with the others",
    "product_name": lambda: RNG.choice(["Red Kettle", "Blue Lamp"]),
    "phone_model": lambda: RNG.choice(["Pear 12", "Pear 13 Pro"]),
    "email_opened": lambda: RNG.random() < 0.5,
    "text": lambda: (
        f"parcel {RNG.randrange(10**9)} weighs {RNG.random():.3f} kg and came on 2024-05-0{RNG.randrange(1, 9)} at 10:30"
    ),
}


@pytest.mark.parametrize("name", list(HONEST))
def test_honest_columns_are_quiet(name: str, write: Write, checked: Check) -> None:
    """Ids, hashes, dates, prices, codes and texts with numbers are no personal data."""
    write("rows.jsonl", ({name: HONEST[name]()} for _ in range(1_500)))
    assert not [f for f in checked(purpose="a test").findings if f.id in ("dataset/personal-data", "dataset/secret")]


PERSONAL: dict[str, tuple[str, Callable[[], object]]] = {
    "email": ("personal/email", lambda: f"p{RNG.randrange(10**6)}" + "@mail.example.org"),
    "phone": ("personal/phone", lambda: f"+49 30 {RNG.randrange(10**6, 10**7)}"),
    "Phone Number": ("personal/phone", lambda: f"(415) 555-{RNG.randrange(1000, 9999)}"),
    "phone_number": ("personal/phone", lambda: RNG.randrange(2_000_000_000, 9_999_999_999)),
    "card": ("personal/card", lambda: luhn("4")),
    "cardNumber": ("personal/card", lambda: int(luhn("51"))),
    "ssn": ("personal/us-ssn", lambda: f"{RNG.randrange(100, 600)}-{RNG.randrange(10, 99)}-{RNG.randrange(1000, 9999)}"),
    "ip_address": ("personal/ip-address", lambda: f"84.{RNG.randrange(1, 250)}.{RNG.randrange(1, 250)}.{RNG.randrange(1, 250)}"),
    "first_name": ("field/name", lambda: RNG.choice(["Ann", "Bob", "Zoë", "Jean-Luc"])),
    "customer.fullName": ("field/name", lambda: RNG.choice(["Ann Lee", "Bob Stone"])),
    "date_of_birth": ("personal/birth-date", lambda: f"19{RNG.randrange(40, 99)}-0{RNG.randrange(1, 9)}-12"),
    "religion": ("field/belief", lambda: RNG.choice(["none", "catholic"])),
    "diagnosis": ("field/health", lambda: RNG.choice(["J45.0", "E11.9"])),
    "home_address": ("field/postal-address", lambda: f"{RNG.randrange(99)} High Street, Leeds"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(PERSONAL))
def test_personal_columns_are_found(name: str, write: Write, checked: Check) -> None:
    """By their values, or by a name that the values fit."""
    kind, make = PERSONAL[name]
    write("rows.jsonl", ({"n": i, name: make()} for i in range(500)))
    found = [f for f in checked(purpose="a test").findings if f.id == "dataset/personal-data"]
    assert {(kind, name)} <= {(f.kind, f.field) for f in found}
    assert all(f.count >= 400 for f in found if f.kind == kind)


def test_one_address_in_many_rows_is_found_with_its_place(write: Write, checked: Check) -> None:
    """Counts, rates and the row; the address itself isn't shown."""
    path = write(
        "rows.jsonl", ({"text": f"row {i} " + (MAIL if i == 4_321 else "came well and in time")} for i in range(6_000))
    )
    report = checked(purpose="a test")
    [found] = [f for f in report.findings if f.id == "dataset/personal-data"]
    assert (str(path), 4_322, 1, 1 / 6_000) == (found.place.file, found.place.row, found.count, found.rate)
    assert MAIL not in repr(report)


def test_rows_are_counted_over_pieces_and_processes(write: Write, checked: Check) -> None:
    """A file that several processes read has the same rows and findings as one that a single one reads."""
    from bastide.verify.datasets.interface import Limits

    write(
        "rows.jsonl",
        (
            {"text": f"row {i} " + (f"x{i}" + "@mail.example.org" if i % 100 == 7 else "and so on")}
            for i in range(3_000)
        ),
    )
    one = checked(purpose="a test")
    many = checked(purpose="a test", limits=Limits(piece=5_000), jobs=3)
    assert one.findings == many.findings
    assert one.rows == many.rows == 3_000


def test_a_card_among_other_numbers_in_texts_is_found(write: Write, checked: Check) -> None:
    """A few numbers that fail the check don't hide it."""
    texts = [f"order {RNG.randrange(10**9)} came with parcel {i} and all was well" for i in range(50)]
    numbers = [f"my number is 4000 1234 5678 901{i} I think" for i in range(5)]
    write("rows.jsonl", [{"text": t} for t in [*texts, *numbers, f"please charge {luhn('4')} for it"]])
    assert "personal/card" in {f.kind for f in checked(purpose="a test").findings}


def test_presidio_adds_names(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is asked; what it finds is masked like all else."""

    def names(text: str) -> list[Detection]:
        at = text.find("Ann Lee")
        return [Detection("personal/name", 0.9, (Span(at, at + 7),))] if at >= 0 else []

    monkeypatch.setattr("bastide.recognise.presidio.presidio", lambda model: names)
    path = write("rows.jsonl", [{"text": "all is well with it"}] * 9 + [{"text": "so says Ann Lee of it"}])
    report = check([path], Settings(presidio="en_core_web_sm"))
    [found] = [f for f in report.findings if f.kind == "personal/name" and f.id == "dataset/personal-data"]
    assert (found.place.row, found.count, found.evidence) == (10, 1, "[personal/name]")


def test_presidio_that_is_not_installed_is_said(write: Write) -> None:
    """Nothing is downloaded."""
    path = write("rows.jsonl", [{"text": "all is well with it"}])
    with pytest.raises(UsageError, match="installed"):
        check([path], Settings(presidio="no_such_package"))


SECRETS = {
    "log": "AWS_ACCESS_KEY_ID=" + "AKIA" + "Z7QX3M5WN2PLR4TD",
    "note": "api_key = '" + "q8Zr2Lk0Xv6Tn4Yb1Wc9Pd3Fs7Hg5Jm" + "'",
    "pem": "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEpAIBAAKCAQEA7bq2\n-----END RSA PRIVATE " + "KEY-----",
}


@pytest.mark.parametrize("name", list(SECRETS))
def test_secrets_are_critical(name: str, write: Write, checked: Check) -> None:
    """One is enough."""
    write("rows.jsonl", [{name: "all is well here"}] * 50 + [{name: SECRETS[name]}])
    report = checked(purpose="a test", contains=("personal", "credentials"))
    found = {(f.severity, f.field, f.count, f.place.row) for f in report.findings if f.id == "dataset/secret"}
    assert {(Severity.CRITICAL, name, 1, 51)} == found
    assert SECRETS[name] not in repr(report)


def understated(report: Report) -> bool:
    return "classification-understated" in ids(report)


@pytest.mark.parametrize(
    ("level", "expected"), [("public", True), ("internal", True), ("confidential", False), ("restricted", False)]
)
def test_an_understated_classification(level: str, expected: bool, write: Write, checked: Check) -> None:
    """Contact data needs at least confidential."""
    write("rows.jsonl", [{"text": f"write to {MAIL} soon"}] * 9)
    assert expected == understated(checked(classification=level))


def test_rows_can_state_their_classification(write: Write, checked: Check) -> None:
    """What a row says of itself is held against what is in it, row by row."""
    quiet = [{"text": "all is well with it", "classification": "Public"}] * 50
    right = [{"text": f"write to {MAIL} soon", "classification": "confidential"}] * 9
    write("rows.jsonl", quiet + right)
    assert not understated(checked())
    write("rows.jsonl", [*quiet, *right, {"text": f"write to {MAIL} soon", "classification": "public"}])
    [found] = [f for f in checked().findings if f.id == "dataset/classification-understated"]
    assert (found.place.row, found.count) == (60, 1)


def test_stated_categories(write: Write, checked: Check) -> None:
    """What is stated is a note, what isn't is a finding; `personal` covers what begins with it."""
    write("rows.jsonl", [{"text": f"write to {MAIL} soon"}] * 9)
    stated = checked(purpose="a test", contains=("personal",), classification="confidential")
    assert {Severity.LOW} == {f.severity for f in stated.findings if f.id == "dataset/personal-data"}
    assert "category-undeclared" in ids(checked(contains=("payment",), classification="restricted"))


def test_fields_that_the_purpose_does_not_need(write: Write, checked: Check) -> None:
    """Each field must be stated; parts of a stated one are."""
    write("rows.jsonl", [{"text": "all is well with it", "meta": {"a": 1, "b": 2}, "email": MAIL}] * 9)
    report = checked(purpose="sorts", fields=("text", "meta", "label"))
    assert [(f.field, f.severity) for f in report.findings if f.id == "dataset/field-not-needed"] == [
        ("email", Severity.HIGH)
    ]
    assert [f.field for f in report.findings if f.id == "dataset/field-missing"] == ["label"]


def test_identifiers_need_a_purpose(write: Write, checked: Check) -> None:
    """A whole column of them, without anything that says why."""
    write("rows.jsonl", [{"text": "all is well with it", "email": MAIL}] * 9)
    assert "identifier-without-purpose" in ids(checked())
    assert "identifier-without-purpose" not in ids(checked(purpose="answers people"))
