"""``evaluate contours``, ``pair`` and ``corpus``: good files, bad files, one clear message each."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speaking import RATE_HZ, harmonic_tone

from gradtts_interp.cli.main import main
from gradtts_interp.corpus.teacher import VOICES
from gradtts_interp.evaluation import comparison, intelligibility, signal
from gradtts_interp.evaluation.comparison import MEL
from gradtts_interp.evaluation.signal import Listener
from gradtts_interp.evaluation.textgrid import write_textgrid
from gradtts_interp.pitch.contour import extract_contour

ROOT = Path(__file__).parents[2]
FRAMES = RATE_HZ // 2 // 256


def tone(f0_hz, seconds=0.5):
    return harmonic_tone(f0_hz, seconds).numpy()


def noise(seconds=0.5):
    return np.random.default_rng(0).normal(0, 0.05, int(seconds * RATE_HZ)).astype(np.float32)


@pytest.fixture
def wavs(tmp_path):
    """Recordings of all kinds, good and bad."""
    made = {
        "low": (tone(150), RATE_HZ),
        "high": (tone(150 * 2 ** (3 / 12)), RATE_HZ),
        "middle": (tone(150 * 2 ** (1.5 / 12)), RATE_HZ),
        "long": (tone(150, 0.8), RATE_HZ),
        "whisper": (noise(), RATE_HZ),
        "telephone": (tone(150)[:: RATE_HZ // 11025], 11025),
        "empty": (np.zeros(0, np.float32), RATE_HZ),
        "silent": (np.zeros(RATE_HZ // 2, np.float32), RATE_HZ),
        "nan": (np.where(np.arange(RATE_HZ // 2) == 99, np.nan, tone(150)).astype(np.float32), RATE_HZ),
        "short": (tone(150, 0.02), RATE_HZ),
    }
    for name, (samples, rate) in made.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, rate, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    return tmp_path


@pytest.fixture
def run(wavs, command):
    """Run a command in this process; exit status, summary (None without one) and stderr. Files are named by stem."""

    def run_command(name, *arguments):
        arguments = [wavs / f"{a}.wav" if (wavs / f"{a}.wav").exists() else a for a in map(str, arguments)]
        without = ("--speaker-encoder", "none", "--vocoder", "none")
        status, out, err = command("evaluate", name, *without, *arguments, "--out", wavs / "out", "--json")
        return status, json.loads(out) if out.strip() else None, err

    return run_command


def cells(summary):
    """Means by condition and measure."""
    return {
        line["name"]: {key: cell and cell["mean"] for key, cell in line["cells"].items()}
        for line in summary["tables"][0]["lines"]
    }


def line_of(summary, name):
    """The one line of a condition."""
    (line,) = [line for line in summary["tables"][0]["lines"] if line["name"] == name]
    return line


def test_contours_of_a_tone_three_semitones_higher(run, wavs):
    status, summary, _ = run("contours", "low", "high")
    assert status == 0
    found = cells(summary)
    assert found["synthesis"]["f0_mean_cents"] == pytest.approx(300, abs=5)
    assert found["synthesis"]["coverage"] > 0.9
    assert found["reference with itself"]["f0_rms_cents"] == 0 and found["reference with itself"]["mcd_db"] == 0
    names = {p.name for p in (wavs / "out").iterdir()}
    assert {"report.html", "results.csv", "results.jsonl", "summary.json"} <= names
    with (wavs / "out" / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["condition"] for row in rows] == ["synthesis", "reference with itself"]
    assert rows[0]["alignment"] == "none"
    page = (wavs / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 2 and "http://" not in page and "https://" not in page


def test_other_rates_and_unvoiced_files_are_measured_and_it_is_said(run):
    status, summary, err = run("contours", "low", "telephone")
    assert status == 0 and abs(cells(summary)["synthesis"]["f0_mean_cents"]) < 10
    assert "resampled from 11025 to 22050 Hz; nothing above 5512 Hz is in it" in err
    status, summary, err = run("contours", "low", "whisper")
    assert status == 0 and "no voiced frame" in err
    found = cells(summary)["synthesis"]
    assert found["f0_rms_cents"] is None and found["mcd_db"] > 1 and found["coverage"] == 0
    assert run("contours", "whisper", "whisper")[0] == 0


def test_a_few_voiced_frames_are_chance(monkeypatch):
    found = extract_contour(tone(150), MEL)
    stray = replace(found, voiced=np.arange(len(found)) == 7)
    monkeypatch.setattr(signal, "track_f0", lambda *args, **options: stray)
    heard = Listener(MEL).hear(noise(), "hiss")
    assert not heard.contour.voiced.any()
    assert "hiss: no voiced frame was found but 1, which is chance" in heard.notes[0]


def test_lengths_that_differ_are_warped_or_refused(run, wavs):
    status, summary, _ = run("contours", "low", "long")
    assert status == 0 and abs(cells(summary)["synthesis"]["f0_mean_cents"]) < 20
    assert '"alignment": "dtw"' in (wavs / "out" / "results.jsonl").read_text()
    for align, words in (("none", "frames differ"), ("phones", "alignment by phones needs TextGrids")):
        status, summary, err = run("contours", "low", "long", "--align", align)
        assert status == 2 and words in err and summary is None


def test_missing_textgrids_are_told_and_the_rest_is_measured(run, wavs):
    status, summary, err = run("contours", "low", "high", "--textgrid")
    assert status == 0 and "low.TextGrid" in err and "measured without phone times" in err
    assert cells(summary)["synthesis"]["f0_mean_cents"] == pytest.approx(300, abs=5)


@pytest.mark.parametrize(
    ("name", "words"),
    [("empty", "holds no samples"), ("short", "expected at least 0.1 s"), ("text", "cannot be read as audio")],
)
def test_files_that_cannot_be_measured(run, wavs, name, words):
    status, summary, err = run("contours", "low", name)
    assert status == 2 and summary is None
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: nothing could be measured") and f"{name}.wav" in last and words in last
    assert err.count(words) == 1, "told twice"
    assert not (wavs / "out" / "results.csv").exists()


def test_a_corpus_with_bad_files_is_measured_without_them(run, wavs):
    lines = [
        {"id": "good", "reference": "low.wav", "synthesis": "high.wav", "speaker": "s"},
        {
            "id": "again",
            "reference": "low.wav",
            "synthesis": "low.wav",
            "speaker": "s",
            "reference_textgrid": "no.grid",
        },
        {"id": "other", "reference": "high.wav", "synthesis": "high.wav", "speaker": "t"},
        *({"id": name, "reference": "low.wav", "synthesis": f"{name}.wav"} for name in ("empty", "nan", "none")),
    ]
    manifest = wavs / "pairs.jsonl"
    text = "\n".join(json.dumps(line) for line in lines)
    manifest.write_text(text + '\nnot json\n{"id": "good", "reference": "low.wav", "synthesis": "low.wav"}\n')
    status, summary, err = run("corpus", manifest, "-j", 1)
    assert status == 1
    assert summary["measured"] == 3 and len(summary["failed"]) == 5
    told = "\n".join(failure["error"] for failure in summary["failed"])
    for words in ("line 7: no JSON", "line 8: id 'good'", "holds no samples", "NaN", "no such audio file"):
        assert words in told and words in err
    assert "-j" in run("corpus", manifest, "-j", 0)[2]
    assert "no.grid cannot be read" in err and "measured without phone times" in err
    line = line_of(summary, "synthesis")
    assert line["n"] == 3 and line["cells"]["f0_mean_cents"]["mean"] == pytest.approx(100, abs=5)
    found = cells(summary)
    assert {"another utterance of the speaker (DTW)", "another speaker (DTW)"} <= set(found)
    assert found["another speaker (DTW)"]["f0_mean_cents"] != 0
    before = {p: p.stat().st_mtime_ns for p in (wavs / "out" / "items").iterdir()}
    status, again, _ = run("corpus", manifest, "-j", 1)
    assert status == 1 and again["tables"] == summary["tables"]
    after = {p: p.stat().st_mtime_ns for p in (wavs / "out" / "items").iterdir()}
    assert sum(after[p] != before[p] for p in before) == 3, "only what failed is tried again"


def load_parrot(path, **options):
    """A recogniser that hears one thing."""
    assert options == {"language": "en", "device": "cpu"}
    return lambda audio, sample_rate_hz: "TWO CATS"


@pytest.fixture
def whisper(wavs, monkeypatch):
    """Folder of a recogniser."""
    (wavs / "recogniser").mkdir()
    (wavs / "recogniser" / "config.json").write_text("{}")
    monkeypatch.setattr(intelligibility.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr("gradtts_interp.cli.evaluate_shared.metadata.version", lambda name: "5")
    monkeypatch.setattr(intelligibility, "load_recogniser", load_parrot)
    return wavs / "recogniser"


def test_words_of_a_corpus_are_recognised_where_there_is_a_text(run, wavs, whisper):
    lines = [
        {"id": "right", "reference": "low.wav", "synthesis": "high.wav", "text": "2 cats."},
        {"id": "half", "reference": "low.wav", "synthesis": "low.wav", "text": "Two dogs."},
        {"id": "mute", "reference": "low.wav", "synthesis": "low.wav"},
        {"id": "dots", "reference": "low.wav", "synthesis": "low.wav", "text": "..."},
    ]
    (wavs / "m.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    status, summary, err = run("corpus", wavs / "m.jsonl", "-j", 1, "--recogniser", whisper)
    assert status == 0
    line = line_of(summary, "synthesis")
    rates = {key: line["cells"][key] for key in ("word_error_rate", "character_error_rate", "f0_mean_cents")}
    assert rates["word_error_rate"]["mean"] == pytest.approx(0.25) and rates["word_error_rate"]["n"] == 2
    assert rates["character_error_rate"]["mean"] == pytest.approx(3 / 8 / 2) and rates["f0_mean_cents"]["n"] == 4
    assert cells(summary)["reference with itself"]["word_error_rate"] == pytest.approx(0.25)
    assert err.count("mute: no text; measured without intelligibility") == 1
    assert "dots: the text has no words to be heard; measured without intelligibility" in err
    assert "transformers 5)" in summary["facts"]["recognisers"]
    status, _, err = run("corpus", wavs / "m.jsonl", "-j", 1)
    assert status == 2 and "recognisers" in err and "--restart" in err, "another recogniser is another run"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--speaker-encoder", "."], ". holds no config.json; expected the folder of a speaker encoder, or none"),
        (["--vocoder", "nowhere"], "nowhere holds no config.json; expected the folder of a vocoder, or none"),
        (["--floor", "600"], "F0 range 600 to 500 Hz; expected 20 <= floor < ceiling <= 5512.5"),
        (["--recogniser", "nowhere"], "nowhere: no such folder; expected that of a model on this machine"),
        (["--recogniser", "."], "holds no config.json"),
        (["--recogniser", "pocketsphinx", "--no-recogniser"], "expected one of them"),
    ],
)
def test_flags_that_name_nothing_are_told_before_files_are_read(run, wavs, flags, words):
    status, _, err = run("contours", "low", "high", *flags)
    assert status == 2 and words in err and "nothing could be measured" not in err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", "", "holds no line"),
        ("no.csv", "id,reference\na,low.wav\n", "no synthesis; expected the field"),
        ("none.csv", None, "cannot be read"),
        ("text.wav", None, "expected a manifest"),
    ],
)
def test_manifests_that_hold_nothing(run, wavs, name, content, words):
    if content is not None:
        (wavs / name).write_text(content)
    status, _, err = run("corpus", wavs / name)
    assert status == 2 and words in err


def test_a_manifest_in_csv_with_a_folder_of_syntheses(run, wavs):
    (wavs / "m.tsv").write_text("id\treference\nhigh\tlow.wav\n")
    status, summary, _ = run("corpus", wavs / "m.tsv", "--synthesis", wavs, "-j", 1)
    assert status == 0 and cells(summary)["synthesis"]["f0_mean_cents"] == pytest.approx(300, abs=5)


def test_a_pair_is_half_way(run, wavs):
    np.savez(wavs / "map.npz", share=np.full((80, FRAMES), 0.5))
    files = ("low", "high", "middle")
    status, summary, _ = run("pair", *files, "--share", wavs / "map.npz")
    assert status == 0
    found = cells(summary)
    assert found["blend"]["f0_share"] == pytest.approx(0.5, abs=0.02)
    assert found["blend"]["f0_control_error"] < 0.1
    assert found["blend"]["voicing_kept"] > 0.9 and found["A with itself"]["voicing_kept"] == 1
    assert found["A with itself"]["f0_share"] == 0 and found["B (range)"]["f0_share"] == 1
    assert found["B (range)"]["f0_rms_to_a"] == pytest.approx(300, abs=5)
    assert (wavs / "out" / "report.html").read_text(encoding="utf-8").count("<audio") == 3
    status, summary, err = run("pair", "low", "high", "whisper", "--weight", 0.5)  # no voice is left in this blend
    found = cells(summary)["blend"]
    assert status == 0 and found["voicing_kept"] == 0 and found["f0_share"] is None and "no voiced frame" in err


def test_phones_of_a_pair_are_drawn(run, wavs, monkeypatch):
    drawn, draw = [], comparison.utterance_figure

    def watched(*args, phones, **options):
        drawn.append([name for name, _, _ in phones])
        return draw(*args, phones=phones, **options)

    monkeypatch.setattr(comparison, "utterance_figure", watched)
    tiers = {"phones": (("", 0.0, 0.1), ("AA", 0.1, 0.3), ("M", 0.3, 0.5))}
    write_textgrid(wavs / "p.TextGrid", tiers)
    files = ("low", "high", "middle")
    status, summary, err = run("pair", *files, "--weight", 0.5, "--textgrid", wavs / "p.TextGrid")
    assert status == 0 and drawn == [["", "AA", "M"]] and "note" not in err
    write_textgrid(wavs / "q.TextGrid", tiers, seconds=0.7)
    status, _, err = run("pair", *files, "--weight", 0.5, "--textgrid", wavs / "q.TextGrid")
    assert status == 2 and "q.TextGrid ends at 0.70 s" in err and "middle.wav at 0.50 s" in err
    status, again, err = run("pair", *files, "--weight", 0.5, "--textgrid", wavs / "none.TextGrid")
    assert status == 0 and drawn[1:] == [[]] and again["tables"] == summary["tables"]
    assert "none.TextGrid cannot be read" in err and "measured without phone times" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weight", "2"], "expected a number from 0 to 1"),
        (["--share", "none.npy"], "cannot be read"),
        (["--share", "wrong.npy"], "expected (frames,) or (bins, frames), numbers in [0, 1]"),
        (["--share", "short.npy"], "share map of 3 frames"),
        (["--weight", "0.5"], "render A, B and the blend with the same durations"),  # of which B is longer
    ],
)
def test_shares_and_lengths_that_do_not_fit(run, wavs, arguments, words):
    np.save(wavs / "wrong.npy", np.full(FRAMES, 1.5))
    np.save(wavs / "short.npy", np.full(3, 0.5))
    arguments = [str(wavs / a) if a.endswith(".npy") else a for a in arguments]
    b = "long" if "0.5" in arguments else "high"
    status, _, err = run("pair", "low", b, "middle", *arguments)
    assert status == 2 and words in err


def classify_age(audio, sample_rate_hz):
    """A classifier of age that hears nothing but the pitch."""
    assert sample_rate_hz == RATE_HZ and audio.ndim == 1
    return {"child": 0.25, "adult": 0.75}


def test_voices_are_described(wavs, capsys, monkeypatch):
    pytest.importorskip("parselmouth")
    monkeypatch.setattr("gradtts_interp.cli.evaluate.load_classifier", lambda path, device: classify_age)
    (wavs / "age").mkdir()
    files = [str(wavs / f"{name}.wav") for name in ("low", "whisper", "silent")]
    argv = ["evaluate", "voice", *files, "--classifier", str(wavs / "age"), "--out", str(wavs / "out"), "--json"]
    assert main([*argv, "--speaker-encoder", "none"]) == 1
    out, err = capsys.readouterr()
    summary = json.loads(out)
    low, whisper = summary["tables"][0]["lines"]
    assert low["name"] == "low.wav" and low["cells"]["f0_hz"]["mean"] == pytest.approx(150, rel=0.02)
    assert low["cells"]["tract_cm"] is not None and low["cells"]["age: adult"]["mean"] == 0.75
    assert whisper["cells"]["f0_hz"] is None and "F0 and vocal tract are left out" in err
    assert [failure["item"] for failure in summary["failed"]] == [files[2]]
    assert (wavs / "out" / "report.html").is_file()


def test_the_encoder_says_which_voice_is_nearest(wavs, capsys):
    argv = ["evaluate", "voice", str(wavs / "low.wav"), "--out", str(wavs / "out"), "--json", "--no-report"]
    encoder = str(ROOT / "checkpts" / "speaker-demo")
    assert main([*argv, "--speaker-encoder", encoder]) == 0
    cells = json.loads(capsys.readouterr().out)["tables"][0]["lines"][0]["cells"]
    assert 0 <= cells["female"]["mean"] <= 1 and 0.5 < cells["formant_factor"]["mean"] < 2
    with (wavs / "out" / "results.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["base"] in VOICES and row["speaker"].isdigit()
