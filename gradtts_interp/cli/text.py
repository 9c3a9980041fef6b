"""Numbers that commands read, with one clear error each, and tables that they print."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from gradtts_interp.interpolation.shares import SHARE_LIMITS

LARGEST_WHOLE = 2**31 - 1


def _number(text: str, kind: type, expected: str, low: float, high: float) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {expected}")
    return value


def index(text: str) -> int:
    """A whole number from 0."""
    return _number(text, int, "a whole number from 0", 0, LARGEST_WHOLE)


def count(text: str) -> int:
    """A whole number of at least 1."""
    return _number(text, int, "a whole number of at least 1", 1, LARGEST_WHOLE)


def steps(text: str) -> int:
    """A number of steps; 0 is said on purpose."""
    return 0 if text == "0" else count(text)


def not_negative(text: str) -> float:
    """A number of at least 0."""
    return _number(text, float, "a number of at least 0", 0.0, 1e300)


def positive(text: str) -> float:
    """A number above 0."""
    return _number(text, float, "a number above 0", 1e-9, 1e300)


def share_number(text: str) -> float:
    """A share of B."""
    low, high = SHARE_LIMITS
    return _number(text, float, f"a number from 0 to 1, or beyond from {low} to {high}", low, high)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells in columns of equal width."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
