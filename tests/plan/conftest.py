# SPDX-License-Identifier: Apache-2.0
"""What the tests of plans share: the real vocabulary, and random plans that are valid by it."""

from __future__ import annotations

import pytest

from bastide.catalog.load import load_vocabulary
from bastide.plan.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return load_vocabulary()
