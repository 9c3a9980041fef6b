"""Vocoders: official weights, files that lie, contracts, batches, Griffin-Lim."""

import dataclasses
import json
import os
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from gradtts_interp.audio import log_mel
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.vocoder import VOCODERS, GriffinLimVocoder, Vocoder
from hifigan import CONFIGS, Generator, GeneratorConfig
from hifigan.generator import to_official

MEL = MelConfig()
TINY = GeneratorConfig("2", (8, 8, 4), (16, 16, 8), 16, (3, 5), ((1, 2), (2, 6)))


@pytest.fixture
def vocoder():
    torch.manual_seed(0)
    made = Vocoder(TINY)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made


def speechlike(seconds=1.0):
    time = torch.arange(int(22050 * seconds)) / 22050
    phase = 2 * torch.pi * (120 * time + 20 * torch.sin(2 * torch.pi * time))
    return 0.05 * sum(torch.sin(k * phase) / k for k in range(1, 20))


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
    assert (audio - tensors["wav"][:, 0]).abs().max() < 1e-4
    vocoder.save_pretrained(tmp_path / "ours")
    with torch.inference_mode():
        assert torch.equal(Vocoder.from_pretrained(tmp_path / "ours")(tensors["mel"], MEL), audio)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_published_shape_is_found_without_config(tmp_path, version):
    torch.save({"generator": to_official(Generator(CONFIGS[version]).state_dict())}, tmp_path / "g")
    assert Vocoder.from_official(tmp_path / "g").generator.config == CONFIGS[version]


def test_official_mel_settings_become_the_contract(tmp_path):
    torch.save({"generator": to_official(Generator(TINY).state_dict())}, tmp_path / "g")
    settings = {"sampling_rate": 16000, "n_fft": 1024, "hop_size": 256, "win_size": 800, "fmin": 50, "fmax": 7600}
    (tmp_path / "other.json").write_text(json.dumps(TINY.to_dict() | settings))
    contract = Vocoder.from_official(tmp_path / "g", tmp_path / "other.json").mel_config
    assert contract == MelConfig(sample_rate_hz=16000, window_samples=800, fmin_hz=50, fmax_hz=7600)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hostile-was-here",)


def test_files_that_are_no_generator_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "g"
    with pytest.raises(CheckpointError, match="g: no such file"):
        Vocoder.from_official(path)
    torch.save({"generator": Hostile()}, path)
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        Vocoder.from_official(path)
    assert not (tmp_path / "hostile-was-here").exists()
    torch.save({"generator": to_official(Generator(CONFIGS["v2"]).state_dict())}, path)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"text", whole[:-200], bytes(1000)):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            Vocoder.from_official(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(CheckpointError, match="is damaged"):
        Vocoder.from_official(path)
    torch.save({"model": {}}, path)
    with pytest.raises(CheckpointError, match=r"holds \['model'\]; expected a state dict under 'generator'"):
        Vocoder.from_official(path)
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="holds list"):
        Vocoder.from_official(path)


def test_first_weight_that_differs_is_named(tmp_path):
    weights = to_official(Generator(TINY).state_dict())
    path = tmp_path / "g"

    def load(state):
        torch.save({"generator": state}, path)
        (tmp_path / "config.json").write_text(json.dumps(TINY.to_dict()))
        return Vocoder.from_official(path)

    load(weights)
    with pytest.raises(CheckpointError, match=r"lacks conv_pre.bias of shape \(16,\)"):
        load({name: value for name, value in weights.items() if name != "conv_pre.bias"})
    with pytest.raises(CheckpointError, match=r"ups.0.bias has shape \(9,\); expected \(8,\)"):
        load(weights | {"ups.0.bias": torch.zeros(9)})
    with pytest.raises(CheckpointError, match=r"has more.bias of shape \(2,\), which"):
        load(weights | {"more.bias": torch.zeros(2)})
    with pytest.raises(CheckpointError, match="conv_pre.weight_v has no conv_pre.weight_g"):
        load({name: value for name, value in weights.items() if name != "conv_pre.weight_g"})
    load(weights)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"fits none of the published shapes.*v3: .*conv_pre.bias has shape"):
        Vocoder.from_official(path)


def test_official_config_that_is_none(tmp_path):
    torch.save({"generator": to_official(Generator(TINY).state_dict())}, tmp_path / "g")
    for text, message in (("{", "is no JSON"), ("[]", "holds a list"), ('{"resblock": "1"}', "no HiFi-GAN config")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=message):
            Vocoder.from_official(tmp_path / "g")
    with pytest.raises(CheckpointError, match="none.json cannot be read"):
        Vocoder.from_official(tmp_path / "g", tmp_path / "none.json")


