"""What a blend has to beat: the classical answer by WORLD, and the simple ways to mix two styles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.mechanisms import MECHANISMS
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.interpolation.shares import Share
from gradtts_interp.pitch.contour import Contour, fill_unvoiced

SEAM_FRAMES = 1.5
"""Smoothing of the swapped log-F0: the tracker's last frame of a voiced stretch is not sung."""


@dataclass(frozen=True)
class Baseline:
    """How to render one condition of a comparison.

    Attributes:
        share: What to ask the pipeline for; None where the pipeline renders no blend.
        mechanisms: Of the pipeline, ``noise`` among them where noise is tuned.
        world: Whether it is :func:`world_swap` of the two single renders instead of a blend.
        baseline: Whether it is something to beat, rather than a mechanism of this library.
    """

    share: Share | None
    mechanisms: tuple[str, ...] = ()
    world: bool = False
    baseline: bool = False

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the pipeline's call, beside text, styles, durations and seed.

        Returns:
            ``share`` and ``mechanisms``.

        Raises:
            InputError: The condition is no blend of the pipeline's.
        """
        if self.share is None:
            raise InputError("WORLD swap: expected world_swap of the renders in style A and B, not a blend")
        return {"share": self.share, "mechanisms": self.mechanisms}


STYLE_VECTORS = ("prior", "prosody")
"""What a system with one style vector mixes."""

CONDITIONS: dict[str, Baseline] = {
    "static mix": Baseline(shares.constant(0.5), STYLE_VECTORS, baseline=True),
    "hard half split": Baseline(shares.step(0.5), ("prior", "prosody", "attention"), baseline=True),
    "score mix": Baseline(shares.ramp(), ("score",), baseline=True),
    "style vectors over time": Baseline(shares.ramp(), STYLE_VECTORS),
    "attention gate": Baseline(shares.ramp(), ("attention",)),
    "prosody + attention": Baseline(shares.ramp(), ("prosody", "attention")),
    "prior + prosody + attention": Baseline(shares.ramp(), ("prior", "prosody", "attention")),
    "prosody + score": Baseline(shares.ramp(), ("prosody", "score")),
    "all but noise": Baseline(shares.ramp(), tuple(MECHANISMS)),
    "noise tuning": Baseline(shares.ramp(), ("attention", NOISE)),
    "prosody + attention + noise": Baseline(shares.ramp(), ("prosody", "attention", NOISE)),
    "A's pitch: attention gate": Baseline(shares.pitch(), ("attention",)),
    "A's pitch: prosody": Baseline(shares.pitch(), ("prosody",)),
    "A's pitch: prosody + attention": Baseline(shares.pitch(), ("prosody", "attention")),
    "A's pitch: noise tuning": Baseline(shares.pitch(), ("attention", NOISE)),
    "A's pitch: prosody + attention + noise": Baseline(shares.pitch(), ("prosody", "attention", NOISE)),
    "WORLD swap": Baseline(None, world=True, baseline=True),
}
"""Conditions of EVALUATION by name, for a checkpoint with style attention. Render A, B and each blend with the same
durations and seed: ``pipeline(text, a, b, durations=..., seed=..., **CONDITIONS[name].options())``."""


def world_swap(b_audio: NDArray[Any], b_contour: Contour, a_contour: Contour, config: MelConfig) -> NDArray[np.float32]:
    """Give a render in style B the pitch of a render in style A, by WORLD.

    The two have the same durations, so frame t of one is frame t of the other. Voicing stays B's, since its
    aperiodicity belongs to it; A's F0 is interpolated, in log, through frames where A is unvoiced.

    Args:
        b_audio: Samples (N,) of B.
        b_contour: Contour of B (T,).
        a_contour: Contour of A (T,), same durations.
        config: Mel contract, which gives the frame grid.

    Returns:
        Samples (N,), float32.

    Raises:
        InputError: The contours differ in length, or one of them is nowhere voiced.

    Source: Morise et al. 2016, WORLD.
    """
    import pyworld

    if len(a_contour) != len(b_contour):
        raise InputError(f"A has {len(a_contour)} frames, B {len(b_contour)}; render both with the same durations")
    for name, contour in (("A", a_contour), ("B", b_contour)):
        if not contour.voiced.any():
            raise InputError(f"{name} is nowhere voiced: there is no pitch to swap")
    samples = np.ascontiguousarray(b_audio, dtype=np.float64)
    period_ms = 1000.0 / config.frame_rate_hz
    # WORLD's synthesis counts frames from sample 0, mel frames are centred half a hop later.
    times = np.arange(len(b_contour)) / config.frame_rate_hz
    shift = 0.5
    f0_b = _at(fill_unvoiced(b_contour.f0_hz, b_contour.voiced), shift)
    f0_a = _at(fill_unvoiced(a_contour.f0_hz, a_contour.voiced), shift)
    f0_b = np.where(b_contour.voiced, f0_b, 0.0)
    envelope = pyworld.cheaptrick(samples, f0_b, times, config.sample_rate_hz)
    aperiodicity = pyworld.d4c(samples, f0_b, times, config.sample_rate_hz)
    smooth = np.exp(gaussian_filter1d(np.log(f0_a), SEAM_FRAMES))
    swapped = np.where(b_contour.voiced, smooth, 0.0)
    audio = pyworld.synthesize(swapped, envelope, aperiodicity, config.sample_rate_hz, period_ms)
    fitted = np.zeros(len(samples), dtype=np.float32)
    fitted[: len(audio)] = audio[: len(samples)]
    return fitted


def _at(f0_hz: NDArray[Any], frames_earlier: float) -> NDArray[np.float64]:
    """Log-linear reading of F0 (T,) a part of a frame earlier."""
    places = np.arange(len(f0_hz), dtype=np.float64)
    return np.exp(np.interp(places - frames_earlier, places, np.log(f0_hz.astype(np.float64))))
