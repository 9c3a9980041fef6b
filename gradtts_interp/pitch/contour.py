"""Prosody on the mel's frame grid: F0, voicing and energy of a signal, and four numbers that sum it up."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gradtts_interp.audio import SPEECH_RANGE_DB, without_rumble
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.units import CENTS_PER_NAT, power_to_db, ratio_to_semitones

Tracker = Literal["dio", "harvest"]
ENERGY_FLOOR_DB = -80.0
FLAT_LOG_F0 = 1e-3
"""Standard deviation of log-F0 below which a contour counts as flat."""

FLOOR_HZ, CEILING_HZ = 60.0, 500.0
"""Where F0 is searched."""

WIDE_SEARCH = {"floor_hz": 35.0, "ceiling_hz": 1200.0, "resolution_semitones": 0.5}
PYIN_SAMPLES = 2048
GROSS_LOG_F0 = 0.2
LARGEST_GROSS_SHARE = 0.2
FEWEST_FRAMES = 10

REACH_CENTS = 100.0
RANGE_PERCENTILES = (5.0, 95.0)

VOICE_BAND_HZ = (60.0, 1000.0)
"""Where a voiced frame has its level; a hiss between words has none there, and hum little."""

SLIP_FRAMES, SLIP_LOG_F0 = 41, 0.45
"""A frame whose log-F0 is this far from the median of the voiced frames around it has slipped, mostly by an octave."""

UNVOICED_F0_HZ = 150.0
"""F0 of a signal without any voiced frame: a constant, so that logarithms stay finite."""

PROSODY_NAMES = ("log_f0_mean", "log_f0_std", "energy_db", "syllable_rate_hz")
# About the demo corpus's statistics. Shipped models were trained with exactly these: changing them changes what a
# checkpoint hears.
PROSODY_MEAN = np.array([np.log(150.0), 0.15, -27.5, 3.5], dtype=np.float32)
PROSODY_STD = np.array([0.35, 0.07, 4.0, 0.8], dtype=np.float32)

SYLLABLE_SMOOTHING_SECONDS = 0.035
SYLLABLE_PROMINENCE_DB = 2.0
SYLLABLE_DISTANCE_SECONDS = 0.08


def same_fields(one: Any, other: Any) -> bool:
    """Whether two dataclass values of one class hold the same, arrays compared by their content."""
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return all(
        np.array_equal(a, b)
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
        else type(a) is type(b) and a == b
        for a, b in pairs
    )


@dataclass(frozen=True, eq=False)
class Contour:
    """Prosody of one utterance on the mel's frame grid.

    Attributes:
        f0_hz: Fundamental frequency (T,), float32, interpolated in log-frequency through unvoiced frames: never 0
            or NaN.
        voiced: Whether a frame is voiced (T,), bool.
        energy_db: Level of the frame's window (T,), float32, dB re full scale, at least ``ENERGY_FLOOR_DB``.
        frame_rate_hz: Frames per second.
    """

    f0_hz: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    energy_db: NDArray[np.float32]
    frame_rate_hz: float

    def __post_init__(self) -> None:
        """Refuse arrays that cannot be a contour."""
        shapes = (np.shape(self.f0_hz), np.shape(self.voiced), np.shape(self.energy_db))
        if len(set(shapes)) != 1 or len(shapes[0]) != 1:
            raise InputError(f"contour of f0_hz, voiced, energy_db with shapes {shapes}; expected one shape (T,)")
        if not (np.isfinite(self.f0_hz).all() and (np.asarray(self.f0_hz) > 0).all()):
            raise InputError("contour with an F0 that is not finite and > 0; expected unvoiced frames interpolated")

    def __len__(self) -> int:
        return len(self.f0_hz)

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Contour) else NotImplemented

    def __hash__(self) -> int:
        return hash((len(self), float(np.sum(self.f0_hz, dtype=float))))


def extract_contour(
    audio: NDArray[Any] | Tensor,
    config: MelConfig,
    *,
    tracker: Tracker = "dio",
    floor_hz: float = FLOOR_HZ,
    ceiling_hz: float = CEILING_HZ,
) -> Contour:
    """Measure F0, voicing and energy on the mel's frame grid.

    The tracker runs at half a hop, so that every second one of its frames lies exactly on a mel frame's centre
    ``(i + 0.5) * hop_samples``; nothing is averaged across voiced and unvoiced frames. It reads the samples without
    their rumble. A frame counts as voiced where the voice's band is within :data:`SPEECH_RANGE_DB` of the loudest
    frame, so that hum between words does not, and where its F0 is not far from that of the frames around it. The level
    is that of the samples without their mean.

    Args:
        audio: Samples (N,), full scale at 1, at ``config.sample_rate_hz``.
        config: The mel contract, which fixes the frame grid.
        tracker: ``"dio"`` (with StoneMask refinement; fast) or ``"harvest"`` (slow, fewer voicing errors).
        floor_hz: Lowest F0 searched.
        ceiling_hz: Highest F0 searched.

    Returns:
        Contour of ``N // hop_samples`` frames.

    Raises:
        InputError: ``audio`` is not (N,) of finite samples or shorter than a frame, or the tracker or its range is
            unknown.

    Source: Morise 2009 (DIO), 2017 (Harvest).
    """
    samples = _as_samples(audio, config)
    if tracker not in get_args(Tracker):
        raise InputError(f"F0 tracker {tracker!r}; expected one of {', '.join(get_args(Tracker))}")
    require_f0_range(floor_hz, ceiling_hz, config)
    frames = len(samples) // config.hop_samples
    samples = samples - samples.mean()
    plain = without_rumble(samples, config.sample_rate_hz)
    half_hop_f0 = track_f0(plain, config, tracker=tracker, floor_hz=floor_hz, ceiling_hz=ceiling_hz)
    f0_hz = np.pad(half_hop_f0[1::2], (0, frames))[:frames]
    voiced = without_slips(f0_hz, (f0_hz > 0) & loud_frames(samples, config))
    return Contour(fill_unvoiced(f0_hz, voiced), voiced, frame_energy_db(samples, config), config.frame_rate_hz)


def loud_frames(samples: NDArray[Any], config: MelConfig) -> NDArray[np.bool_]:
    """Frames that are loud enough in the voice's band to be voiced.

    Args:
        samples: Samples (N,), full scale at 1, at the contract's rate.
        config: The mel contract.

    Returns:
        Flags (T,).
    """
    from scipy.signal import butter, sosfiltfilt  # here, since scipy.signal alone takes half a second to import

    sections = butter(4, VOICE_BAND_HZ, "bandpass", fs=config.sample_rate_hz, output="sos")
    values = np.asarray(samples, dtype=np.float64)
    padding = min(len(values) - 1, int(2 * config.sample_rate_hz / VOICE_BAND_HZ[0]))
    level_db = frame_energy_db(sosfiltfilt(sections, values, padlen=padding), config)
    return level_db >= level_db.max() - SPEECH_RANGE_DB


def without_slips(f0_hz: NDArray[Any], voiced: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voicing without frames where a tracker slipped, mostly to an octave above or below.

    Args:
        f0_hz: F0 (T,); only voiced frames are read.
        voiced: Whether a frame is voiced (T,).

    Returns:
        Voicing (T,).
    """
    from scipy.ndimage import median_filter

    index = np.flatnonzero(voiced)
    kept = np.zeros_like(voiced)
    if len(index):
        log_f0 = np.log(np.asarray(f0_hz, dtype=np.float64)[index])
        around = median_filter(log_f0, size=SLIP_FRAMES, mode="nearest")
        kept[index[np.abs(log_f0 - around) <= SLIP_LOG_F0]] = True
    return kept


