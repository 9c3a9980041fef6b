"""Share maps: how much of the second style speaks at each mel bin and frame.

A :class:`Share` is a recipe that does not yet know the utterance; :meth:`Share.render` draws it on a :class:`Layout`.
0 is the first style (A), 1 the second (B). Shares combine: ``a * b`` (product), ``a + b`` (sum, clipped at 1) and
``~a`` (complement). Times are relative, in seconds or in words; see
:data:`~gradtts_interp.interpolation.moments.Time`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.moments import Moment, Time, moment
from gradtts_interp.pitch.masks import BANDS_HZ, band_mask, pitch_mask

Plane = NDArray[np.float32]
ROUNDING = 1e-6
"""How far a share may leave [0, 1], as sums and products of single-precision numbers do; it is brought back."""


@dataclass(frozen=True)
class Layout:
    """The target plane a share is drawn on.

    Attributes:
        frames: Mel frames (T).
        mel: Mel contract.
        phones: First frame and frame after the last of each token, in order.
        words: First frame and frame after the last of each word.
        f0_hz: F0 of the style that gives the pitch, on the target's frames (T,), where it is known.
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

    def position(self, at: Moment) -> float:
        """Relative time of a moment; above 1 where it lies beyond the end."""
        if at.unit == "relative":
            return at.value
        return at.frame(self.frames, self.mel.frame_rate_hz, self.words) / self.frames


@dataclass(frozen=True)
class PitchRegion:
    """Bins of F0 and its harmonics; see :func:`~gradtts_interp.pitch.masks.pitch_mask`.

    Attributes:
        harmonics: Multiples of F0 that are marked.
        width_bins: Bins marked on each side.
        from_second: The second style gives the pitch and the first the rest, as in ``~pitch()``.
    """

    harmonics: int = 1
    width_bins: int = 1
    from_second: bool = False


@dataclass(frozen=True)
class ShareMap:
    """A drawn share.

    Attributes:
        weight: (M, T) in [0, 1], how much of B.
        pitch: Set where one style gives its pitch and the other the rest: the references are masked instead of the
            target, since pitch is heard in all bins but read from few.
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
        draw: From a layout to (M, T); a function that pickle can name makes a share that can be pickled.
        pitch: See :class:`ShareMap`.
    """

    name: str
    draw: Callable[[Layout], Plane]
    pitch: PitchRegion | None = None

    def render(self, layout: Layout) -> ShareMap:
        """Draw on a layout; the answer is checked to be (M, T) in [0, 1], but for rounding."""
        weight = np.asarray(self.draw(layout), dtype=np.float32)
        expected = (layout.mel.n_mels, layout.frames)
        if weight.shape != expected or not (weight >= -ROUNDING).all() or not (weight <= 1 + ROUNDING).all():
            raise InputError(f"share {self.name}: expected a plane {expected} within [0, 1], got {weight.shape}")
        return ShareMap(weight.clip(0, 1), self.pitch)

    # A region of pitch names keys of the references, which have no place on the target. So a product or a sum with a
    # share by pitch is a map of the target alone; the complement exchanges the roles of the styles and keeps it.

    def __mul__(self, other: Share) -> Share:
        return Share(f"{_inside(self)}*{_inside(other)}", partial(_draw_product, self, other))

    def __add__(self, other: Share) -> Share:
        return Share(f"{self.name}+{other.name}", partial(_draw_sum, self, other))

    def __invert__(self) -> Share:
        pitch = self.pitch and replace(self.pitch, from_second=not self.pitch.from_second)
        name = f"~({self.name})" if "+" in self.name or "*" in self.name else f"~{self.name}"
        return Share(name, partial(_draw_complement, self), pitch)


# What shares draw: functions of the module, and what they need bound to them, so that shares can be pickled.


def _draw_product(one: Share, other: Share, at: Layout) -> Plane:
    return one.draw(at) * other.draw(at)


def _draw_sum(one: Share, other: Share, at: Layout) -> Plane:
    return np.minimum(one.draw(at) + other.draw(at), 1)


def _draw_complement(share: Share, at: Layout) -> Plane:
    return 1 - share.draw(at)


def _draw_over_time(values: Callable[[Layout], NDArray], at: Layout) -> Plane:
    return np.repeat(values(at)[None].astype(np.float32), at.mel.n_mels, axis=0)


def _inside(share: Share) -> str:
    """Name of a share as a factor."""
    return f"({share.name})" if "+" in share.name else share.name


def _over_time(name: str, values: Callable[[Layout], NDArray]) -> Share:
    """A share that is the same in all mel bins."""
    return Share(name, partial(_draw_over_time, values))


