"""Phone error rates, and a recogniser that hears something."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from gradtts_interp.errors import InputError
from gradtts_interp.evaluation import intelligibility
from gradtts_interp.evaluation.intelligibility import phone_error_rate, plain_phones, recognise_phones


def test_phones_without_stress_and_marks():
    assert plain_phones([" ", "@HH", "@AH0", "L", "OW1", ",", "."]) == ("HH", "AH", "L", "OW")


def test_error_rate_counts_edits_over_all_utterances():
    pytest.importorskip("jiwer")
    assert phone_error_rate([["HH", "AH"]], [["HH", "AH"]]) == 0
    assert phone_error_rate([["A", "B", "C", "D"]], [["A", "X", "D"]]) == pytest.approx(0.5)
    assert phone_error_rate([["A"] * 9, ["B"]], [["A"] * 9, ["C"]]) == pytest.approx(0.1)
    assert phone_error_rate([["A", "B"]], [[]]) == pytest.approx(1)


@pytest.mark.parametrize(("references", "hypotheses"), [([], []), ([["A"]], [])])
def test_nothing_to_compare(references, hypotheses):
    with pytest.raises(InputError, match="expected equal numbers > 0"):
        phone_error_rate(references, hypotheses)


def test_a_missing_recogniser_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    intelligibility._decoder.cache_clear()
    with pytest.raises(InputError, match=r"pip install gradtts-interp\[eval\]"):
        recognise_phones(np.zeros(16000), 16000)
    intelligibility._decoder.cache_clear()


def test_silence_holds_no_phones_and_no_division_by_zero():
    pytest.importorskip("pocketsphinx")
    assert len(recognise_phones(np.zeros(8000, dtype=np.float32), 16000)) < 3


def test_speech_is_recognised_whatever_its_level(tmp_path):
    pytest.importorskip("pocketsphinx")
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed")
    wav = tmp_path / "speech.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", "hello", "-o", str(wav)], check=True)
    audio, rate = soundfile.read(wav)
    heard = recognise_phones(audio, rate)
    assert phone_error_rate([["HH", "AH", "L", "OW"]], [heard]) < 0.8
    assert {"L", "OW"} & set(heard)
    recognise_phones(audio[::-1].copy(), rate)  # what was heard before does not count
    assert recognise_phones(audio, rate) == heard
    assert recognise_phones(0.1 * audio, rate) == heard
