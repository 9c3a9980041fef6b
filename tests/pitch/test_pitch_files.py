"""F0 as files: what is written is read, what Praat writes is read, and what is no pitch is refused by name."""

import io
import math
import sys

import numpy as np
import pytest
from refusing import refused

from gradtts_interp.errors import InputError
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.pitch.files import LARGEST_FILE_BYTES, PitchCurve, curve_of_contour, read_pitch, write_pitch

TIMES = np.array([0.1, 0.25, 0.5, 0.7])
HZ = np.array([120.0, 150.5, 99.0, 180.25])
VOICED = np.array([True, True, False, True])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.npz", "a.npy"])
@pytest.mark.parametrize("voiced", [None, VOICED])
def test_what_is_written_is_read(name, voiced, tmp_path):
    write_pitch(tmp_path / name, PitchCurve(TIMES, HZ, "hz", voiced))
    found = read_pitch(tmp_path / name)
    assert found.unit == "hz"
    np.testing.assert_allclose(found.times_seconds, TIMES)
    chosen = np.ones(4, bool) if voiced is None else voiced
    np.testing.assert_allclose(found.values[chosen], HZ[chosen])
    if voiced is not None:
        assert found.voiced.tolist() == VOICED.tolist()


@pytest.mark.parametrize("name", ["a.csv", "a.npz"])
def test_semitones_may_be_zero(name, tmp_path):
    write_pitch(tmp_path / name, PitchCurve(TIMES, np.array([0.0, 2.0, -3.5, 0.0]), "semitones"))
    found = read_pitch(tmp_path / name)
    assert found.unit == "semitones" and found.voiced is None
    np.testing.assert_allclose(found.values, [0, 2, -3.5, 0])


# -- Praat -----------------------------------------------------------------------------------------------------------


def test_a_tier_that_we_write_is_read_as_praat_reads_it(tmp_path):
    parselmouth = pytest.importorskip("parselmouth")
    path = tmp_path / "a.PitchTier"
    write_pitch(path, PitchCurve(TIMES, HZ, "hz", VOICED))
    tier, call = parselmouth.read(str(path)), parselmouth.praat.call
    points = [(call(tier, "Get time from index", i), call(tier, "Get value at index", i)) for i in (1, 2, 3)]
    np.testing.assert_allclose(points, np.stack([TIMES, HZ], 1)[VOICED])
    assert call(tier, "Get end time") == TIMES[-1]
    np.testing.assert_allclose(read_pitch(path).values, HZ[VOICED])


@pytest.mark.parametrize("kind", ["text", "short text", "binary", "PitchTier spreadsheet"])
def test_every_format_of_a_tier_is_read(kind, tmp_path):
    praat = pytest.importorskip("parselmouth.praat")
    tier = praat.call("Create PitchTier", "p", 0.0, 1.0)
    for time, hz in zip(TIMES, HZ, strict=True):
        praat.call(tier, "Add point", time, hz)
    praat.call(tier, f"Save as {kind} file", str(tmp_path / "a.PitchTier"))
    found = read_pitch(tmp_path / "a.PitchTier")
    np.testing.assert_allclose(found.times_seconds, TIMES, rtol=1e-6)
    np.testing.assert_allclose(found.values, HZ, rtol=1e-6)


def test_a_pitch_object_has_voicing(tmp_path):
    parselmouth = pytest.importorskip("parselmouth")
    time = np.arange(16000) / 16000
    wave = np.where(time < 0.5, np.sin(2 * np.pi * 200 * time), 0.0)
    parselmouth.Sound(wave, 16000).to_pitch().save(str(tmp_path / "a.Pitch"))
    found = read_pitch(tmp_path / "a.Pitch")
    assert found.voiced.any() and not found.voiced.all()
    assert np.median(found.values[found.voiced]) == pytest.approx(200, rel=0.01)


def test_without_parselmouth_an_error_says_what_to_install(tmp_path, monkeypatch):
    write_pitch(tmp_path / "a.PitchTier", PitchCurve(TIMES, HZ))
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    refused(read_pitch, (tmp_path / "a.PitchTier", r"pip install 'gradtts-interp\[eval\]"))


# -- other programs' files, and what is none -------------------------------------------------------------------------


