"""Vocoders: official weights, files that lie, contracts, batches, Griffin-Lim."""

import dataclasses
import json
import os
from functools import partial

import pytest
import torch
from refusing import refused
from safetensors.torch import load_file, save_file
from speaking import harmonic_tone
from tiny import HARMONIC

from gradtts_interp.audio import log_mel, mel_filters
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError
from gradtts_interp.vocoder import GriffinLimVocoder, Vocoder, mel_magnitudes, refine_phase
from hifigan import CONFIGS, Generator, GeneratorConfig
from hifigan.generator import to_official

MEL = MelConfig()
unfit = partial(refused, error=CheckpointError)
TINY = GeneratorConfig("2", (8, 8, 4), (16, 16, 8), 16, (3, 5), ((1, 2), (2, 6)))


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hostile-was-here",)


WEIGHTS, SHAPE = to_official(Generator(TINY).state_dict()), json.dumps(TINY.to_dict())


@pytest.fixture
def vocoder():
    torch.manual_seed(0)
    made = Vocoder(TINY)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_official_file_gives_the_official_audio(golden_dir, tmp_path, version):
    tensors = load_file(golden_dir / f"hifigan_{version}_small.safetensors")
    weights = {name.removeprefix("weights."): value for name, value in tensors.items() if name.startswith("weights.")}
    torch.save({"generator": weights}, tmp_path / "generator")
    config = json.loads((golden_dir / f"hifigan_{version}_small.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    vocoder = Vocoder.from_official(tmp_path / "generator")
    with torch.inference_mode():
        audio = vocoder(tensors["mel"], MEL)
        vocoder.save_pretrained(tmp_path / "ours")
        assert torch.equal(Vocoder.from_pretrained(tmp_path / "ours")(tensors["mel"], MEL), audio)
    assert (audio - tensors["wav"][:, 0]).abs().max() < 1e-4


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize(
    "wrapped", [lambda state: {"generator": state}, lambda state: {f"module.{k}": state[k] for k in state}]
)
def test_published_shape_is_found_without_config(tmp_path, version, wrapped):
    torch.save(wrapped(to_official(Generator(CONFIGS[version]).state_dict())), tmp_path / "g")
    assert Vocoder.from_official(tmp_path / "g").generator.config == CONFIGS[version]


def test_official_mel_settings_become_the_contract(tmp_path):
    torch.save({"generator": WEIGHTS}, tmp_path / "g")
    settings = {"sampling_rate": 16000, "n_fft": 1024, "hop_size": 256, "win_size": 800, "fmin": 50, "fmax": 7600}
    (tmp_path / "config.json").write_text(json.dumps(TINY.to_dict() | settings))
    contract = Vocoder.from_official(tmp_path / "g").mel_config
    assert contract == MelConfig(sample_rate_hz=16000, window_samples=800, fmin_hz=50, fmax_hz=7600)


@pytest.mark.parametrize(
    ("content", "config", "message"),
    [
        (None, None, "g: no such file"),
        ({"generator": Hostile()}, None, "holds more than tensors"),
        ({"model": {}}, None, r"holds \['model'\]; expected a state dict, bare or under 'generator'"),
        ([1, 2], None, "holds list"),
        ({"conv_pre.weight_v": WEIGHTS["conv_pre.weight_v"]}, None, "conv_pre.weight_v has no conv_pre.weight_g"),
        (WEIGHTS, None, r"fits none of the published shapes.*v3: .*conv_pre.bias has shape"),
        (WEIGHTS | {"ups.0.bias": torch.zeros(9)}, SHAPE, r"ups.0.bias has shape \(9,\); expected \(8,\)"),
        (WEIGHTS, "{", "is no JSON"),
        (WEIGHTS, "[]", "holds a list"),
        (WEIGHTS, '{"resblock": "1"}', "no HiFi-GAN config"),
    ],
)
def test_files_that_are_no_generator_are_refused(tmp_path, monkeypatch, content, config, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        torch.save(content, tmp_path / "g")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    unfit(Vocoder.from_official, (tmp_path / "g", message))
    assert not (tmp_path / "hostile-was-here").exists()


def test_saved_folder_round_trip_and_damage(vocoder, tmp_path):
    folder = tmp_path / "vocoder"
    vocoder.save_pretrained(folder)
    mel = torch.randn(80, 9)
    trained = Generator(TINY)
    for weight in trained.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    with torch.inference_mode():
        assert torch.allclose(Vocoder.from_generator(trained)(mel, MEL), trained(mel[None])[0, 0], atol=1e-6)
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors")
    unfit(Vocoder.from_pretrained, (folder, "model.safetensors lacks conv_pre.bias"))
    (folder / "config.json").write_text('{"generator": {}}')
    unfit(Vocoder.from_pretrained, (folder, "no vocoder configuration.*lacks 'resblock'"))


@pytest.mark.parametrize("make", [lambda: Vocoder(TINY), GriffinLimVocoder])
def test_contract_and_shapes_are_checked(make):
    vocoder, other = make(), dataclasses.replace(MEL, sample_rate_hz=16000)
    unfit(vocoder, (torch.zeros(80, 4), other, "sample_rate_hz is 22050 for the vocoder but 16000 for the mel"))
    shapes = ((40, 4), (80,), (1, 1, 80, 4), (80, 0), (0, 80, 4))
    refused(vocoder, *((torch.zeros(shape), MEL, r"expected \(80, T\) or \(B, 80, T\)") for shape in shapes))
    mel = torch.zeros(80, 4)
    mel[0, :3] = float("nan")
    refused(vocoder, (mel, MEL, "3 of 320 mel values are NaN"))
    wide = dataclasses.replace(MEL, n_mels=100)
    unfit(Vocoder, (TINY, wide, "generator has num_mels 80; the mel contract has 100"))


def test_griffin_lim_keeps_mel_length_and_time():
    audio = harmonic_tone(120.0)
    mel = log_mel(audio, MEL)
    again = GriffinLimVocoder()(mel, MEL)
    assert again.shape == (mel.shape[1] * 256,)
    distance = (log_mel(again, MEL) - mel).clamp(-20, 20).abs()
    # where there is energy; between harmonics and above the last one the floor is out of reach
    assert distance[mel > -5].mean() < 0.35
    click = torch.zeros(256 * 60)
    click[256 * 30 + 128] = 0.9
    assert abs(GriffinLimVocoder()(log_mel(click, MEL), MEL).abs().argmax().item() - (256 * 30 + 128)) < 300


# -- a harmonic source ------------------------------------------------------------------------------------------------


def contour_of(frames, f0_hz=150.0):
    steps = torch.linspace(0, 1, frames)
    return f0_hz * torch.exp(0.5 * steps), (steps * 5 % 1 < 0.7).float()


def test_harmonic_vocoder_round_trip(harmonic, tmp_path):
    mel, contour = torch.randn(80, 30) - 5, contour_of(30)
    audio = harmonic(mel, MEL, contour)
    harmonic.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["kind"] == harmonic.kind == "harmonic" and values["generator"] == HARMONIC.to_dict()
    again = Vocoder.from_pretrained(tmp_path)
    assert torch.equal(again(mel, MEL, contour), audio)
    assert torch.equal(Vocoder.from_generator(harmonic.generator)(mel, MEL, contour), audio)
    assert Vocoder(TINY).kind == "hifigan"
    for kind, message in (("choir", "no vocoder configuration: 'choir'"), ("hifigan", "lacks 'resblock'")):
        (tmp_path / "config.json").write_text(json.dumps(values | {"kind": kind}))
        unfit(Vocoder.from_pretrained, (tmp_path, message))


@pytest.mark.parametrize("kind", ["vocoder", "griffin_lim", "harmonic"])
def test_batches_equal_singles_and_a_harmonic_source_alone_follows_the_contour(kind, request):
    decode = GriffinLimVocoder(iterations=4) if kind == "griffin_lim" else request.getfixturevalue(kind)
    mels = [torch.randn(80, frames) - 5 for frames in (1, 40, 12)]
    contours, kept = [contour_of(mel.shape[1]) for mel in mels], [mel.clone() for mel in mels]
    with torch.inference_mode():
        many = decode.decode(mels, MEL, contours)
        other = decode(mels[1], MEL, contour_of(40, 220.0))
        pair = tuple(torch.stack([part] * 2) for part in contours[1])
        batch = decode(torch.stack([mels[1] - 1, mels[1]]), MEL, pair)
        for mel, contour, audio in zip(mels, contours, many, strict=True):
            assert len(audio) == mel.shape[1] * 256 and audio.abs().max() <= 1
            assert torch.equal(audio, decode(mel, MEL, contour))
    assert torch.allclose(other, many[1], atol=1e-3) == (kind != "harmonic")
    assert torch.allclose(batch[1], many[1], atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(mels, kept, strict=True))


def test_harmonic_vocoder_reads_a_contour_where_none_is_given(harmonic):
    mel = torch.randn(80, 40) - 5
    f0_hz, voiced = harmonic.read_contour(mel)
    assert f0_hz.shape == voiced.shape == (40,) and set(voiced.tolist()) <= {0.0, 1.0}
    assert torch.isfinite(f0_hz).all() and (f0_hz > 0).all()
    with torch.inference_mode():
        assert torch.equal(harmonic(mel, MEL), harmonic(mel, MEL, (f0_hz, voiced)))
        assert harmonic(torch.stack([mel] * 2), MEL).shape == (2, 40 * 256)
    refused(Vocoder(TINY).read_contour, (mel, "a HiFi-GAN reads no contour"))


@pytest.mark.parametrize("kind", ["vocoder", "harmonic"])
def test_gradient_reaches_the_mel(kind, request):
    mel = (torch.randn(80, 12) - 5).requires_grad_()
    request.getfixturevalue(kind)(mel, MEL, contour_of(12)).square().sum().backward()
    assert torch.isfinite(mel.grad).all() and mel.grad.abs().max() > 0


def test_contours_that_do_not_belong_to_the_mel(harmonic):
    mel, (f0_hz, voiced) = torch.zeros(80, 10), contour_of(10)
    for decode in (harmonic, lambda *given: next(harmonic.decode_chunks(*given))):
        refused(
            decode,
            (mel, MEL, (f0_hz[1:], voiced), r"contour of shapes \(9,\), \(10,\); expected \(10,\) as the mel"),
            (mel, MEL, (f0_hz * 0, voiced), "F0 that is not finite and > 0"),
            (mel, MEL, (f0_hz * float("nan"), voiced), "F0 that is not finite and > 0"),
        )
    refused(harmonic, (mel[None], MEL, (f0_hz, voiced), r"expected \(1, 10\) as the mel"))


def test_harmonic_vocoder_refuses_other_contracts_and_refinement():
    refused(partial(Vocoder, refinement_rounds=3), (HARMONIC, "refinement rounds 3 for a harmonic source; expected 0"))
    other = dataclasses.replace(MEL, fmax_hz=7600)
    unfit(Vocoder, (HARMONIC, other, "generator has fmax_hz 8000.0; the mel contract has 7600"))


# -- refined phase ----------------------------------------------------------------------------------------------------


def test_magnitudes_have_the_mel_they_were_made_for():
    mel = log_mel(harmonic_tone(150.0), MEL)[None]
    reached = torch.matmul(torch.from_numpy(mel_filters(MEL)), mel_magnitudes(mel, MEL)).clamp(min=1e-5).log()
    assert (reached - mel).abs().mean() < 0.1


def test_bins_that_no_filter_sees_keep_what_the_generator_made_of_them():
    """The mel ends at 8 kHz; a Griffin-Lim over all bins took the band above it away."""
    source = torch.Generator().manual_seed(0)
    noise = 0.05 * torch.randn(1, 86 * 256, generator=source)

    def power_above(audio: torch.Tensor) -> float:
        spectrum = torch.fft.rfft(audio[0])
        return float(spectrum[int(len(spectrum) * 8200 / 11025) :].abs().square().sum())

    refined = refine_phase(noise, mel_magnitudes(log_mel(noise, MEL), MEL), MEL, rounds=8)
    assert 0.5 < power_above(refined) / power_above(noise) < 1.5


@pytest.mark.parametrize("rounds", [-1, 2.5, True, "3"])
def test_strange_rounds_are_refused(rounds, tmp_path):
    refused(partial(Vocoder, refinement_rounds=rounds), (TINY, "refinement rounds"))
    Vocoder(TINY, refinement_rounds=7).save_pretrained(tmp_path)
    assert Vocoder.from_pretrained(tmp_path).refinement_rounds == 7
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"refinement_rounds": 7', f'"refinement_rounds": {json.dumps(rounds)}'))
    unfit(Vocoder.from_pretrained, (tmp_path, "refinement rounds"))
