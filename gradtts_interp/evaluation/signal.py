"""What is measured of one recording, once: contour, envelope, cepstrum, mel, and who seems to speak.

Envelopes and mel-cepstra see neither level nor pitch; their distances stand beside them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from gradtts_interp.audio import Source, log_mel, read_recording, without_rumble
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError, import_extra
from gradtts_interp.evaluation.contours import at_frames
from gradtts_interp.evaluation.speakers import SpeakerEncoder
from gradtts_interp.pitch.contour import (
    SPEECH_RANGE_DB,
    Contour,
    extract_contour,
    fill_unvoiced,
    frame_energy_db,
    pyin_f0,
    require_f0_range,
)
from gradtts_interp.vocoder import MelDecoder

SHORTEST_SECONDS = 0.1
DEFAULT_METHOD = "dio"
FLOOR_HZ, CEILING_HZ = 60.0, 500.0
PRAAT_STEPS_PER_HOP = 8
FEWEST_VOICED_FRAMES = 3
"""A whole recording with fewer voiced frames has none: trackers find one or two in plain noise."""
BANDS = 40
DB_PER_NEPER = 10.0 / np.log(10.0)
TINIEST_POWER = 1e-30
RANGE_DB = 60.0
"""Bands further below the loudest band of their frame count as this far below, so that no level is special."""
MCD_ORDER = 34
MCD_ALPHA = 0.45
"""All-pass constant that bends frequency to about the mel scale at 22.05 kHz."""

FLOOR_BELOW_PEAK_DB = 80.0
"""Bins further below the loudest bin of their frame count as this far below, so that no level is special."""


@dataclass(frozen=True)
class Signal:
    """A recording with what was measured of it.

    Attributes:
        name: For messages.
        audio: Samples (N,) at the mel's rate.
        contour: Contour (T,).
        envelope: Level-invariant log envelope (D, T) in dB.
        cepstrum: Mel-cepstrum (order + 1, T).
        mel: Log-mel (M, T).
        embedding: Who seems to speak (E,), None without an encoder.
        notes: What a reader should know, such as a rate that was changed.
    """

    name: str
    audio: NDArray[np.float32]
    contour: Contour
    envelope: NDArray[np.float64]
    cepstrum: NDArray[np.float64]
    mel: NDArray[np.float32]
    embedding: NDArray[np.float32] | None
    notes: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Frames of the grid that all share (T)."""
        return min(len(self.contour), self.envelope.shape[1], self.mel.shape[1])

    def cut(self, frames: int) -> Signal:
        """The same with its first frames only; the samples stay."""
        return self.at(np.arange(frames))

    def at(self, frames: NDArray[np.integer[Any]]) -> Signal:
        """The same read at some frames, as an alignment gives them.

        Args:
            frames: Frame numbers (T').

        Returns:
            Contour, envelope and mel of T' frames; the samples stay.
        """
        contour = at_frames(self.contour, frames)
        planes = {name: getattr(self, name)[:, frames] for name in ("envelope", "cepstrum", "mel")}
        return replace(self, contour=contour, **planes)


