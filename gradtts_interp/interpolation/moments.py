"""Points in time of an utterance that is not laid out yet: relative, in seconds, or in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradtts_interp.errors import InputError

Unit = Literal["relative", "seconds", "words"]
Time = float | str
"""A moment as users write it: ``0.5`` (relative), ``"0.5s"`` (seconds) or ``"w2.5"`` (half-way through word 2)."""

_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?"
_WRITTEN = re.compile(rf"(?P<word>w?)(?P<number>{_NUMBER})(?P<seconds>s?)")
EXPECTED = "expected a relative time from 0 to 1, seconds such as 0.5s, or words such as w2.5"


@dataclass(frozen=True)
class Moment:
    """A point in time.

    Attributes:
        value: From 0 to 1 (relative), from 0 (seconds), or from 1 (words).
        unit: Of ``value``. Words count from 1: 2 is the start of word 2, 2.5 its middle, and one more than the number
            of words is the end of the last.
    """

    value: float
    unit: Unit = "relative"

    def __str__(self) -> str:
        return {"relative": "{:g}", "seconds": "{:g}s", "words": "w{:g}"}[self.unit].format(self.value)

    def frame(self, frames: int, frame_rate_hz: float, words: Sequence[tuple[int, int]]) -> float:
        """Place on the frames of an utterance.

        Args:
            frames: Mel frames (T).
            frame_rate_hz: Frames per second.
            words: First frame and frame after the last of each word.

        Returns:
            Frames from the start; seconds may lie beyond the end, which is then never reached.

        Raises:
            InputError: There is no such word.
        """
        if self.unit == "relative":
            return self.value * frames
        if self.unit == "seconds":
            return self.value * frame_rate_hz
        index = int(self.value) - 1
        if words and self.value == len(words) + 1:
            return float(words[-1][1])
        if not 0 <= index < len(words):
            raise InputError(f"time {self}: the sentence has words 1 to {len(words)} (w{len(words) + 1} is its end)")
        start, stop = words[index]
        return start + (self.value - index - 1) * (stop - start)


def moment(time: Time, what: str = "time") -> Moment:
    """Read a moment as users write it.

    Args:
        time: See :data:`Time`.
        what: What it is the time of, for messages.

    Returns:
        The moment.

    Raises:
        InputError: It is none, or leaves its range.
    """
    found = _WRITTEN.fullmatch(f"{time}".strip())
    if found is None or (found["word"] and found["seconds"]):
        raise InputError(f"{what} {time}: {EXPECTED}")
    value = float(found["number"])
    unit: Unit = "words" if found["word"] else "seconds" if found["seconds"] else "relative"
    if (unit == "relative" and value > 1) or (unit == "words" and value < 1) or value == float("inf"):
        raise InputError(f"{what} {time}: {EXPECTED}")
    return Moment(value, unit)
