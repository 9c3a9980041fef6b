"""Share maps: how much of the second style speaks at each mel bin and frame.

A :class:`Share` is a recipe that does not yet know the utterance; :meth:`Share.render` draws it on a :class:`Layout`.
0 is the first style (A), 1 the second (B). Shares combine: ``a * b`` (product), ``a + b`` (sum, clipped at 1) and
``~a`` (complement).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.masks import band_mask, pitch_mask

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """The target plane a share is drawn on.

    Attributes:
        frames: Mel frames (T).
        mel: Mel contract.
        phones: First frame and frame after the last of each token, in order.
        words: First frame and frame after the last of each word.
        f0_hz: F0 of style A on the target's frames (T,), where it is known.
        voiced: Voicing that goes with ``f0_hz`` (T,).
    """

    frames: int
    mel: MelConfig
    phones: tuple[tuple[int, int], ...] = ()
    words: tuple[tuple[int, int], ...] = ()
    f0_hz: NDArray | None = None
    voiced: NDArray | None = None

    @property
    def positions(self) -> NDArray[np.float64]:
        """Relative time of each frame's centre, (T,) in (0, 1)."""
        return (np.arange(self.frames) + 0.5) / self.frames


@dataclass(frozen=True)
class PitchRegion:
    """Bins of F0 and its harmonics; see :func:`~gradtts_interp.pitch.masks.pitch_mask`.

    Attributes:
        harmonics: Multiples of F0 that are marked.
        width_bins: Bins marked on each side.
    """

    harmonics: int = 1
    width_bins: int = 1


@dataclass(frozen=True)
class ShareMap:
    """A drawn share.

    Attributes:
        weight: (M, T) in [0, 1], how much of B.
        pitch: Set where A gives its pitch and B the rest: the references are masked instead of the target, since
            pitch is heard in all bins but read from few.
    """

    weight: Plane
    pitch: PitchRegion | None = None

    @property
    def partition(self) -> Plane:
        """Shares of all styles (n, M, T); they sum to 1."""
        return np.stack([1 - self.weight, self.weight])


@dataclass(frozen=True)
class Share:
    """A recipe for a share map.

    Attributes:
        name: What it is, for logs and settings.
        draw: From a layout to (M, T).
        pitch: See :class:`ShareMap`.
    """

    name: str
    draw: Callable[[Layout], Plane]
    pitch: PitchRegion | None = None

    def render(self, layout: Layout) -> ShareMap:
        """Draw on a layout; the answer is checked to be (M, T) in [0, 1]."""
        weight = np.asarray(self.draw(layout), dtype=np.float32)
        expected = (layout.mel.n_mels, layout.frames)
        if weight.shape != expected or not np.isfinite(weight).all() or weight.min() < 0 or weight.max() > 1:
            raise InputError(f"share {self.name}: expected a plane {expected} within [0, 1], got {weight.shape}")
        return ShareMap(weight, self.pitch)

    def __mul__(self, other: Share) -> Share:
        return Share(f"{self.name}*{other.name}", lambda at: self.draw(at) * other.draw(at))

    def __add__(self, other: Share) -> Share:
        return Share(f"{self.name}+{other.name}", lambda at: np.minimum(self.draw(at) + other.draw(at), 1))

    def __invert__(self) -> Share:
        return Share(f"~{self.name}", lambda at: 1 - self.draw(at))


def _over_time(name: str, values: Callable[[Layout], NDArray]) -> Share:
    """A share that is the same in all mel bins."""
    return Share(name, lambda at: np.repeat(values(at)[None].astype(np.float32), at.mel.n_mels, axis=0))


def constant(weight: float) -> Share:
    """The same share everywhere; ``weight`` in [0, 1]."""
    _require_share(weight, "constant")
    return _over_time(f"constant({weight:g})", lambda at: np.full(at.frames, weight))


def step(at: float = 0.5) -> Share:
    """A before, B from relative time ``at`` in [0, 1] on."""
    _require_share(at, "step time")
    return _over_time(f"step({at:g})", lambda layout: (layout.positions >= at).astype(np.float32))


