"""Checkpoints: round trips, official files, and every way they can be wrong."""

from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_model

from gradtts_interp.checkpoints import load_model, load_official, load_official_pipeline_parts, save_model
from gradtts_interp.config import ModelConfig
from gradtts_interp.errors import CheckpointError
from gradtts_interp.models.grad_tts import GradTTS

SMALL = ModelConfig(
    n_enc_channels=16, filter_channels=16, filter_channels_dp=8, n_enc_layers=1, dec_dim=16, spk_emb_dim=8
)
EMBEDDING = "encoder.emb.weight"
LAST = "decoder.estimator.final_conv.bias"


@pytest.fixture(scope="module")
def official(golden_dir):
    values = json.loads((golden_dir / "grad_tts.json").read_text())["config"]
    return ModelConfig.from_dict(values), load_file(golden_dir / "grad_tts_weights.safetensors")


@pytest.fixture(scope="module")
def single_speaker():
    torch.manual_seed(0)
    return {k: v.clone() for k, v in GradTTS(SMALL.to_dict()).state_dict().items()}


def save(state, path):
    torch.save(state, path)
    return path


def test_folder_round_trip_in_half_precision(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "m")
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]
    assert all(v.dtype == torch.float16 for v in load_file(tmp_path / "m" / "model.safetensors").values())
    loaded = load_model(tmp_path / "m")
    assert loaded.settings == tiny_model.settings and not loaded.training
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, tiny_model.state_dict()[name].half().float(), atol=0, rtol=0)


def test_folder_round_trip_in_full_precision_is_exact(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path, dtype=torch.float32)
    mine = tiny_model.state_dict()
    assert all(torch.equal(v, mine[k]) for k, v in load_model(tmp_path).state_dict().items())


def test_configuration_file_is_diffusers_json(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["_class_name"] == "GradTTS"
    assert GradTTS(values["settings"]).settings == tiny_model.settings


def test_a_weight_beyond_half_precision_is_not_saved(tiny_model, tmp_path):
    with torch.no_grad():
        tiny_model.encoder.emb.weight[0, 0] = 1e6
    with pytest.raises(CheckpointError, match=rf"1 of \d+ values of {EMBEDDING} are NaN or infinite"):
        save_model(tiny_model, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


class TestDamagedFolders:
    @pytest.fixture
    def folder(self, single_speaker, tmp_path):
        model = GradTTS(SMALL.to_dict())
        model.load_state_dict(single_speaker)
        save_model(model, tmp_path / "m")
        return tmp_path / "m"

    def expect(self, folder, message):
        with pytest.raises(CheckpointError, match=message):
            load_model(folder)

    def test_missing_folder(self, tmp_path):
        self.expect(tmp_path / "none", r"none: no such folder; expected one with config\.json")

    @pytest.mark.parametrize(
        ("name", "message"), [("config.json", "config.json cannot be read"), ("model.safetensors", "no such file")]
    )
    def test_missing_file(self, folder, name, message):
        (folder / name).unlink()
        self.expect(folder, message)

    def test_truncated_weights(self, folder):
        weights = folder / "model.safetensors"
        os.truncate(weights, weights.stat().st_size // 2)
        self.expect(folder, "damaged or no safetensors file")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "is no JSON"),
            ("[1]", "holds list; expected a JSON object with settings"),
            ('{"dec_dim": 16}', r"holds \['dec_dim'\]; expected a JSON object with settings"),
            ('{"settings": {"depth": 3}}', "model configuration: unknown field 'depth'"),
            ('{"settings": {"n_heads": 7}}', "no model has this configuration.*must be a multiple of its 7 heads"),
            ('{"settings": {"dec_dim": "wide"}}', "no model has this configuration"),
        ],
    )
    def test_wrong_configuration(self, folder, text, message):
        (folder / "config.json").write_text(text)
        self.expect(folder, message)

    def test_configuration_of_another_width(self, folder):
        (folder / "config.json").write_text(json.dumps({"settings": {**SMALL.to_dict(), "n_vocab": 60}}))
        self.expect(folder, rf"{EMBEDDING} has shape \(149, 16\); expected \(60, 16\)")


