# SPDX-License-Identifier: Apache-2.0
"""What happens to an agent without and with the guard, on the loopback: `bastide guard demo`."""
