# SPDX-License-Identifier: Apache-2.0
"""Reading `bastide.guard.yaml`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.errors import SettingsError
from bastide.guard.identity.keys import Keys
from bastide.guard.settings import LogSettings, Secret, Settings, Thresholds
from bastide.guard.settings_file import load_settings, parse_settings, plan_meant, settings_for

HEAD = "bastide-guard: 1\nplan: plan.yaml\n"
KEY = f"callers: {{{{keys: [{{{{id: a, sha256: {'0' * 64}, agent: b, {{}}}}}}]}}}}"
TWO_KEYS = f"callers: {{{{keys: [{{{{id: {{}}, sha256: {'0' * 63}{{}}, agent: b}}}}, {{{{id: {{}}, sha256: {'0' * 63}{{}}, agent: b}}}}]}}}}"
ISSUER = "callers: {{issuers: [{{issuer: i, {}}}]}}"
MODEL = "models: {{llm: {{names: x, providers: {{url: 'http://a'}}, {}}}}}"


def messages(text: str) -> str:
    """What the reader says is wrong."""
    with pytest.raises(SettingsError) as caught:
        parse_settings(HEAD + text, "g.yaml")
    return str(caught.value)


def test_the_example_loads(examples: Path) -> None:
    """Each section becomes its dataclass, names on the wire included."""
    settings = load_settings(examples / "support-agent/bastide.guard.yaml")
    assert [m.component for m in settings.models] == ["llm", "llm-small", "embedder"]
    assert settings.models[0].providers[0].key == Secret(env="OPENAI_API_KEY")
    assert settings.tools[0].component == "kb"
    assert settings.content.injection["user"] == Thresholds(0.5, 0.97)
    assert settings.budgets[1].window == 86400.0
    assert (settings.host, settings.port) == ("127.0.0.1", 8088)
    assert settings.plan == (examples / "support-agent/bastide.yaml").resolve()


def test_a_plan_without_settings_has_the_defaults(tmp_path: Path) -> None:
    """A plan alone is enough to ask what its policy is."""
    log = LogSettings(folder=tmp_path / "guard-log")
    assert settings_for(tmp_path / "p.yaml") == Settings(plan=tmp_path / "p.yaml", log=log)


def test_settings_are_of_one_plan(tmp_path: Path) -> None:
    """The settings beside a plan are its own: without `plan` the one of their name, with it that one and no other."""
    beside = tmp_path / "p.guard.yaml"
    beside.write_text("bastide-guard: 1\n")
    assert settings_for(tmp_path / "p.yaml").plan == tmp_path / "p.yaml"
    assert plan_meant(None, beside) == tmp_path / "p.yaml"
    assert plan_meant(Path("q.yaml"), beside) == Path("q.yaml")
    assert plan_meant(None, None) == Path("bastide.yaml")
    beside.write_text("bastide-guard: 1\nplan: q.yaml\n")
    with pytest.raises(SettingsError, match=r"for the plan .*q\.yaml, not for .*p\.yaml"):
        settings_for(tmp_path / "p.yaml")


def test_a_folder_for_a_plan_has_no_settings() -> None:
    """What is no file is said by who reads the plan."""
    assert settings_for(Path()).file is None


def test_what_is_wrong_is_not_called_missing() -> None:
    """A field that is there with a bad value has one message, at the value."""
    assert "missing" not in messages("budgets: [{per: usr, window: 1m, requests: 1}]")
    assert "`{env: NAME}`" in messages("redis: redis://127.0.0.1")


@pytest.mark.parametrize(
    ("text", "folder"), [("", "guard-log"), ("log: {retention-days: 3}", "guard-log"), ("log: {folder: x}", "x")]
)
def test_the_log_lies_beside_the_settings(tmp_path: Path, text: str, folder: str) -> None:
    """Where a program is started from doesn't matter."""
    assert parse_settings(HEAD + text, "g.yaml", tmp_path).log.folder == tmp_path / folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget: []", "did you mean `budgets`?"),
        ("content: {secrets: redacted}", "did you mean `redact`?"),
        ("listen: here", "an address and a port"),
        ("listen: 1.2.3.4:99999", "an address and a port"),
        ("budgets: [{per: user, window: 1m}]", "limits nothing"),
        ("budgets: [{per: user, window: soon, requests: 1}]", "expected a time"),
        ("budgets: [{per: user, window: 0, requests: 1}]", "longer than nothing"),
        ("abuse: {window: 0}", "longer than nothing"),
        ("abuse: {attacks: 201}", "1 to 200"),
        ("mcp: {crm: {}}", "either a `url` or a `command`"),
        ("models: [gpt]", "a mapping from component"),
        ("models: {llm: {names: x, providers: [{urls: y}]}}", "g.yaml:3:39"),
        ("callers: {keys: [{id: a, sha256: abc, agent: b}]}", "64 hexadecimal digits"),
        (f"callers: {{keys: [{{id: a, sha256: {'A' * 64}, agent: b}}]}}", "64 hexadecimal digits"),
        ("callers: {keys: [{id: a, agent: b}]}", "`sha256` is missing in this api key"),
        (KEY.format("clearance: secret"), "known: confidential, internal, public, restricted"),
        (KEY.format("roles: [operator]"), "did you mean `operate`?"),
        (KEY.format("expires: soon"), "no ISO date"),
        (KEY.format("not-before: 2027-02-01, expires: 2027-01-01"), "before it is good"),
        (KEY.format("user: ann, may-name-user: true"), "can't name one too"),
        (TWO_KEYS.format("a", "1", "a", "2"), "the id `a` occurs twice"),
        (TWO_KEYS.format("a", "1", "b", "1"), "occurs twice"),
        (ISSUER.format("audience: a, jwks: 'file:x', agents: {a: b}, algorithms: [HS256]"), "did you mean `RS256`?"),
        (ISSUER.format("audience: '', jwks: 'file:x', agents: {a: b}"), "expected a name"),
        (ISSUER.format("audience: a, jwks: 'http://id.example/keys'"), "a `file:` path or an `https:` address"),
        (ISSUER.format("audience: a, jwks: 'file:x'"), "no agent has tokens"),
        ("callers: {certificates: {header: x, proxies: [10.0.0.0/33], subjects: {a: b}}}", "a network such as"),
        ("callers: {certificates: {header: x, proxies: [], subjects: {a: b}}}", "`proxies` is empty"),
        ("content: {injection: {tools: {flag: 0.5}}}", "did you mean `tool`?"),
        ("content: {injection: {tool: {block: 1.5}}}", "a number from 0 to 1"),
        ("content: {injection: {tool: {flag: -0.5}}}", "a number from 0 to 1"),
        ("content: {injection: {tool: {flag: 0.95}}}", "`flag` (0.95) is over `block` (0.9)"),
        ("content: {personal: redact, personal-types: [ibans]}", "did you mean `iban`?"),
        ("content: {max-text: 0}", "a whole number, 1 or more"),
        ("content: {canaries: [{}]}", "in one place"),
        ("log: {content: {internals: redacted}}", "did you mean `internal`?"),
        ("log: {otlp: 'localhost:4318'}", "an address such as"),
        ("approvals: {webhook: 'https://a.example:99999/x'}", "an address such as"),
        ("approvals: {expires: 0s}", "longer than nothing"),
        ("tools: {t: {memory: writes}}", "did you mean `write`?"),
        ("tools: {t: {side-effect: reads}}", "did you mean `read`?"),
        ("tools: {t: {result-class: intern}}", "did you mean `internal`?"),
        ("tools: {t: {result-trust: usr}}", "did you mean `user`?"),
        ("tools: {t: {endorses: usr}}", "did you mean `user`?"),
        ("tools: {t: {fields: {id: sistem}}}", "did you mean `system`?"),
        ("tools: {t: {arguments: {to: targets}}}", "did you mean `target`?"),
        ("required-integrity: usr", "did you mean `user`?"),
        ("models: {llm: {names: x, providers: [{url: 'ftp://a'}]}}", "an address such as"),
        ("models: {llm: {names: x, providers: [{url: 'http://a', idle-timeout: 0}]}}", "longer than nothing"),
        (MODEL.format("input-price: -1"), "a number, 0 or more"),
        (MODEL.format("failover: [lm]"), "did you mean `llm`?"),
        (MODEL.format("key: {env: A, file: b}"), "unknown key `key`"),
        (
            "models: {a: {names: [x], providers: {url: 'http://a'}}, b: {names: x, providers: {url: 'http://a'}}}",
            "`x` occurs twice",
        ),
        ("bounds: {body: -1}", "a whole number, 1 or more"),
        ("bounds: {in-flight: 0}", "a whole number, 1 or more"),
        ("bounds: {read-timeout: 99999999d}", "expected a time"),
        ("policies: ['~nobody-of-this-name/x.cedar']", "a file name"),
        ("policies: ['']", "a file name"),
        ("loops: {calls: yes}", "a whole number"),
        ("callers: []", "`callers` is a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    """A mistake names the file, the line and what was meant."""
    assert said in messages(text)
    assert "g.yaml:3:" in messages(text)


def test_all_mistakes_are_said_at_once() -> None:
    """Nobody has to run it once for each mistake."""
    assert messages("content: {secrets: x, personal: y}\nport: 3\n").count("g.yaml:") == 3
    assert "200 problems or more" in messages("".join(f"z{n}: 1\n" for n in range(300)))


def test_another_format_is_refused() -> None:
    """The first line says which format it is."""
    with pytest.raises(SettingsError, match="bastide-guard: 1"):
        parse_settings("plan: x\n")


@given(st.text(max_size=200))
def test_garbage_is_an_error_with_a_message(text: str) -> None:
    """Whatever stands in the file, either settings or `SettingsError` come out."""
    with suppress(SettingsError):
        parse_settings(text)


EXAMPLE = yaml.safe_load((Path(__file__).parents[2] / "examples/support-agent/bastide.guard.yaml").read_text())
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.binary(max_size=4), st.dates(),
    st.sampled_from(["~x", "1e999", "-1", "0", "99999d", "[::1]:70000", "http://[", "2027-13-01", "../../..", "\x00", "a" * 5000]),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """The example with some of its values replaced, doubled, taken out, or given another name."""
    whole = yaml.safe_load(yaml.safe_dump(EXAMPLE))
    for _ in range(draw(st.integers(1, 4))):
        parent: Any = whole
        while True:
            at = draw(st.sampled_from(list(parent) if isinstance(parent, dict) else range(len(parent))))
            if not (isinstance(parent[at], (dict, list)) and parent[at] and draw(st.integers(0, 5))):
                break
            parent = parent[at]
        kind = draw(st.sampled_from(["value", "name", "gone", "more"]))
        if kind == "value" or (kind == "name" and isinstance(parent, list)):
            parent[at] = draw(ODD)
        elif kind == "name":
            parent[draw(st.text(max_size=12))] = parent.pop(at)
        elif kind == "gone":
            del parent[at]
        elif isinstance(parent, list):
            parent.append(parent[at])
        else:
            parent[f"{at}s"] = parent[at]
        if not parent:
            break
    return whole


@settings(max_examples=150)
@given(mutated(), st.integers(0, 3000), st.text(max_size=3))
def test_mutations_of_the_example(document: Any, at: int, noise: str) -> None:
    """Whatever is changed in good settings, settings come out or `SettingsError`, and what comes out as settings can be used."""
    text = yaml.safe_dump(document, allow_unicode=True)
    for written in (text, text[:at] + noise + text[at:], text[:at]):
        with suppress(SettingsError):
            read = parse_settings(written, "g.yaml", Path("/srv"))
            Keys(read.keys)
