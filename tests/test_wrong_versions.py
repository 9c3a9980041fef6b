"""Plausible wrong versions of central functions, each of which must fail a test here.

What a user can observe is tested, so that the parts may be rewritten: each test names the wrong version it is for.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from speaking import harmonic_tone, tiny_vocoder
from tiny import tiny_pipeline as make_pipeline
from tiny import tiny_style

from gradtts_interp.audio import mel_filters, write_wav
from gradtts_interp.config import MelConfig
from gradtts_interp.interpolation import shares
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.vocoder import mel_magnitudes, refine_phase

TEXT = "Go on."
A, B = tiny_style(1, f0_hz=90.0), tiny_style(2, frames=41, f0_hz=330.0)
NO_NOISE = {"temperature": 1e9}  # it divides the noise
MEL = MelConfig()


@pytest.fixture(scope="module")
def tts():
    return make_pipeline()


@pytest.fixture(scope="module")
def uneven_tts():
    """A pipeline whose styles differ much in rate."""
    tts = make_pipeline()
    with torch.no_grad():
        tts.model.encoder.proj_w.proj.weight.mul_(3)
    return tts


def mel_of(tts, *styles, **options):
    return tts(TEXT, *styles, **{"num_inference_steps": 2, "seed": 0, **options}).mel


@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_durations_are_blended_in_log(uneven_tts, weight):
    """Wrong: the arithmetic mean; the share of the first guess (one half) instead of the share that was asked for."""
    options = {"num_inference_steps": 1, "seed": 0, "length_scale": 20.0}
    a, b = (uneven_tts(TEXT, style, **options).durations.astype(float) for style in (A, B))
    blend = uneven_tts(TEXT, A, B, share=shares.constant(weight), **options).durations
    geometric, arithmetic = a ** (1 - weight) * b**weight, (1 - weight) * a + weight * b
    half = np.sqrt(a * b)
    wrong = [arithmetic] if weight == 0.5 else [arithmetic, half]
    for other in wrong:
        assert np.abs(other - geometric).max() > 2, "the styles are too alike in rate to tell the versions apart"
    assert np.abs(blend - geometric).max() <= 1


def test_every_seed_has_its_own_noise(tts):
    """Wrong: the seed modulo a small number."""
    seeds = [*range(20), 1000, 2**31 - 1, 2**32 - 1]  # torch reads 32 bits of a seed
    noises = [tts(TEXT, A, num_inference_steps=1, seed=seed).noise for seed in seeds]
    alike = [(a, b) for i, a in enumerate(seeds) for j, b in enumerate(seeds[:i]) if np.allclose(noises[i], noises[j])]
    assert not alike


def test_the_temperature_is_taken_as_it_is(tts):
    """Wrong: a temperature above 2 taken for 2, so that the noise never goes."""
    assert np.abs(mel_of(tts, A, seed=0) - mel_of(tts, A, seed=1)).max() > 0.1
    np.testing.assert_allclose(mel_of(tts, A, seed=0, **NO_NOISE), mel_of(tts, A, seed=1, **NO_NOISE), atol=1e-4)
    hot, warm, cold = (mel_of(tts, A, temperature=t) for t in (1.0, 2.0, 4.0))
    assert np.abs(hot - warm).max() > 0.1 and np.abs(warm - cold).max() > 0.01


@pytest.mark.parametrize(("seconds", "read"), [(3.0, 3.0), (7.0, 7.0), (9.5, 8.0)])
def test_eight_seconds_of_a_reference_are_read(tts, tmp_path, seconds, read):
    """Wrong: the longest reference cut to four seconds."""
    write_wav(tmp_path / "long.wav", harmonic_tone(180.0, seconds), MEL.sample_rate_hz)
    style = tts.style(tmp_path / "long.wav")
    assert style.mel.shape[1] == len(style.contour) == pytest.approx(read * MEL.frame_rate_hz, abs=1)


@pytest.mark.parametrize("weight", [0.3, 0.6])
def test_mixed_scores_stand_on_the_mixed_prior(tts, weight, monkeypatch):
    """Wrong: scores of A and B around the prior of the dominant style.

    Without noise the sampler starts from the mean of the diffusion.
    """
    seen = []
    original = GradTTS.score

    def watched(self, x, *rest, **named):
        seen.append(x.detach().clone())
        return original(self, x, *rest, **named)

    monkeypatch.setattr(GradTTS, "score", watched)

    def start(*styles, **options):
        seen.clear()
        tts(TEXT, *styles, num_inference_steps=1, seed=0, **NO_NOISE, **options)
        return seen[0][0]

    durations = [tts(TEXT, A, num_inference_steps=1, seed=0).durations.tolist()]
    a, b = start(A, durations=durations), start(B, durations=durations)
    share = shares.constant(weight)
    blend = start(A, B, share=share, mechanisms=("score",), durations=durations)
    assert (a - b).abs().max() > 0.1
    torch.testing.assert_close(blend, (1 - weight) * a + weight * b, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("share", "of_a", "of_b"),
    [(None, True, False), (shares.pitch(), True, True), (~shares.pitch(), True, True)],
    ids=["alone", "gives-the-pitch", "gives-the-rest"],
)
def test_an_emotion_is_heard_where_it_belongs(tts, share, of_a, of_b):
    """Wrong: the emotion dropped where a style is read whole, or where it gives its pitch or its voice to another."""
    durations = [tts(TEXT, A, num_inference_steps=1, seed=0).durations.tolist()]

    def rendered(a, b):
        styles = (a,) if share is None else (a, b)
        given = {} if share is None else {"share": share, "mechanisms": ("attention",)}
        return mel_of(tts, *styles, durations=durations, **given)

    plain = rendered(A, B)
    other = [replace(style, emotion=(style.emotion[::-1] * 2).copy()) for style in (A, B)]
    moved = np.abs(rendered(other[0], B) - plain).max(), np.abs(rendered(A, other[1]) - plain).max()
    assert [float(m) > 1e-4 for m in moved] == [of_a, of_b]


def fast_griffin_lim(audio, magnitude, rounds):
    """Perraudin et al. 2013, written out: each round goes to the time domain and back, momentum 0.9.

    Bins that no filter of the mel sees keep the magnitudes of ``audio``.
    """
    window = torch.hann_window(MEL.window_samples)
    hop, edge = MEL.hop_samples, 2
    lead = edge * hop - hop // 2  # the mel's frames stand half a hop after torch's
    wanted = torch.nn.functional.pad(magnitude, (edge, edge), mode="replicate")

    def analysed(x):
        return torch.stft(x, MEL.n_fft, hop, MEL.window_samples, window, return_complex=True)

    def synthesised(spectrum):
        fitted = torch.polar(wanted, spectrum.angle())
        return torch.istft(fitted, MEL.n_fft, hop, MEL.window_samples, window, length=audio.shape[-1] + 2 * lead)

    spectra = [analysed(torch.nn.functional.pad(audio, (lead, lead)))]
    seen = torch.from_numpy(mel_filters(MEL)).sum(0) > 0
    wanted[:, ~seen] = spectra[0].abs()[:, ~seen]
    last = spectra[0]
    for _ in range(rounds):
        spectra.append(analysed(synthesised(last)))
        last = spectra[-1] + 0.9 * (spectra[-1] - spectra[-2])
    return synthesised(last)[:, lead : lead + audio.shape[-1]].clamp(-1, 1)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_as_many_rounds_of_refinement_as_were_asked_for(rounds):
    """Wrong: one round less."""
    random = torch.Generator().manual_seed(0)
    audio = 0.1 * torch.randn(1, 20 * MEL.hop_samples, generator=random)
    magnitude = torch.rand(1, MEL.n_fft // 2 + 1, 20, generator=random) * 3
    expected, fewer = (fast_griffin_lim(audio, magnitude, r) for r in (rounds, rounds - 1))
    assert (expected - fewer).abs().max() > 0.01
    refined = refine_phase(audio, magnitude, MEL, rounds=rounds)
    torch.testing.assert_close(refined, expected, atol=1e-3, rtol=0)


def test_a_vocoder_makes_the_rounds_that_it_was_given():
    """Wrong: one round less."""
    vocoder = tiny_vocoder()
    mel = torch.randn(1, 80, 20, generator=torch.Generator().manual_seed(0)) - 4
    with torch.no_grad():
        plain = vocoder.decode([mel[0]], MEL)[0][None]
        vocoder.refinement_rounds = 3
        refined = vocoder.decode([mel[0]], MEL)[0][None]
        magnitude = mel_magnitudes(mel, MEL)
        expected, fewer = (refine_phase(plain, magnitude, MEL, rounds=rounds) for rounds in (3, 2))
    assert (expected - fewer).abs().max() > 1e-3
    torch.testing.assert_close(refined, expected, atol=1e-4, rtol=0)
