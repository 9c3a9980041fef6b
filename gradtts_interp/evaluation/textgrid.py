"""Praat TextGrids: phone and word times, read by Praat itself in every format it knows, written by praatio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.files import atomic_path
from gradtts_interp.speech import Speech

Interval = tuple[str, float, float]
PHONE_TIERS = ("phones", "phone", "phonemes", "phoneme", "segments", "segment", "phn")
LARGEST_FILE_BYTES = 64 * 2**20
END_TOLERANCE_SECONDS = 0.03
"""How far a tier may end from the end of its recording: aligners round to their frames."""


@dataclass(frozen=True)
class TextGrid:
    """Tiers of labelled intervals.

    Attributes:
        end_seconds: End of all tiers; they start at 0 unless an interval says otherwise.
        intervals: Tiers by name: labels with start and end in seconds, rising, without overlap.
    """

    end_seconds: float
    intervals: dict[str, tuple[Interval, ...]]

    def phones(self, tier: str | None = None) -> tuple[Interval, ...]:
        """Intervals of the tier of phones.

        Args:
            tier: Its name. If None, the first of :data:`PHONE_TIERS` that the grid has, else its only tier.

        Returns:
            Labels with start and end in seconds, pauses as empty labels among them.

        Raises:
            InputError: There is no such tier; the message names the tiers of the grid.
        """
        by_name = {name.lower().split(" - ")[-1]: tier for name, tier in self.intervals.items()}
        if tier is not None and tier in self.intervals:
            return self.intervals[tier]
        wanted = PHONE_TIERS if tier is None else (tier.lower(),)
        for name in wanted:
            if name in by_name:
                return by_name[name]
        if tier is None and len(self.intervals) == 1:
            return next(iter(self.intervals.values()))
        there = ", ".join(map(repr, self.intervals)) or "none"
        raise InputError(f"TextGrid without a tier {tier or 'phones'!r}; its interval tiers: {there}")


def to_textgrid(speech: Speech) -> TextGrid:
    """Phones and words of a synthesis as a TextGrid.

    Blanks, pauses and punctuation are empty intervals, as Praat's users expect of silence.

    Args:
        speech: What was rendered.

    Returns:
        Tiers ``phones`` and ``words``.
    """
    phones = [(name if any(map(str.isalpha, name)) else "", a, b) for name, a, b in speech.phoneme_times if b > a]
    rate = speech.mel_config.frame_rate_hz
    words = [(name, first / rate, last / rate) for name, first, last in speech.words if last > first]
    end = max([speech.seconds, *(b for _, _, b in [*phones, *words])])
    return TextGrid(end, {"phones": tuple(phones), "words": tuple(words)})


def read_textgrid(path: str | Path) -> TextGrid:
    """Read a TextGrid: long, short or binary, UTF-8, UTF-16 or Latin-1, by Praat itself (parselmouth).

    Args:
        path: The file.

    Returns:
        Its tiers of intervals; those of points are passed over. A second tier of the same name gets its number.

    Raises:
        InputError: The file is missing, too large, damaged or something else, or parselmouth is not installed.
    """
    path = Path(path)
    _require_textgrid(path)
    parselmouth = import_extra("parselmouth", f"{path}: reading a TextGrid needs parselmouth", "eval")
    call = parselmouth.praat.call
    try:
        grid = parselmouth.read(str(path))
        if not isinstance(grid, parselmouth.TextGrid):
            raise InputError(f"{path} holds a {type(grid).__name__}; expected a TextGrid")
        intervals: dict[str, tuple[Interval, ...]] = {}
        for tier in range(1, call(grid, "Get number of tiers") + 1):
            if not call(grid, "Is interval tier", tier):
                continue
            name = call(grid, "Get tier name", tier)
            if name in intervals:
                name = f"{name} ({tier})"
            places = range(1, call(grid, "Get number of intervals", tier) + 1)
            whats = [f"Get {what} of interval" for what in ("label", "start time", "end time")]
            intervals[name] = tuple(zip(*([call(grid, w, tier, i) for i in places] for w in whats), strict=True))
        return TextGrid(float(call(grid, "Get end time")), intervals)
    except parselmouth.PraatError as error:
        raise InputError(f"{path} cannot be read as a TextGrid: {str(error).splitlines()[0]}") from error


def write_textgrid(path: str | Path, grid: TextGrid) -> None:
    """Write a TextGrid as text in UTF-8, by praatio (extra ``eval``); the file appears whole or not at all.

    Gaps between intervals, and before and after them, become empty intervals, since Praat's tiers have no gaps.

    Args:
        path: Where to write.
        grid: The tiers, at least one.

    Raises:
        InputError: There is no tier, times overlap, leave the grid or are not finite, or praatio is missing.
    """
    praat = import_extra("praatio.textgrid", f"{path}: writing a TextGrid needs praatio", "eval")
    if not grid.intervals:
        raise InputError("TextGrid without a tier; expected at least one")
    end = grid.end_seconds
    made = praat.Textgrid(0.0, end)
    try:
        for name, intervals in grid.intervals.items():
            entries = [(start, stop, label) for label, start, stop in intervals]
            made.addTier(praat.IntervalTier(name, entries, 0, end), reportingMode="error")
        with atomic_path(path) as temporary:
            made.save(str(temporary), "long_textgrid", includeBlankSpaces=True, reportingMode="error")
    except (praat.errors.PraatioException, ValueError) as error:
        raise InputError(f"{path}: no TextGrid from 0 to {end:g} s: {error}") from error


def read_phones(path: str | Path, tier: str | None = None) -> tuple[Interval, ...]:
    """Phones of a TextGrid file; see :func:`read_textgrid` and :meth:`TextGrid.phones`.

    Args:
        path: The file.
        tier: Name of the tier, found by its usual names if None.

    Returns:
        Labels with start and end in seconds.

    Raises:
        InputError: The file cannot be read or has no such tier; the message names the file.
    """
    grid = read_textgrid(path)
    try:
        return grid.phones(tier)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


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