def require_f0_range(floor_hz: float, ceiling_hz: float, config: MelConfig) -> None:
    """Raise unless F0 can be searched in a range.

    Args:
        floor_hz: Lowest F0.
        ceiling_hz: Highest F0.
        config: Mel contract, whose sample rate bounds it.

    Raises:
        InputError: The range is none, or beyond what trackers can do.
    """
    highest_hz = config.sample_rate_hz / 4
    if not 20.0 <= floor_hz < ceiling_hz <= highest_hz:
        wanted = f"20 <= floor < ceiling <= {highest_hz:g}"
        raise InputError(f"F0 range {floor_hz:g} to {ceiling_hz:g} Hz; expected {wanted}")


def track_f0(
    samples: NDArray[np.float64], config: MelConfig, *, tracker: Tracker, floor_hz: float, ceiling_hz: float
) -> NDArray[np.float64]:
    """Track F0 every half hop: frame ``j`` at sample ``j * hop_samples / 2``; 0 where unvoiced (WORLD's own flag)."""
    import pyworld

    samples = np.ascontiguousarray(samples, dtype=np.float64)
    rate = config.sample_rate_hz
    period_ms = 500.0 * config.hop_samples / rate
    search: dict[str, Any] = {"f0_floor": floor_hz, "f0_ceil": ceiling_hz, "frame_period": period_ms}
    if tracker == "harvest":
        return pyworld.harvest(samples, rate, **search)[0]
    coarse, times = pyworld.dio(samples, rate, **search)
    refined = pyworld.stonemask(samples, coarse, times, rate)
    return np.where((refined >= floor_hz) & (refined <= ceiling_hz), refined, 0.0)


