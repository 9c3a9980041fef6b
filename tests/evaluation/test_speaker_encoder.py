"""The encoder of timbre, distances of its embeddings, other people's voice models, and acoustic correlates."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st
from refusing import refused
from scipy.linalg import sqrtm

from gradtts_interp.audio import read_audio
from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.speakers import speaker_voice
from gradtts_interp.corpus.teacher import VOICES
from gradtts_interp.errors import CheckpointError
from gradtts_interp.evaluation import speakers
from gradtts_interp.evaluation.speakers import SpeakerEncoder, SpeakerSettings, cosine_similarity, pitch_and_formants

ROOT = Path(__file__).parents[2]
RATE = 22050
MEL = MelConfig(fmax_hz=7600.0)
TINY = SpeakerSettings(voices=("s0", "s3", "c00"), bases=("jf_alpha", "jm_kumo"), channels=8, embedding=8, mel=MEL)


def noise(seconds=0.5, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE)).astype(np.float32)


@pytest.fixture
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SpeakerEncoder(TINY).eval()


@pytest.fixture(scope="module")
def shipped():
    return SpeakerEncoder.from_pretrained(ROOT / "checkpts" / "speaker-demo")


@pytest.fixture(scope="module")
def recordings():
    paths = [ROOT / "resources" / "references" / f"speaker_{i:02d}.flac" for i in range(16)]
    return {i: read_audio(path).numpy() for i, path in enumerate(paths)}


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

    def damage(name, content):
        (tmp_path / name).write_text(content)
        SpeakerEncoder.from_pretrained(tmp_path)

    refused(
        damage,
        ("model.safetensors", "no", "model.safetensors is damaged"),
        ("config.json", "{}", "expected settings of a speaker encoder"),
        ("config.json", "no", "config.json is no JSON"),
        error=CheckpointError,
    )


def test_identity_is_one_of_the_speakers_and_audio_that_cannot_be_heard_is_named(encoder):
    refused(
        lambda audio: encoder.embed(audio, RATE),
        (np.zeros(RATE, np.float32), "audio of a speaker is silent"),
        (np.ones((2, 3), np.float32), r"shape \(2, 3\); expected finite samples"),
        (np.full(RATE, np.nan, np.float32), "expected finite samples"),
    )
    found = encoder.identify(noise(), RATE)
    assert set(found["similarity"]) == {0, 3} and found["speaker"] in found["similarity"]
    assert 0 <= found["female"] <= 1 and found["formant_factor"] > 0
    nameless = SpeakerEncoder(SpeakerSettings(voices=("a", "b"), bases=("x",), channels=8, embedding=8))
    refused(nameless.identify, (noise(), RATE, "expected speakers s0, s1"))


def test_angles_and_tubes():
    assert cosine_similarity(np.array([1.0, 0.0]), np.array([3.0, 0.0])) == pytest.approx(1)
    assert cosine_similarity(np.array([0.0, 1.0]), np.array([1.0, 1.0])) == pytest.approx(np.sqrt(0.5))
    assert speakers.tract_length_cm(np.array([500, 1500, 2500, 3500])) == pytest.approx(17.5)
    assert speakers.tract_length_cm(1.2 * np.array([500, 1500, 2500, 3500])) == pytest.approx(17.5 / 1.2)


def test_the_shipped_encoder_knows_the_reference_of_each_speaker(shipped, recordings):
    found = {i: shipped.identify(audio, RATE) for i, audio in recordings.items()}
    assert [found[i]["speaker"] for i in found] == list(found)
    weights = {i: speaker_voice(i).timbre for i in found}  # of those who are not half a man
    whole = {i: VOICES[w.index(max(w))][:2] == speakers.FEMALE for i, w in weights.items() if max(w) > 0.5}
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
    assert speakers.tract_length_cm(long) / speakers.tract_length_cm(short) == pytest.approx(1.25, rel=0.1)
    assert high_hz / low_hz == pytest.approx(1.25, rel=0.03) and low_hz == pytest.approx(88, rel=0.03)
    refused(pitch_and_formants, (np.zeros(RATE), RATE, "no voiced frame"))


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
    chances = speakers.load_classifier(tmp_path)(noise(), RATE)
    assert chances == pytest.approx({"female": 0.25, "male": 0.75})
    assert {"use_safetensors": True} in asked, "a pickle would be read"
    refused(speakers.load_classifier, (tmp_path / "none", "no such folder"))
    for package in ("transformers", "parselmouth"):
        monkeypatch.setitem(sys.modules, package, None)
    refused(speakers.load_classifier, ("age-model", "age-model needs transformers: pip install"))
    refused(pitch_and_formants, (noise(), RATE, "acoustic correlates need Praat"))


# -- sets of embeddings ------------------------------------------------------------------------------------------------


def test_it_is_the_textbook_formula():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(80, 6)) @ random.normal(size=(6, 6)), random.normal(size=(90, 6)) + 1
    s, t = np.cov(a.T), np.cov(b.T)
    wanted = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s + t - 2 * np.real(sqrtm(s @ t)))
    found = speakers.frechet_distance(a, b)
    assert found["distance"] == pytest.approx(wanted) == found["means"] + found["covariances"]
    assert (found["n_reference"], found["n_other"], found["dimensions"], found["singular"]) == (80, 90, 6, False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.integers(2, 12), st.integers(2, 12), st.integers(1, 20), st.sampled_from([1e-8, 1, 1e6]))
def test_real_symmetric_and_not_negative_on_singular_covariances(seed, n, m, dimensions, scale):
    random = np.random.default_rng(seed)
    direction = random.normal(size=(1, dimensions))
    a = scale * (random.normal(size=(n, 1)) * direction + 1e-9 * random.normal(size=(n, dimensions)))
    b = scale * random.normal(size=(m, 1)) * direction
    there, back = speakers.frechet_distance(a, b), speakers.frechet_distance(b, a)
    assert isinstance(there["distance"], float) and np.isfinite(there["distance"]) and there["distance"] >= 0
    assert there["distance"] == pytest.approx(back["distance"], rel=1e-6, abs=1e-9 * scale**2)
    assert speakers.frechet_distance(a, a)["distance"] <= 1e-9 * max(1.0, float(np.square(a).sum()))
    assert there["singular"] == (min(n, m) <= dimensions)


def test_diversity_is_the_mean_distance_of_pairs():
    points = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert speakers.diversity(points) == {"diversity": pytest.approx(10 / 3), "n_embeddings": 3}
    assert speakers.diversity(np.ones((5, 4)))["diversity"] == 0
    assert speakers.diversity(np.ones((1, 4))) == {"diversity": None, "n_embeddings": 1}
