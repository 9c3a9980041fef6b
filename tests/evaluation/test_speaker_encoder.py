"""The encoder of timbre, other people's voice models, and acoustic correlates."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchaudio

from gradtts_interp.audio import read_audio
from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.speakers import speaker_voice
from gradtts_interp.corpus.teacher import VOICES
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.evaluation.speakers import (
    FEMALE,
    SpeakerEncoder,
    SpeakerNet,
    SpeakerSettings,
    cosine_similarity,
    load_classifier,
    pitch_and_formants,
    tract_length_cm,
)

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "checkpts" / "speaker-demo"
REFERENCES = ROOT / "resources" / "references"
RATE = 22050
MEL = MelConfig(fmax_hz=7600.0)
TINY = SpeakerSettings(voices=("s0", "s3", "c00"), bases=("jf_alpha", "jm_kumo"), channels=8, embedding=8, mel=MEL)


def noise(seconds=0.5, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE)).astype(np.float32)


@pytest.fixture
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SpeakerEncoder(SpeakerNet(TINY))


@pytest.fixture(scope="module")
def shipped():
    return SpeakerEncoder.from_pretrained(SHIPPED)


@pytest.fixture(scope="module")
def recordings():
    return {i: read_audio(REFERENCES / f"speaker_{i:02d}.flac").numpy() for i in range(16)}


def test_embeddings_are_unit_vectors_and_do_not_see_the_level(encoder):
    audio = noise()
    embedding = encoder.embed(audio, RATE)
    assert embedding.shape == (8,) and np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(encoder.embed(0.05 * audio, RATE), embedding, atol=1e-4)
    assert np.abs(encoder.embed(np.convolve(audio, [1, 0.9], "same"), RATE) - embedding).max() > 1e-3


def test_a_written_encoder_is_read_back_and_a_damaged_one_named(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    again = SpeakerEncoder.from_pretrained(tmp_path)
    assert again.settings == encoder.settings
    np.testing.assert_allclose(again.embed(noise(), RATE), encoder.embed(noise(), RATE), atol=5e-3)
    for name, content, message in (
        ("model.safetensors", "no", "model.safetensors is damaged"),
        ("config.json", "{}", "expected settings of a speaker encoder"),
        ("config.json", "no", "config.json is no JSON"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(CheckpointError, match=message):
            SpeakerEncoder.from_pretrained(tmp_path)


def test_identity_is_one_of_the_speakers_and_audio_that_cannot_be_heard_is_named(encoder):
    for audio, message in (
        (np.zeros(RATE), "audio of a speaker is silent"),
        (np.ones((2, 3)), r"shape \(2, 3\); expected finite samples"),
        (np.full(RATE, np.nan), "expected finite samples"),
    ):
        with pytest.raises(InputError, match=message):
            encoder.embed(audio.astype(np.float32), RATE)
    found = encoder.identify(noise(), RATE)
    assert set(found["similarity"]) == {0, 3} and found["speaker"] in found["similarity"]
    assert 0 <= found["female"] <= 1 and found["formant_factor"] > 0
    nameless = SpeakerEncoder(SpeakerNet(SpeakerSettings(voices=("a", "b"), bases=("x",), channels=8, embedding=8)))
    with pytest.raises(InputError, match="expected speakers s0, s1"):
        nameless.identify(noise(), RATE)


def test_angles_and_tubes():
    assert cosine_similarity(np.array([1.0, 0.0]), np.array([3.0, 0.0])) == pytest.approx(1)
    assert cosine_similarity(np.array([0.0, 1.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(0.5))
    assert tract_length_cm(np.array([500, 1500, 2500, 3500])) == pytest.approx(17.5)
    assert tract_length_cm(1.2 * np.array([500, 1500, 2500, 3500])) == pytest.approx(17.5 / 1.2)


def test_the_shipped_encoder_knows_the_reference_of_each_speaker(shipped, recordings):
    found = {i: shipped.identify(audio, RATE) for i, audio in recordings.items()}
    assert [found[i]["speaker"] for i in found] == list(found)
    weights = {i: np.array(speaker_voice(i).timbre) for i in found}
    whole = {i: VOICES[w.argmax()][:2] == FEMALE for i, w in weights.items() if w.max() > 0.5}  # not half a man
    assert len(whole) == 10 and all((found[i]["female"] > 0.5) == female for i, female in whole.items())


def test_the_shipped_encoder_reads_timbre_not_pitch(shipped, recordings):
    """WORLD gives a recording another F0; formants stay. Then formants move with F0, as on a faster tape."""
    pyworld = pytest.importorskip("pyworld")
    kept, moved = [], []
    for i in (2, 6, 12):
        samples = recordings[i].astype(np.float64)
        f0, times = pyworld.dio(samples, RATE)
        planes = pyworld.cheaptrick(samples, f0, times, RATE), pyworld.d4c(samples, f0, times, RATE)
        original = shipped.embed(recordings[i], RATE)
        higher = pyworld.synthesize(1.25 * f0, *planes, RATE)[: len(samples)]
        faster = torchaudio.functional.resample(torch.from_numpy(recordings[i]), 125, 100).numpy()
        kept.append(cosine_similarity(original, shipped.embed(higher, RATE)))
        moved.append(cosine_similarity(original, shipped.embed(faster, RATE)))
    assert min(kept) > max(moved) and np.mean(kept) > 0.7


def test_correlates_follow_formants_and_pitch(recordings):
    pytest.importorskip("parselmouth")
    faster = torchaudio.functional.resample(torch.from_numpy(recordings[4]), 125, 100).numpy()
    (low_hz, long), (high_hz, short) = (pitch_and_formants(audio, RATE) for audio in (recordings[4], faster))
    assert tract_length_cm(long) / tract_length_cm(short) == pytest.approx(1.25, rel=0.1)
    assert high_hz / low_hz == pytest.approx(1.25, rel=0.03) and low_hz == pytest.approx(88, rel=0.03)
    with pytest.raises(InputError, match="no voiced frame"):
        pitch_and_formants(np.zeros(RATE), RATE)


class FakeModel(torch.nn.Module):
    """Extractor and classifier in one."""

    sampling_rate = 16000
    config = SimpleNamespace(id2label={0: "female", 1: "male"})

    def forward(self, samples=None, *, values=None, **options):
        if values is None:
            assert options == {"sampling_rate": 16000, "return_tensors": "pt"}
            return {"values": torch.from_numpy(samples)[None]}
        assert values.shape == (1, 8000)
        return SimpleNamespace(logits=torch.tensor([[0.0, np.log(3.0)]]))


def test_a_transformers_classifier_gets_its_own_rate_and_what_is_missing_is_named(monkeypatch, tmp_path):
    asked = []

    def load(path, *, local_files_only, trust_remote_code, **more):
        asked.append(more)
        return FakeModel()

    names = ("AutoFeatureExtractor", "AutoModelForAudioClassification")
    fake = dict.fromkeys(names, SimpleNamespace(from_pretrained=load))
    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(**fake))
    (tmp_path / "config.json").write_text("{}")
    chances = load_classifier(tmp_path)(noise(), RATE)
    assert chances == pytest.approx({"female": 0.25, "male": 0.75})
    assert {"use_safetensors": True} in asked, "a pickle would be read"
    with pytest.raises(InputError, match="no such folder"):
        load_classifier(tmp_path / "none")
    for package in ("transformers", "parselmouth"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match="age-model needs transformers: pip install"):
        load_classifier("age-model")
    with pytest.raises(InputError, match="acoustic correlates need Praat"):
        pitch_and_formants(noise(), RATE)