def refine_f0(
    samples: NDArray[np.float64], f0_hz: NDArray[Any], voiced: NDArray[np.bool_], config: MelConfig
) -> NDArray[np.float32]:
    """Move a contour that was asked for onto the pitch that the recording has.

    A synthesiser does not follow its contour to the cent, and from the tenth harmonic on a quarter of a semitone is a
    good part of the distance between two.

    Args:
        samples: Samples (N,), full scale at 1.
        f0_hz: F0 (T,), > 0, at the mel's frames.
        voiced: Whether a frame is voiced (T,).
        config: The mel contract.

    Returns:
        F0 (T,), float32, interpolated through unvoiced frames; one that would move farther than :data:`REACH_CENTS`
        takes the move of its neighbours.

    Source: Morise, Kawahara, Nishiura 2010, instantaneous frequency as in WORLD's StoneMask.
    """
    import pyworld

    times = (np.arange(len(f0_hz)) + 0.5) * config.hop_samples / config.sample_rate_hz
    given = np.ascontiguousarray(f0_hz, dtype=np.float64)
    found = pyworld.stonemask(np.ascontiguousarray(samples, dtype=np.float64), given, times, config.sample_rate_hz)
    moves = np.log(np.maximum(found, 1e-3) / given)
    # Where StoneMask finds nothing it gives back what it was given.
    sure = np.flatnonzero(voiced & (moves != 0) & (np.abs(moves) * CENTS_PER_NAT <= REACH_CENTS))
    if len(sure):
        moves = np.interp(np.arange(len(moves)), sure, moves[sure])
        given = given * np.exp(np.convolve(np.pad(moves, 1, mode="edge"), (0.25, 0.5, 0.25), mode="valid"))
    return fill_unvoiced(given, voiced)


def frame_energy_db(samples: NDArray[Any], config: MelConfig) -> NDArray[np.float32]:
    """Level of every mel frame's Hann window, dB re full scale.

    Args:
        samples: Samples (N,), full scale at 1.
        config: The mel contract, whose windows are used.

    Returns:
        Levels (T,), float32, at least ``ENERGY_FLOOR_DB``; a sine of amplitude 1 is at -3 dB.
    """
    hop, width = config.hop_samples, config.window_samples
    pad = (width - hop) // 2
    frames = len(samples) // hop
    values = np.asarray(samples, dtype=np.float64)
    padded = np.pad(values, (pad, pad), mode="reflect") if len(values) > pad else np.pad(values, (pad, pad))
    windows = np.lib.stride_tricks.sliding_window_view(np.square(padded), width)[::hop][:frames]
    weights = np.square(np.hanning(width + 1)[:-1])
    return power_to_db(windows @ (weights / weights.sum()), ENERGY_FLOOR_DB).astype(np.float32)


