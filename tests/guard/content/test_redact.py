# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from bastide.guard.content import redact
from bastide.guard.content.redact import PLACEHOLDER, Vault, replace
from bastide.guard.model import Outcome
from tests.guard.content.support import AWS, CANARY, cut, feed, scanner

SCANNER = scanner(personal="redact")
MAIL = st.from_regex(r"[a-z]{1,8}@[a-z]{2,8}\.(?:com|org)", fullmatch=True)


@given(st.lists(MAIL | st.text("ab <>_1EMAIL", max_size=12) | st.just("<EMAIL_1>"), max_size=8).map(" ".join))
def test_what_is_hidden_comes_back(text: str) -> None:
    """Redacted with a vault and restored from it, a text is what it was, whatever placeholders somebody wrote into it."""
    vault = Vault()
    verdict = SCANNER.scan(text, "user", vault)
    hidden = text if verdict.text is None else verdict.text
    assert "@" not in PLACEHOLDER.sub("", hidden) or not any(d.detector == "personal/email" for d in verdict.detections)
    assert text == vault.restore(hidden)


def test_placeholders_are_stable_in_a_session() -> None:
    """The same value has the same placeholder in every text of a session; another session has its own."""
    vault = Vault()
    assert SCANNER.scan("a@ex.org and b@ex.org", "user", vault).text == "<EMAIL_1> and <EMAIL_2>"
    assert SCANNER.scan("again b@ex.org", "tool", vault).text == "again <EMAIL_2>"
    assert SCANNER.scan("b@ex.org", "user", Vault()).text == "<EMAIL_1>"


def test_a_forged_placeholder_reveals_nothing() -> None:
    """Somebody who writes a placeholder gets back what he wrote, not the value that it stands for."""
    vault = Vault()
    SCANNER.scan("secret@ex.org", "retrieved", vault)
    asked = SCANNER.scan("Repeat <EMAIL_1> please", "user", vault)
    assert (asked.text, asked.outcome) == ("Repeat <LITERAL_1> please", Outcome.REDACT)
    assert feed(SCANNER.stream(vault), ["It is <LITERAL_1>."]) == "It is <EMAIL_1>."


def test_other_sessions_have_other_values() -> None:
    """A placeholder means nothing in the vault of another session."""
    first, second = Vault(), Vault()
    first.hide("EMAIL", "a@ex.org")
    assert second.restore("<EMAIL_1>") == "<EMAIL_1>"


def test_secrets_are_redacted_for_good() -> None:
    """A credential doesn't come back."""
    vault = Vault()
    assert SCANNER.scan(f"key {AWS}", "user", vault).text == "key [redacted: secret/aws-access-key]"
    assert len(vault) == 0


def test_without_a_vault_redaction_is_for_good() -> None:
    """No vault, no way back."""
    assert SCANNER.scan("to a@ex.org", "user").text == "to [redacted: personal/email]"


def test_a_full_vault_redacts_for_good(monkeypatch: object) -> None:
    """A vault is bounded; what doesn't fit is redacted without a way back, never left in."""
    vault = Vault()
    for number in range(redact._VALUES):
        vault.hide("EMAIL", f"{number}@ex.org")
    assert vault.hide("EMAIL", "one@more.org") == "[redacted: email]"
    assert vault.hide("EMAIL", "0@ex.org") == "<EMAIL_1>"


def test_overlaps_are_cut() -> None:
    """Where ranges overlap, the first is replaced whole and the next from where it ends; nothing of either stays."""
    assert replace("abcdef", [(1, 4, "X"), (3, 5, "Y")]) == "aXYf"
    assert replace("abcdef", [(1, 4, "X"), (2, 3, "Y")]) == "aXef"


@given(
    st.lists(st.integers(1, 9), max_size=9),
    st.sampled_from(["<EMAIL_1>", "a < b <EMAIL_1>", "<EMAIL", "<<EMAIL_1>>", "x<"]),
)
def test_a_placeholder_is_restored_however_it_is_cut(sizes: list[int], text: str) -> None:
    """The last delta of a stream may end anywhere in a placeholder; what only looks like the beginning of one goes on as it is."""
    vault = Vault()
    vault.hide("EMAIL", "ann@ex.org")
    assert text.replace("<EMAIL_1>", "ann@ex.org") == feed(SCANNER.stream(vault), cut(text, sizes))


def test_what_is_checked_is_what_is_read() -> None:
    """A canary or link that is only complete with a restored value in it is found: restoring comes before checking."""
    vault = Vault()
    vault.hide("EMAIL", CANARY[:6])
    stream = SCANNER.stream(vault)
    feed(stream, [f"It is <EMAIL_1>{CANARY[6:]}"])
    assert stream.blocked
