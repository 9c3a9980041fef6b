"""Recordings as people make them: hum, offsets, silence, channels, clipping; and pitch that is hard to read."""

import io
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from refusing import refused

from benchmarks import noisy_references as noisy
from gradtts_interp.audio import read_audio, read_recording
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.signal import TRACKERS, Listener
from gradtts_interp.pitch import contour as pitch
from gradtts_interp.pitch.contour import extract_contour, prosody_vector, second_opinion
from gradtts_interp.styles import style_of_audio
from gradtts_interp.training.filelist import cached_features

ROOT = Path(__file__).resolve().parents[1]
MEL = MelConfig()
RATE = MEL.sample_rate_hz
FOREIGN = ("rms", "krb", "kal16")


def voice(f0_hz=150.0, seconds=1.0, *, level=0.1, harmonics=12):
    """Syllables of a voice-like tone, four a second."""
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * k * f0_hz * time) / k for k in range(1, harmonics + 1))
    return level * wave * (0.05 + np.clip(np.sin(2 * np.pi * 2 * time), 0, 1))


def speech(name):
    return read_audio(noisy.FOLDER / f"{name}.flac").double().numpy()


def read(samples, **options):
    return read_recording(np.asarray(samples, np.float32), source_rate_hz=RATE, **options)


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("condition", noisy.CONDITIONS)
def test_a_spoilt_recording_measures_as_the_clean_one(name, condition):
    found = noisy.deviations(speech(name), noisy.CONDITIONS[condition])
    assert (found <= noisy.LIMITS).all(), found


@pytest.mark.slow
def test_the_table_in_the_docs_is_what_the_script_prints():
    page = (ROOT / "docs" / "tutorials" / "recordings.rst").read_text(encoding="utf-8")
    assert noisy.table(noisy.recordings_of()) in page


@pytest.mark.parametrize("name", ["speaker_00", "speaker_05", "speaker_12"])
def test_clean_speech_measures_as_before(name):
    """The prosody statistics that checkpoints hold were measured without any preparation."""
    samples = read_audio(ROOT / "resources" / "references" / f"{name}.flac").double().numpy()
    f0_hz = pitch.track_f0(samples, MEL, tracker="dio", floor_hz=60.0, ceiling_hz=500.0)[1::2]
    log_f0 = np.log(f0_hz[f0_hz > 0])
    energy = pitch.frame_energy_db(samples, MEL)
    level, spread, energy_db, _ = prosody_vector(extract_contour(samples, MEL))
    assert level == pytest.approx(log_f0.mean(), abs=0.02)  # 0.06 of PROSODY_STD
    assert spread == pytest.approx(log_f0.std(), abs=0.015)
    assert energy_db == pytest.approx(energy[energy >= energy.max() - 30].mean(), abs=0.02)


class TestPreparation:
    def test_style_training_and_evaluation_measure_the_same(self, tmp_path):
        quiet_ends = np.pad(speech("rms"), RATE)
        path = tmp_path / "a.wav"
        soundfile.write(path, 0.05 + np.stack([quiet_ends, np.zeros_like(quiet_ends)], 1), RATE, subtype="FLOAT")
        style = style_of_audio(path, MEL)
        features = cached_features(path, MEL, tmp_path / "cache")
        assert features["contour"] == style.contour
        heard = Listener(MEL).read(path)  # keeps its time, since evaluation compares frame by frame
        assert heard.audio.shape == quiet_ends.shape and abs(heard.audio.mean()) < 1e-6
        assert (np.abs(prosody_vector(heard.contour) - style.prosody) <= noisy.LIMITS).all()

    def test_the_window_is_taken_from_speech(self):
        samples = np.concatenate([voice(150, 1.0), np.zeros(20 * RATE), voice(240, 9.5), np.zeros(5 * RATE)])
        style = style_of_audio(samples.astype(np.float32), MEL, sample_rate_hz=RATE)
        assert np.median(style.contour.f0_hz[style.contour.voiced]) == pytest.approx(240, rel=0.01)
        assert len(style.contour) == pytest.approx(8 * MEL.frame_rate_hz, abs=1)
        assert "of 35.5 s only 2" in style.notes[0]

    def test_short_speech_keeps_the_shortest_length(self):
        for before in (0, RATE):
            samples = np.pad(voice(150, 0.2), (before, RATE))
            assert len(read(samples, minimum_seconds=0.5).audio) >= 0.5 * RATE

    def test_silence_with_an_offset_is_silent(self):
        refused(read, (np.full(RATE, 0.1), "is silent"))