def test_golden_file_gives_the_golden_configuration(official, tmp_path):
    config, weights = official
    name = "grad-tts-old.pt" if config.pe_scale == 1 else "grad-tts.pt"
    model = load_official(save(weights, tmp_path / name))
    for field in ("n_vocab", "n_spks", "n_enc_channels", "filter_channels", "filter_channels_dp", "n_heads"):
        assert getattr(model.settings, field) == getattr(config, field), field
    for field in ("n_enc_layers", "enc_kernel", "window_size", "n_feats", "dec_dim", "pe_scale"):
        assert getattr(model.settings, field) == getattr(config, field), field
    assert not model.has_style and not model.training
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())


def test_wrapped_and_safetensors_files_are_the_same(single_speaker, tmp_path):
    save_file(single_speaker, tmp_path / "a.safetensors")
    wrapped = save({"model": single_speaker, "step": 3}, tmp_path / "a.pt")
    for path in (tmp_path / "a.safetensors", wrapped):
        model = load_official(path)
        assert model.settings.n_spks == 1
        assert all(torch.equal(v, single_speaker[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "scale"), [("grad-tts-old.pt", 1), ("grad-tts.pt", 1000), ("grad-tts-libri-tts.pt", 1000)]
)
def test_position_scale_by_name(single_speaker, tmp_path, name, scale):
    path = save(single_speaker, tmp_path / name)
    assert load_official(path).decoder.estimator.time_pos_emb.scale == scale
    assert load_official(path, pe_scale=7).settings.pe_scale == 7


def test_the_libri_tts_file_has_247_speakers(tmp_path):
    from dataclasses import replace

    model = GradTTS(replace(SMALL, n_spks=247).to_dict())
    assert load_official(save(model.state_dict(), tmp_path / "grad-tts-libri-tts.pt")).settings.n_spks == 247


@pytest.mark.parametrize(("n_vocab", "blank"), [(149, True), (148, False)])
def test_frontend_fits_the_vocabulary(tmp_path, n_vocab, blank):
    from dataclasses import replace

    model = GradTTS(replace(SMALL, n_vocab=n_vocab).to_dict())
    _, frontend = load_official_pipeline_parts(save(model.state_dict(), tmp_path / "a.pt"))
    assert (frontend.mode, frontend.add_blank, frontend.word_boundaries) == ("official", blank, True)


class TestWrongOfficialFiles:
    def expect(self, path, message):
        with pytest.raises(CheckpointError, match=message):
            load_official_pipeline_parts(path)

    def test_no_file(self, tmp_path):
        self.expect(tmp_path / "grad-tts.pt", "no such file; expected an official Grad-TTS state dict")
        self.expect(tmp_path, "no such file")

    def test_hostile_pickle_is_not_run(self, tmp_path):
        class Hostile:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "ran"),)

        torch.save({EMBEDDING: Hostile()}, tmp_path / "a.pt")
        self.expect(tmp_path / "a.pt", r"holds more than tensors and was not run: it asks for posix.mkdir$")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
    def test_truncated(self, single_speaker, tmp_path, share):
        path = save(single_speaker, tmp_path / "a.pt")
        os.truncate(path, int(path.stat().st_size * share))
        self.expect(path, "is damaged")

    def test_text_file(self, tmp_path):
        (tmp_path / "a.pt").write_text("a line of text\n")
        self.expect(tmp_path / "a.pt", "is damaged")

    @pytest.mark.parametrize("wrap", [True, False])
    def test_vocoder_by_mistake(self, golden_dir, tmp_path, wrap):
        golden = load_file(golden_dir / "hifigan_v1_small.safetensors")
        state = {k.removeprefix("weights."): v for k, v in golden.items() if k.startswith("weights.")}
        assert state
        path = save({"generator": state} if wrap else state, tmp_path / "a.pt")
        self.expect(path, "is a HiFi-GAN vocoder; expected an official Grad-TTS acoustic model")

    def test_not_a_state_dict(self, tmp_path):
        self.expect(save([1, 2], tmp_path / "a.pt"), "holds a list; expected an official")
        self.expect(save({"lr": 0.1}, tmp_path / "b.pt"), "'lr' is a float; expected a state dict of tensors")
        self.expect(save({}, tmp_path / "c.pt"), rf"lacks {EMBEDDING} \(its first is nothing\)")

    def test_missing_weight_is_named_with_its_shape(self, single_speaker, tmp_path):
        state = {k: v for k, v in single_speaker.items() if k != LAST}
        self.expect(save(state, tmp_path / "a.pt"), rf"lacks {LAST} of shape \(1,\)")

    def test_missing_weight_that_says_the_shape(self, single_speaker, tmp_path):
        state = {k: v for k, v in single_speaker.items() if k != EMBEDDING}
        self.expect(save(state, tmp_path / "a.pt"), rf"lacks {EMBEDDING}")

    def test_unexpected_weight(self, single_speaker, tmp_path):
        state = {**single_speaker, "decoder.extra": torch.zeros(2, 3)}
        self.expect(save(state, tmp_path / "a.pt"), r"has decoder\.extra of shape \(2, 3\), which the model has not")

    def test_mixed_files_name_both_shapes(self, single_speaker, tmp_path):
        name = "encoder.proj_m.bias"
        state = {**single_speaker, name: torch.zeros(40)}
        self.expect(save(state, tmp_path / "a.pt"), rf"{name} has shape \(40,\); expected \(80,\)")

    def test_weight_with_other_axes(self, single_speaker, tmp_path):
        state = {**single_speaker, EMBEDDING: torch.zeros(149)}
        self.expect(save(state, tmp_path / "a.pt"), rf"{EMBEDDING} has shape \(149,\); expected 2 axes")

    def test_head_width_that_does_not_divide(self, single_speaker, tmp_path):
        name = "encoder.encoder.attn_layers.0.emb_rel_k"
        state = {**single_speaker, name: torch.zeros(1, 9, 7)}
        self.expect(save(state, tmp_path / "a.pt"), "emb_rel_k is 7 wide; expected a divisor of 16")

    def test_nan_weight_is_named(self, single_speaker, tmp_path):
        state = {**single_speaker, LAST: torch.full((1,), float("nan"))}
        self.expect(save(state, tmp_path / "a.pt"), rf"1 of 1 values of {LAST} are NaN or infinite")

    def test_another_vocabulary(self, single_speaker, tmp_path):
        state = {**single_speaker, EMBEDDING: torch.zeros(60, 16)}
        self.expect(save(state, tmp_path / "a.pt"), f"{EMBEDDING} has 60 symbols; expected 148, or 149 with a blank")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("wrap", [False, True])