def fill_unvoiced(f0_hz: NDArray[Any], voiced: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Interpolate F0 in log-frequency through unvoiced frames.

    Args:
        f0_hz: F0 (T,); only voiced frames are read.
        voiced: Whether a frame is voiced (T,).

    Returns:
        F0 (T,), float32, > 0 everywhere; held at the ends, ``UNVOICED_F0_HZ`` when nothing is voiced.
    """
    index = np.flatnonzero(voiced)
    if len(index) == 0:
        return np.full(len(f0_hz), UNVOICED_F0_HZ, dtype=np.float32)
    log_f0 = np.interp(np.arange(len(f0_hz)), index, np.log(np.asarray(f0_hz)[index]))
    return np.exp(log_f0).astype(np.float32)


def prosody_vector(contour: Contour) -> NDArray[np.float32]:
    """Sum up a contour in four numbers, in the order of ``PROSODY_NAMES``.

    Mean and standard deviation of log-F0 (natural) over voiced frames; mean level over speech frames (within 30 dB of
    the loudest); syllable-like rate: prominent peaks of the smoothed level per second of speech, from the first speech
    frame to the last.

    Args:
        contour: The utterance (T,); without a voiced frame the constant F0 stands for it, with standard deviation 0.

    Returns:
        Vector (4,), float32, always finite.

    Raises:
        InputError: The contour has no frames.
    """
    if len(contour) == 0:
        raise InputError("contour without frames; expected at least 1")
    chosen = contour.voiced if contour.voiced.any() else np.ones(len(contour), dtype=bool)
    log_f0 = np.log(contour.f0_hz[chosen].astype(np.float64))
    energy = contour.energy_db.astype(np.float64)
    speech = energy >= energy.max() - SPEECH_RANGE_DB
    values = (log_f0.mean(), log_f0.std(), energy[speech].mean(), _syllable_rate(energy, speech, contour.frame_rate_hz))
    return np.array(values, dtype=np.float32)


def f0_skew(contour: Contour) -> float:
    """How far the median of log-F0 lies above its mean over voiced frames, in standard deviations.

    Args:
        contour: The utterance (T,).

    Returns:
        A number in [-1, 1]; 0 for a flat contour or one without a voiced frame.

    Source: the nonparametric skew; that it cannot leave [-1, 1] is Hotelling and Solomons 1932.
    """
    log_f0 = np.log(contour.f0_hz[contour.voiced].astype(np.float64))
    if not len(log_f0) or log_f0.std() < FLAT_LOG_F0:
        return 0.0
    return float((np.median(log_f0) - log_f0.mean()) / log_f0.std())


def normalise_prosody(vector: NDArray[Any]) -> NDArray[np.float32]:
    """Bring prosody vectors to about zero mean and unit variance over the demo corpus.

    Args:
        vector: Prosody (..., 4) in the order of ``PROSODY_NAMES``.

    Returns:
        Normalised prosody of the same shape.
    """
    return ((vector - PROSODY_MEAN) / PROSODY_STD).astype(np.float32)


def _syllable_rate(energy: NDArray[np.float64], speech: NDArray[np.bool_], frame_rate_hz: float) -> float:
    """Count prominent peaks of the smoothed level per second between the first and the last speech frame."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    where = np.flatnonzero(speech)
    first, last = where[0], where[-1] + 1
    if energy.max() <= ENERGY_FLOOR_DB:
        return 0.0
    smooth = gaussian_filter1d(energy, SYLLABLE_SMOOTHING_SECONDS * frame_rate_hz)
    framed = np.concatenate(([ENERGY_FLOOR_DB], smooth, [ENERGY_FLOOR_DB]))
    peaks, _ = find_peaks(
        framed,
        height=energy.max() - SPEECH_RANGE_DB,
        prominence=SYLLABLE_PROMINENCE_DB,
        distance=max(1.0, SYLLABLE_DISTANCE_SECONDS * frame_rate_hz),
    )
    return len(peaks) * frame_rate_hz / (last - first)


def _as_samples(audio: NDArray[Any] | Tensor, config: MelConfig) -> NDArray[np.float64]:
    """Return samples (N,) as contiguous float64, at least one frame long."""
    values = audio.detach().cpu().numpy() if isinstance(audio, Tensor) else np.asarray(audio)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"audio of {values.dtype} and shape {values.shape}; expected floats (N,)")
    if len(values) < config.hop_samples:
        raise InputError(f"audio of {len(values)} samples; expected at least one frame of {config.hop_samples}")
    if not np.isfinite(values).all():
        raise InputError("audio holds NaN or infinite samples; expected finite ones")
    return np.ascontiguousarray(values, dtype=np.float64)


def median_f0_hz(contour: Contour) -> float | None:
    """Median F0 of a contour's voiced frames, in Hz; None when nothing is voiced."""
    return float(np.median(contour.f0_hz[contour.voiced].astype(np.float64))) if contour.voiced.any() else None


def f0_statistics(contour: Contour, frames: slice = slice(None)) -> dict[str, float | None]:
    """Sum up the pitch of some frames of a contour.

    Args:
        contour: The utterance (T,).
        frames: Frames that count, all by default.

    Returns:
        Rounded: ``median_hz`` and ``range_semitones``, from the 5th to the 95th percentile of F0, of the voiced frames,
        None when nothing is voiced; and ``voiced_share``, voiced frames of all frames, in [0, 1].
    """
    voiced = contour.voiced[frames]
    if not voiced.any():
        return {"median_hz": None, "range_semitones": None, "voiced_share": 0.0}
    f0_hz = contour.f0_hz[frames][voiced].astype(np.float64)
    low, high = np.percentile(f0_hz, RANGE_PERCENTILES)
    return {
        "median_hz": round(float(np.median(f0_hz)), 2),
        "range_semitones": round(float(ratio_to_semitones(high / low)), 3),
        "voiced_share": round(float(voiced.mean()), 4),
    }


