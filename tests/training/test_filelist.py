"""Filelists of users' own recordings, to three steps of training; of public corpora, on tiny trees of their format."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_corpus import TINY
from refusing import refused
from speaking import RATE_HZ, harmonic_tone

from gradtts_interp.audio import write_wav
from gradtts_interp.cli.main import main
from gradtts_interp.config import MelConfig
from gradtts_interp.styles import StyleBank
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.training import command, filelist
from gradtts_interp.training.filelist import cached_features, load_filelist, parse_line, write_filelists

TEXT = "hello world"


def tone(path, *, f0_hz=140.0, seconds=0.6):
    write_wav(path, harmonic_tone(f0_hz, seconds), RATE_HZ)
    return path


@pytest.fixture
def recordings(tmp_path):
    """Six tones by two speakers, four for training and two for validation."""
    folder = tmp_path / "speech"
    lines = []
    for i in range(6):
        tone(folder / f"{i}.wav", f0_hz=110.0 + 15 * i)
        lines.append(f"{i}.wav|{TEXT} {'again ' * (i % 3)}|{i % 2}" + ("|happy" if i > 3 else ""))
    (folder / "train.txt").write_text("\n".join(lines[:4]) + "\n\n")
    (folder / "valid.txt").write_text("\n".join(lines[4:]))
    return folder


def test_items_of_a_filelist(recordings, tmp_path):
    items = load_filelist(recordings / "train.txt", TINY, cache=tmp_path / "cache")
    assert [i.styles[0].voice for i in items] == ["s0", "s1", "s0", "s1"]
    assert [i.styles[0].pitch for i in items] == ["s0-neutral", "s1-neutral"] * 2
    ids = TextFrontend(add_blank=False, word_boundaries=False)(TEXT).ids
    assert items[0].ids.tolist() == list(ids)
    for i, item in enumerate(items):
        assert item.mel.shape == (80, int(22050 * 0.6) // 256) and item.durations.sum() == 0
        assert np.median(item.contour.f0_hz[item.contour.voiced]) == pytest.approx(110 + 15 * i, rel=0.02)
    valid = load_filelist(recordings / "valid.txt", TINY, cache=tmp_path / "cache", split="valid")
    assert valid[0].styles[0].pitch == "s0-happy" and valid[0].split == "valid"


def test_features_are_cached_until_the_file_changes(tmp_path, monkeypatch):
    path, mel = tone(tmp_path / "a.wav"), MelConfig()
    first = cached_features(path, mel, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(filelist, "read_recording", lambda *_: pytest.fail("read again"))
        second = cached_features(path, mel, tmp_path / "cache")
    assert np.array_equal(first["mel"], second["mel"])
    tone(path, f0_hz=300.0, seconds=0.5)
    assert cached_features(path, mel, tmp_path / "cache")["mel"].shape != first["mel"].shape


def test_lines_that_cannot_be_used_are_skipped_and_named(recordings, tmp_path, caplog):
    write_wav(recordings / "silent.wav", torch.zeros(22050))
    tone(recordings / "short.wav", seconds=0.1)
    bad = ["gone.wav|hello|0", "0.wav|hello", "0.wav|hello|bob", "0.wav||0", f"short.wav|{TEXT * 3}|0"]
    bad += ["0.wav|" + "a" * 3000 + "|0", "silent.wav|hello|0"]
    (recordings / "mixed.txt").write_text("\n".join(["0.wav|hello|0|calm", *bad]))
    items = load_filelist(recordings / "mixed.txt", TINY, cache=tmp_path / "cache")
    assert len(items) == 1
    reasons = ("gone.wav: no such audio file", "2 fields", "speaker 'bob'", "3 fields", "frames for", "3000", "silent")
    for number, reason in enumerate(reasons, start=2):
        assert any(f"mixed.txt, line {number} is skipped" in m and reason in m for m in caplog.messages), reason
    assert any("7 of 8 lines are skipped" in m for m in caplog.messages)
    assert any("emotions ['calm'] have no name in the model" in m for m in caplog.messages)


def test_a_filelist_without_any_usable_line(tmp_path):
    def load(content):
        if content is not None:
            (tmp_path / "list.txt").write_bytes(content)
        load_filelist(tmp_path / "list.txt", TINY, cache=tmp_path)

    refused(
        load,
        (None, "list.txt cannot be read: No such file"),
        (b"gone.wav|hello|0\n", "none of 1 lines can be used; the last error: line 1: .*gone.wav"),
        (b"\n", "none of 0 lines .*the file is empty"),
        (b"\xff\xfe\x00", "no UTF-8 text"),
    )


def test_speakers_are_small_numbers(tmp_path):
    lines = (f"a.wav|hello|{speaker}" for speaker in ("-1", "²", "10000"))
    refused(parse_line, *((line, tmp_path, "expected a number from 0 to 9999") for line in lines))


@pytest.fixture
def run(monkeypatch):
    """Function that runs a command with a tiny model."""
    monkeypatch.setattr(command, "PRESETS", {"demo": TINY})
    monkeypatch.setattr(command, "STYLE", TINY.style)
    return lambda *words: main([str(w) for w in words])


def test_training_on_a_filelist(recordings, tmp_path, run, capsys):
    out = tmp_path / "run"
    words = ["train", "--filelist", recordings / "train.txt", "--valid", recordings / "valid.txt", "--out", out]
    words += ["--steps", 3, "--batch-size", 2, "--precision", "no", "--validate-every", 3, "--sample-every", 3]
    assert run(*words) == 0
    assert (out / "step_0000003" / "ema.safetensors").is_file()
    assert (out / "samples" / "step_0000003.png").is_file()
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    (validation,) = (row for row in rows if "valid/diffusion" in row)
    assert validation["step"] == 3 and np.isfinite(validation["valid/diffusion"])
    assert json.loads((out / "settings.json").read_text())["style"]["n_speakers"] == 2
    assert run(*words, "--seed", 1) == 2
    assert "trained with seed = 0, now 1" in capsys.readouterr().err


def test_a_run_on_a_filelist_is_exported_and_tuned_further(recordings, tmp_path, run, capsys):
    first, second, names = tmp_path / "first", tmp_path / "second", ("--filelist", recordings / "train.txt")
    short = ("--steps", 1, "--batch-size", 2, "--precision", "no", "--sample-every", 0)

    assert run("train", *names, "--out", tmp_path / "run", *short) == 0
    assert run("export", "--run", tmp_path / "run", *names, "--vocoder", tmp_path / "v", "--out", first) == 0
    bank = StyleBank.load(first / "styles", MelConfig())
    assert bank.speakers == [0, 1]
    assert np.exp(bank.style(1).prosody[0]) == pytest.approx((125 * 155) ** 0.5, rel=0.02)  # its two recordings' mean
    assert run("train", *names, "--out", tmp_path / "more", "--start-from", first, *short) == 0
    tuned = ("export", "--run", tmp_path / "more", *names, "--vocoder", tmp_path / "v", "--out", second)
    assert run(*tuned, "--start-from", first) == 0
    assert StyleBank.load(second / "styles", MelConfig()).speakers == [0, 1, 2, 3]
    (recordings / "train.txt").write_text("0.wav|hello|7\n")
    assert run(*tuned) == 2
    assert "speaker 7 would be 7; the run's model has 4 speakers" in capsys.readouterr().err


# -- public corpora ------------------------------------------------------------------------------------------------


def put(path: Path, content: str = "", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))
    return path


def ljspeech(root):
    put(root / "metadata.csv", "".join(f"LJ001-000{i}|Dr. no. {i}|Doctor number {i}\n" for i in range(1, 4)))
    for i in range(1, 4):
        put(root / "wavs" / f"LJ001-000{i}.wav")
    return 3, [("LJ001-0001.wav", "Doctor number 1", 0, "neutral")]


def libritts(root):
    for speaker, chapter in (("84", "121"), ("174", "50")):
        name = root / "dev-clean" / speaker / chapter / f"{speaker}_{chapter}_000000_000000"
        put(name.with_suffix(".wav"))
        put(Path(f"{name}.normalized.txt"), f"Said by {speaker}.")
        put(Path(f"{name}.original.txt"), "not this")
    return 2, [("174_50_000000_000000.wav", "Said by 174.", 0, "neutral")]


def vctk(root):
    for speaker in ("p225", "p226"):
        put(root / "txt" / speaker / f"{speaker}_001.txt", "Please call Stella.\n")
        put(root / "txt" / speaker / f"{speaker}_002.txt", "Ask her | now.\n")
        put(root / "wav48_silence_trimmed" / speaker / f"{speaker}_001_mic1.flac")
    put(root / "wav48" / "p226" / "p226_002.wav")
    first = ("p225_001_mic1.flac", "Please call Stella.", 0, "neutral")
    return 3, [first, ("p226_002.wav", "Ask her now.", 1, "neutral")]


def esd(root):
    put(root / "0011" / "0011.txt", "0011_000001\tThe nine\tNeutral\n0011_000351\tThe nine\tAngry \n\n")
    put(root / "0012" / "0012.txt", "0012_000701\tA dog\tHappy\n", encoding="utf-16")
    put(root / "README.txt", "no table")
    for name in ("0011/Neutral/0011_000001", "0011/Angry/train/0011_000351", "0012/Happy/evaluation/0012_000701"):
        put(root / f"{name}.wav")
    return 3, [("0011_000351.wav", "The nine", 0, "angry"), ("0012_000701.wav", "A dog", 1, "happy")]


@pytest.mark.parametrize("tree", [ljspeech, libritts, vctk, esd])
def test_every_layout_gives_lines_that_training_reads(tree, tmp_path):
    count, expected = tree(tmp_path / "corpus")
    speakers = write_filelists(tmp_path / "corpus", tree.__name__, tmp_path / "lists", valid_share=0)
    rows = (tmp_path / "lists" / "train.txt").read_text().splitlines()
    lines = [parse_line(row, tmp_path / "lists") for row in rows]
    assert len(lines) == count and all(line.path.is_file() for line in lines)
    assert set(expected) <= {(line.path.name, line.text, int(line.speaker), line.emotion) for line in lines}
    assert json.loads((tmp_path / "lists" / "speakers.json").read_text()) == speakers
    assert (tmp_path / "lists" / "valid.txt").read_text() == ""


def test_the_command_sets_a_share_apart_and_tells_what_is_missing(tmp_path, run, caplog):
    vctk(tmp_path)
    with caplog.at_level("INFO"):
        assert run("filelist", tmp_path, "--layout", "vctk", "--out", tmp_path / "lists", "--valid-share", 0.34) == 0
    assert [len((tmp_path / "lists" / name).read_text().splitlines()) for name in ("train.txt", "valid.txt")] == [2, 1]
    assert "1 transcribed recordings have no audio" in caplog.text and "2 speakers" in caplog.text


def test_folders_that_hold_no_corpus_are_named(tmp_path):
    put(tmp_path / "latin" / "metadata.csv", "LJ|\x80\xff", encoding="latin-1")
    refused(
        lambda folder, layout: write_filelists(tmp_path / folder, layout, tmp_path),
        (".", "ljspeech", "metadata.csv cannot be read"),
        (".", "vctk", "none of 0 transcribed recordings has its audio; expected ``txt/p225"),
        ("none", "esd", "no such folder"),
        (".", "timit", "layout 'timit'"),
        ("latin", "ljspeech", "no UTF-8 text"),
    )