def test_names_of_parallel_and_compiled_training_are_plain_names(single_speaker, tmp_path, prefix, wrap):
    named = {prefix + name: value for name, value in single_speaker.items()}
    model = load_official(save({"model": named} if wrap else named, tmp_path / "a.pt"))
    assert all(torch.equal(v, single_speaker[k]) for k, v in model.state_dict().items())


def test_a_model_may_be_kept_as_its_difference_to_another(tmp_path):
    base, other = tiny_model(), tiny_model()
    save_model(base, tmp_path / "base")
    with torch.no_grad():
        for name, value in other.named_parameters():
            if name.startswith("decoder."):
                value += 0.01 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
    save_model(other, tmp_path / "others" / "model", base=tmp_path / "base")
    kept = load_file(tmp_path / "others" / "model" / "model.safetensors")
    assert all(name.startswith("decoder.") for name in kept)
    assert {v.dtype for name, v in kept.items() if name + "::scale" in kept} == {torch.int8}
    whole = load_model(tmp_path / "others" / "model").state_dict()
    for name, value in other.state_dict().items():
        torch.testing.assert_close(whole[name], value, atol=1e-3, rtol=1e-3)
    same = load_model(tmp_path / "base").state_dict()
    assert all(torch.equal(whole[name], value) for name, value in same.items() if not name.startswith("decoder."))
    (tmp_path / "base" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="base"):
        load_model(tmp_path / "others" / "model")