def thirds(frames: int) -> tuple[slice, slice, slice]:
    """First, middle and last third of a number of frames."""
    first, second = round(frames / 3), round(2 * frames / 3)
    return slice(0, first), slice(first, second), slice(second, frames)


def second_opinion(audio: NDArray[Any], contour: Contour, config: MelConfig) -> tuple[Contour, tuple[str, ...]]:
    """Compare a contour with what pYIN reads from the same samples in a wider range.

    Where readings differ by more than a fifth in more than a fifth of the frames that both call voiced, it is mostly
    DIO that reads octaves, on creaky and deep voices. Of 218 recordings of the demo corpus, whose contours are known,
    eight were such: DIO was wrong in 20 to 75 % of these frames, pYIN in 8 % at most.

    Args:
        audio: Samples (N,) at ``config.sample_rate_hz``.
        contour: What :func:`extract_contour` read, (T,).
        config: The mel contract.

    Returns:
        The contour, with pYIN's pitch and voicing where the readings differ in this way and its pitch lies in the range
        that is searched; and a note for this, or for a voice outside that range. Contour and no note where pYIN hears
        too little to say anything.

    Source: Mauch and Dixon 2014, pYIN.
    """
    read = pyin_f0(audio, config, **WIDE_SEARCH)
    f0_hz = np.pad(read, (0, len(contour)))[: len(contour)]
    heard = (f0_hz > 0) & loud_frames(audio, config)[: len(contour)]
    if heard.sum() < FEWEST_FRAMES:
        return contour, ()
    median_hz = float(np.median(f0_hz[heard]))
    both = heard & contour.voiced
    apart = np.abs(np.log(contour.f0_hz[both] / f0_hz[both])) > GROSS_LOG_F0
    # Where the voice lies outside, the first reading finds little, or an octave of it.
    little = both.sum() < heard.sum() / 3
    differ = both.sum() >= FEWEST_FRAMES and float(apart.mean()) > LARGEST_GROSS_SHARE
    if not FLOOR_HZ <= median_hz <= CEILING_HZ:
        outside = f"outside the {FLOOR_HZ:.0f} to {CEILING_HZ:.0f} Hz that are read"
        return contour, ((f"its F0 is about {median_hz:.0f} Hz, {outside}",) if little or differ else ())
    if not differ:
        return contour, ()
    first_hz = float(np.median(contour.f0_hz[both]))
    share = f"{100 * float(apart.mean()):.0f} % of the voiced frames"
    note = f"two readers of pitch differ in {share} (medians {first_hz:.0f} and {median_hz:.0f} Hz); the second is used"
    voiced = without_slips(f0_hz, heard & (f0_hz >= FLOOR_HZ) & (f0_hz <= CEILING_HZ))
    pitch_hz = refine_f0(audio, np.where(f0_hz > 0, f0_hz, median_hz), voiced, config)
    return replace(contour, f0_hz=pitch_hz, voiced=voiced), (note,)


def pyin_f0(
    audio: NDArray[Any], config: MelConfig, *, floor_hz: float, ceiling_hz: float, resolution_semitones: float = 0.1
) -> NDArray[np.float64]:
    """Track F0 by pYIN on the mel's frames.

    Args:
        audio: Samples (N,) at ``config.sample_rate_hz``.
        config: The mel contract, whose frame centres are used.
        floor_hz: Lowest F0 searched.
        ceiling_hz: Highest F0 searched.
        resolution_semitones: Between the pitches that are tried.

    Returns:
        F0 (T,) in Hz, 0 where unvoiced.
    """
    import librosa

    half = (PYIN_SAMPLES - config.hop_samples) // 2  # so that the windows' centres are the mel frames'
    padded = np.pad(without_rumble(audio, config.sample_rate_hz), (half, half + config.hop_samples))
    frames = {"frame_length": PYIN_SAMPLES, "hop_length": config.hop_samples, "center": False}
    search = {"fmin": floor_hz, "fmax": ceiling_hz, "resolution": resolution_semitones}
    f0_hz, voiced, _ = librosa.pyin(padded, sr=config.sample_rate_hz, **search, **frames)  # type: ignore[arg-type]
    return np.where(voiced, f0_hz, 0.0)[: len(audio) // config.hop_samples]