def constant(weight: float) -> Share:
    """The same share everywhere; ``weight`` in [0, 1]."""
    weight = _share(weight, "constant")
    return _over_time(f"constant({weight:g})", partial(_constant_values, weight))


def _constant_values(weight: float, at: Layout) -> NDArray:
    return np.full(at.frames, weight)


def step(at: Time = 0.5) -> Share:
    """A before, B from time ``at`` on."""
    when = moment(at, "step time")
    return _over_time(f"step({when})", partial(_step_values, when))


def _step_values(when: Moment, at: Layout) -> NDArray:
    return (at.positions >= at.position(when)).astype(np.float32)


def ramp(start: Time = 0.2, end: Time = 0.8) -> Share:
    """From A to B, linearly between two times."""
    first, last = moment(start, "ramp start"), moment(end, "ramp end")
    if first.unit == last.unit and not first.value < last.value:
        raise InputError(f"ramp from {first} to {last}: expected a start before the end")
    return _over_time(f"ramp({first},{last})", partial(_ramp_values, first, last))


def _ramp_values(first: Moment, last: Moment, at: Layout) -> NDArray:
    low, high = at.position(first), at.position(last)
    if not low < high:
        raise InputError(f"ramp from {first} to {last}: expected a start before the end")
    return np.clip((at.positions - low) / (high - low), 0, 1)


def curve(points: Sequence[tuple[Time, float]]) -> Share:
    """A piecewise-linear share over time.

    Args:
        points: Pairs (time, share): shares in [0, 1], times rising.

    Returns:
        The share.

    Raises:
        InputError: No point, a share outside [0, 1], or times that fall; such of different units when it is drawn.
    """
    if not points:
        raise InputError("curve: expected at least one point time:share")
    times, shares = [moment(t, "curve time") for t, _ in points], [_share(s, "curve share") for _, s in points]
    name = "curve(" + ",".join(f"{t}:{s:g}" for t, s in zip(times, shares, strict=True)) + ")"
    if len({t.unit for t in times}) == 1:
        _require_rising([t.value for t in times], times)
    return _over_time(name, partial(_curve_values, times, shares))


def _curve_values(times: Sequence[Moment], shares: Sequence[float], at: Layout) -> NDArray:
    positions = [at.position(t) for t in times]
    _require_rising(positions, times)
    return np.interp(at.positions, positions, shares)


def _require_rising(values: Sequence[float], times: Sequence[Moment]) -> None:
    if (np.diff(values) < 0).any():
        raise InputError(f"curve: times {', '.join(map(str, times))} fall; expected rising times")


def _spans(kind: str, ranges: Mapping[range | int, float], attribute: str, base: Share | None, first: int) -> Share:
    ranges = {chosen: _share(weight, kind) for chosen, weight in ranges.items()}
    inside = ",".join(f"{_range_name(chosen)}:{weight:g}" for chosen, weight in ranges.items())
    draw = partial(_draw_spans, kind, ranges, attribute, base, first)
    return Share(f"{kind}({inside})" + (f" over {base.name}" if base else ""), draw)


def _draw_spans(
    kind: str, ranges: Mapping[range | int, float], attribute: str, base: Share | None, first: int, at: Layout
) -> Plane:
    plane = np.zeros((at.mel.n_mels, at.frames), np.float32) if base is None else np.array(base.draw(at))
    spans = getattr(at, attribute)
    for chosen, weight in ranges.items():
        for index in [chosen] if isinstance(chosen, int) else chosen:
            if not 0 <= index - first < len(spans):
                raise InputError(f"{kind} {index}: the sentence has {kind} {first} to {len(spans) - 1 + first}")
            plane[:, slice(*spans[index - first])] = weight
    return plane


def _range_name(chosen: range | int) -> str:
    return f"{chosen}" if isinstance(chosen, int) else f"{chosen.start}-{chosen.stop - 1}"


def words(ranges: Mapping[range | int, float], *, base: Share | None = None, first: int = 0) -> Share:
    """Shares of single words.

    Args:
        ranges: Share of a word or of a range of words, by index.
        base: Share of the other words, and of pauses; they are A's if None.
        first: Index of the first word: 0 as everywhere in Python, 1 as on the command line.

    Returns:
        The share; drawing it on a sentence without such a word is an error.
    """
    return _spans("words", ranges, "words", base, first)


def phonemes(ranges: Mapping[range | int, float], *, base: Share | None = None, first: int = 0) -> Share:
    """Shares of single tokens, as :func:`words`."""
    return _spans("phonemes", ranges, "phones", base, first)


