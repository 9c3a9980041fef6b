"""One tiny corpus from sentences to manifest, with flite, and the laws its files must keep."""

import json
import shutil

import numpy as np
import pytest
import torch

from gradtts_interp.audio import log_mel, read_audio
from gradtts_interp.config import MelConfig
from gradtts_interp.corpus import build as build_module
from gradtts_interp.corpus.build import build_corpus
from gradtts_interp.corpus.cache import Sentence, analyse_to_cache, cache_path, load_source
from gradtts_interp.corpus.labels import Labels
from gradtts_interp.corpus.plan import BuildSettings, share_at
from gradtts_interp.errors import InputError

pytestmark = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")

SETTINGS = BuildSettings(
    sentences=3, held_out=2, bank_utterances=1, grid=6, blends=8, test_voices=2, test_pitches=1, test_utterances=1
)
CONFIG = MelConfig()


class SameProcess:
    """Stands for the pool of processes, so that the test starts none."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def map(self, work, jobs, chunksize):
        return map(work, jobs)


def build(folder, settings=SETTINGS):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "_executor", lambda jobs: SameProcess())
        manifest = build_corpus(folder, settings, progress=False)
    return [json.loads(line) for line in manifest.read_text().splitlines()]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return folder, build(folder)


def stored(folder, entry):
    with np.load(folder / "features" / f"{entry['id']}.npz") as file:
        return {name: file[name] for name in file.files}


def test_every_item_has_its_files_on_one_grid(corpus):
    folder, entries = corpus
    assert len(entries) == 80 + 6 + 8 + 2 + 2
    for entry in entries:
        arrays = stored(folder, entry)
        frames = entry["frames"]
        assert arrays["durations"].sum() == frames and arrays["durations"].min() >= 1
        assert len(arrays["durations"]) == len(entry["tokens"])
        assert arrays["mel"].shape == (80, frames) and arrays["mel"].dtype == np.float16
        assert all(len(arrays[name]) == frames for name in ("f0_hz", "voiced", "energy_db"))
        assert (arrays["f0_hz"] > 0).all() and np.isfinite(arrays["mel"]).all()


def test_the_mel_is_that_of_the_written_file(corpus):
    folder, entries = corpus
    for entry in entries[::20]:
        audio = read_audio(folder / "wavs" / f"{entry['id']}.wav")
        assert len(audio) == entry["frames"] * CONFIG.hop_samples
        np.testing.assert_allclose(stored(folder, entry)["mel"], log_mel(audio, CONFIG), atol=5e-3)


def test_level_of_pitch_is_that_of_the_manifest(corpus):
    _, entries = corpus
    singles = [e for e in entries if e["factors"]]
    ratios = np.array([e["f0"]["mean_hz"] / e["factors"]["f0_level_hz"] for e in singles])
    assert np.median(np.abs(ratios - 1)) < 0.01 and np.abs(ratios - 1).max() < 0.06


def test_blends_carry_two_styles_and_their_share(corpus):
    folder, entries = corpus
    blends = [e for e in entries if e["kind"] == "blend"]
    assert len(blends) == 8
    for entry in blends:
        assert entry["factors"] is None and set(entry["a"]) == set(entry["b"]) == {"voice", "pitch", "factors"}
        relative = (np.arange(entry["frames"]) + 0.5) / entry["frames"]
        np.testing.assert_allclose(stored(folder, entry)["share"], share_at(entry["share"], relative), atol=1e-3)


def test_blended_pitch_lies_between_its_styles(corpus):
    _, entries = corpus
    for entry in (e for e in entries if e["kind"] == "blend" and len(e["share"]) == 2):
        share = entry["share"][0][1]
        levels = [np.log(entry[side]["factors"]["f0_level_hz"]) for side in ("a", "b")]
        expected = (1 - share) * levels[0] + share * levels[1]
        assert np.log(entry["f0"]["mean_hz"]) == pytest.approx(expected, abs=0.06)


def test_words_cover_their_tokens_and_vowels_are_louder_than_stops(corpus):
    folder, entries = corpus
    loudness: dict[bool, list[float]] = {True: [], False: []}
    for entry in entries:
        energy, ends = stored(folder, entry)["energy_db"], np.cumsum(stored(folder, entry)["durations"])
        for _, start, stop in entry["words"]:
            assert 0 < start < stop < len(entry["tokens"])
            for i in range(start, stop):
                token = entry["tokens"][i]
                if token[-1] in "12" or token in ("P", "T", "K"):
                    loudness[token[-1] in "12"].append(energy[(ends[i - 1] + ends[i]) // 2])
    assert np.mean(loudness[True]) > np.mean(loudness[False]) + 15


def test_filelist_holds_the_bank(corpus):
    folder, entries = corpus
    lines = (folder / "filelist.txt").read_text().splitlines()
    assert len(lines) == 80
    path, text, speaker, emotion = lines[0].split("|")
    assert (folder / path).exists() and text == entries[0]["text"] and (speaker, emotion) == ("0", "neutral")
    assert sum(json.loads((folder / "report.json").read_text())["items"].values()) == len(entries)


def test_a_stopped_build_goes_on_and_gives_the_same(corpus, monkeypatch):
    folder, entries = corpus
    victim = entries[7]["id"]
    before = (folder / "wavs" / f"{victim}.wav").read_bytes()
    (folder / "features" / f"{victim}.npz").unlink()
    rendered = []
    original = build_module.render
    monkeypatch.setattr(build_module, "render", lambda *a, **k: rendered.append(1) or original(*a, **k))
    assert build(folder) == entries
    assert len(rendered) == 1
    assert (folder / "wavs" / f"{victim}.wav").read_bytes() == before


def test_other_settings_need_another_folder(corpus):
    folder, _ = corpus
    with pytest.raises(InputError, match="holds a corpus with seed 0; expected 1, or choose another folder"):
        build(folder, BuildSettings(**{**SETTINGS.__dict__, "seed": 1}))


def test_cache_round_trip_and_repair(tmp_path):
    sentence = Sentence("train-0000", "The quick fox jumped.")
    labels = analyse_to_cache(tmp_path, sentence, "slt")
    features, again = load_source(tmp_path, "train-0000", "slt")
    assert isinstance(labels, Labels) and labels == again == analyse_to_cache(tmp_path, sentence, "slt")
    assert features.base == "slt" and features.log_sp.dtype == np.float32
    path = cache_path(tmp_path, "train-0000", "slt")
    path.write_bytes(path.read_bytes()[:1000])
    assert analyse_to_cache(tmp_path, sentence, "slt") == labels


def test_cache_of_another_text_is_made_anew(tmp_path):
    first = analyse_to_cache(tmp_path, Sentence("train-0000", "The quick fox jumped."), "slt")
    second = analyse_to_cache(tmp_path, Sentence("train-0000", "A slow cat slept."), "slt")
    assert first != second


def test_rejected_sentence_gives_its_reason(tmp_path):
    reason = analyse_to_cache(tmp_path, Sentence("train-0000", "The qzxv."), "slt")
    assert isinstance(reason, str) and "'qzxv' is not in the dictionary" in reason


def test_a_damaged_rendering_stops_the_build(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "log_mel", lambda audio, config: torch.full((80, 3), float("nan")))
    with pytest.raises(RuntimeError, match=r"bank-s00-neutral-00: mel \(80, 3\) for \d+ frames, or not finite"):
        build(tmp_path)
