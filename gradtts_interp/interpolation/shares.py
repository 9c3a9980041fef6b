"""Share maps: how much of the second style speaks at each mel bin and frame, in each dimension of speech.

A :class:`Share` is a recipe that does not yet know the utterance; :meth:`Share.render` draws it on a :class:`Layout`.
0 is the first style (A), 1 the second (B); what lies beyond exaggerates. Shares combine: ``a * b`` (product), ``a + b``
(sum, clipped at 1) and ``~a`` (complement). :func:`dimensions` gives timbre, pitch, energy and rate a share each. Times
are relative, in seconds or in words; see :data:`Time`. The functions ``parse_...`` read shares as the command line
writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.pitch.masks import BANDS_HZ, band_mask, pitch_mask

Plane = NDArray[np.float32]
DIMENSIONS = ("timbre", "pitch", "energy", "rate")
"""What a style is made of, each of which may have a share of its own."""
SHARE_LIMITS = (-0.5, 1.5)
"""Of any share; outside [0, 1] what tells the styles apart is exaggerated."""
ROUNDING = 1e-6
"""How far sums and products of single-precision numbers leave [0, 1]; they are brought back."""


Unit = Literal["relative", "seconds", "words"]
Time = float | str
"""A moment as users write it: ``0.5`` (relative), ``"0.5s"`` (seconds) or ``"w2.5"`` (half-way through word 2)."""

_WRITTEN = re.compile(r"(?P<word>w?)(?P<number>[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)(?P<seconds>s?)")
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
        start: Where the plane starts in its paragraph, in [0, 1), so that times count over the whole.
        stop: Where it ends.
        seconds: Expected length of the paragraph; None where the plane is all there is.
    """

    frames: int
    mel: MelConfig
    phones: tuple[tuple[int, int], ...] = ()
    words: tuple[tuple[int, int], ...] = ()
    f0_hz: NDArray | None = None
    voiced: NDArray | None = None
    start: float = 0.0
    stop: float = 1.0
    seconds: float | None = None

    @property
    def positions(self) -> NDArray[np.float64]:
        """Relative time of each frame's centre, (T,) in (0, 1)."""
        return self.start + (np.arange(self.frames) + 0.5) / self.frames * (self.stop - self.start)

    def position(self, at: Moment) -> float:
        """Relative time of a moment; above 1 where seconds lie beyond the end, which are then never reached.

        Words are counted in the sentence, also where the times are those of a paragraph.

        Args:
            at: The moment.

        Returns:
            Relative time, from 0.

        Raises:
            InputError: There is no such word.
        """
        if at.unit == "relative":
            return at.value
        if at.unit == "seconds":
            return at.value / self.seconds if self.seconds else at.value * self.mel.frame_rate_hz / self.frames
        index, count = int(at.value) - 1, len(self.words)
        if count and at.value == count + 1:
            frame: float = self.words[-1][1]
        elif 0 <= index < count:
            first, last = self.words[index]
            frame = first + (at.value - index - 1) * (last - first)
        else:
            raise InputError(f"time {at}: the sentence has words 1 to {count} (w{count + 1} is its end)")
        return self.start + frame / self.frames * (self.stop - self.start)


@dataclass(frozen=True)
class PitchRegion:
    """Bins of F0 and its harmonics; see :func:`~gradtts_interp.pitch.masks.pitch_mask`.

    Attributes:
        harmonics: Multiples of F0 that are marked.
        width_bins: Bins marked on each side.
        from_second: The last style gives the pitch and the first the rest, as in ``~pitch()``.
    """

    harmonics: int = 1
    width_bins: int = 1
    from_second: bool = False

    @property
    def giver(self) -> int:
        """Which style gives the pitch: 0 or -1; the other one of these gives the rest."""
        return -1 if self.from_second else 0


