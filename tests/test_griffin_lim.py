import pytest
import torch

from gradtts_interp.audio import log_mel
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.griffin_lim import MelInverse, refine_phase
from gradtts_interp.pitch.contour import extract_contour
from gradtts_interp.vocoder import Vocoder
from hifigan import GeneratorConfig

MEL = MelConfig()
TINY = GeneratorConfig.from_dict(
    {
        "resblock": "2",
        "upsample_rates": [8, 8, 4],
        "upsample_kernel_sizes": [16, 16, 8],
        "upsample_initial_channel": 16,
        "resblock_kernel_sizes": [3],
        "resblock_dilation_sizes": [[1, 2]],
    }
)


def harmonic_tone(f0_hz: float, seconds: float = 1.0) -> torch.Tensor:
    t = torch.arange(int(seconds * MEL.sample_rate_hz)) / MEL.sample_rate_hz
    tone = sum(torch.sin(2 * torch.pi * f0_hz * k * t) / k for k in range(1, 20))
    return (0.2 * tone)[: len(tone) // 256 * 256]


def test_magnitudes_have_the_mel_they_were_made_for():
    mel = log_mel(harmonic_tone(150.0), MEL)[None]
    inverse = MelInverse(MEL)
    reached = torch.matmul(inverse.filters, inverse(mel)).clamp(min=1e-5).log()
    assert (reached - mel).abs().mean() < 0.1


def test_refinement_gives_back_the_pitch_that_a_buzz_has_lost():
    target, buzz = harmonic_tone(150.0), harmonic_tone(MEL.frame_rate_hz)
    magnitude = MelInverse(MEL)(log_mel(target, MEL)[None])
    refined = refine_phase(buzz[None], magnitude, torch.hann_window(1024), MEL, rounds=30)[0]
    assert refined.shape == buzz.shape
    before = (log_mel(buzz, MEL) - log_mel(target, MEL)).abs().mean()
    after = (log_mel(refined, MEL) - log_mel(target, MEL)).abs().mean()
    assert after < before / 4
    contour = extract_contour(refined.numpy(), MEL)
    assert abs(float(torch.tensor(contour.f0_hz[contour.voiced]).median()) / 150.0 - 1) < 0.02


def test_bins_that_no_filter_sees_keep_what_the_generator_made_of_them():
    """The mel ends at 8 kHz; a Griffin-Lim over all bins took the band above it away."""
    source = torch.Generator().manual_seed(0)
    noise = 0.05 * torch.randn(1, 86 * 256, generator=source)
    inverse = MelInverse(MEL)
    magnitude, window = inverse(log_mel(noise, MEL)), torch.hann_window(1024)
    assert not inverse.covered[-1] and inverse.covered[100] and 0.7 < inverse.covered.float().mean() < 0.75

    def power_above(audio: torch.Tensor) -> float:
        spectrum = torch.fft.rfft(audio[0])
        return float(spectrum[int(len(spectrum) * 8200 / 11025) :].abs().square().sum())

    kept = refine_phase(noise, magnitude, window, MEL, rounds=8, covered=inverse.covered)
    lost = refine_phase(noise, magnitude, window, MEL, rounds=8)
    assert 0.5 < power_above(kept) / power_above(noise) < 1.5 and power_above(lost) < 0.05 * power_above(noise)


def test_no_round_changes_nothing():
    audio = harmonic_tone(120.0)[None]
    magnitude = torch.ones(1, 513, audio.shape[1] // 256)
    assert refine_phase(audio, magnitude, torch.hann_window(1024), MEL, rounds=0) is audio


def test_the_vocoder_keeps_the_band_above_the_mel():
    torch.manual_seed(0)
    refined, mel = Vocoder(TINY, refinement_rounds=2), torch.full((80, 40), -9.0)
    with torch.no_grad():
        refined.generator.conv_post.weight.mul_(100)
        kept = refined(mel, MEL)
        refined.inverse.covered.fill_(True)
        lost = refined(mel, MEL)
        refined.refinement_rounds = 0
        generated = refined(mel, MEL)
    above = [float(torch.fft.rfft(x)[-1200:].abs().square().sum()) for x in (kept, lost, generated)]
    assert 0.5 < above[0] / above[2] < 1.5 and above[1] < 0.2 * above[2]


def test_rounds_travel_with_the_vocoder(tmp_path):
    Vocoder(TINY, refinement_rounds=7).save_pretrained(tmp_path)
    assert Vocoder.from_pretrained(tmp_path).refinement_rounds == 7


@pytest.mark.parametrize("rounds", [-1, 2.5, True, "3"])
def test_strange_rounds_are_refused(rounds, tmp_path):
    with pytest.raises(InputError, match="refinement rounds"):
        Vocoder(TINY, refinement_rounds=rounds)


def test_strange_rounds_in_a_file_are_a_checkpoint_error(tmp_path):
    Vocoder(TINY).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"refinement_rounds": 0', '"refinement_rounds": -3'))
    with pytest.raises(CheckpointError, match="refinement rounds -3"):
        Vocoder.from_pretrained(tmp_path)
