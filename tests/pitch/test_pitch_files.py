"""F0 as files: what is written is read, what Praat writes is read, and what is no pitch is refused by name."""

import math

import numpy as np
import pytest

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


class TestPraat:
    def test_reads_what_we_write_as_we_do(self, tmp_path):
        parselmouth = pytest.importorskip("parselmouth")
        path = tmp_path / "a.PitchTier"
        write_pitch(path, PitchCurve(TIMES, HZ, "hz", VOICED))
        tier = parselmouth.read(str(path))
        call = parselmouth.praat.call
        points = [(call(tier, "Get time from index", i), call(tier, "Get value at index", i)) for i in (1, 2, 3)]
        np.testing.assert_allclose(points, np.stack([TIMES, HZ], 1)[VOICED])
        assert call(tier, "Get end time") == TIMES[-1]
        np.testing.assert_allclose(read_pitch(path).values, HZ[VOICED])

    @pytest.mark.parametrize(
        "save", ["text", "short text", "binary", "PitchTier spreadsheet"], ids=lambda s: s.replace(" ", "_")
    )
    def test_every_format_of_a_tier_is_read(self, save, tmp_path):
        praat = pytest.importorskip("parselmouth.praat")
        tier = praat.call("Create PitchTier", "p", 0.0, 1.0)
        for time, hz in zip(TIMES, HZ, strict=True):
            praat.call(tier, "Add point", time, hz)
        praat.call(tier, f"Save as {save} file", str(tmp_path / "a.PitchTier"))
        found = read_pitch(tmp_path / "a.PitchTier")
        np.testing.assert_allclose(found.times_seconds, TIMES, rtol=1e-6)
        np.testing.assert_allclose(found.values, HZ, rtol=1e-6)

    def test_a_pitch_object_has_voicing(self, tmp_path):
        parselmouth = pytest.importorskip("parselmouth")
        time = np.arange(16000) / 16000
        wave = np.where(time < 0.5, np.sin(2 * np.pi * 200 * time), 0.0)
        parselmouth.Sound(wave, 16000).to_pitch().save(str(tmp_path / "a.Pitch"))
        found = read_pitch(tmp_path / "a.Pitch")
        assert found.voiced.any() and not found.voiced.all()
        assert np.median(found.values[found.voiced]) == pytest.approx(200, rel=0.01)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("nothing", "no PitchTier: it does not begin as one"),
            ('File type = "ooTextFile"\nObject class = "PitchTier"\n\n0\n1\n2\n0.1\n', "cannot be read as a PitchTier"),
            ('File type = "ooTextFile"\nObject class = "PitchTier"\n\n0\n1\n1\n0.1\n5000\n', "pitch of 5000 hz"),
            ('File type = "ooTextFile"\nObject class = "PitchTier"\n\n0\n1\n0\n', r"one shape \(n,\) with n > 0"),
            (
                'File type = "ooTextFile"\nObject class = "IntensityTier"\n\n0\n1\n1\n0.1\n60\n "Pitch"',
                "holds a IntensityTier; expected a PitchTier",
            ),
        ],
    )
    def test_bad_tiers_are_named(self, content, message, tmp_path):
        pytest.importorskip("parselmouth")
        path = tmp_path / "bad.PitchTier"
        path.write_text(content)
        with pytest.raises(InputError, match=f"bad.PitchTier.*{message}"):
            read_pitch(path)

    def test_without_parselmouth_an_error_says_what_to_install(self, tmp_path, monkeypatch):
        write_pitch(tmp_path / "a.PitchTier", PitchCurve(TIMES, HZ))
        monkeypatch.setitem(__import__("sys").modules, "parselmouth", None)
        with pytest.raises(InputError, match=r"pip install gradtts-interp\[eval\]"):
            read_pitch(tmp_path / "a.PitchTier")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "columns none; expected time_s and f0_hz or semitones"),
        ("a,b\n1,2\n", "columns a, b; expected time_s"),
        ("time_s,f0_hz\nx,100\n", "line 2: time 'x' is no number"),
        ("time_s,f0_hz\n0.1,high\n", "line 2: f0_hz 'high' is no number"),
        ("time_s,f0_hz\n0.2,100\n0.1,100\n", "do not rise"),
        ("time_s,f0_hz\n-1,100\n", "negative"),
        ("time_s,f0_hz\n0.1,-5\n", "pitch of -5 hz; expected 20 to 2000"),
        ("time_s,semitones\n0.1,99\n", "pitch of 99 semitones; expected -36 to 36"),
        ("time_s,f0_hz\n0.1,0\n", "without a voiced point"),
    ],
)
def test_bad_csv_is_named(content, message, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=f"bad.csv.*{message}"):
        read_pitch(path)


