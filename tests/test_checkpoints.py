"""Checkpoints: round trips, official files, and every way they can be wrong."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial

import pytest
import torch
from refusing import refused
from safetensors.torch import load_file, save_file

from gradtts_interp.checkpoints import load_model, load_official, load_official_pipeline_parts, save_model
from gradtts_interp.config import ModelConfig
from gradtts_interp.errors import CheckpointError
from gradtts_interp.models.grad_tts import GradTTS

SMALL = ModelConfig(
    n_enc_channels=16, filter_channels=16, filter_channels_dp=8, n_enc_layers=1, dec_dim=16, spk_emb_dim=8
)
EMBEDDING = "encoder.emb.weight"
LAST = "decoder.estimator.final_conv.bias"
unreadable = partial(refused, error=CheckpointError)


@pytest.fixture(scope="module")
def single_speaker():
    torch.manual_seed(0)
    return {k: v.clone() for k, v in GradTTS(SMALL.to_dict()).state_dict().items()}


def save(state, path):
    torch.save(state, path)
    return path


def test_folder_round_trip(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]
    assert all(v.dtype == torch.float16 for v in load_file(tmp_path / "m" / "model.safetensors").values())
    loaded, mine = load_model(tmp_path / "m"), tiny_model.state_dict()
    assert loaded.settings == tiny_model.settings and not loaded.training
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, mine[name].half().float())
    save_model(tiny_model, tmp_path / "whole", dtype=torch.float32)
    assert all(torch.equal(v, mine[k]) for k, v in load_model(tmp_path / "whole").state_dict().items())
    values = json.loads((tmp_path / "m" / "config.json").read_text())  # as diffusers writes it
    assert values["_class_name"] == "GradTTS" and GradTTS(values["settings"]).settings == tiny_model.settings


def test_a_weight_beyond_half_precision_is_not_saved(tiny_model, tmp_path):
    with torch.no_grad():
        tiny_model.encoder.emb.weight[0, 0] = 1e6
    unreadable(save_model, (tiny_model, tmp_path, rf"1 of \d+ values of {EMBEDDING} are NaN or infinite"))
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "config.json cannot be read"),
        ("config.json", "{", "is no JSON"),
        ("config.json", "[1]", "holds a list; expected a JSON object"),
        ("config.json", '{"dec_dim": 16}', r"holds \['dec_dim'\]; expected a JSON object with settings"),
        ("config.json", '{"settings": {"depth": 3}}', "model configuration: unknown field 'depth'"),
        ("config.json", '{"settings": {"n_heads": 7}}', "no model has this configuration.*multiple of its 7 heads"),
        ("config.json", '{"settings": {"dec_dim": "wide"}}', "no model has this configuration"),
        ("config.json", json.dumps({"settings": {**SMALL.to_dict(), "n_vocab": 60}}),
         rf"{EMBEDDING} has shape \(149, 16\); expected \(60, 16\)"),
        ("model.safetensors", None, "no such file"),
        ("model.safetensors", "half", "damaged or no safetensors file"),
    ],
)  # fmt: skip
def test_damaged_folders(single_speaker, tmp_path, name, content, message):
    model = GradTTS(SMALL.to_dict())
    model.load_state_dict(single_speaker)
    save_model(model, tmp_path / "m")
    path = tmp_path / "m" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content == "half" else (content or "").encode())
    if content is None:
        path.unlink()
    no_folder = r"none: no such folder; expected one with config\.json"
    unreadable(load_model, (tmp_path / "m", message), (tmp_path / "none", no_folder))


def test_golden_file_gives_the_golden_configuration(golden, tmp_path):
    config, weights = golden.config, golden.weights
    name = "grad-tts-old.pt" if config.pe_scale == 1 else "grad-tts.pt"
    model = load_official(save(weights, tmp_path / name))
    fields = "n_vocab n_spks n_enc_channels filter_channels filter_channels_dp n_heads n_enc_layers enc_kernel"
    for field in f"{fields} window_size n_feats dec_dim pe_scale".split():
        assert getattr(model.settings, field) == getattr(config, field), field
    assert not model.has_style and not model.training
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "n_vocab", "scale"),
    [("grad-tts-old.pt", 149, 1), ("grad-tts.pt", 148, 1000), ("grad-tts-libri-tts.pt", 149, 1000)],
)
def test_position_scale_by_name_and_frontend_by_vocabulary(tmp_path, name, n_vocab, scale):
    path = save(GradTTS(replace(SMALL, n_vocab=n_vocab, n_spks=247).to_dict()).state_dict(), tmp_path / name)
    model, frontend = load_official_pipeline_parts(path)
    assert model.decoder.estimator.time_code.keywords["scale"] == scale and model.settings.n_spks == 247
    assert load_official(path, pe_scale=7).settings.pe_scale == 7
    assert (frontend.mode, frontend.add_blank, frontend.word_boundaries) == ("official", n_vocab == 149, True)


def test_a_hostile_pickle_is_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    path = save({EMBEDDING: Hostile()}, tmp_path / "a.pt")
    told = "holds more than tensors and was not run: it asks for posix.mkdir$"
    unreadable(load_official_pipeline_parts, (path, told))
    assert not (tmp_path / "ran").exists()


def test_files_that_cannot_be_read(single_speaker, tmp_path):
    whole = save(single_speaker, tmp_path / "a.pt").read_bytes()
    for content in (b"a line of text\n", *(whole[: int(len(whole) * share)] for share in (0.0, 0.5, 0.99))):
        (tmp_path / "a.pt").write_bytes(content)
        unreadable(load_official_pipeline_parts, (tmp_path / "a.pt", "is damaged"))
    told = "no such file; expected an official Grad-TTS state dict"
    unreadable(load_official_pipeline_parts, (tmp_path / "none.pt", told))


def hifigan_weights(golden_dir):
    golden = load_file(golden_dir / "hifigan_v1_small.safetensors")
    return {k.removeprefix("weights."): v for k, v in golden.items() if k.startswith("weights.")}


RELATIVE = "encoder.encoder.attn_layers.0.emb_rel_k"
WRONG_CONTENTS = [
    (lambda good, _: [1, 2], "holds a list; expected an official"),
    (lambda good, _: {"lr": 0.1}, "'lr' is a float; expected a state dict of tensors"),
    (lambda good, _: {}, rf"lacks {EMBEDDING} \(its first is nothing\)"),
    (lambda good, golden: hifigan_weights(golden), "is a HiFi-GAN vocoder; expected an official Grad-TTS"),
    (lambda good, golden: {"generator": hifigan_weights(golden)}, "is a HiFi-GAN vocoder"),
    (lambda good, _: {k: v for k, v in good.items() if k != LAST}, rf"lacks {LAST} of shape \(1,\)"),
    (lambda good, _: {k: v for k, v in good.items() if k != EMBEDDING}, f"lacks {EMBEDDING}"),
    (lambda good, _: {**good, "extra": torch.zeros(2, 3)}, r"has extra of shape \(2, 3\), which the model has not"),
    (lambda good, _: {**good, "encoder.proj_m.bias": torch.zeros(40)}, r"has shape \(40,\); expected \(80,\)"),
    (lambda good, _: {**good, EMBEDDING: torch.zeros(149)}, r"has shape \(149,\); expected 2 axes"),
    (lambda good, _: {**good, RELATIVE: torch.zeros(1, 9, 7)}, "emb_rel_k is 7 wide; expected a divisor of 16"),
    (lambda good, _: {**good, LAST: torch.full((1,), float("nan"))}, rf"1 of 1 values of {LAST} are NaN or infinite"),
    (lambda good, _: {**good, EMBEDDING: torch.zeros(60, 16)}, "has 60 symbols; expected 148, or 149 with a blank"),
]


@pytest.mark.parametrize(("content", "message"), WRONG_CONTENTS)
def test_files_of_something_else(single_speaker, golden_dir, tmp_path, content, message):
    path = save(content(single_speaker, golden_dir), tmp_path / "a.pt")
    unreadable(load_official_pipeline_parts, (path, message))


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("wrap", [False, True])
def test_names_of_parallel_and_compiled_training_are_plain_names(single_speaker, tmp_path, prefix, wrap):
    named = {prefix + name: value for name, value in single_speaker.items()}
    save_file(named, tmp_path / "a.safetensors")
    save({"model": named, "step": 3} if wrap else named, tmp_path / "a.pt")
    for name in ("a.pt", "a.safetensors"):
        model = load_official(tmp_path / name)
        assert model.settings.n_spks == 1
        assert all(torch.equal(v, single_speaker[k]) for k, v in model.state_dict().items())
