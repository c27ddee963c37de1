# SPDX-License-Identifier: Apache-2.0
"""Client certificates that a proxy in front has checked, and whose subject it passes on in a header.

The header is worth what the network is worth that it comes from: from anywhere but the listed proxies its mere presence is refused.
It holds a subject or SPIFFE id alone, or one element of Envoy's `x-forwarded-client-cert`. A list of elements is refused: its first ones
come from further away, and may be anybody's words.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from bastide.errors import Diagnostic, SettingsError, Unauthenticated
from bastide.guard.model import Caller
from bastide.guard.settings import ClientCertificates

LONGEST = 8192
_FIELDS = frozenset({"by", "hash", "subject", "uri", "dns", "cert", "chain"})
"""Keys of an XFCC element."""


class Certificates:
    """Who a certificate stands for."""

    def __init__(self, settings: ClientCertificates) -> None:
        """Raises `SettingsError` for something that is no network."""
        self.header = settings.header.lower()
        self._subjects = settings.subjects
        try:
            self._networks = tuple(ip_network(text, strict=False) for text in settings.proxies)
        except ValueError as problem:
            raise SettingsError(Diagnostic(f"`certificates.proxies`: {problem}")) from None

    def caller(self, value: str, peer: str) -> Caller:
        """The caller that the header names. Raises `Unauthenticated`."""
        if not self._trusted(peer):
            raise Unauthenticated(
                f"the header `{self.header}` is not believed from this address", code="untrusted_proxy"
            )
        names = _names(value)
        agents = {self._subjects[name] for name in names if name in self._subjects}
        if len(agents) != 1:
            raise Unauthenticated("the client certificate is nobody's that is known here", code="unknown_certificate")
        return Caller(agent=agents.pop(), key="certificate")

    def _trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)


def _names(value: str) -> list[str]:
    """The subject and SPIFFE ids in the header. Raises `Unauthenticated` for what isn't one element, well formed."""
    if not value or len(value) > LONGEST or not value.isprintable():
        raise _unreadable()
    if value.split("=", 1)[0].strip().lower() not in _FIELDS:
        return [value.strip()]
    found = []
    for pair in _split(value):
        key, equals, text = pair.partition("=")
        if not equals:
            raise _unreadable()
        if key.strip().lower() in ("subject", "uri"):
            found.append(text)
    return found


def _split(value: str) -> list[str]:
    """The `key=value` pairs, with quotes taken off."""
    pairs, piece, quoted, escaped = [], "", False, False
    for character in value:
        if escaped:
            piece, escaped = piece + character, False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            raise Unauthenticated("the certificate header holds several certificates", code="several_certificates")
        elif character == ";" and not quoted:
            pairs.append(piece)
            piece = ""
        else:
            piece += character
    if quoted or escaped:
        raise _unreadable()
    return [*pairs, piece]


def _unreadable() -> Unauthenticated:
    return Unauthenticated("the certificate header can't be read", code="malformed_certificate")
