"""What the main command renders on a tiny model of fixed weights: mel and wav stay what they were.

After a change that is meant to change the sound, write the snapshot anew: run this file with ``SNAPSHOT=write``.
"""

import functools
import json
import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from speaking import FRAMES_PER_TOKEN_LOG, tiny_pipeline

from gradtts_interp.cli.main import main
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.vocoder import Vocoder

SNAPSHOT = Path(__file__).with_name("snapshot.npz")
CASES = {
    "time": ["-s2", "10", "-t", "8"],
    "pitch": ["-s2", "10", "--mode", "frequency", "--pitch-from", "b", "--solver", "unipc", "-t", "5"],
    "mix": ["-s2", "10", "--mode", "mix", "--weight", "0.3", "--mechanism", "score", "-t", "4", "--guidance", "0.5"],
    "one-style": ["--emotion", "happy", "--temperature", "3", "--length-scale", "1.2", "--seed", "9"],
}
MEL_TOLERANCE, WAV_TOLERANCE = 2e-3, 2e-3  # between processors and releases of torch


def set_weights_by_name(network):
    """Weights that depend on their names alone, so that a parameter more or less changes no other."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.dim() > 1 or name.endswith("null"):
                random = torch.Generator().manual_seed(zlib.crc32(name.encode()))
                weight.copy_(torch.randn(weight.shape, generator=random) / max(1, weight[0].numel()) ** 0.5)
            elif name.endswith("bias"):
                weight.zero_()


@pytest.fixture(scope="module")
def checkpoint_by_name(tmp_path_factory):
    tiny = tiny_pipeline()
    model = GradTTS(replace(tiny.model.settings, prediction="v", mel_std=2.0).to_dict())
    for network in (model, tiny.vocoder.generator):
        set_weights_by_name(network)
    with torch.no_grad():
        for site in model.attention_sites.values():
            site.gate.fill_(1.0)
        model.encoder.proj_w.proj.bias.fill_(FRAMES_PER_TOKEN_LOG)
        next(w for name, w in tiny.vocoder.named_parameters() if "conv_post" in name and w.dim() > 1).mul_(0.1)
    pipeline = GradTTSInterpPipeline(model, tiny.vocoder, tiny.frontend, tiny.bank)
    folder = tmp_path_factory.mktemp("snapshot") / "tiny"
    pipeline.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_the_main_command_says_what_it_said(case, checkpoint_by_name, tmp_path, monkeypatch, capsys):
    mels = []
    decode = Vocoder.decode

    @functools.wraps(decode)
    def watched(self, given, config, **more):
        mels.extend(mel.detach().cpu().numpy() for mel in given)
        return decode(self, given, config, **more)

    monkeypatch.setattr(Vocoder, "decode", watched)
    argv = ["synthesize", "-c", str(checkpoint_by_name), "--text", "A small cat.", "-s", "12", "--no-plots"]
    assert main([*argv, "--out", str(tmp_path), *CASES[case]]) == 0
    wav, _ = soundfile.read(tmp_path / "sample_0.wav", dtype="float32")
    found = {f"{case}.mel": mels[0].astype(np.float32), f"{case}.wav": wav}
    if os.environ.get("SNAPSHOT") == "write":
        known = dict(np.load(SNAPSHOT)) if SNAPSHOT.exists() else {}
        np.savez_compressed(SNAPSHOT, **{**known, **found})
    known = np.load(SNAPSHOT)
    assert np.ptp(found[f"{case}.mel"]) > 0.5 and np.abs(wav).max() > 0.01  # something is said
    assert json.loads((tmp_path / "sample_0.json").read_text())["settings"]["solver"] in ("euler", "unipc")
    np.testing.assert_allclose(found[f"{case}.mel"], known[f"{case}.mel"], atol=MEL_TOLERANCE, rtol=0)
    np.testing.assert_allclose(wav, known[f"{case}.wav"], atol=WAV_TOLERANCE, rtol=0)
