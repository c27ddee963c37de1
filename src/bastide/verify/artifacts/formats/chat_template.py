# SPDX-License-Identifier: Apache-2.0
"""Chat templates in files of their own: `chat_template.jinja`, and others by their extension."""

from __future__ import annotations

from bastide.verify.artifacts.interface import Scan, Source

EXTENSIONS = frozenset({"jinja", "jinja2", "j2"})


class ChatTemplateReader:
    """Reads Jinja templates."""

    format = "chat-template"

    def claims(self, source: Source) -> bool:
        """By the extension: a template is a text like others."""
        return source.extension in EXTENSIONS

    def read(self, source: Source, scan: Scan) -> None:
        """The whole file is one template."""
        # Late: few files have templates, and Jinja takes a tenth of the start.
        from bastide.verify.artifacts.formats._templates import check_template

        check_template(bytes(source.data), scan)
