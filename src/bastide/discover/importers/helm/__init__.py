# SPDX-License-Identifier: Apache-2.0
"""Helm charts: their templates with their own values, read without running a template engine."""

from bastide.discover.importers.helm.importer import Helm

__all__ = ["Helm"]
