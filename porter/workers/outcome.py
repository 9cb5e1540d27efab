"""How a rung can end without having passed or failed."""

from __future__ import annotations


class Skipped(Exception):
    """The rung cannot run here; the message says why, in a line."""