def pitch(harmonics: int = 1, width_bins: int = 1) -> Share:
    """A's pitch, B's voice: 0 on the bins of F0 and its harmonics, 1 elsewhere; ``~pitch()`` is B's pitch, A's voice.

    F0 is that of the style that gives the pitch, on the target's frames. References are masked accordingly; a product
    or sum with another share is a map of the target alone and masks no reference.

    Args:
        harmonics: Multiples 1..harmonics of F0 are marked.
        width_bins: Bins marked on each side of the nearest one.

    Returns:
        The share.

    Raises:
        InputError: ``harmonics`` < 1 or ``width_bins`` < 0.
    """
    if harmonics < 1 or width_bins < 0:
        raise InputError(f"share by pitch: harmonics {harmonics}, width {width_bins} bins; expected >= 1 and >= 0")
    region = PitchRegion(harmonics, width_bins)
    return Share(f"pitch({harmonics},{width_bins})", partial(_draw_pitch, region), pitch=region)


def _draw_pitch(region: PitchRegion, at: Layout) -> Plane:
    if at.f0_hz is None or at.voiced is None:
        raise InputError(
            "share by pitch: the style that gives it has no F0 contour; expected a reference with voiced speech"
        )
    return 1 - pitch_mask(at.f0_hz, at.voiced, at.mel, harmonics=region.harmonics, width_bins=region.width_bins)


def bands(low_hz: float, high_hz: float, *, inside: float = 1.0, outside: float = 0.0) -> Share:
    """A share inside a frequency band and another outside, such as 0-400 Hz for F0 or 300-2500 Hz for F1-F2."""
    inside, outside = _share(inside, "band share"), _share(outside, "band share")
    return Share(f"bands({low_hz:g}-{high_hz:g})", partial(_draw_band, low_hz, high_hz, inside, outside))


def _draw_band(low_hz: float, high_hz: float, inside: float, outside: float, at: Layout) -> Plane:
    mask = band_mask(low_hz, high_hz, at.frames, at.mel)
    return (mask * inside + (1 - mask) * outside).astype(np.float32)


def band(name: str, *, inside: float = 1.0, outside: float = 0.0) -> Share:
    """A share inside a named band and another outside; see :data:`~gradtts_interp.pitch.masks.BANDS_HZ`."""
    return replace(bands(*band_edges(name), inside=inside, outside=outside), name=f"band({name})")


def band_edges(name: str) -> tuple[float, float]:
    """Edges in Hz of a named band, such as ``f0``."""
    if name not in BANDS_HZ:
        raise InputError(f"band {name!r}: expected {', '.join(BANDS_HZ)}, or edges in Hz such as 0-400")
    return BANDS_HZ[name]


def spectrum(ranges: Mapping[str | tuple[float, float], float]) -> Share:
    """Shares of several bands, given by name or by edges in Hz; what lies in none is A's.

    Args:
        ranges: Share of each band.

    Returns:
        The share.

    Raises:
        InputError: An unknown band, a share outside [0, 1], or bands that overlap.
    """
    if not ranges:
        raise InputError("bands: expected at least one band:share")
    ranges = {chosen: _share(weight, "band share") for chosen, weight in ranges.items()}
    edges = {chosen: band_edges(chosen) if isinstance(chosen, str) else chosen for chosen in ranges}
    names = {chosen: chosen if isinstance(chosen, str) else "{:g}-{:g}".format(*chosen) for chosen in ranges}
    ordered = sorted(ranges, key=lambda chosen: edges[chosen])
    for one, other in zip(ordered[:-1], ordered[1:], strict=True):
        if edges[other][0] < edges[one][1]:
            raise InputError(f"bands {names[one]} and {names[other]} overlap; expected bands apart")
    weights = [(edges[chosen], weight) for chosen, weight in ranges.items()]
    name = "bands(" + ",".join(f"{names[c]}:{w:g}" for c, w in ranges.items()) + ")"
    return Share(name, partial(_draw_spectrum, weights))


def _draw_spectrum(weights: Sequence[tuple[tuple[float, float], float]], at: Layout) -> Plane:
    masks = [band_mask(*edges, at.frames, at.mel) * weight for edges, weight in weights]
    return np.sum(masks, axis=0, dtype=np.float32)


def _share(value: float, what: str) -> float:
    """The share, brought into [0, 1] where it left it by rounding."""
    if not (np.isfinite(value) and -ROUNDING <= value <= 1 + ROUNDING):
        raise InputError(f"{what} {value}: expected a number from 0 to 1")
    return min(max(value, 0.0), 1.0)