@dataclass(frozen=True)
class ShareMap:
    """Drawn shares, how much of B: (M, T) for each dimension.

    Pitch is read from the low bins of its plane, energy and rate as the mean over all of theirs, so that one plane can
    serve for all dimensions.

    Attributes:
        timbre: Of the voice.
        pitch: Of the level, the range and the shape of F0.
        energy: Of the level.
        rate: Of the durations.
        region: Set where one style gives its pitch and the other the rest: the references are masked instead of the
            target, since pitch is heard in all bins but read from few.
    """

    timbre: Plane
    pitch: Plane
    energy: Plane
    rate: Plane
    region: PitchRegion | None = None

    @property
    def planes(self) -> dict[str, Plane]:
        """The plane of each of :data:`DIMENSIONS`."""
        return {name: getattr(self, name) for name in DIMENSIONS}

    @property
    def exaggerated(self) -> tuple[str, ...]:
        """Dimensions whose share leaves [0, 1] somewhere."""
        return tuple(name for name, plane in self.planes.items() if plane.min() < 0 or plane.max() > 1)


def partition(weight: Plane) -> Plane:
    """Shares of both styles (2, M, T), which sum to 1, from the second one's (M, T)."""
    return np.stack([1 - weight, weight])


Draw = Callable[[Layout], Plane]
"""From a layout to (M, T); a function that pickle can name makes a share that can be pickled."""


@dataclass(frozen=True)
class Share:
    """A recipe for a share map.

    Attributes:
        name: What it is, for logs and settings.
        draw: Share of the timbre, and of each dimension below that has none of its own.
        pitch: Share of the pitch.
        energy: Share of the energy.
        rate: Share of the rate. Durations follow it token by token; without it, they follow the mean share.
        region: See :class:`ShareMap`.
    """

    name: str
    draw: Draw
    pitch: Draw | None = None
    energy: Draw | None = None
    rate: Draw | None = None
    region: PitchRegion | None = None

    def of(self, dimension: str) -> Draw:
        """The share of one of :data:`DIMENSIONS`."""
        return getattr(self, dimension, None) or self.draw

    def render(self, layout: Layout) -> ShareMap:
        """Draw on a layout; each plane is checked to be (M, T) within :data:`SHARE_LIMITS`."""
        timbre = self._plane(self.draw, layout)
        own = {name: getattr(self, name) for name in DIMENSIONS[1:]}
        drawn = {name: timbre if draw is None else self._plane(draw, layout) for name, draw in own.items()}
        return ShareMap(timbre, **drawn, region=self.region)

    def _plane(self, draw: Draw, layout: Layout) -> Plane:
        weight = np.asarray(draw(layout), dtype=np.float32)
        expected, (low, high) = (layout.mel.n_mels, layout.frames), SHARE_LIMITS
        if weight.shape != expected or not ((weight >= low - ROUNDING) & (weight <= high + ROUNDING)).all():
            wanted = f"a plane {expected} within [{low}, {high}]"
            raise InputError(f"share {self.name}: expected {wanted}, got {weight.shape}")
        within = weight.clip(0, 1)
        return np.where(np.abs(weight - within) <= ROUNDING, within, weight)

    # A region of pitch names keys of the references, which have no place on the target. So a product or a sum with a
    # share by pitch is a map of the target alone; the complement exchanges the roles of the styles and keeps it.

    def __mul__(self, other: Share) -> Share:
        return compose(f"{_inside(self)}*{_inside(other)}", _draw_product, self, other)

    def __add__(self, other: Share) -> Share:
        return compose(f"{self.name}+{other.name}", _draw_sum, self, other)

    def __invert__(self) -> Share:
        region = self.region and replace(self.region, from_second=not self.region.from_second)
        name = f"~({self.name})" if "+" in self.name or "*" in self.name else f"~{self.name}"
        return replace(compose(name, _draw_complement, self), region=region)


def compose(name: str, draw: Callable[..., Plane], *parts: Share) -> Share:
    """A share that is drawn from others, dimension by dimension.

    Args:
        name: What it is.
        draw: From what each part draws one dimension with, and a layout, to (M, T).
        *parts: The others.

    Returns:
        The share; it masks no reference.
    """
    own: dict[str, Any] = {
        dimension: partial(draw, *(part.of(dimension) for part in parts))
        for dimension in DIMENSIONS[1:]
        if any(getattr(part, dimension) is not None for part in parts)
    }
    return Share(name, partial(draw, *(part.draw for part in parts)), **own)


# What shares draw: functions of the module, and what they need bound to them, so that shares can be pickled.