def ramp(start: float = 0.2, end: float = 0.8) -> Share:
    """From A to B, linearly between two relative times in [0, 1]."""
    _require_share(start, "ramp start")
    _require_share(end, "ramp end")
    if not start < end:
        raise InputError(f"ramp from {start:g} to {end:g}: expected a start before the end")
    return _over_time(f"ramp({start:g},{end:g})", lambda at: np.clip((at.positions - start) / (end - start), 0, 1))


def curve(points: Sequence[tuple[float, float]]) -> Share:
    """A piecewise-linear share over relative time.

    Args:
        points: Pairs (relative time, share), all in [0, 1], times rising.

    Returns:
        The share.

    Raises:
        InputError: No point, a value outside [0, 1], or times that fall.
    """
    if not points:
        raise InputError("curve: expected at least one point time:share")
    for time, share in points:
        _require_share(time, "curve time")
        _require_share(share, "curve share")
    times, values = np.array(points, dtype=np.float64).T
    if (np.diff(times) < 0).any():
        raise InputError(f"curve: times {times.tolist()} fall; expected rising times in [0, 1]")
    name = "curve(" + ",".join(f"{t:g}:{s:g}" for t, s in points) + ")"
    return _over_time(name, lambda at: np.interp(at.positions, times, values))


def parse_curve(text: str) -> Share:
    """Read a curve as it is written on the command line, ``"0:0,0.4:0,0.6:1,1:1"``."""
    points = []
    for part in text.split(","):
        time, _, share = part.partition(":")
        try:
            points.append((float(time), float(share)))
        except ValueError as error:
            raise InputError(f"curve {text!r}: {part!r} is not time:share; expected such as 0:0,0.5:1") from error
    return curve(points)


def _spans(kind: str, ranges: Mapping[range | int, float], spans_of: Callable[[Layout], tuple]) -> Share:
    for weight in ranges.values():
        _require_share(weight, kind)

    def values(at: Layout) -> NDArray:
        weights, spans = np.zeros(at.frames), spans_of(at)
        for chosen, weight in ranges.items():
            for index in [chosen] if isinstance(chosen, int) else chosen:
                if not 0 <= index < len(spans):
                    raise InputError(f"{kind} {index}: the sentence has {kind} 0 to {len(spans) - 1}")
                weights[slice(*spans[index])] = weight
        return weights

    return _over_time(f"{kind}({dict(ranges)})", values)


def words(ranges: Mapping[range | int, float]) -> Share:
    """Shares of single words, by index from 0; other words are A's."""
    return _spans("words", ranges, lambda at: at.words)


def phonemes(ranges: Mapping[range | int, float]) -> Share:
    """Shares of single tokens, by index from 0; others are A's."""
    return _spans("phonemes", ranges, lambda at: at.phones)


def pitch(harmonics: int = 1, width_bins: int = 1) -> Share:
    """A's pitch, B's voice: 0 on the bins of F0 and its harmonics, 1 elsewhere.

    F0 is that of style A on the target's frames.
    """

    def draw(at: Layout) -> Plane:
        if at.f0_hz is None or at.voiced is None:
            raise InputError("share by pitch: style A has no F0 contour; give a reference with voiced speech")
        return 1 - pitch_mask(at.f0_hz, at.voiced, at.mel, harmonics=harmonics, width_bins=width_bins)

    return Share(f"pitch({harmonics},{width_bins})", draw, pitch=PitchRegion(harmonics, width_bins))


def bands(low_hz: float, high_hz: float, *, inside: float = 1.0, outside: float = 0.0) -> Share:
    """A share inside a frequency band and another outside, such as 0-400 Hz for F0 or 300-2500 Hz for F1-F2."""
    _require_share(inside, "band share")
    _require_share(outside, "band share")

    def draw(at: Layout) -> Plane:
        mask = band_mask(low_hz, high_hz, at.frames, at.mel)
        return (mask * inside + (1 - mask) * outside).astype(np.float32)

    return Share(f"bands({low_hz:g}-{high_hz:g})", draw)


def _require_share(value: float, what: str) -> None:
    if not (np.isfinite(value) and 0 <= value <= 1):
        raise InputError(f"{what} {value}: expected a number from 0 to 1")
