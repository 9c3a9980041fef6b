"""The manifest of a corpus: a line of JSON for each utterance."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradtts_interp.errors import InputError

MANIFEST = "manifest.jsonl"
PARTIAL = "manifest.partial.jsonl"

Entry = dict[str, Any]


def load_entries(path: str | Path, *, fields: Sequence[str] = ("id", "kind", "split")) -> list[Entry]:
    """Read the manifest of a built corpus, or what there is of it while the corpus is being built.

    Args:
        path: A corpus folder, or a manifest, plain (``.jsonl``) or compressed (``.xz``).
        fields: What each entry must have.

    Returns:
        Its entries, in order.

    Raises:
        InputError: There is none, it is empty, or a line is damaged, named.
    """
    path, growing = Path(path), False
    if path.suffix not in (".jsonl", ".xz"):
        growing = not (path / MANIFEST).is_file() and (path / PARTIAL).is_file()
        path = path / (PARTIAL if growing else MANIFEST)
    try:
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        lines = content.decode("utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise InputError(
            f"{path} cannot be read: {error}; expected a manifest made by 'gradtts-interp corpus build'"
        ) from error
    if growing and lines and not lines[-1].endswith("\n"):
        lines = lines[:-1]  # the builder is writing it
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            missing = [name for name in fields if name not in entry]
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: {error}; expected a JSON object") from error
        if missing or not isinstance(entry, dict):
            raise InputError(f"{path}, line {number}: expected an item of the corpus builder, with {', '.join(fields)}")
        entries.append(entry)
    if not entries:
        raise InputError(f"{path} is empty; expected items of the corpus builder")
    return entries
