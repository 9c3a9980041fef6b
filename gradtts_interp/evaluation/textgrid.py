"""Praat TextGrids: phone and word times, read by Praat itself in every format it knows, written by praatio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.files import atomic_path
from gradtts_interp.speech import Speech

Interval = tuple[str, float, float]
"""Label, start and end in seconds."""
Tiers = Mapping[str, Sequence[Interval]]
"""Intervals that rise and do not overlap, by the name of their tier."""
PHONE_TIERS = ("phones", "phone", "phonemes", "phoneme", "segments", "segment", "phn")
LARGEST_FILE_BYTES = 64 * 2**20
END_TOLERANCE_SECONDS = 0.03
"""How far a tier may end from the end of its recording: aligners round to their frames."""


def to_textgrid(speech: Speech) -> Tiers:
    """Phones and words of a synthesis, as tiers of a TextGrid.

    Blanks, pauses and punctuation are empty intervals, as Praat's users expect of silence.

    Args:
        speech: What was rendered.

    Returns:
        Tiers ``phones`` and ``words``.
    """
    phones = [(name if any(map(str.isalpha, name)) else "", a, b) for name, a, b in speech.phoneme_times if b > a]
    rate = speech.mel_config.frame_rate_hz
    words = [(name, first / rate, last / rate) for name, first, last in speech.words if last > first]
    return {"phones": phones, "words": words}


def write_textgrid(path: str | Path, tiers: Tiers, *, seconds: float = 0.0) -> None:
    """Write a TextGrid as text in UTF-8, by praatio (extra ``eval``); the file appears whole or not at all.

    Gaps between intervals, and before and after them, become empty intervals, since Praat's tiers have no gaps.

    Args:
        path: Where to write.
        tiers: Intervals by the name of their tier, at least one.
        seconds: Length of the recording; the TextGrid is longer where an interval is.

    Raises:
        InputError: There is no tier, times overlap or are not finite, or praatio is missing.
    """
    praat = import_extra("praatio.textgrid", f"{path}: writing a TextGrid needs praatio", "eval")
    end = max([seconds, *(stop for tier in tiers.values() for _, _, stop in tier)])
    made = praat.Textgrid(0.0, end)
    try:
        if not tiers:
            raise ValueError("no tier")
        for name, tier in tiers.items():
            entries = [(start, stop, label) for label, start, stop in tier]
            made.addTier(praat.IntervalTier(name, entries, 0, end), reportingMode="error")
        with atomic_path(path) as temporary:
            made.save(str(temporary), "long_textgrid", includeBlankSpaces=True, reportingMode="error")
    except (praat.errors.PraatioException, ValueError) as error:
        raise InputError(f"{path}: no TextGrid from 0 to {end:g} s: {error}") from error


def read_phones(path: str | Path, tier: str | None = None) -> tuple[Interval, ...]:
    """Read the phones of a TextGrid: long, short or binary, UTF-8, UTF-16 or Latin-1, by Praat itself (parselmouth).

    Args:
        path: The file.
        tier: Name of the tier. If None, the first of :data:`PHONE_TIERS` that the TextGrid has, else its only tier.

    Returns:
        Labels with start and end in seconds, pauses as empty labels among them.

    Raises:
        InputError: The file is missing, too large, damaged or something else, or has no such tier of intervals; or
            parselmouth is not installed.
    """
    path = Path(path)
    _require_textgrid(path)
    parselmouth = import_extra("parselmouth", f"{path}: reading a TextGrid needs parselmouth", "eval")
    call = parselmouth.praat.call
    try:
        grid = parselmouth.read(str(path))
        numbers = range(1, call(grid, "Get number of tiers") + 1)
        names = {call(grid, "Get tier name", n): n for n in numbers if call(grid, "Is interval tier", n)}
        number = _tier_of_phones(names, tier, path)
        places = range(1, call(grid, "Get number of intervals", number) + 1)
        whats = [f"Get {what} of interval" for what in ("label", "start time", "end time")]
        return tuple(zip(*([call(grid, what, number, i) for i in places] for what in whats), strict=True))
    except parselmouth.PraatError as error:
        raise InputError(f"{path} cannot be read as a TextGrid: {str(error).splitlines()[0]}") from error


def _tier_of_phones(names: dict[str, int], tier: str | None, path: Path) -> int:
    """Number of the tier that is asked for by its name, or found by its usual ones."""
    if tier is None and len(names) == 1:
        return next(iter(names.values()))
    plain = {name.lower().split(" - ")[-1]: number for name, number in names.items()} | names
    for name in PHONE_TIERS if tier is None else (tier, tier.lower()):
        if name in plain:
            return plain[name]
    there = ", ".join(map(repr, names)) or "none"
    raise InputError(f"{path}: TextGrid without a tier {tier or 'phones'!r}; its interval tiers: {there}")


def require_same_end(phones: Sequence[Interval], path: str | Path, *, recording: str, seconds: float) -> None:
    """Raise unless the tier of a TextGrid, which always fills it, ends where its recording does.

    Args:
        phones: The tier.
        path: The file it is from, for the message.
        recording: Name of the recording.
        seconds: Its length.

    Raises:
        InputError: The TextGrid is longer or shorter; the message names both.
    """
    end = phones[-1][2] if phones else 0.0
    if abs(end - seconds) > END_TOLERANCE_SECONDS:
        raise InputError(
            f"{path} ends at {end:.2f} s and {recording} at {seconds:.2f} s; expected a TextGrid of this recording"
        )


def _require_textgrid(path: Path) -> None:
    """Raise unless a file begins as Praat's objects do; Praat would also read sounds and much else."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(256)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if size > LARGEST_FILE_BYTES:
        raise InputError(f"{path} is larger than {LARGEST_FILE_BYTES // 2**20} MiB; expected a TextGrid")
    plain = head.replace(b"\x00", b"")
    if not any(mark in plain for mark in (b"ooTextFile", b"ooBinaryFile")) or b"TextGrid" not in plain:
        raise InputError(f"{path} is not a TextGrid: it does not begin like one")
