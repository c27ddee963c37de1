# SPDX-License-Identifier: Apache-2.0
"""The small pictures that stand for kinds of component, on a grid of 24 by 24, drawn with strokes only."""

from __future__ import annotations

SHAPES: dict[str, str] = {
    "person": '<circle cx="12" cy="8" r="3.7"/><path d="M4.6 20.2c.7-4 3.7-6.2 7.4-6.2s6.7 2.2 7.4 6.2"/>',
    "screen": '<rect x="3" y="4.5" width="18" height="12" rx="2"/><path d="M3 8.3h18M9 20h6M12 16.5V20"/>',
    "box": '<path d="M12 3l8 4.5v9L12 21l-8-4.5v-9zM4.2 7.6L12 12l7.8-4.4M12 12v9"/>',
    "agent": '<rect x="4.5" y="8" width="15" height="11.5" rx="3.2"/><path d="M12 8V5M9.3 16.3h5.4M2.5 12.5v3M21.5 12.5v3"/>'
    '<circle cx="12" cy="3.7" r="1.2"/><circle cx="9.2" cy="12.6" r=".9"/><circle cx="14.8" cy="12.6" r=".9"/>',
    "model": '<circle cx="4.9" cy="12" r="2.1"/><circle cx="12" cy="5" r="2.1"/><circle cx="12" cy="19" r="2.1"/>'
    '<circle cx="19.1" cy="12" r="2.1"/><path d="M6.4 10.5l4.1-4M13.5 6.5l4.1 4M17.6 13.5l-4.1 4M10.5 17.5l-4.1-4M12 7.1v9.8"/>',
    "shield": '<path d="M12 3l7.5 2.8v5.7c0 4.6-3 7.9-7.5 9.5-4.5-1.6-7.5-4.9-7.5-9.5V5.8zM8.7 11.8l2.4 2.4 4.3-4.5"/>',
    "document": '<path d="M6 3h8l4.5 4.5V21H6zM14 3v4.5h4.5M9 12h6.5M9 15.7h6.5"/>',
    "store": '<ellipse cx="12" cy="5.8" rx="7.2" ry="2.7"/>'
    '<path d="M4.8 5.8v12.4c0 1.5 3.2 2.7 7.2 2.7s7.2-1.2 7.2-2.7V5.8M4.8 12c0 1.5 3.2 2.7 7.2 2.7s7.2-1.2 7.2-2.7"/>',
    "queue": '<path d="M3 7h18v10H3zM8 7v10M13 7v10M16.2 10.2l1.9 1.8-1.9 1.8"/>',
    "tool": '<path d="M15.6 4.2a5 5 0 0 0-6.3 6.4l-5.6 5.6a2.2 2.2 0 0 0 0 3.1l1 1a2.2 2.2 0 0 0 3.1 0l5.6-5.6'
    'a5 5 0 0 0 6.4-6.3l-3 3-3.2-.9-.9-3.2z"/>',
    "gear": '<circle cx="12" cy="12" r="2.8"/><circle cx="12" cy="12" r="6.4"/>'
    '<path d="M12 2.8v2.8M12 18.4v2.8M2.8 12h2.8M18.4 12h2.8M5.5 5.5l2 2M16.5 16.5l2 2M5.5 18.5l2-2M16.5 7.5l2-2"/>',
    "vault": '<rect x="4.3" y="10.3" width="15.4" height="10.4" rx="2.2"/><path d="M7.6 10.3V7.4a4.4 4.4 0 0 1 8.8 0v2.9M12 14.6v2.2"/>',
    "cloud": '<path d="M7 18.8a4.3 4.3 0 0 1-.6-8.6 5.9 5.9 0 0 1 11.4-.6 4.7 4.7 0 0 1 .2 9.2z"/>',
}

LOCK = '<path class="lock" d="M1 4.4h7v5H1zM2.4 4.4V2.9a2.1 2.1 0 0 1 4.2 0v1.5"/>'
OPEN_LOCK = '<path class="lock open" d="M1 4.4h7v5H1zM2.4 4.4V2.6a2.1 2.1 0 0 1 4-.8"/>'


def symbols(names: set[str]) -> str:
    """The definitions of the shapes with these names."""
    return "".join(f'<symbol id="shape-{n}" viewBox="0 0 24 24">{SHAPES[n]}</symbol>' for n in SHAPES if n in names)
