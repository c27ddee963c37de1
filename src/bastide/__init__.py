# SPDX-License-Identifier: Apache-2.0
"""Bastide: from one plan of an AI system to its threats, attack paths and controls.

The packages are the steps of the work: `plan` describes the system, `catalog` serves what is known,
`threats` thinks, `report` renders and `cli` is the face. `docs/architecture.md` has the picture.
"""

__version__ = "0.1.0"
