import json

import pytest
import torch
from safetensors.torch import load_file

from gradtts_interp.config import ModelConfig
from gradtts_interp.models.estimator import Estimator

PREFIX = "decoder.estimator."


@pytest.fixture(scope="module")
def golden(golden_dir):
    config = ModelConfig.from_dict(json.loads((golden_dir / "grad_tts.json").read_text())["config"])
    weights = load_file(golden_dir / "grad_tts_weights.safetensors")
    estimator = Estimator(config).eval()
    estimator.load_state_dict({k[len(PREFIX):]: v for k, v in weights.items() if k.startswith(PREFIX)})
    tensors = load_file(golden_dir / "grad_tts_tensors.safetensors")
    speaker = weights["spk_emb.weight"][tensors["speaker_id"]] if "spk_emb.weight" in weights else None
    return estimator, tensors, speaker


@torch.no_grad()
def test_score_equals_official(golden):
    estimator, tensors, speaker = golden
    for i, t in enumerate(tensors["score_times"]):
        times = t.expand(tensors["z"].shape[0])
        score = estimator(tensors["z"], tensors["mel_mask"], tensors["mu"], times, speaker)
        torch.testing.assert_close(score, tensors[f"score_t{i}"], atol=1e-4, rtol=0)