def test_csv_of_other_programs(tmp_path):
    (tmp_path / "a.csv").write_bytes("\ufeffTime; F0\n0.1; 100\n0.2; --undefined--\n0.3; 120\n".encode())
    found = read_pitch(tmp_path / "a.csv")
    assert found.voiced.tolist() == [True, False, True] and found.values[2] == 120


def test_other_files_are_refused(tmp_path):
    for name, message in (("a.txt", "expected a pitch file"), ("none.csv", "none.csv cannot be read")):
        with pytest.raises(InputError, match=message):
            read_pitch(tmp_path / name)
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)
    with pytest.raises(InputError, match="larger than"):
        read_pitch(tmp_path / "large.csv")


class TestNumpy:
    def test_a_row_of_frames(self, tmp_path):
        np.save(tmp_path / "a.npy", np.array([0.0, 100.0, np.nan, 200.0]))
        found = read_pitch(tmp_path / "a.npy", frame_rate_hz=100)
        np.testing.assert_allclose(found.times_seconds, [0.005, 0.015, 0.025, 0.035])
        assert found.voiced.tolist() == [False, True, False, True]

    @pytest.mark.parametrize(
        ("save", "message"),
        [
            (lambda p: np.save(p, np.zeros((2, 3))), r"array of shape \(2, 3\)"),
            (lambda p: np.save(p, np.array(["a"])), "no array of numbers"),
            (lambda p: p.write_bytes(b"junk"), "no NumPy file of numbers"),
            (lambda p: np.save(p, np.array([{}], dtype=object), allow_pickle=True), "no NumPy file of numbers"),
        ],
    )
    def test_bad_arrays_are_named(self, save, message, tmp_path):
        save(tmp_path / "bad.npy")
        with pytest.raises(InputError, match=f"bad.npy.*{message}"):
            read_pitch(tmp_path / "bad.npy")

    def test_an_archive_needs_a_name(self, tmp_path):
        np.savez(tmp_path / "bad.npz", pitch=np.ones(3))
        with pytest.raises(InputError, match=r"bad.npz.*arrays pitch; expected f0_hz or semitones"):
            read_pitch(tmp_path / "bad.npz")


class TestWriting:
    def test_another_suffix(self, tmp_path):
        with pytest.raises(InputError, match="expected a name in .csv"):
            write_pitch(tmp_path / "a.txt", PitchCurve(TIMES, HZ))

    @pytest.mark.parametrize("name", ["a.PitchTier", "a.npy"])
    def test_semitones_have_no_place_in_hz(self, name, tmp_path):
        with pytest.raises(InputError, match="it would hold semitones"):
            write_pitch(tmp_path / name, PitchCurve(TIMES, np.ones(4), "semitones"))
        assert not list(tmp_path.iterdir())


class TestCurve:
    def test_hz_are_interpolated_in_octaves_and_held_at_the_ends(self):
        values, voiced = PitchCurve(np.array([0.1, 0.3]), np.array([100.0, 400.0])).on_frames(5, 10)
        np.testing.assert_allclose(values, [100, 100 * 4**0.25, 100 * 4**0.75, 400, 400])
        assert voiced is None

    def test_unvoiced_points_are_bridged_and_voicing_is_the_nearest_point_s(self):
        curve = PitchCurve(
            np.array([0.05, 0.15, 0.25]), np.array([100.0, np.nan, 400.0]), "hz", np.array([True, False, True])
        )
        values, voiced = curve.on_frames(3, 10)
        np.testing.assert_allclose(values, [100, 200, 400])
        assert voiced.tolist() == [True, False, True]

    def test_a_contour_comes_back_on_its_own_frames(self):
        contour = Contour(
            np.linspace(100, 200, 20).astype(np.float32), np.arange(20) % 3 > 0, np.zeros(20, np.float32), 86.0
        )
        values, voiced = curve_of_contour(contour).on_frames(20, 86.0)
        np.testing.assert_allclose(values[contour.voiced], contour.f0_hz[contour.voiced], rtol=1e-6)
        assert voiced.tolist() == contour.voiced.tolist()

    @pytest.mark.parametrize(
        ("times", "values", "unit", "message"),
        [
            ([0.1, 0.2], [100.0], "hz", r"expected one shape \(n,\)"),
            ([0.1], [100.0], "cents", "pitch in 'cents'"),
            ([math.nan], [100.0], "hz", "not finite"),
            ([0.1], [math.nan], "hz", "pitch of nan"),
        ],
    )
    def test_what_is_no_curve(self, times, values, unit, message):
        with pytest.raises(InputError, match=message):
            PitchCurve(np.array(times), np.array(values), unit)
