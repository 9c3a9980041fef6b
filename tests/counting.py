"""Counts of the long runs, kept for `docs/reliability.rst`: ``RECORD=1 make test-slow`` writes them."""

import json
import os
from pathlib import Path

from benchmarks.common import stamp

RESULTS = Path(__file__).parents[1] / "docs" / "reliability.json"


def record(group, what, **counts):
    """Keep a row of a table of the page, with when and of what commit it was found."""
    if os.environ.get("RECORD") != "1":
        return
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    found.setdefault(group, {})[what] = {**counts, **stamp()}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
