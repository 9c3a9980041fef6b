"""What the shipped checkpoint must do, measured by Praat: a tracker that nothing inside the library uses."""

from pathlib import Path

import numpy as np
import pytest

from gradtts_interp.interpolation import shares

DEMO = Path(__file__).parent.parent / "checkpts" / "demo"
TEXT = "Nobody remembered the name of the old grey lion."
FAST = {"num_inference_steps": 10, "solver": "unipc", "seed": 0}

parselmouth = pytest.importorskip("parselmouth")


@pytest.fixture(scope="module")
def renders(tts):
    a, b = tts.style(speaker=12), tts.style(speaker=10)
    blend = tts(TEXT, a, b, share=shares.ramp(0.2, 0.8), **FAST)
    durations = [blend.durations.tolist()]
    return {
        "a": tts(TEXT, a, durations=durations, **FAST),
        "b": tts(TEXT, b, durations=durations, **FAST),
        "time": blend,
        "frequency": tts(TEXT, a, b, share=shares.pitch(), durations=durations, **FAST),
    }


def praat_f0_hz(speech, start=0.0, end=1.0):
    """Median F0 by Praat over a part of the utterance, given in relative time."""
    sound = parselmouth.Sound(speech.audio.astype(np.float64), speech.mel_config.sample_rate_hz)
    track = sound.to_pitch_ac(pitch_floor=60.0, pitch_ceiling=450.0).selected_array["frequency"]
    part = track[int(start * len(track)) : int(end * len(track))]
    assert (part > 0).mean() > 0.1, "hardly any voiced frame"
    return float(np.median(part[part > 0]))


def semitones(a_hz, b_hz):
    return abs(12 * np.log2(a_hz / b_hz))


def test_plain_renders_have_the_pitch_of_their_speakers(tts, renders):
    for name, speaker in (("a", 12), ("b", 10)):
        wanted = float(np.exp(tts.style(speaker=speaker).prosody[0]))
        assert semitones(praat_f0_hz(renders[name]), wanted) < 2


def test_pitch_moves_from_the_first_style_to_the_second(renders):
    first, last = (0.0, 0.3), (0.7, 1.0)
    assert semitones(praat_f0_hz(renders["time"], *first), praat_f0_hz(renders["a"], *first)) < 2
    assert semitones(praat_f0_hz(renders["time"], *last), praat_f0_hz(renders["b"], *last)) < 2
    assert praat_f0_hz(renders["time"], *last) > 1.3 * praat_f0_hz(renders["time"], *first)


def test_frequency_mode_has_the_first_style_s_pitch(renders):
    blend = praat_f0_hz(renders["frequency"])
    to_a, to_b = semitones(blend, praat_f0_hz(renders["a"])), semitones(blend, praat_f0_hz(renders["b"]))
    assert to_b > 3 * to_a
