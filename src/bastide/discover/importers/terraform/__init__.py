# SPDX-License-Identifier: Apache-2.0
"""Terraform: what a root module declares, with variables, locals, modules and conditions evaluated as far as the files say them."""

from bastide.discover.importers.terraform.importer import Terraform

__all__ = ["Terraform"]
