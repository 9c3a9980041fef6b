"""The generator against the official numbers; weight names both ways."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from hifigan import CONFIGS, Generator, GeneratorConfig
from hifigan.generator import to_fused, to_official

TINY = GeneratorConfig("2", (8, 8, 4), (16, 16, 8), 16, (3, 5), ((1, 2), (2, 6)), num_mels=8)


def golden(folder, version):
    tensors = load_file(folder / f"hifigan_{version}_small.safetensors")
    config = GeneratorConfig.from_dict(json.loads((folder / f"hifigan_{version}_small.json").read_text()))
    weights = {name.removeprefix("weights."): value for name, value in tensors.items() if name.startswith("weights.")}
    return config, weights, tensors["mel"], tensors["wav"]


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_equals_official_numbers(golden_dir, version):
    config, weights, mel, wav = golden(golden_dir, version)
    generator = Generator(config)
    assert set(to_official(generator.state_dict())) == set(weights)
    generator.fuse().load_state_dict(to_fused(weights))
    with torch.inference_mode():
        got = generator(mel)
    assert got.shape == wav.shape
    assert (got - wav).abs().max() < 1e-4
    assert wav.abs().max() > 1e-3


def test_fusing_weights_equals_fusing_the_module():
    torch.manual_seed(0)
    generator = Generator(TINY)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    fused = to_fused(generator.state_dict())
    generator.fuse()
    assert set(fused) == set(generator.state_dict())
    assert all(torch.allclose(fused[name], value, atol=1e-6) for name, value in generator.state_dict().items())
    assert to_fused(fused).keys() == fused.keys()


@pytest.mark.parametrize("name", sorted(set(CONFIGS) - {"harmonic"}))
def test_each_frame_gives_one_hop(name):
    config = CONFIGS[name]
    assert config.hop_samples == 256
    if name == "v1":
        config = dataclasses.replace(config, upsample_initial_channel=32)
    with torch.inference_mode():
        audio = Generator(config)(torch.randn(2, 80, 5))
    assert audio.shape == (2, 1, 5 * 256)
    assert audio.abs().max() <= 1


def test_far_frames_do_not_change_the_audio():
    generator = Generator(CONFIGS["demo"])
    mel = torch.randn(1, 80, 80)
    other = mel.clone()
    other[..., 60:] = 0
    with torch.inference_mode():
        difference = (generator(mel) - generator(other)).abs()[0, 0]
    assert difference[: 40 * 256].max() == 0
    assert difference[60 * 256 :].max() > 0


def test_config_ignores_training_keys_and_survives_json():
    training = {"num_gpus": 0, "batch_size": 16, "segment_size": 8192, "fmax": 8000, "dist_config": {"world_size": 1}}
    official = {**json.loads(json.dumps(CONFIGS["v2"].to_dict())), **training}
    assert GeneratorConfig.from_dict(official) == CONFIGS["v2"]
    assert GeneratorConfig.from_dict(json.loads(json.dumps(CONFIGS["v3"].to_dict()))) == CONFIGS["v3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resblock": "3"}, "resblock is '3'"),
        ({"upsample_rates": (8, 8)}, "upsample_rates .* must have the same length"),
        ({"resblock_kernel_sizes": (3,)}, "resblock_kernel_sizes .* must have the same length"),
        ({"upsample_kernel_sizes": (16, 15, 4, 4)}, "upsampling by 8 with kernel 15"),
        ({"upsample_initial_channel": 200}, "200 cannot be halved 4 times"),
    ],
)
def test_config_refuses_shapes_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIGS["v1"], **change)
