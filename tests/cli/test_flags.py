"""What flags are read as: speakers, words, files of sentences, and pitch."""

import argparse
import json
from functools import partial

import numpy as np
import pytest
from refusing import refused

from gradtts_interp.cli.flags import read_lines, split_words
from gradtts_interp.cli.flags import speakers as speakers_flag
from gradtts_interp.pitch.files import PitchCurve, read_pitch, write_pitch


@pytest.mark.parametrize(
    ("text", "speakers"), [("12", 12), ("3,7", (3, 7)), ("0-2, 9", (0, 1, 2, 9)), ("4-4", 4), ("5,3-6", (5, 3, 4, 6))]
)
def test_speakers_are_one_or_several(text, speakers):
    assert speakers_flag(text) == speakers


def test_what_names_no_speaker():
    expected = "expected a whole number from 0, or several"
    texts = ("", "-1", "a", "5-3", "1,,2", "0-99999", "1.5", "²")
    refused(speakers_flag, *((text, expected) for text in texts), error=argparse.ArgumentTypeError)


@pytest.mark.parametrize(
    ("text", "shares", "shifts"),
    [
        (None, None, {}),
        ("2-4:b,6:0.5", "2-4:b,6:0.5", {}),
        ("3:+2st", None, {range(2, 3): 2.0}),
        ("2-4:b, 1-2:-1.5ST ,3:4 st", "2-4:b", {range(0, 2): -1.5, range(2, 3): 4.0}),
    ],
)
def test_words_are_shares_or_shifts(text, shares, shifts):
    assert split_words(text) == (shares, shifts)


def test_bad_shifts():
    refused(
        split_words,
        ("3:upst", "'3:upst' is no shift of words; expected such as 3:.2st"),
        ("0:+1st", "'0:.1st' is no shift"),
        ("4-2:+1st", "'4-2:.1st' is no shift"),
        ("1-3:+1st,2:+1st", "word 2 is shifted twice"),
    )


def texts(tmp_path, content):
    (tmp_path / "lines.txt").write_text(content, encoding="utf-8")
    return [line["text"] for line in read_lines(tmp_path / "lines.txt")]


@pytest.mark.parametrize(
    "content",
    [
        "wavs/a.wav|A cat.|3\nwavs/b.wav|A dog.|4\n",
        "# list\nmy wavs/a.flac | A cat. | 3 | happy\n\nmy wavs/b.flac | A dog. | 4\n",
        "a.wav|A cat.\nb.wav|A dog.\n",
        "LJ001-0001|A 1 cat|A cat.\nLJ001-0002|A dog.|\n",
        "dir/a|A cat.|3\ndir/b|A dog.|3\n",
        "A cat.\nA dog.\n",
    ],
)
def test_texts_of_a_list_are_spoken(tmp_path, content):
    assert texts(tmp_path, content) == ["A cat.", "A dog."]
    assert texts(tmp_path, "This | that.\nA dog.\n") == ["This | that.", "A dog."]  # a bar makes no list


def test_half_a_list_says_what_is_expected(tmp_path):
    half = [f"a.wav|A cat.|3\n{row}\n" for row in ("A dog.", "b.wav||4", "b.wav|A|dog|4|5")]
    message = r"lines.txt, line 2: .*expected path\|text\|speaker in every line"
    refused(texts, *((tmp_path, content, message) for content in half))


def report_of(tmp_path):
    return json.loads((tmp_path / "out" / "sample_0.json").read_text())


@pytest.fixture
def speak(say):
    return partial(say, "synthesize", "-s", 0)


def test_a_contour_and_a_shift_reach_the_pipeline(speak, tmp_path):
    write_pitch(tmp_path / "a.PitchTier", PitchCurve(np.array([0.0, 1.0]), np.array([150.0, 150.0])))
    assert speak("--pitch-file", tmp_path / "a.PitchTier", "--words", "2:+3st", "--no-plots")[0] == 0
    report = report_of(tmp_path)
    assert report["settings"]["pitch"] == [{"curve": {"points": 2, "unit": "hz"}, "words": {"2": 3.0}}]
    assert "f0_rms_cents" in report["asked_pitch"]


def test_the_realised_pitch_is_written(speak, tmp_path, monkeypatch):
    from gradtts_interp.pitch.contour import Contour
    from gradtts_interp.speech import Speech

    sung = Contour(np.full(9, 123.0, np.float32), np.ones(9, bool), np.zeros(9, np.float32), 86.0)
    monkeypatch.setattr(Speech, "contour", property(lambda self: sung))  # random weights sing nothing
    assert speak("--write-pitch", "csv", "--no-plots")[0] == 0
    assert read_pitch(tmp_path / "out" / "sample_0.csv").values.tolist() == [123.0] * 9


def test_a_recording_is_copied(speak, tmp_path, tone_wav):
    assert speak("--copy", tone_wav, "--no-plots")[0] == 0
    report = report_of(tmp_path)
    assert report["settings"]["prosody"] == [str(tone_wav)]
    assert {"f0_rms_cents", "energy_rmse_db"} <= set(report["copied_prosody"])
    assert report["seconds"] == pytest.approx(1.0, abs=0.02)
    assert speak("--copy", tone_wav, "--copy-weight", 0.5, "-s2", 2)[0] == 0
    report = report_of(tmp_path)
    assert "copied_prosody" not in report and report["settings"]["prosody_weight"] == 0.5


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        ("--words 9:+2st --no-plots", 1, "pitch of word 9: the sentence has words 1 to 2"),
        ("--copy none.wav", 2, "none.wav: no such audio file"),
        ("--copy a.wav --text again", 2, "--copy: it says one sentence; give --text once"),
        ("--copy a.wav --copy-tier phones", 2, "--copy-tier: it belongs to --copy-textgrid"),
        ("--copy a.wav --length-scale 2", 2, "--copy and --length-scale: durations are the recording's"),
    ],
)
def test_errors_name_the_flag_and_the_file(speak, flags, status, message):
    found, _, err = speak(*flags.split())
    assert found == status and message in err