def test_saved_folder_round_trip_and_damage(vocoder, tmp_path):
    folder = tmp_path / "vocoder"
    vocoder.save_pretrained(folder)
    mel = torch.randn(80, 9)
    assert torch.equal(Vocoder.from_pretrained(folder)(mel, MEL), vocoder(mel, MEL))
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(CheckpointError, match="model.safetensors is damaged"):
        Vocoder.from_pretrained(folder)
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="lacks conv_pre.bias"):
        Vocoder.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model.safetensors: no such file"):
        Vocoder.from_pretrained(folder)
    (folder / "config.json").write_text('{"generator": {}}')
    with pytest.raises(CheckpointError, match="no vocoder configuration.*lacks 'resblock'"):
        Vocoder.from_pretrained(folder)
    with pytest.raises(CheckpointError, match="config.json cannot be read"):
        Vocoder.from_pretrained(tmp_path / "nowhere")


def test_generator_in_training_is_copied():
    generator = Generator(TINY)
    vocoder = Vocoder.from_generator(generator)
    mel = torch.randn(1, 80, 7)
    with torch.inference_mode():
        assert torch.allclose(vocoder(mel, MEL), generator(mel)[:, 0], atol=1e-6)
    generator.config = None
    with pytest.raises(InputError, match="configuration of NoneType"):
        Vocoder.from_generator(generator)


@pytest.mark.parametrize("make", [lambda: Vocoder(TINY), GriffinLimVocoder])
def test_contract_and_shapes_are_checked(make):
    vocoder = make()
    with pytest.raises(CheckpointError, match="sample_rate_hz is 22050 for the vocoder but 16000 for the mel"):
        vocoder(torch.zeros(80, 4), dataclasses.replace(MEL, sample_rate_hz=16000))
    for shape in ((40, 4), (80,), (1, 1, 80, 4), (80, 0), (0, 80, 4)):
        with pytest.raises(InputError, match=r"expected \(80, T\) or \(B, 80, T\)"):
            vocoder(torch.zeros(shape), MEL)
    mel = torch.zeros(80, 4)
    mel[0, :3] = float("nan")
    with pytest.raises(InputError, match="3 of 320 mel values are NaN"):
        vocoder(mel, MEL)
    with pytest.raises(CheckpointError, match="256 samples of 80 bins; the mel contract has 256 and 100"):
        Vocoder(TINY, dataclasses.replace(MEL, n_mels=100))


@pytest.mark.parametrize("make", [lambda: Vocoder(TINY), lambda: GriffinLimVocoder(iterations=4)])
def test_batches_equal_singles(make):
    vocoder = make()
    mels = [torch.randn(80, frames) - 5 for frames in (1, 12, 5)]
    kept = [mel.clone() for mel in mels]
    with torch.inference_mode():
        many = vocoder.decode(mels, MEL)
        singles = [vocoder(mel, MEL) for mel in mels]
        batch = vocoder(torch.stack([mels[1], mels[1] - 1]), MEL)
    assert [len(audio) for audio in many] == [256, 3072, 1280]
    assert all(torch.equal(a, b) for a, b in zip(many, singles, strict=True))
    assert torch.allclose(batch[0], singles[1], atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(mels, kept, strict=True))


def test_gradient_reaches_the_mel(vocoder):
    mel = torch.randn(80, 5, requires_grad=True)
    vocoder(mel, MEL).sum().backward()
    assert mel.grad.abs().max() > 0


def test_griffin_lim_keeps_mel_length_and_time():
    audio = speechlike()
    mel = log_mel(audio, MEL)
    again = VOCODERS["griffin-lim"]()(mel, MEL)
    assert again.shape == (mel.shape[1] * 256,)
    distance = (log_mel(again, MEL) - mel).clamp(-20, 20).abs()
    # where there is energy; between harmonics and above the last one the floor is out of reach
    assert distance[mel > -5].mean() < 0.35
    click = torch.zeros(256 * 60)
    click[256 * 30 + 128] = 0.9
    assert abs(VOCODERS["griffin-lim"]()(log_mel(click, MEL), MEL).abs().argmax().item() - (256 * 30 + 128)) < 300


def test_vocoders_are_named_and_made_alike(vocoder, tmp_path):
    vocoder.save_pretrained(tmp_path)
    assert isinstance(VOCODERS["hifigan"](tmp_path), Vocoder)
    assert VOCODERS["hifigan"](tmp_path).device == torch.device("cpu")
