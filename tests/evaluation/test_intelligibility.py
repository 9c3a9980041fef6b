"""Error rates, and recognisers that hear something."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from refusing import refused
from safetensors.torch import load_file

from gradtts_interp.evaluation import intelligibility
from gradtts_interp.evaluation.intelligibility import (
    character_error_rate,
    error_rates,
    load_recogniser,
    load_recognisers,
    phone_error_rate,
    plain_phones,
    plain_words,
    recognise_phones,
    require_recognisers,
    word_error_rate,
)
from gradtts_interp.text import TextFrontend


def test_error_rate_counts_edits_of_phones_without_stress_and_marks():
    assert plain_phones([" ", "@HH", "@AH0", "L", "OW1", ",", "."]) == ("HH", "AH", "L", "OW")
    assert phone_error_rate(["A", "B", "C", "D"], ["A", "X", "D"]) == pytest.approx(0.5)
    assert phone_error_rate(["HH", "AH"], ["HH", "AH"]) == 0 and phone_error_rate(["A", "B"], []) == 1


def test_speech_is_recognised_whatever_its_level_and_silence_is_not():
    pytest.importorskip("pocketsphinx")
    assert len(recognise_phones(np.zeros(8000, dtype=np.float32), 16000)) < 3
    audio, rate = soundfile.read(Path(__file__).parents[2] / "resources" / "references" / "speaker_12.flac")
    heard = recognise_phones(audio, rate)
    assert len(heard) > 5
    recognise_phones(audio[::-1].copy(), rate)  # what was heard before does not count
    assert recognise_phones(audio, rate) == heard
    assert recognise_phones(0.1 * audio, rate) == heard


def test_spelling_is_no_error():
    for written, words in {
        "Don’t go, Dr. Smith!": "don't go doctor smith",
        "In 1999 it cost $5.": "in nineteen ninety nine it cost five dollars",
        "A well-known 'quote'": "a well known quote",
        "THE US CAT": "the us cat",
        " -- ...": "",
    }.items():
        assert plain_words(written) == plain_words(words) == words


def test_word_and_character_errors():
    assert word_error_rate("Two cats, 3 dogs.", "two cats three dogs") == 0
    assert word_error_rate("two cats three dogs", "2 cats -- THREE dogs!") == 0
    assert word_error_rate("a b c d", "a x c d") == pytest.approx(1 / 4)
    assert word_error_rate("a", "a b c") == pytest.approx(2) and word_error_rate("a b", "") == 1
    assert character_error_rate("cat dog", "cat dig") == pytest.approx(1 / 7)
    refused(word_error_rate, ("...", "b", "the text has no words to be heard"))


def parrot(audio, sample_rate_hz):
    """A recogniser that hears one thing."""
    assert sample_rate_hz == 8000 and len(audio) == 4000
    return "a hat"


def test_what_is_measured_is_what_there_are_recognisers_for(monkeypatch):
    audio = np.zeros(4000, dtype=np.float32)
    assert error_rates(audio, 8000, "a cat") == {}
    found = error_rates(audio, 8000, "A cat!", recogniser=parrot)
    assert found == pytest.approx({"word_error_rate": 1 / 2, "character_error_rate": 1 / 5})
    assert error_rates(audio, 8000, "a {K AE1 T}", recogniser=parrot) == {}, "which word inline phones are is not known"
    monkeypatch.setattr(intelligibility, "recognise_phones", lambda audio, rate: ("K", "AE"))
    found = error_rates(audio, 8000, "cat", frontend=TextFrontend())
    assert found == {"phone_error_rate": pytest.approx(1 / 3)}


def test_recognisers_that_are_not_there_are_named(monkeypatch, tmp_path):
    folder, installed = str(tmp_path), []
    monkeypatch.setattr(intelligibility.importlib.util, "find_spec", lambda name: name in installed or None)
    require_recognisers(())
    refused(
        require_recognisers,
        (["pocketsphinx", f"{folder}/whisper"], "whisper: no such folder"),
        ([folder], "holds no config.json; expected the folder of a model of transf"),
    )
    (tmp_path / "config.json").write_text("{}")
    refused(
        require_recognisers,
        ([folder] * 2, "expected one folder at most, beside pocketsphinx"),
        ([folder], r"needs jiwer: pip install 'gradtts-interp\[eval\]"),
    )
    installed.append("jiwer")
    transformers = r"needs transformers: pip install 'gradtts-interp\[voices\]"
    sphinx = r"needs pocketsphinx: pip install 'gradtts-interp\[eval\]"
    refused(require_recognisers, ([folder], transformers), (["pocketsphinx"], sphinx))
    for package in ("transformers", "jiwer", "pocketsphinx"):
        monkeypatch.setitem(sys.modules, package, None)
    intelligibility._decoder.cache_clear()
    refused(recognise_phones, (np.zeros(16000), 16000, r"pip install 'gradtts-interp\[eval\]"))
    refused(load_recogniser, (tmp_path, transformers))
    refused(word_error_rate, ("a", "a", r"need jiwer: pip install 'gradtts-interp\[eval\]"))


# -- real models of transformers, a few thousand random weights each ------------------------------------------------

SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>")


def save_whisper(folder, *, languages=True):
    """A Whisper that may say nothing but one word, twice."""
    transformers = pytest.importorskip("transformers", reason="make test-slow installs it")
    folder.mkdir()
    vocabulary = {name: i for i, name in enumerate(("a", "Ġhello", "h", "o", *SPECIAL))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.WhisperTokenizer.from_pretrained(str(folder))
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[1:])})
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in vocabulary}
    sides = ("encoder", "decoder")
    size = {f"{side}_layers": 1 for side in sides} | {f"{side}_attention_heads": 2 for side in sides}
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), ids["<|endoftext|>"])
    ends |= {"decoder_start_token_id": ids["<|startoftranscript|>"], "suppress_tokens": None}
    config = transformers.WhisperConfig(
        vocab_size=len(tokenizer), d_model=16, num_mel_bins=80, begin_suppress_tokens=None, **size, **ends
    )
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(config)
    settings = {
        "suppress_tokens": [i for i in range(len(tokenizer)) if i != ids["Ġhello"]],
        "max_new_tokens": 2,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "is_multilingual": languages,
        "begin_suppress_tokens": None,
    }
    if languages:
        settings["lang_to_id"] = {code: ids[code] for code in ("<|en|>", "<|de|>")}
        settings["task_to_id"] = {"transcribe": ids["<|transcribe|>"]}
    model.generation_config = transformers.GenerationConfig(**{**ends, **settings})
    model.save_pretrained(folder)
    transformers.WhisperProcessor(transformers.WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def save_ctc(folder):
    """A wav2vec2 that hears I in anything."""
    transformers = pytest.importorskip("transformers", reason="make test-slow installs it")
    folder.mkdir()
    vocabulary = ("<pad>", "<s>", "</s>", "<unk>", "|", "H", "I")
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(vocabulary)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    extractor = transformers.Wav2Vec2FeatureExtractor()
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    size |= {"conv_dim": (8, 8), "conv_stride": (20, 16), "conv_kernel": (20, 16), "num_feat_extract_layers": 2}
    size |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    model = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(vocab_size=7, pad_token_id=0, **size))
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.bias.copy_(torch.arange(7.0))
    model.save_pretrained(folder)
    transformers.Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("languages", [True, False])
def test_a_whisper_by_path(tmp_path, languages, monkeypatch):
    recogniser = load_recogniser(save_whisper(tmp_path / "whisper", languages=languages))
    audio = 0.1 * np.sin(np.arange(22050) / 20).astype(np.float32)
    heard = recogniser(audio, 22050)
    assert plain_words(heard) == "hello hello" and recogniser(audio, 22050) == heard
    rates = load_recognisers([str(tmp_path / "whisper")], TextFrontend())
    assert rates(audio, 22050, "Hello, hello!") == {"word_error_rate": 0, "character_error_rate": 0}
    assert rates(audio, 22050, "Hello.")["word_error_rate"] == 1
    calls = []
    hear = lambda sound, **options: calls.append((len(sound["raw"]), options)) or {"text": "well"}  # noqa: E731
    monkeypatch.setattr("transformers.pipeline", lambda task, **parts: hear)
    recogniser = load_recogniser(tmp_path / "whisper")
    assert recogniser(audio, 22050) == recogniser(np.tile(audio, 31), 22050) == "well"
    asked = {"generate_kwargs": {"language": "en", "task": "transcribe"}} if languages else {}
    assert calls == [(16000, asked), (31 * 16000, {**asked, "return_timestamps": True})], "long speech needs times"


@pytest.mark.slow
def test_a_ctc_model_by_path(tmp_path):
    recogniser = load_recogniser(save_ctc(tmp_path / "ctc"))
    assert recogniser(np.zeros(8000, dtype=np.float32), 16000) == "I"
    found = error_rates(np.zeros(11025, dtype=np.float32), 22050, "I", recogniser=recogniser)
    assert found == {"word_error_rate": 0, "character_error_rate": 0}


@pytest.mark.slow
def test_models_that_cannot_be_used_are_named(tmp_path):
    folder = save_whisper(tmp_path / "whisper")
    refused(partial(load_recogniser, language="xx"), (folder, "language 'xx'; expected one of de en"))
    weights, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    (folder / "model.safetensors").unlink()  # the weights are a excerpt of it, which must not be cut
    damaged = (folder, "whisper: .*; expected a speech recogniser of transformers in safetensors")
    (folder / "model.safetensors").write_bytes(b"no weights")
    refused(load_recogniser, damaged)
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    refused(load_recogniser, damaged)
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert", "architectures": ["BertModel"]}))
    refused(load_recogniser, damaged)
