"""A recording is aligned with its text, and its prosody copied."""

from dataclasses import replace

import numpy as np
import pytest
from refusing import refused
from speaking import RATE_HZ, harmonic_tone
from tiny import TINY, tiny_pipeline

from benchmarks import copying
from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.textgrid import write_textgrid
from gradtts_interp.pitch.files import PitchCurve
from gradtts_interp.stimuli import align_recording
from gradtts_interp.stimuli.forced_alignment import _whole_durations

TEXT = "Go down."
FRAME_SECONDS = 1 / MelConfig().frame_rate_hz
PHONES = (
    ("", 0.0, 0.1), ("G", 0.1, 0.2), ("OW1", 0.2, 0.4), ("", 0.4, 0.5), ("D", 0.5, 0.55), ("AW1", 0.55, 0.8),
    ("n", 0.8, 0.9), ("", 0.9, 1.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny():
    return tiny_pipeline()


def grid(folder, phones=PHONES, *, tier="phones"):
    write_textgrid(folder / "tone.TextGrid", {tier: phones})
    return folder / "tone.TextGrid"


@pytest.fixture
def contours(tiny, monkeypatch):
    """What the vocoder is given: F0 and voicing of the lines of each call."""
    seen, decode = [], tiny.vocoder.decode

    def watched(mels, config, *, contours):
        seen.append([[x.numpy() for x in contour] for contour in contours])
        return decode(mels, config)

    monkeypatch.setattr(tiny.vocoder, "decode", watched)
    return seen


@pytest.fixture
def copied(tiny, tone_wav, tmp_path):
    """A tone, which random weights take for speech as good as any, aligned by its TextGrid."""
    return align_recording(tiny, tone_wav, TEXT, textgrid=grid(tmp_path))


def say(tiny, prosody, text=TEXT, **options):
    """What a speaker says with the prosody of a recording, by the prior alone."""
    return tiny(text, tiny.style(speaker=0), prosody=prosody, num_inference_steps=0, seed=0, **options)


def edges_of(style):
    return np.cumsum(style.durations)[:-1] * FRAME_SECONDS


def test_durations_of_a_textgrid(copied, tone_wav, tmp_path):
    assert copied.tokens == (" ", "@G", "@OW1", "@D", "@AW1", "@N", ".")  # this layout has no token between words
    np.testing.assert_allclose(edges_of(copied), [0.1, 0.2, 0.5, 0.55, 0.8, 0.9], atol=FRAME_SECONDS)
    assert sum(copied.durations) == len(copied.contour)
    bounded = tiny_pipeline(replace(TINY, word_boundaries=True))  # silences are between words
    style = align_recording(bounded, tone_wav, "Go, down.", textgrid=grid(tmp_path))
    assert style.tokens[3:5] == (",", " ")
    np.testing.assert_allclose(edges_of(style)[2:5], [0.4, 0.45, 0.5], atol=FRAME_SECONDS)


def test_whole_durations_are_at_least_one_frame():
    assert _whole_durations(np.array([2.2, 2.4, 2.6, 9.0]), 10).tolist() == [2, 1, 1, 5, 1]
    assert _whole_durations(np.array([0.0, 0.0, 0.0]), 4).tolist() == [1, 1, 1, 1]
    assert _whole_durations(np.array([9.7, 9.8, 9.9]), 10).tolist() == [7, 1, 1, 1]


def test_what_the_demo_says_is_found_where_it_says_it(tts):
    """With durations that are far from its own, and silence around."""
    text, style = "The quiet farmer painted seven boats.", tts.style(speaker=3)
    durations = tts(text, style, num_inference_steps=0).durations
    durations = np.maximum(durations + np.resize([6, -2, 3, 0, -1], len(durations)), 1)
    durations[[0, -1]] = 60
    speech = tts(text, style, durations=[durations.tolist()], num_inference_steps=0)
    found = align_recording(tts, speech.audio, text, sample_rate_hz=RATE_HZ)
    errors = np.abs(np.cumsum(found.durations) - np.cumsum(durations))[:-1]
    assert np.median(errors) <= 1 and errors.max() <= 6


def test_a_copy_has_the_durations_and_the_pitch_of_the_recording(tiny, tone_wav, copied, contours):
    whole = say(tiny, copied)
    f0_hz, voiced = contours[0][0]
    half = say(tiny, [copied, None], [TEXT, TEXT], prosody_weight=0.5)
    assert tuple(whole.durations) == copied.durations and whole.settings["prosody"] == [str(tone_wav)]
    assert voiced.astype(bool).tolist() == copied.contour.voiced.tolist()
    np.testing.assert_allclose(f0_hz[voiced > 0], copied.contour.f0_hz[copied.contour.voiced], rtol=1e-3)
    own = half[1].durations
    np.testing.assert_array_equal(half[0].durations, np.rint(np.sqrt(own * np.array(copied.durations))))
    # Nothing of a recording at weight 0, and all that is copied does not depend on the recording's gain.
    np.testing.assert_allclose(say(tiny, copied, prosody_weight=0.0).mel, say(tiny, None).mel, atol=1e-4)
    quiet = replace(copied.contour, energy_db=copied.contour.energy_db - 12)
    quieter = replace(copied, contour=quiet, prosody=copied.prosody - np.float32([0, 0, 12, 0]))
    np.testing.assert_allclose(say(tiny, quieter).mel, whole.mel, atol=1e-4, rtol=0)
    # Energy is that of the recording's tokens.
    energy_db = copied.contour.energy_db.copy()
    first = sum(copied.durations[:2])
    energy_db[first : first + copied.durations[2]] += 20
    louder = replace(copied, contour=replace(copied.contour, energy_db=energy_db))
    moved = np.abs(say(tiny, louder).mel - whole.mel).mean(0)
    assert moved[first + 2] > 10 * max(moved[-1], 1e-6)


def test_a_contour_of_one_s_own_comes_before_the_recording_s(tiny, copied, contours):
    speech = say(tiny, copied, pitch=PitchCurve(np.array([0.0, 1.0]), np.array([200.0, 200.0])))
    f0_hz, voiced = contours[0][0]
    np.testing.assert_allclose(f0_hz[voiced > 0], 200.0, rtol=1e-3)
    assert tuple(speech.durations) == copied.durations and voiced.sum() == copied.contour.voiced.sum()


def test_recordings_that_cannot_be_aligned(tiny, tone_wav, tmp_path):
    refused(
        lambda phones, text: align_recording(tiny, tone_wav, text, textgrid=grid(tmp_path, phones)),
        (PHONES, "Go up.", "phone 3 is AH in the reference and D in the other; expected .* the ARPAbet phones"),
        (PHONES, "Go.", "2 phones in the reference and 5 in the other"),
        ((("", 0.0, 1.0),), TEXT, "5 phones in the reference and 0 in the other"),
        ((*PHONES[:-1], ("", 0.9, 1.5)), TEXT, "ends at 1.50 s and .*tone.wav at 1.00 s"),
    )
    blanks = tiny_pipeline(replace(TINY, add_blank=True))
    mots = {"textgrid": grid(tmp_path, tier="mots"), "tier": "phones"}
    refused(
        lambda pipeline, sound, text, options: align_recording(pipeline, sound, text, **options),
        (tiny, tone_wav, "A long old story goes on and on. " * 5, {}, r"tone.wav: 86 frames for a text of \d+ tokens"),
        (tiny, harmonic_tone(140.0, 0.2), TEXT, {"sample_rate_hz": RATE_HZ}, "lasts 0.20 s; expected at least 0.5 s"),
        (blanks, tone_wav, TEXT, {}, "reads no recordings; expected one with a style encoder"),
        (tiny, tone_wav, TEXT, mots, "tiers: 'mots'"),
    )


def test_copies_that_cannot_be(tiny, copied):
    refused(
        lambda text, options: say(tiny, [copied], text, **options),
        ("Go up.", {}, "phoneme times in 'Go up.' are not known; expected what stimuli"),
        ([TEXT, TEXT], {}, "prosody of 1 lines was given for 2 lines"),
        (TEXT, {"prosody_weight": 1.5}, "prosody_weight 1.5: expected a number from 0 to 1"),
        (TEXT, {"durations": [[9] * 7]}, "durations and prosody both give durations"),
    )


def test_the_table_of_the_benchmark_weighs_frames():
    def row(frames: int, rms: float, octave: float):
        measures = {"f0_rms_cents": rms, "f0_rms_octaves_apart_cents": 10.0, "octave": octave}
        found = {name: {**measures, "n_f0": frames, "coverage": 0.5} for name in copying.COMPARISONS}
        return {"errors_ms": [0.0, 40.0], "energy_correlation": 0.9, **found}

    text = copying.table([Record("copying/0", [row(300, 20.0, 0.0), row(100, 60.0, 0.04)], 1.0)])
    assert "2 recordings, 4 edges of phones: error median 20.0 ms, mean 20.0 ms; 50.0% within 20 ms" in text
    assert f"| {copying.COPY} | 35 | 10 | 40 | 1.00% | 50% |" in text