def test_csv_of_other_programs(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufeffTime; F0\n0.1; 100\n0.2; --undefined--\n0.3; 120\n".encode())
    found = read_pitch(tmp_path / "a.csv")
    assert found.voiced.tolist() == [True, False, True] and found.values[2] == 120


def test_a_row_of_frames(tmp_path):
    np.save(tmp_path / "a.npy", np.array([0.0, 100.0, np.nan, 200.0]))
    found = read_pitch(tmp_path / "a.npy", frame_rate_hz=100)
    np.testing.assert_allclose(found.times_seconds, [0.005, 0.015, 0.025, 0.035])
    assert found.voiced.tolist() == [False, True, False, True]


def saved(array, **options) -> bytes:
    """A NumPy file of an array; an archive where it has a name."""
    file = io.BytesIO()
    np.savez(file, **array) if isinstance(array, dict) else np.save(file, array, **options)
    return file.getvalue()


HEAD = 'File type = "ooTextFile"\nObject class = "PitchTier"\n\n0\n1\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.csv", "", "columns none; expected time_s and f0_hz or semitones"),
        ("bad.csv", "a,b\n1,2\n", "columns a, b; expected time_s"),
        ("bad.csv", "time_s,f0_hz\nx,100\n", "line 2: time 'x' is no number"),
        ("bad.csv", "time_s,f0_hz\n0.1,high\n", "line 2: f0_hz 'high' is no number"),
        ("bad.csv", "time_s,f0_hz\n0.2,100\n0.1,100\n", "do not rise"),
        ("bad.csv", "time_s,f0_hz\n-1,100\n", "negative"),
        ("bad.csv", "time_s,f0_hz\n0.1,-5\n", "pitch of -5 hz; expected 20 to 2000"),
        ("bad.csv", "time_s,semitones\n0.1,99\n", "pitch of 99 semitones; expected -36 to 36"),
        ("bad.csv", "time_s,f0_hz\n0.1,0\n", "without a voiced point"),
        ("bad.txt", "", "expected a pitch file"),
        ("bad.npy", saved(np.zeros((2, 3))), r"array of shape \(2, 3\)"),
        ("bad.npy", saved(np.array(["a"])), "no array of numbers"),
        ("bad.npy", "junk", "no NumPy file of numbers"),
        ("bad.npy", saved(np.array([{}], dtype=object), allow_pickle=True), "no NumPy file of numbers"),
        ("bad.npz", saved({"pitch": np.ones(3)}), "arrays pitch; expected f0_hz or semitones"),
        ("bad.PitchTier", "nothing", "no PitchTier: it does not begin as one"),
        ("bad.PitchTier", HEAD + "2\n0.1\n", "cannot be read as a PitchTier"),
        ("bad.PitchTier", HEAD + "1\n0.1\n5000\n", "pitch of 5000 hz"),
        ("bad.PitchTier", HEAD + "0\n", r"one shape \(n,\) with n > 0"),
        (
            "bad.PitchTier",
            HEAD.replace("Pitch", "Intensity") + '1\n0.1\n60\n "Pitch"',
            "holds a IntensityTier; expected",
        ),
        ("none.csv", None, " cannot be read"),
    ],
)
def test_bad_files_are_named(name, content, message, tmp_path):
    if name == "bad.PitchTier":
        pytest.importorskip("parselmouth")
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=f"{name}.*{message}"):
        read_pitch(tmp_path / name)


def test_what_a_file_cannot_hold_is_neither_read_nor_written(tmp_path):
    refused(
        lambda name, unit: write_pitch(tmp_path / name, PitchCurve(TIMES, np.full(4, 30.0), unit)),
        ("a.txt", "hz", "expected a name in .csv"),
        ("a.PitchTier", "semitones", "it would hold semit"),
        ("a.npy", "semitones", "it would hold semit"),
    )
    assert not list(tmp_path.iterdir())
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)
    refused(read_pitch, (tmp_path / "large.csv", "larger than"))


# -- curves ----------------------------------------------------------------------------------------------------------


def test_hz_are_interpolated_in_octaves_over_unvoiced_points_and_held_at_the_ends():
    values, voiced = PitchCurve(np.array([0.1, 0.3]), np.array([100.0, 400.0])).on_frames(5, 10)
    np.testing.assert_allclose(values, [100, 100 * 4**0.25, 100 * 4**0.75, 400, 400])
    assert voiced is None
    times, values, voiced = np.array([[0.05, 0.15, 0.25], [100.0, np.nan, 400.0], [1, 0, 1]])
    values, voiced = PitchCurve(times, values, "hz", voiced > 0).on_frames(3, 10)
    np.testing.assert_allclose(values, [100, 200, 400])
    assert voiced.tolist() == [True, False, True]


def test_a_contour_comes_back_on_its_own_frames():
    f0_hz, voiced = np.linspace(100, 200, 20).astype(np.float32), np.arange(20) % 3 > 0
    found, said = curve_of_contour(Contour(f0_hz, voiced, np.zeros(20, np.float32), 86.0)).on_frames(20, 86.0)
    np.testing.assert_allclose(found[voiced], f0_hz[voiced], rtol=1e-6)
    assert said.tolist() == voiced.tolist()


def test_what_is_no_curve():
    refused(
        lambda times, values, unit: PitchCurve(np.array(times), np.array(values), unit),
        ([0.1, 0.2], [100.0], "hz", r"expected one shape \(n,\)"),
        ([0.1], [100.0], "cents", "pitch in 'cents'"),
        ([math.nan], [100.0], "hz", "not finite"),
        ([0.1], [math.nan], "hz", "pitch of nan"),
    )
