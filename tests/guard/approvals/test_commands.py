# SPDX-License-Identifier: Apache-2.0
"""`bastide guard key` and `bastide guard approvals`."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bastide.cli.commands.guard.approvals import approvals
from bastide.cli.commands.guard.key import key
from bastide.errors import UsageError
from bastide.guard.approvals.book import approval_json
from bastide.guard.approvals.listing import as_text
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.identity.keys import key_hash
from bastide.guard.settings_file import parse_settings
from tests.guard.approvals.build import ASKER, BOSS, proposal


def run(command: Any, *args: str, env: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(command, args, env=env)
    if result.exception and not isinstance(result.exception, (SystemExit, UsageError)):
        raise result.exception
    return result


def test_a_new_key_and_its_line() -> None:
    """The key stands alone on stdout; the line on stderr has its hash, and the settings take it."""
    result = run(
        key,
        "new",
        "--id",
        "web: 1",
        "--agent",
        "assistant",
        "--may-name-user",
        "--role",
        "operate",
        "--expires",
        "2027-06-30",
    )
    line = result.stderr.splitlines()[1]
    assert key_hash(result.stdout.strip()) == yaml.safe_load(line)[0]["sha256"]
    [read] = parse_settings(f"bastide-guard: 1\nplan: x\ncallers:\n  keys:\n  {line}\n", "x", Path()).keys
    assert ("web: 1", "assistant", True, {"operate"}) == (read.id, read.agent, read.may_name_user, read.roles)
    assert result.stdout.strip() not in result.stderr


def test_a_key_that_makes_no_sense() -> None:
    """A date that is none is said at once."""
    assert "no ISO date" in str(run(key, "new", "--id", "k", "--agent", "a", "--expires", "soon").exception)


class Handler(http.server.BaseHTTPRequestHandler):
    """A guard's API, as far as the commands need it."""

    store: ApprovalStore

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.headers["authorization"] == "Bearer moved":
            self._answer(302, {})
        elif self.headers["authorization"] != "Bearer bst_boss":
            self._answer(401, {"error": {"message": "the API key is not valid"}})
        elif self.path == "/guard/api/approvals":
            self._answer(200, {"approvals": [approval_json(a) for a in self.store.pending()]})
        else:
            self._answer(200, approval_json(self.store.get(self.path.rsplit("/", 1)[1])))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._answer(
            200, approval_json(self.store.decide(self.path.rsplit("/", 1)[1], BOSS, body["answer"], body["note"]))
        )

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Handler.store = ApprovalStore()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    Handler.store.close()


def test_list_show_decide(url: str) -> None:
    """What waits is listed, shown in full and decided."""
    env = {"BASTIDE_KEY": "bst_boss"}
    assert "nothing waits" in run(approvals, "list", "--url", url, env=env).output
    id_ = Handler.store.request(ASKER, proposal(arguments={"to": "x\u202ey\x1b[2J", "n": 1})).id
    listed = run(approvals, "list", "--url", url, env=env).output
    assert id_ in listed
    assert "by assistant for ann" in listed
    shown = run(approvals, "show", id_, "--url", url, env=env).output
    assert "x<U+202E>y<U+001B>[2J" in shown
    assert "iban comes from inbox" in shown
    assert id_ == json.loads(run(approvals, "show", id_, "--url", url, "-f", "json", env=env).output)["id"]
    assert (
        "denied: refund, decided by acme/bea"
        in run(approvals, "decide", id_, "deny", "--note", "no", "--url", url, env=env).output
    )
    assert Handler.store.get(id_).note == "no"


@pytest.mark.parametrize(
    ("words", "args", "env"),
    [
        ("holds no key", ["list"], {"BASTIDE_KEY": ""}),
        ("is not valid", ["list"], {"BASTIDE_KEY": "bst_other"}),
        ("302", ["list"], {"BASTIDE_KEY": "moved"}),
        ("no approval's id", ["show", "../../x"], {"BASTIDE_KEY": "k"}),
        ("no web address", ["list", "--url", "file:///etc/passwd"], {"BASTIDE_KEY": "k"}),
        ("refused", ["list", "--url", "http://127.0.0.1:9"], {"BASTIDE_KEY": "k"}),
        ("characters", ["list"], {"BASTIDE_KEY": "k\u00e9"}),
    ],
)
def test_what_goes_wrong(words: str, args: list[str], env: dict[str, str], url: str) -> None:
    """A missing or wrong key, a redirect, a wrong address or id: a sentence, no traceback, and the key goes nowhere else."""
    result = run(approvals, *args, *(() if "--url" in args else ("--url", url)), env=env)
    assert words in str(result.exception)


def test_a_hostile_answer() -> None:
    """Whatever a guard answers is shown, not believed."""
    assert "unknown" in as_text({"arguments": 3, "untraced": "x", "expires": "soon", "tool": "a\nb"})
