# SPDX-License-Identifier: Apache-2.0
"""Bicep: what a deployment declares, with parameters, modules and their outputs evaluated as far as the files say them."""

from bastide.discover.importers.bicep.importer import Bicep

__all__ = ["Bicep"]