class TestChannels:
    def test_the_louder_channel_is_taken_as_it_is(self):
        samples = voice()
        for pair in ([0.1 * samples, samples], [samples, 0.1 * samples]):
            assert np.allclose(read_audio(np.stack(pair, 1), source_rate_hz=RATE), samples, atol=1e-6)

    def test_a_channel_of_loud_hum_is_not_the_better_one(self):
        samples, time = speech("krb"), np.arange(len(speech("krb"))) / RATE
        found = read_audio(np.stack([0.5 * np.sin(2 * np.pi * 50 * time), samples], 1), source_rate_hz=RATE)
        assert np.allclose(found, samples, atol=1e-6)

    def test_antiphase_and_strangers_are_told(self, caplog):
        samples = voice()
        opposed = np.stack([samples, -0.9 * samples], 1).astype(np.float32)
        (note,) = style_of_audio(opposed, MEL, sample_rate_hz=RATE).notes
        assert "channels 1 and 2 are in antiphase" in note and note == caplog.records[0].getMessage()
        assert "hold different sounds" in read(np.stack([samples, voice(211.0)], 1)).notes[0]
        assert all(read(np.stack([samples, level * samples], 1)).notes == () for level in (1.0, 0.8, 0.0))


class TestClipping:
    @pytest.mark.parametrize("ceiling", [1.0, 0.4])
    def test_clipped_recordings_are_noted_and_turned_down(self, ceiling):
        clipped = np.clip(12 * speech("kal16"), -ceiling, ceiling)
        recording = read(clipped)
        assert "it is clipped (" in recording.notes[0] and "turned down from" in recording.notes[0]
        level = 10 * np.log10(float(recording.audio.double().square().mean()))
        assert level == pytest.approx(-20, abs=0.1)
        whole = read(clipped, whole=True)
        assert "turned down" not in whole.notes[0] and float(whole.audio.abs().max()) > 0.8 * ceiling


class TestPitchNotes:
    @pytest.mark.parametrize("f0_hz", [45.0, 700.0, 900.0])
    def test_voices_outside_the_range_are_told(self, f0_hz):
        samples = voice(f0_hz, 2.0, harmonics=20 if f0_hz < 60 else 4).astype(np.float32)
        try:
            told = " ".join(style_of_audio(samples, MEL, sample_rate_hz=RATE).notes)
        except InputError as error:  # nothing was found in the range
            told = str(error)
        found = re.search(r"its F0 is about (\d+) Hz, outside the 60 to 500 Hz", told)
        assert found and float(found[1]) == pytest.approx(f0_hz, rel=0.05)

    def test_readers_that_differ_are_told_and_the_second_is_used(self):
        samples = voice(150.0, 2.0)
        contour = extract_contour(samples, MEL)
        assert second_opinion(samples, contour, MEL) == (contour, ())
        found, (note,) = second_opinion(samples, replace(contour, f0_hz=contour.f0_hz * 2), MEL)
        np.testing.assert_allclose(found.f0_hz[found.voiced], 150.0, rtol=5e-3)
        assert (found.voiced == contour.voiced).mean() > 0.9
        assert np.array_equal(found.energy_db, contour.energy_db)
        share, first, second = (float(n) for n in re.findall(r"\d+", note)[:3])
        assert note.startswith("two readers of pitch differ in ") and share > 90
        assert [first, second] == pytest.approx([300, 150], rel=0.05)

    @pytest.mark.parametrize("name", FOREIGN)
    def test_ordinary_voices_have_no_note(self, name, caplog):
        samples = speech(name)
        assert read(samples / np.abs(samples).max()).notes == ()  # loud, but not clipped
        assert style_of_audio(samples.astype(np.float32), MEL, sample_rate_hz=RATE).notes == ()
        assert not caplog.records