def _draw_product(one: Draw, other: Draw, at: Layout) -> Plane:
    return one(at) * other(at)


def _draw_sum(one: Draw, other: Draw, at: Layout) -> Plane:
    return np.minimum(one(at) + other(at), 1)


def _draw_complement(draw: Draw, at: Layout) -> Plane:
    return 1 - draw(at)


def _draw_over_time(values: Callable[[Layout], NDArray], at: Layout) -> Plane:
    return np.repeat(values(at)[None].astype(np.float32), at.mel.n_mels, axis=0)


def _inside(share: Share) -> str:
    """Name of a share as a factor."""
    return f"({share.name})" if "+" in share.name else share.name


def _over_time(name: str, values: Callable[[Layout], NDArray]) -> Share:
    """A share that is the same in all mel bins."""
    return Share(name, partial(_draw_over_time, values))


def constant(weight: float) -> Share:
    """The same share everywhere; ``weight`` in [0, 1], or beyond as far as :data:`SHARE_LIMITS`."""
    weight = _share(weight, "constant")
    return _over_time(f"constant({weight:g})", partial(_curve_values, [Moment(0)], [weight]))


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
        points: Pairs (time, share): shares in :data:`SHARE_LIMITS`, times rising.

    Returns:
        The share.

    Raises:
        InputError: No point, a share out of range, or times that fall; such of different units when it is drawn.
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
    names = {c: f"{c}" if isinstance(c, int) else f"{c.start}-{c.stop - 1}" for c in ranges}
    inside = ",".join(f"{names[chosen]}:{weight:g}" for chosen, weight in ranges.items())
    name = f"{kind}({inside})" + (f" over {base.name}" if base else "")
    return compose(name, partial(_draw_spans, kind, ranges, attribute, first), base or constant(0))


def _draw_spans(
    kind: str, ranges: Mapping[range | int, float], attribute: str, first: int, base: Draw, at: Layout
) -> Plane:
    plane = np.array(base(at))
    spans = getattr(at, attribute)
    for chosen, weight in ranges.items():
        for index in [chosen] if isinstance(chosen, int) else chosen:
            if not 0 <= index - first < len(spans):
                raise InputError(f"{kind} {index}: the sentence has {kind} {first} to {len(spans) - 1 + first}")
            plane[:, slice(*spans[index - first])] = weight
    return plane


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
    """A's pitch, B's voice; ``~pitch()`` is B's pitch, A's voice.

    The share of pitch, energy and rate is 0; that of the timbre is 0 on the bins of F0 and its harmonics and 1
    elsewhere, where F0 is that of the style that gives the pitch, on the target's frames. References are masked
    accordingly; a product or sum with another share is a map of the target alone and masks no reference.

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
    region, of_a = PitchRegion(harmonics, width_bins), constant(0).draw
    name, draw = f"pitch({harmonics},{width_bins})", partial(_draw_pitch, region)
    return Share(name, draw, pitch=of_a, energy=of_a, rate=of_a, region=region)


def _draw_pitch(region: PitchRegion, at: Layout) -> Plane:
    if at.f0_hz is None or at.voiced is None:
        raise InputError("share by pitch: the style that gives it has no F0 contour; expected a recording of speech")
    return 1 - pitch_mask(at.f0_hz, at.voiced, at.mel, harmonics=region.harmonics, width_bins=region.width_bins)


def bands(low_hz: float, high_hz: float, *, inside: float = 1.0, outside: float = 0.0) -> Share:
    """A share inside a frequency band and another outside, such as 0-400 Hz for F0 or 300-2500 Hz for F1-F2."""
    return _in_bands(f"bands({low_hz:g}-{high_hz:g})", {(low_hz, high_hz): inside}, outside)


def band(name: str, *, inside: float = 1.0, outside: float = 0.0) -> Share:
    """A share inside a named band and another outside; see :data:`~gradtts_interp.pitch.masks.BANDS_HZ`."""
    return _in_bands(f"band({name})", {band_edges(name): inside}, outside)


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
        InputError: An unknown band, a share out of range, or bands that overlap.
    """
    if not ranges:
        raise InputError("bands: expected at least one band:share")
    edges = {chosen: band_edges(chosen) if isinstance(chosen, str) else chosen for chosen in ranges}
    names = {chosen: chosen if isinstance(chosen, str) else "{:g}-{:g}".format(*chosen) for chosen in ranges}
    ordered = sorted(ranges, key=lambda chosen: edges[chosen])
    for one, other in zip(ordered[:-1], ordered[1:], strict=True):
        if edges[other][0] < edges[one][1]:
            raise InputError(f"bands {names[one]} and {names[other]} overlap; expected bands apart")
    name = "bands(" + ",".join(f"{names[c]}:{w:g}" for c, w in ranges.items()) + ")"
    return _in_bands(name, {edges[chosen]: weight for chosen, weight in ranges.items()})