@dataclass(frozen=True)
class Listener:
    """How recordings are measured.

    Attributes:
        mel: The mel contract, which gives the frame grid.
        tracker: Name in :data:`~gradtts_interp.evaluation.signal.TRACKERS`.
        floor_hz: Lowest F0 searched.
        ceiling_hz: Highest F0 searched.
        encoder: Says who speaks; None leaves that out.
    """

    mel: MelConfig
    tracker: str = DEFAULT_METHOD
    floor_hz: float = FLOOR_HZ
    ceiling_hz: float = CEILING_HZ
    encoder: SpeakerEncoder | None = None

    def hear(
        self, audio: NDArray[Any], name: str, *, mel: NDArray[np.float32] | None = None, notes: tuple[str, ...] = ()
    ) -> Signal:
        """Measure samples.

        Args:
            audio: Samples (N,) at the mel's rate.
            name: For messages.
            mel: Log-mel (M, T) that was rendered; measured from the samples if None.
            notes: Kept beside it.

        Returns:
            What was measured.

        Raises:
            InputError: The samples cannot be measured; the message names them.
        """
        samples = np.asarray(audio, dtype=np.float32)
        try:
            limits = {"floor_hz": self.floor_hz, "ceiling_hz": self.ceiling_hz}
            contour = track_f0(samples, self.mel, self.tracker, **limits)
            found = int(contour.voiced.sum())
            if 0 < found < FEWEST_VOICED_FRAMES:
                voiced = np.zeros_like(contour.voiced)
                contour = replace(contour, f0_hz=fill_unvoiced(contour.f0_hz, voiced), voiced=voiced)
            power = power_envelope(samples, contour, self.mel)
            if mel is None:
                mel = log_mel(torch.from_numpy(samples), self.mel).numpy()
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        if not contour.voiced.any():
            stray = f" but {found}, which is chance" if found else ""
            notes += (f"{name}: no voiced frame was found{stray}; measures of pitch are left out",)
        planes = (log_envelope(power, self.mel), mel_cepstrum(power), mel)
        return Signal(name, samples, contour, *planes, self._embed(samples), notes)

    def read(self, path: Source) -> Signal:
        """Measure a file; a rate other than the mel's is changed, and noted.

        It is prepared as every recording is, but keeps its time and level.

        Args:
            path: Speech in any common format.

        Returns:
            What was measured.

        Raises:
            InputError: The file is missing, empty, damaged, silent, too short, or holds NaN.
        """
        recording = read_recording(path, self.mel.sample_rate_hz, minimum_seconds=SHORTEST_SECONDS, whole=True)
        rate, notes = recording.source_rate_hz, recording.notes
        if rate != self.mel.sample_rate_hz:
            band = f"; nothing above {rate // 2} Hz is in it" if rate < self.mel.sample_rate_hz else ""
            notes += (f"{recording.name}: resampled from {rate} to {self.mel.sample_rate_hz} Hz{band}",)
        return self.hear(recording.audio.numpy(), recording.name, notes=notes)

    def _embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32] | None:
        if self.encoder is None:
            return None
        try:
            return self.encoder.embed(samples, self.mel.sample_rate_hz)
        except InputError:
            return None


@dataclass(frozen=True, kw_only=True)
class MeasuringSettings:
    """How an evaluation measures, as it is sent to its processes.

    Attributes:
        out: Folder of the run.
        tracking: Tracker, ``floor_hz`` and ``ceiling_hz``, as of :class:`Listener`.
        encoder: Folder of the speaker encoder, None for none.
        vocoder: Folder of the vocoder of the floor, None for none.
        recognisers: Who measures intelligibility, as in :mod:`gradtts_interp.evaluation.intelligibility`.
        language: What they hear, where they know several.
        device: Where models work.
    """

    out: str
    tracking: dict[str, Any]
    encoder: str | None
    vocoder: str | None = None
    recognisers: tuple[str, ...] = ()
    language: str = "en"
    device: str = "cpu"

    def listener_of(self, mel: MelConfig) -> Listener:
        """Measures recordings, with the speaker encoder."""
        encoder = None if self.encoder is None else SpeakerEncoder.from_pretrained(self.encoder)
        return Listener(mel, encoder=encoder, **self.tracking)


def through_vocoder(
    audio: NDArray[np.float32], vocoder: MelDecoder, config: MelConfig, *, device: str = "cpu"
) -> NDArray[np.float32]:
    """What a vocoder makes of the mel of a recording (N,): the floor that no synthesis with it can pass.

    Args:
        audio: Samples (N,).
        vocoder: The vocoder.
        config: Its mel contract.
        device: Where it works.

    Returns:
        Samples, as many to a hop.
    """
    with torch.no_grad():
        mel = log_mel(torch.from_numpy(audio), config).to(device)
        return vocoder(mel, config).float().cpu().numpy()


# -- envelopes and mel-cepstra ----------------------------------------------------------------------------------------


def power_envelope(audio: NDArray, contour: Contour, config: MelConfig) -> NDArray[np.float64]:
    """Power spectrum per mel frame without harmonics, by WORLD's CheapTrick.

    Args:
        audio: Samples (N,).
        contour: Its contour (T,); unvoiced frames are read as CheapTrick does, with a fixed window.
        config: Mel contract, which gives the frame grid.

    Returns:
        (T, K) with K bins from 0 to half the sample rate.

    Source: Morise 2015, CheapTrick.
    """
    import pyworld

    times = (np.arange(len(contour)) + 0.5) / config.frame_rate_hz
    f0 = np.where(contour.voiced, contour.f0_hz, 0.0).astype(np.float64)
    samples = np.ascontiguousarray(audio, dtype=np.float64)
    return pyworld.cheaptrick(samples, f0, times, config.sample_rate_hz)