class TestPitchReader:
    def test_hum_between_words_is_not_voiced(self):
        samples = speech("rms")
        gap = np.concatenate([samples, np.zeros(2 * RATE), samples])
        contour = extract_contour(noisy.hum(gap, 120.0), MEL)
        inside = slice(int((len(samples) / RATE + 0.3) * MEL.frame_rate_hz), int((len(samples) / RATE + 1.7) * 86))
        assert not contour.voiced[inside].any()

    def test_a_step_of_pitch_is_no_slip(self):
        f0_hz = np.repeat([90.0, 200.0], RATE)
        phase = 2 * np.pi * np.cumsum(f0_hz) / RATE
        contour = extract_contour(0.1 * sum(np.sin(k * phase) / k for k in range(1, 12)), MEL)
        assert contour.voiced[5:-5].mean() > 0.95

    def test_energy_is_without_the_mean(self):
        samples = voice()
        offset = extract_contour(samples + 0.1, MEL).energy_db
        np.testing.assert_allclose(offset, extract_contour(samples, MEL).energy_db, atol=0.01)
        for method in ("pyin", "praat"):
            energy = TRACKERS[method](samples + 0.1, MEL, floor_hz=60.0, ceiling_hz=500.0).energy_db
            np.testing.assert_allclose(energy, offset, atol=0.01)


@pytest.fixture
def path(tmp_path):
    """A recording of 16 bits."""
    soundfile.write(tmp_path / "a.wav", voice().astype(np.float32), RATE, subtype="PCM_16")
    return tmp_path / "a.wav"


class TestSources:
    def test_files_in_memory_and_samples_are_the_file(self, path):
        of_file, whole_numbers = read_audio(path), soundfile.read(path, dtype="int16")[0]
        data = path.read_bytes()
        for source in (str(path), data, io.BytesIO(data)):
            assert torch.equal(read_audio(source), of_file)
        with path.open("rb") as file:
            assert torch.equal(read_audio(file), of_file)
        for samples in (of_file, of_file.numpy(), of_file.double(), whole_numbers, of_file[None], of_file[:, None]):
            assert torch.equal(read_audio(samples, source_rate_hz=RATE), of_file)
        unsigned = (whole_numbers.astype(int) + 32768).astype(np.uint16)
        assert torch.equal(read_audio(unsigned, source_rate_hz=RATE), of_file)

    def test_what_is_refused(self):
        refused(
            lambda source, rate_hz: read_audio(source, source_rate_hz=rate_hz),
            (np.zeros(9), None, r"samples of shape \(9,\): their rate is not known; expected sample_rate_hz"),
            (np.zeros(9), 0, r"samples of shape \(9,\) at 0 Hz; expected a rate > 0"),
            (np.zeros((2, 2, 2)), 8000, r"\(2, 2, 2\) of float64; expected numbers"),
            (np.array(["a"]), 8000, r"expected numbers \(N,\) or \(N, channels\)"),
            (np.zeros(0), 8000, "holds no samples"),
            (np.array([np.nan]), 8000, "1 of 1 samples are NaN"),
            (io.BytesIO(b"no sound"), None, "file in memory cannot be read as audio"),
            (3, None, "a int as a recording; expected a path, an open file or an array"),
            ("a.wav", 8000, "a.wav: a sample rate of 8000 Hz with a file"),
        )

    @pytest.mark.parametrize("sizes", [(0, 0), (36, 0), (0xFFFFFFFF, 0xFFFFFFFF)])
    def test_wavs_of_a_pipe_without_sizes(self, path, sizes):
        expected, data = read_audio(path), bytearray(path.read_bytes())
        at = data.index(b"data") + 4
        data[4:8], data[at : at + 4] = struct.pack("<I", sizes[0]), struct.pack("<I", sizes[1])
        path.write_bytes(data)
        assert torch.equal(read_audio(path), expected)
        assert torch.equal(read_audio(io.BytesIO(bytes(data))), expected)
