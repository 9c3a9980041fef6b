"""Arithmetic and compiling are options: fp32 is left as it was, bf16 is near it, and a failure falls back."""

import ctypes
import logging
import platform
import shutil
from types import SimpleNamespace
from unittest.mock import Mock, call

import pytest
import torch
from tiny import tiny_pipeline, tiny_style

from gradtts_interp import shares
from gradtts_interp.errors import InputError
from gradtts_interp.models import precision
from gradtts_interp.sampling import CONVERGED_STEPS, DEFAULT_SOLVER, DEFAULT_STEPS, OFFICIAL_STEPS, choose_sampler


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ((None, None, False), (DEFAULT_STEPS, DEFAULT_SOLVER)),
        ((None, None, True), (CONVERGED_STEPS, DEFAULT_SOLVER)),
        ((100, None, False), (100, "euler")),
        ((None, "euler", False), (OFFICIAL_STEPS, "euler")),
        ((None, "dpm++", False), (CONVERGED_STEPS, "dpm++")),
        ((7, "ml", True), (7, "ml")),
    ],
)
def test_what_is_not_said_is_filled_in(asked, chosen):
    *said, converged = asked
    assert choose_sampler(*said, converged=converged) == chosen


def mel_of(tts, text="One.", steps=1):
    found = tts(text, tiny_style(1), tiny_style(2), share=shares.ramp(), num_inference_steps=steps, seed=0)
    assert found.settings["precision"] == tts.model.precision
    return torch.from_numpy(found.mel)


def test_bf16_is_near_and_fp32_comes_back():
    tts = tiny_pipeline()
    plain, coarse, again = (
        mel_of(tts.accelerate(name), "One two three.", steps=3) for name in ("fp32", "bf16", "fp32")
    )
    assert torch.equal(plain, again)
    assert 0 < float((plain - coarse).abs().mean()) < 0.03 * float(plain.std())


def test_auto_follows_the_hardware(monkeypatch):
    for fast, chosen in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(precision, "bf16_is_fast", lambda _, fast=fast: fast)
        assert precision.choose_precision("auto", torch.device("cpu")) == chosen
    with pytest.raises(InputError, match=r"precision 'fp8': expected one of fp32, bf16, auto"):
        precision.choose_precision("fp8", torch.device("cpu"))
    with pytest.raises(InputError, match="compile mode 'fast': expected one of default, reduce-overhead, max-autotune"):
        tiny_pipeline().accelerate("fp32", compile_mode="fast")


def test_what_cannot_be_compiled_goes_on_without(caplog):
    broken = Mock(side_effect=RuntimeError("no compiler"))
    work = precision.with_fallback(broken, lambda x: x + 1)
    with caplog.at_level(logging.WARNING):
        assert [work(1), work(2)] == [2, 3]
    assert broken.mock_calls == [call(1)] and "no compiler" in caplog.text


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("compiler", ["g++", "none"])
def test_compiled_agrees_with_eager_and_without_a_compiler_goes_on_with_one_warning(caplog, monkeypatch, compiler):
    """Once for real: with the machine's compiler, and with none."""
    from torch._inductor import config

    if compiler == "none":
        monkeypatch.setattr(config.cpp, "cxx", ("/no/such/compiler",))
        monkeypatch.setattr(config, "force_disable_caches", True)  # else an earlier run's code is found
        monkeypatch.setattr(config, "compile_threads", 1)
        torch._dynamo.reset()
    elif shutil.which(compiler) is None:
        pytest.skip("needs a C++ compiler")
    tts = tiny_pipeline()
    plain = mel_of(tts)
    tts.accelerate("fp32", compile_mode="default")
    with caplog.at_level(logging.WARNING, logger="gradtts_interp"):
        torch.testing.assert_close(mel_of(tts), plain, atol=1e-3 if compiler != "none" else 0, rtol=0)
    told = [record.message[:15] for record in caplog.records if record.name.startswith("gradtts_interp")]
    assert told == (["cannot compile "] if compiler == "none" else [])
    assert compiler == "none" or torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    tts.accelerate("fp32")
    assert torch.equal(mel_of(tts), plain)


def test_keys_are_made_once_per_utterance():
    tts, counted = tiny_pipeline(), []
    next(iter(tts.model.attention_sites.values())).attn.to_k.register_forward_hook(lambda *_: counted.append(1))
    for times in (1, 2):
        tts("One two.", tiny_style(1), tiny_style(2), share=shares.ramp(), num_inference_steps=4, seed=0)
        assert len(counted) == times


@torch.no_grad()
def test_a_weight_is_cast_once_in_a_settled_context():
    layer, x = torch.nn.Linear(4, 4), torch.ones(1, 4)

    def answers():
        found = []
        for _ in range(2):
            with precision.arithmetic("bf16", x.device):
                found.append(layer(x))
            layer.weight.add_(1)
        return found

    first, second = answers()
    assert (second - first).min() > 3.9
    with precision.settled():
        first, second = answers()
        assert torch.equal(first, second) and layer(x).dtype == torch.float32
        assert not torch.is_autocast_enabled("cpu")
    with torch.autocast("cpu", torch.bfloat16), precision.settled():
        assert layer(x).dtype == torch.bfloat16


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_freed_memory_is_kept_by_settings_that_glibc_takes(monkeypatch):
    taken, libc = [], ctypes.CDLL(None)
    recorder = SimpleNamespace(mallopt=lambda *setting: taken.append(libc.mallopt(*setting)))
    monkeypatch.setattr(precision.ctypes, "CDLL", lambda name: recorder)
    precision.keep_freed_memory()
    assert taken == [1, 1]
