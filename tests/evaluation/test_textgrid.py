"""TextGrids in Praat's formats and encodings, and Kaldi folders."""

import sys
from functools import partial

import pytest
from refusing import called, refused

from gradtts_interp.cli.evaluate_shared import write_kaldi
from gradtts_interp.evaluation.textgrid import read_phones, to_textgrid, write_textgrid

HEAD = 'File type = "ooTextFile"\nObject class = "{}"\n\n0\n1.5\n<exists>\n2\n'
GRID = (
    HEAD.format("TextGrid")
    + '"IntervalTier"\n"phones"\n0\n1.5\n2\n0\n0.25\n"ə ""a"""\n0.25\n1.5\n""\n'
    + '"TextTier"\n"marks"\n0\n1.5\n1\n0.5\n"x"\n'
)
PHONES = (('ə "a"', 0.0, 0.25), ("", 0.25, 1.5))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", ["text", "short text", "binary"])
def test_praats_own_formats_and_text_of_any_encoding_are_read(tmp_path, encoding, kind):
    parselmouth = pytest.importorskip("parselmouth")
    path, copy = tmp_path / "a.TextGrid", tmp_path / "b.TextGrid"
    path.write_bytes(GRID.encode(encoding))
    parselmouth.praat.call(parselmouth.read(str(path)), f"Save as {kind} file", str(copy))
    assert read_phones(path) == read_phones(copy) == PHONES


def test_praat_reads_what_is_written_with_gaps_as_empty_intervals(tmp_path):
    write_textgrid(tmp_path / "a.TextGrid", {"w": (('ə "a"', 0.1, 0.2), ("b", 0.5, 0.9))}, seconds=1.0)
    found = read_phones(tmp_path / "a.TextGrid")
    assert found == (("", 0, 0.1), ('ə "a"', 0.1, 0.2), ("", 0.2, 0.5), ("b", 0.5, 0.9), ("", 0.9, 1.0))


def test_speech_has_phones_and_words(tiny_pipeline, tmp_path):
    style = tiny_pipeline.style(speaker=tiny_pipeline.speakers[0])
    speech = tiny_pipeline("A cat, a dog.", style, seed=0, num_inference_steps=1)
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, to_textgrid(speech), seconds=speech.seconds)
    assert [n for n, _, _ in read_phones(path, "Words") if n] == [n for n, _, _ in speech.words]
    spoken = [(n, s, e) for n, s, e in speech.phoneme_times if any(map(str.isalpha, n))]
    there = [p for p in read_phones(path) if p[0]]
    assert [n for n, _, _ in there] == [n for n, _, _ in spoken] and len(there) > 5
    assert all(a == pytest.approx(b, abs=1e-6) for a, b in zip(there, spoken, strict=True))


def test_the_tier_of_phones_is_found(tmp_path):
    path, phone, word = tmp_path / "a.TextGrid", (("AH", 0.0, 1.0),), (("a", 0.0, 1.0),)
    several = ({"words": word, "speaker - phones": phone}, {"anything": phone}, {"a": word, "b": phone})
    for tiers, asked in zip(several, (None, None, "b"), strict=True):
        write_textgrid(path, tiers)
        assert read_phones(path, asked) == phone
    refused(read_phones, (path, "a.TextGrid: TextGrid without a tier 'phones'; its interval tiers: 'a', 'b'"))


def test_what_is_no_textgrid_and_what_to_install_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.TextGrid"

    def read(content):
        path.write_text(content, "utf-8")
        read_phones(path)

    refused(read_phones, (path, r"a.TextGrid cannot be read: No such file"))
    refused(
        read,
        ("", "is not a TextGrid"),
        ("hello", "is not a TextGrid"),
        (HEAD.format("PitchTier"), "is not a TextGrid"),
        (GRID[:-20], "cannot be read as a TextGrid"),
        (GRID.replace('"phones"', '"a"').replace('"TextTier"', '"IntervalTier"'), "cannot be read as a TextGrid"),
    )
    for name in ("parselmouth", "praatio.textgrid"):
        monkeypatch.setitem(sys.modules, name, None)
    needs = r"pip install 'gradtts-interp\[eval\]"
    refused(called, (read_phones, path, needs), (write_textgrid, path, {"phones": PHONES}, needs))


def test_tiers_that_cannot_be(tmp_path):
    overlap, empty, endless = (("x", 0.0, 0.5), ("y", 0.4, 1.0)), (("x", 0.5, 0.5),), (("x", 0.0, float("nan")),)
    write = partial(write_textgrid, tmp_path / "a.TextGrid", seconds=1.0)
    refused(
        write, *((tiers, "no TextGrid from 0 to 1 s") for tiers in ({"a": overlap}, {"a": empty}, {"a": endless}, {}))
    )
    assert not list(tmp_path.iterdir())


def test_a_kaldi_folder(tmp_path):
    a, b = tmp_path / "a.wav", tmp_path / "b.wav"
    a.touch(), b.touch()
    utterances = [("b-1", b, "b", "Zwei  wörter\n hier"), ("a-1", a, None, None), ("B-2", b, "b", "again")]
    names = [path.name for path in write_kaldi(tmp_path / "k", utterances)]
    assert sorted(names) == ["spk2utt", "text", "utt2spk", "wav.scp"]
    read = {name: (tmp_path / "k" / name).read_text("utf-8") for name in names}
    assert read["wav.scp"] == f"B-2 {tmp_path}/b.wav\na-1 {tmp_path}/a.wav\nb-1 {tmp_path}/b.wav\n"
    assert read["text"] == "B-2 again\nb-1 Zwei wörter hier\n"
    assert read["utt2spk"] == "B-2 b\na-1 a-1\nb-1 b\n" and read["spk2utt"] == "a-1 a-1\nb B-2 b-1\n"


def test_bad_kaldi_lists_are_named(tmp_path):
    wav = tmp_path / "a.wav"
    wav.touch()
    refused(
        partial(write_kaldi, tmp_path / "k"),
        ([], "no utterance"),
        ([("a b", wav, None, None)], "id 'a b': expected a name without spaces"),
        ([("a", wav, "", None)], "speaker ''"),
        ([("a", wav, None, None)] * 2, "given twice"),
        ([("a", tmp_path / "no.wav", None, None)], "no such audio file, of utterance 'a'"),
    )
    assert not (tmp_path / "k").exists()
