# SPDX-License-Identifier: Apache-2.0
"""What a check does when it can't check: passes, refuses, or nobody can tell."""

from __future__ import annotations

import ast

import pytest

from bastide.discover.importers.python.errors import around, guarded, on_error


@pytest.mark.parametrize(
    ("handler", "passes"),
    [
        ("except Exception:\n        return True", True),
        ("except:\n        return 'allow'", True),
        ("except httpx.TimeoutException:\n        return Verdict.ALLOW", True),
        ("except (ValueError, APIError) as e:\n        log(e)\n        return {'allowed': True, 'why': str(e)}", True),
        ("except Exception:\n        return Out(info=None, tripwire_triggered=False)", True),
        ("except Exception:\n        return True, 'not checked'", True),
        ("except Exception:\n        return False", False),
        ("except Exception:\n        return 'blocked'", False),
        ("except Exception as e:\n        raise Blocked() from e", False),
        ("except Exception:\n        return Out(tripwire_triggered=True)", False),
        ("except Exception:\n        if x:\n            return True\n        return False", None),
        ("except Exception:\n        found = other(text)", None),
        ("except Exception:\n        return other(text)", None),
        ("except KeyboardInterrupt:\n        return True", False),
        ("finally:\n        pass", False),
    ],
)
def test_what_happens_on_an_error(handler: str, passes: bool | None) -> None:
    tree = ast.parse(f"def check(text):\n    try:\n        found = call(text)\n    {handler}\n    return found\n")
    found = on_error(tree)
    [call] = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "call"]
    assert found == around(call, guarded(tree))
    assert (found.passes if found else False) is passes
    assert found is None or found.line == 4