def _in_bands(name: str, ranges: Mapping[tuple[float, float], float], outside: float = 0.0) -> Share:
    """Shares of bands that do not overlap, by edges in Hz, and of all else."""
    weights = {edges: _share(weight, "band share") for edges, weight in ranges.items()}
    return Share(name, partial(_draw_bands, weights, _share(outside, "band share")))


def _draw_bands(weights: Mapping[tuple[float, float], float], outside: float, at: Layout) -> Plane:
    masks = [band_mask(*edges, at.frames, at.mel) * (weight - outside) for edges, weight in weights.items()]
    return (outside + np.sum(masks, axis=0)).astype(np.float32)


def dimensions(
    base: Share | None = None,
    *,
    timbre: Share | float | None = None,
    pitch: Share | float | None = None,
    energy: Share | float | None = None,
    rate: Share | float | None = None,
) -> Share:
    """A share for each dimension, such as ``dimensions(pitch=0.5)``: A with its pitch half-way to B's.

    Args:
        base: Share of the dimensions that are not given; they are A's if None.
        timbre: Share of the voice, which may differ over frequency as well as over time.
        pitch: Share of log-F0: its level, range and shape.
        energy: Share of the level, in dB.
        rate: Share of the logarithm of the durations, token by token.

    Returns:
        The share.

    Raises:
        InputError: A number out of range, or a share that masks the references, as :func:`pitch` does.
    """
    given = {"timbre": timbre, "pitch": pitch, "energy": energy, "rate": rate}
    own = {name: s if isinstance(s, Share) else constant(s) for name, s in given.items() if s is not None}
    base_or_a = constant(0) if base is None else base
    for part in (base_or_a, *own.values()):
        if part.region is not None:
            raise InputError(f"share {part.name} masks the references; expected one that is a map of the target alone")
    name = ",".join(f"{dimension}={part.name}" for dimension, part in own.items())
    draws: dict[str, Any] = {dimension: own.get(dimension, base_or_a).of(dimension) for dimension in DIMENSIONS}
    name = f"dimensions({name})" + (f" over {base.name}" if base else "")
    return Share(name, draws.pop("timbre"), **draws)


def _share(value: float, what: str) -> float:
    """The share, brought into [0, 1] where it left it by rounding."""
    low, high = SHARE_LIMITS
    if not (np.isfinite(value) and low - ROUNDING <= value <= high + ROUNDING):
        raise InputError(f"{what} {value}: expected a number from 0 to 1, or beyond from {low} to {high}")
    within = min(max(value, 0.0), 1.0)
    return within if abs(value - within) <= ROUNDING else value


# -- as they are written on the command line: curves, words, bands, and one for each dimension ------------------------

STYLES = {"a": 0.0, "b": 1.0}
FIRST_WORD = 1  # people count from 1
_RANGE_OF_WORDS = re.compile(r"(\d+)(?:-(\d+))?")
_RANGE_OF_HZ = re.compile(r"(\d+\.?\d*)-(\d+\.?\d*)")


def parse_curve(text: str) -> Share:
    """Read a curve, ``"0:0,0.4:0,0.6:1,1:1"``; times as in :data:`Time`."""
    example = "0:0,0.5:1, 0.3s:0,1.2s:1 or w2:a,w3:b"
    points = [(part, time.strip(), _written_share(share)) for part, time, share in _parts(text)]
    for part, time, share in points:
        if not time or share is None:
            _refuse("curve", text, part, "time:share", example)
    return curve([(time, share) for _, time, share in points if share is not None])


