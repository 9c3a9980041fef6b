"""The benchmark of speed answers rightly, its yardsticks have the published sizes, and its GPU commands run."""

import json

import pytest
import torch
from speaking import tiny_pipeline

from benchmarks.speed import figures, run
from benchmarks.speed.figures import Figure, Voice
from benchmarks.speed.yardsticks import MatchaDecoder, plain_layers
from gradtts_interp.config import ModelConfig
from gradtts_interp.models import precision
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.layers import Linear


def test_a_figure_is_held_against_what_is_asked():
    for value, asked, wanted in (
        (0.04, {"most": 0.05}, ("<= 0.05", "reached")),
        (0.06, {"most": 0.05}, ("<= 0.05", "not reached")),
        (120, {"least": 100}, (">= 100", "reached")),
        (90, {"least": 100}, (">= 100", "not reached")),
        (None, {"most": 30}, ("<= 30", "unmeasured")),
        (1.0, {}, ("", "")),
    ):
        figure = Figure("x", value, **asked)
        assert (figure.asked, figure.answer) == wanted


def millions(network):
    return sum(weight.numel() for weight in network.parameters()) / 1e6


def test_the_neighbours_have_their_published_sizes():
    # Popov et al. 2021, table 1: 14.8 million. Mehta et al. 2024, table 1: 18.2 million, the text encoder among them,
    # which is that of Grad-TTS.
    assert millions(GradTTS(ModelConfig().to_dict())) == pytest.approx(14.8, abs=0.1)
    assert millions(MatchaDecoder()) == pytest.approx(18.2 - 7.2, abs=0.3)


@torch.no_grad()
def test_the_decoder_of_a_neighbour_reads_all_that_it_is_given():
    decoder, (x, mu), t = MatchaDecoder(32), torch.randn(2, 1, 80, 12).unbind(), torch.tensor([0.2])
    answer = decoder(x, mu, t)
    assert answer.shape == x.shape
    others = [decoder(x + 1, mu, t), decoder(x, mu + 1, t), decoder(x, mu, t + 0.5)]
    assert all(not torch.allclose(answer, other, atol=1e-5) for other in others)


@torch.no_grad()
def test_yardsticks_are_measured_with_torchs_own_layers(monkeypatch):
    layer, x, called = Linear(4, 4), torch.randn(2, 4), []
    monkeypatch.setattr(torch.nn.Linear, "forward", lambda self, x: called.append(1) or x)
    with plain_layers():
        layer(x)
    assert called == [1]


@pytest.fixture
def voice():
    return Voice(tiny_pipeline(), runs=1)


def test_the_commands_for_a_gpu_run_on_a_cpu(voice):
    share, milliseconds = figures.gpu_figures(voice, size=2, product=64)
    assert share > 0 and milliseconds > 0
    assert [figure.answer for figure in figures.gpu(voice)] == ["unmeasured"] * 2  # without one
    assert voice.tts.model.precision == "fp32"


def test_a_compiled_network_is_measured_and_taken_out_again(voice, monkeypatch):
    compiled = []
    monkeypatch.setattr(precision, "_compiled", lambda plain, mode: compiled.append(mode) or plain)
    (figure,) = figures.compiling(voice)
    assert compiled == ["default"] and figure.value > 0 and figure.beside.startswith("compiled in ")
    assert "forward" not in voice.tts.model.decoder.estimator.__dict__


@pytest.mark.parametrize("part", [figures.batch, figures.mass, figures.precision], ids=lambda part: part.__name__)
def test_parts_leave_the_voice_as_it_was(voice, part):
    processors, decode = voice.tts.model.attn_processors, voice.tts.vocoder.decode
    assert all(figure.value is None or figure.value > 0 for figure in part(voice))
    assert voice.tts.model.attn_processors == processors and voice.tts.model.precision == "fp32"
    assert voice.tts.vocoder.decode == decode


def test_a_run_writes_its_table(tmp_path, monkeypatch):
    found = [Figure("text to mel: RTF", 0.04321, "0.01 at 0 steps", most=0.05)]
    monkeypatch.setattr(run, "PARTS", (lambda voice: found,))
    monkeypatch.setattr(run.Voice, "load", lambda *_, **__: None)
    monkeypatch.setattr(run.torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr("sys.argv", ["run", "--quick", "--out", str(tmp_path / "new" / "RESULTS")])
    monkeypatch.setattr(run.PARTS[0], "__name__", "part", raising=False)
    assert run.main() == 0
    known = json.loads((tmp_path / "new" / "RESULTS.json").read_text())
    beside = {"asked": "<= 0.05", "answer": "reached", "beside": "0.01 at 0 steps"}
    assert known["figures"][0] == {"what": "text to mel: RTF", "value": 0.04321, **beside}
    text = (tmp_path / "new" / "RESULTS.md").read_text()
    assert "| text to mel: RTF | 0.0432 | <= 0.05 | reached | 0.01 at 0 steps |" in text and "rehearsal" in text
