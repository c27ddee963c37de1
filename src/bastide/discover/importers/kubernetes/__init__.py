# SPDX-License-Identifier: Apache-2.0
"""Kubernetes manifests: every object is a resource, every container of a pod template a container in the common shape."""

from bastide.discover.importers.kubernetes.importer import Kubernetes

__all__ = ["Kubernetes"]