def parse_words(text: str, *, base: Share | None = None) -> Share:
    """Read shares of words, ``"2-4:b,6:0.5"``, counted from 1; others follow ``base``, or are A's if None."""
    ranges: dict[range | int, float] = {}
    seen: list[tuple[int, int]] = []
    for part, chosen, written in _parts(text):
        found, share = _RANGE_OF_WORDS.fullmatch(chosen.strip()), _written_share(written)
        if found is None or share is None:
            _refuse("words", text, part, "words:share", "2-4:b,6:0.5")
        first, last = int(found[1]), int(found[2] or found[1])
        if not FIRST_WORD <= first <= last:
            raise InputError(f"words {text!r}: {chosen} is no range of words; expected such as 2-4, from {FIRST_WORD}")
        if any(first <= end and start <= last for start, end in seen):
            raise InputError(f"words {text!r}: {chosen} was given twice; expected each word once")
        seen.append((first, last))
        ranges[range(first, last + 1) if last > first else first] = share
    return words(ranges, base=base, first=FIRST_WORD)


def parse_bands(text: str) -> Share:
    """Read shares of bands, by edges in Hz or by name, ``"0-400:a,f3-f4:b"``; what lies in none is A's."""
    ranges: dict[str | tuple[float, float], float] = {}
    for part, chosen, written in _parts(text):
        chosen, share = chosen.strip().lower(), _written_share(written)
        if not chosen or share is None:
            _refuse("bands", text, part, "band:share", "0-400:a,400-8000:b or f0:a,f1-f2:b")
        found = _RANGE_OF_HZ.fullmatch(chosen)
        given = (float(found[1]), float(found[2])) if found else chosen
        if isinstance(given, tuple) and not given[0] < given[1]:
            raise InputError(f"bands {text!r}: {chosen} Hz; expected a lower edge below the upper one")
        if given in ranges:
            raise InputError(f"bands {text!r}: {chosen} was given twice; expected each band once")
        ranges[given] = share
    return spectrum(ranges)


def parse_dimensions(texts: Sequence[str], *, base: Share | None = None) -> Share:
    """Read shares of single dimensions, such as ``["pitch=0.5", "timbre=0:a,1:b"]``.

    Args:
        texts: ``dimension=share``, where a share is a number, ``a``, ``b``, a curve, or bands for the timbre.
        base: Share of the other dimensions; they are A's if None.

    Returns:
        The share.

    Raises:
        InputError: A part cannot be read, a dimension is unknown or given twice, or ``base`` masks the references.
    """
    given: dict[str, Share] = {}
    for text in texts:
        name, _, written = (part.strip() for part in text.partition("="))
        if name not in DIMENSIONS or not written:
            example = f"pitch=0.5 or timbre=0:a,1:b, with one of {', '.join(DIMENSIONS)}"
            raise InputError(f"{text!r} is not dimension=share; expected such as {example}")
        if name in given:
            raise InputError(f"{name} was given twice; expected each dimension once")
        given[name] = _parse_any(name, written)
    return dimensions(base, **given)


def _parse_any(dimension: str, text: str) -> Share:
    """A number, a letter, bands or a curve; which of them it is can be seen from its first part."""
    number = _written_share(text)
    if number is not None:
        return constant(number)
    first = next(_parts(text))[1].strip().lower()
    if first not in BANDS_HZ and not _RANGE_OF_HZ.fullmatch(first):
        return parse_curve(text)
    if dimension != "timbre":
        raise InputError(f"{dimension}={text}: expected a number or a curve over time; only timbre has bands")
    return parse_bands(text)


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Each part of a list, and what stands before and after its last colon."""
    for part in text.split(","):
        before, _, after = part.rpartition(":")
        yield part, before, after


def _written_share(text: str) -> float | None:
    """Share of B: ``a``, ``b`` or a number; None for anything else."""
    text = text.strip().lower()
    if text in STYLES:
        return STYLES[text]
    try:
        return float(text)
    except ValueError:
        return None


def _refuse(kind: str, text: str, part: str, form: str, example: str) -> NoReturn:
    raise InputError(f"{kind} {text!r}: {part!r} is not {form}; expected such as {example}")
