"""Folders as Kaldi, ESPnet and the VERSA toolkit read them: ``wav.scp``, ``text``, ``utt2spk``, ``spk2utt``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path


@dataclass(frozen=True)
class KaldiUtterance:
    """One line of each file.

    Attributes:
        id: Name without spaces, unique.
        wav: Path of the audio.
        speaker: Who speaks, without spaces; the id itself where unknown, as Kaldi does.
        text: What is said, None where unknown.
    """

    id: str
    wav: str | Path
    speaker: str | None = None
    text: str | None = None


def write_kaldi(folder: str | Path, utterances: Sequence[KaldiUtterance]) -> tuple[Path, ...]:
    """Write the lists of a Kaldi folder, sorted by bytes as Kaldi wants; each file appears whole or not at all.

    ``text`` has the utterances whose words are known, and is left out when none is. VERSA scores the result with
    ``--pred wav.scp --text text``, or two folders with the same ids against each other with ``--gt`` as well.

    Args:
        folder: Where to write; made if missing.
        utterances: At least one. Paths are written absolute.

    Returns:
        The files written.

    Raises:
        InputError: There is none, an id repeats or has spaces, an audio file is missing, or its path would be read as
            a command.
    """
    folder = Path(folder)
    if not utterances:
        raise InputError(f"{folder}: no utterance to list; expected at least one")
    seen: set[str] = set()
    for utterance in utterances:
        _require_sane(utterance, seen)
    # ordered by bytes, as LC_ALL=C sort
    ordered = sorted(utterances, key=lambda u: u.id.encode())
    speakers: dict[str, list[str]] = defaultdict(list)
    for u in ordered:
        speakers[u.speaker or u.id].append(u.id)
    lists = {
        "wav.scp": [f"{u.id} {Path(u.wav).resolve()}" for u in ordered],
        "utt2spk": [f"{u.id} {u.speaker or u.id}" for u in ordered],
        "spk2utt": [f"{s} {' '.join(ids)}" for s, ids in sorted(speakers.items(), key=lambda x: x[0].encode())],
    }
    words = [f"{u.id} {' '.join(u.text.split())}" for u in ordered if u.text and u.text.strip()]
    if words:
        lists["text"] = words
    for name, lines in lists.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return tuple(folder / name for name in lists)


def _require_sane(utterance: KaldiUtterance, seen: set[str]) -> None:
    for what, name in (("id", utterance.id), ("speaker", utterance.speaker)):
        if name is not None and (not name or name.split() != [name]):
            raise InputError(f"{what} {name!r}: expected a name without spaces")
    if utterance.id in seen:
        raise InputError(f"id {utterance.id!r} is given twice; expected unique ids")
    seen.add(utterance.id)
    path = Path(utterance.wav).resolve()
    if not path.is_file():
        raise InputError(f"{utterance.wav}: no such audio file, of utterance {utterance.id!r}")
    if str(path).endswith("|") or "\n" in str(path):
        raise InputError(f"{path}: Kaldi would read this name as a command; rename the file")
