# SPDX-License-Identifier: Apache-2.0
"""Lets `python -m bastide` do what the console script `bastide` does."""

from bastide.cli.main import main

if __name__ == "__main__":
    main()
