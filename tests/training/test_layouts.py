"""Filelists of public corpora, on tiny trees of the same format."""

import argparse
import json
from pathlib import Path

import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.training import filelist
from gradtts_interp.training.filelist import LAYOUTS, parse_line, write_filelists


def put(path: Path, content: str = "", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))
    return path


def ljspeech(root):
    lines = [f"LJ001-000{i}|Dr. no. {i}|Doctor number {i}" for i in range(1, 4)]
    put(root / "metadata.csv", "\n".join(lines) + "\n")
    for i in range(1, 4):
        put(root / "wavs" / f"LJ001-000{i}.wav")


def libritts(root):
    for speaker, chapter in (("84", "121"), ("174", "50")):
        name = root / "dev-clean" / speaker / chapter / f"{speaker}_{chapter}_000000_000000"
        put(name.with_suffix(".wav"))
        put(Path(f"{name}.normalized.txt"), f"Said by {speaker}.")
        put(Path(f"{name}.original.txt"), "not this")


def vctk(root):
    for speaker in ("p225", "p226"):
        put(root / "txt" / speaker / f"{speaker}_001.txt", "Please call Stella.\n")
        put(root / "txt" / speaker / f"{speaker}_002.txt", "Ask her | now.\n")
        put(root / "wav48_silence_trimmed" / speaker / f"{speaker}_001_mic1.flac")
    put(root / "wav48" / "p226" / "p226_002.wav")


def esd(root):
    put(root / "0011" / "0011.txt", "0011_000001\tThe nine\tNeutral\n0011_000351\tThe nine\tAngry \n\n")
    put(root / "0012" / "0012.txt", "0012_000701\tA dog\tHappy\n", encoding="utf-16")
    put(root / "0011" / "Neutral" / "0011_000001.wav")
    put(root / "0011" / "Angry" / "train" / "0011_000351.wav")
    put(root / "0012" / "Happy" / "evaluation" / "0012_000701.wav")
    put(root / "README.txt", "no table")


TREES = {"ljspeech": ljspeech, "libritts": libritts, "vctk": vctk, "esd": esd}
EXPECTED = {
    "ljspeech": [("LJ001-0001.wav", "Doctor number 1", 0, "neutral")],
    "libritts": [("174_50_000000_000000.wav", "Said by 174.", 0, "neutral")],
    "vctk": [
        ("p226_002.wav", "Ask her now.", 1, "neutral"),
        ("p225_001_mic1.flac", "Please call Stella.", 0, "neutral"),
    ],
    "esd": [("0011_000351.wav", "The nine", 0, "angry"), ("0012_000701.wav", "A dog", 1, "happy")],
}
COUNTS = {"ljspeech": 3, "libritts": 2, "vctk": 3, "esd": 3}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_lines_that_training_reads(layout, tmp_path):
    TREES[layout](tmp_path / "corpus")
    speakers = write_filelists(tmp_path / "corpus", layout, tmp_path / "lists", valid_share=0)
    rows = (tmp_path / "lists" / "train.txt").read_text().splitlines()
    lines = [parse_line(row, tmp_path / "lists") for row in rows]
    assert len(lines) == COUNTS[layout]
    assert all(line.path.is_file() for line in lines)
    got = [(line.path.name, line.text, int(line.speaker), line.emotion) for line in lines]
    assert set(EXPECTED[layout]) <= set(got)
    assert json.loads((tmp_path / "lists" / "speakers.json").read_text()) == speakers
    assert (tmp_path / "lists" / "valid.txt").read_text() == ""


def test_a_share_is_set_apart(tmp_path):
    ljspeech(tmp_path)
    write_filelists(tmp_path, "ljspeech", tmp_path / "lists", valid_share=0.34)
    assert [len((tmp_path / "lists" / name).read_text().splitlines()) for name in ("train.txt", "valid.txt")] == [2, 1]


def test_the_command_tells_what_is_missing(tmp_path, caplog):
    vctk(tmp_path)
    parser = argparse.ArgumentParser()
    filelist.add_arguments(parser)
    args = parser.parse_args([str(tmp_path), "--layout", "vctk", "--out", str(tmp_path / "lists")])
    with caplog.at_level("INFO"):
        assert filelist.run(args) == 0
    assert "1 transcribed recordings have no audio" in caplog.text and "2 speakers" in caplog.text


def test_folders_that_hold_no_corpus_are_named(tmp_path):
    with pytest.raises(InputError, match="metadata.csv cannot be read"):
        write_filelists(tmp_path, "ljspeech", tmp_path)
    with pytest.raises(InputError, match="none of 0 transcribed recordings has its audio; expected ``txt/p225"):
        write_filelists(tmp_path, "vctk", tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        write_filelists(tmp_path / "none", "esd", tmp_path)
    with pytest.raises(InputError, match="layout 'timit'"):
        write_filelists(tmp_path, "timit", tmp_path)
    put(tmp_path / "metadata.csv", "").write_bytes(b"LJ|\x80\xff\xff")
    with pytest.raises(InputError, match="no UTF-8 text"):
        write_filelists(tmp_path, "ljspeech", tmp_path)