def log_envelope(power: NDArray[np.float64], config: MelConfig) -> NDArray[np.float64]:
    """Smooth spectral envelope per mel frame, without its level.

    A mel filter bank groups the bins, and each frame's mean is subtracted.

    Args:
        power: Spectrum without harmonics (T, K), as of :func:`power_envelope`.
        config: Mel contract, which gives the rate.

    Returns:
        (D, T) in dB with D = 40 mel bands, zero mean per frame.
    """
    n_fft = 2 * (power.shape[1] - 1)
    filters = librosa.filters.mel(sr=config.sample_rate_hz, n_fft=n_fft, n_mels=BANDS, fmax=config.fmax_hz)
    log_power = DB_PER_NEPER * np.log(np.maximum(power @ filters.T, TINIEST_POWER)).T
    log_power = np.maximum(log_power, log_power.max(0, keepdims=True) - RANGE_DB)
    return log_power - log_power.mean(0, keepdims=True)


def envelope_distance(a: NDArray, b: NDArray, active: NDArray) -> float:
    """Mean over active frames of the root-mean-square difference of two envelopes (D, T), in dB."""
    if not active.any():
        return float("nan")
    return float(np.sqrt(np.square(a - b).mean(0))[active].mean())


def mel_cepstrum(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mel-cepstrum per mel frame, from WORLD's envelope.

    The log amplitude of CheapTrick's spectrum is ``Σ c_n cos(nω)``; an all-pass bends ω to about mel and the first
    :data:`MCD_ORDER` coefficients are kept, as SPTK's ``sp2mc`` does. Gain is all in ``c_0``.

    Args:
        power: Spectrum without harmonics (T, K), as of :func:`power_envelope`.

    Returns:
        (order + 1, T), row 0 the level.

    Source: Tokuda et al. 1994; Oppenheim & Johnson 1972 for the recursion; SPTK ``sp2mc``, ``freqt``.
    """
    power = np.maximum(power, TINIEST_POWER)
    floor = power.max(1, keepdims=True) * 10 ** (-FLOOR_BELOW_PEAK_DB / 10)
    cepstrum = np.fft.irfft(np.log(np.maximum(power, floor)), axis=1)[:, : power.shape[1]]
    cepstrum[:, [0, -1]] /= 2  # of a log power: c_0 is half its mean, and the last bin has no mirror image
    return warping_matrix(power.shape[1], MCD_ORDER, MCD_ALPHA) @ cepstrum.T


@functools.lru_cache(maxsize=8)
def warping_matrix(length: int, order: int, alpha: float) -> NDArray[np.float64]:
    """Matrix from a cepstrum to the cepstrum on an all-pass-warped frequency axis.

    Args:
        length: Coefficients of the cepstrum (K).
        order: Highest coefficient of the answer.
        alpha: All-pass constant.

    Returns:
        (order + 1, K), not writable; the identity for ``alpha`` 0.

    Source: Oppenheim & Johnson 1972, as ``freqt`` of SPTK.
    """
    state = np.zeros((order + 1, length))
    for n in range(length - 1, -1, -1):  # Horner's rule: the cepstrum is a polynomial in the all-pass
        before = state.copy()
        state[0] = alpha * before[0]
        state[0, n] += 1
        state[1] = (1 - alpha**2) * before[0] + alpha * before[1]
        for m in range(2, order + 1):
            state[m] = before[m - 1] + alpha * (before[m] - state[m - 1])
    state.setflags(write=False)
    return state


def mel_cepstral_distortion(a: NDArray[Any], b: NDArray[Any], active: NDArray[Any]) -> float | None:
    """Mean over active frames of ``(10/ln 10)·√(2·Σ_{d≥1}(c_d − c'_d)²)``, in dB.

    Args:
        a: Mel-cepstra (D, T) with the level in row 0, which does not count.
        b: The same of what is compared, same frames.
        active: Frames that count (T,) bool.

    Returns:
        The distortion; None without an active frame.

    Source: Kubichek 1993.
    """
    if not active.any():
        return None
    return float(DB_PER_NEPER * np.sqrt(2 * np.square(a[1:] - b[1:]).sum(0))[active].mean())


def speech_frames(contour: Contour) -> NDArray[np.bool_]:
    """Frames (T,) within 30 dB of the utterance's loudest, whatever its gain; none for silence."""
    level = np.asarray(contour.energy_db, dtype=np.float64)
    if level.size == 0 or np.ptp(level) == 0 and not contour.voiced.any():
        return np.zeros(level.shape, dtype=bool)
    return level >= level.max() - SPEECH_RANGE_DB


# -- F0 trackers behind one function ---------------------------------------------------------------------------------


def track_f0(
    audio: NDArray[Any],
    config: MelConfig,
    method: str = DEFAULT_METHOD,
    *,
    floor_hz: float = FLOOR_HZ,
    ceiling_hz: float = CEILING_HZ,
) -> Contour:
    """Track F0 on the mel's frame grid with a tracker of choice.

    Frame i is centred on sample ``(i + 0.5) * hop``. Each tracker's own frames lie on these centres (Praat's within a
    sixteenth of a hop). All read the samples without their mean and rumble. The voicing decision of pYIN and Praat is
    their own; that of the others is as in :func:`~gradtts_interp.pitch.contour.extract_contour`.

    Args:
        audio: Samples (N,) at the contract's rate, full scale at 1.
        config: Mel contract, which gives the grid.
        method: A name in :data:`TRACKERS`: ``dio`` (the project's default), ``harvest``, ``pyin``, ``praat``.
        floor_hz: Lowest F0 searched.
        ceiling_hz: Highest F0 searched.

    Returns:
        Contour of N // hop frames.

    Raises:
        InputError: The method is unknown or not installed, the range is empty, or the samples are not finite or
            shorter than a frame.

    Source: Morise 2009 (DIO), 2017 (Harvest); Mauch & Dixon 2014 (pYIN); Boersma 1993 (Praat's autocorrelation).
    """
    if method not in TRACKERS:
        raise InputError(f"F0 tracker {method!r}; expected one of {', '.join(TRACKERS)}")
    require_f0_range(floor_hz, ceiling_hz, config)
    samples = np.ascontiguousarray(audio, dtype=np.float64)
    if samples.ndim != 1 or len(samples) < config.hop_samples or not np.isfinite(samples).all():
        least = f"(N,) with N >= {config.hop_samples}, all finite"
        raise InputError(f"audio of shape {samples.shape}; expected samples {least}")
    return TRACKERS[method](samples, config, floor_hz=floor_hz, ceiling_hz=ceiling_hz)


def _pyin(samples: NDArray[np.float64], config: MelConfig, floor_hz: float, ceiling_hz: float) -> Contour:
    return _contour(samples, config, pyin_f0(samples, config, floor_hz=floor_hz, ceiling_hz=ceiling_hz))


def _praat(samples: NDArray[np.float64], config: MelConfig, floor_hz: float, ceiling_hz: float) -> Contour:
    parselmouth = import_extra("parselmouth", "tracker praat needs parselmouth", "eval")
    frames = len(samples) // config.hop_samples
    step = config.hop_samples / config.sample_rate_hz / PRAAT_STEPS_PER_HOP
    try:
        pitch = parselmouth.Sound(without_rumble(samples, config.sample_rate_hz), config.sample_rate_hz).to_pitch_ac(
            time_step=step, pitch_floor=floor_hz, pitch_ceiling=ceiling_hz
        )
    except parselmouth.PraatError as error:
        raise InputError(f"Praat cannot track {len(samples)} samples: {str(error).splitlines()[0]}") from error
    times, f0_hz = pitch.xs(), pitch.selected_array["frequency"]
    centres = (np.arange(frames) + 0.5) / config.frame_rate_hz
    nearest = np.clip(np.rint((centres - times[0]) / pitch.dt).astype(int), 0, len(times) - 1)
    covered = (centres >= times[0] - pitch.dt) & (centres <= times[-1] + pitch.dt)
    return _contour(samples, config, np.where(covered, f0_hz[nearest], 0.0))


def _contour(samples: NDArray[np.float64], config: MelConfig, f0_hz: NDArray[Any]) -> Contour:
    """Contour of a track (T',) that has a 0 where unvoiced and may be a frame longer or shorter than the grid."""
    frames = len(samples) // config.hop_samples
    track = np.zeros(frames)
    track[: len(f0_hz)] = f0_hz[:frames]
    voiced = track > 0
    energy_db = frame_energy_db(samples - samples.mean(), config)
    return Contour(fill_unvoiced(track, voiced), voiced, energy_db, config.frame_rate_hz)


TRACKERS: dict[str, Callable[..., Contour]] = {
    "dio": functools.partial(extract_contour, tracker="dio"),
    "harvest": functools.partial(extract_contour, tracker="harvest"),
    "pyin": _pyin,
    "praat": _praat,
}
