import shutil

import numpy as np
import pytest

from gradtts_interp.corpus import flite
from gradtts_interp.corpus.flite import VOICES, parse_phone_times, speak
from gradtts_interp.errors import InputError

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


@needs_flite
@pytest.mark.parametrize("voice", VOICES)
def test_audio_lasts_as_long_as_the_phones(voice):
    spoken = speak("The quick fox jumped.", voice)
    assert spoken.audio.dtype == np.float64 and 0.01 < np.abs(spoken.audio).max() <= 1.0
    # kal16 cuts the silence at the end short, whatever it says of it.
    seconds = len(spoken.audio) / 22050
    assert spoken.end_seconds[-2] < seconds < spoken.end_seconds[-1] + 0.03
    assert spoken.phones[0] == spoken.phones[-1] == "pau"
    assert {"k", "w", "ih", "f", "aa"} <= set(spoken.phones)


@needs_flite
def test_text_cannot_be_taken_for_an_option():
    assert len(speak("-version and --help are words", "slt").phones) > 10


def test_phone_times_are_read():
    assert parse_phone_times("pau:0.2 dh:0.25 ax:0.3 \n") == (("pau", "dh", "ax"), (0.2, 0.25, 0.3))


@pytest.mark.parametrize("output", ["pau:0.2 dh:x", "pau", "pau:0.2 dh:0.1", ":0.4", "pau:nan"])
def test_damaged_phone_times_are_named(output):
    with pytest.raises(InputError, match="phone time .*expected phone:end_seconds in rising order"):
        parse_phone_times(output)


def test_missing_phone_times_are_named():
    with pytest.raises(InputError, match="no phone times"):
        parse_phone_times("\n")


def test_missing_program_names_its_package(monkeypatch):
    monkeypatch.setattr(flite.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="'flite' not found.*apt-get install flite"):
        speak("Hello.", "slt")


def test_failing_program_is_named(monkeypatch):
    monkeypatch.setattr(flite.shutil, "which", lambda name: "/bin/false")
    with pytest.raises(InputError, match="flite failed on 'Hello.' with voice 'slt'"):
        speak("Hello.", "slt")


def test_unknown_voice_is_named():
    with pytest.raises(InputError, match="flite voice 'bob'; expected one of"):
        speak("Hello.", "bob")
