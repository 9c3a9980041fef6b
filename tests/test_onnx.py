"""ONNX files answer as torch does, at lengths they were not made with."""

import json

import numpy as np
import pytest
import torch
from tiny import TINY, tiny_model, tiny_pipeline

from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.vocoder import Vocoder
from hifigan import GeneratorConfig

onnxruntime = pytest.importorskip("onnxruntime", reason="make test-scale installs the extra onnx")
pytest.importorskip("onnxscript", reason="make test-scale installs the extra onnx")

from gradtts_interp import onnx_export  # noqa: E402


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    vocoder = Vocoder(GeneratorConfig(upsample_initial_channel=32))
    frontend = TextFrontend(add_blank=TINY.add_blank, word_boundaries=TINY.word_boundaries)
    tts = GradTTSInterpPipeline(tiny_model(), vocoder, frontend)
    folder = tmp_path_factory.mktemp("onnx")
    return tts, folder, onnx_export.export_onnx(tts, folder)


def test_the_files_equal_torch(exported):
    tts, folder, errors = exported
    assert set(errors) == {"text_encoder", "pitch", "prior", "estimator", "vocoder"}
    assert max(errors.values()) < 1e-3
    assert (folder / "onnx.json").exists()


def test_a_harmonic_source_is_exported_as_its_networks(exported, harmonic, tmp_path):
    tts = GradTTSInterpPipeline(exported[0].model, harmonic, exported[0].frontend)
    errors = onnx_export.export_onnx(tts, tmp_path)
    assert {"vocoder", "vocoder_pitch"} <= set(errors) and max(errors.values()) < 1e-3
    assert json.loads((tmp_path / "onnx.json").read_text())["vocoder"]["kind"] == "harmonic"


def test_the_step_loop_is_outside(exported):
    tts, folder, _ = exported
    session = onnxruntime.InferenceSession(folder / "estimator.onnx", providers=["CPUExecutionProvider"])
    graph = onnx_export.graphs_of(tts.model, tts.vocoder)["estimator"]
    inputs = graph.inputs(9, tts.model.frame_multiple)
    answers = []
    for score in (
        lambda **v: session.run(None, {k: x.numpy() for k, x in v.items()})[0],
        lambda **v: graph(*v.values())[0],
    ):
        x = inputs["x"]
        for step in range(3):
            with torch.no_grad():
                answer = torch.as_tensor(score(**{**inputs, "x": x, "t": torch.tensor([1 - (step + 0.5) / 3])})[0])
            x = x - 0.1 * (inputs["mu"] - x - answer)
        answers.append(x.numpy())
    np.testing.assert_allclose(*answers, atol=1e-3)


def test_a_difference_is_refused_and_leaves_no_file(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "_difference", lambda *_: 0.5)
    with pytest.raises(CheckpointError, match=r"text_encoder.onnx: differs from torch by 0.5; expected at most"):
        onnx_export.export_onnx(exported[0], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_pipeline_without_a_generator_is_refused(tmp_path):
    with pytest.raises(InputError, match="style attention and a trained vocoder"):
        onnx_export.export_onnx(tiny_pipeline(), tmp_path)
