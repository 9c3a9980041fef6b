"""``evaluate contours``, ``pair``, ``corpus`` and ``voice``: good files, bad files, one clear message each."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speaking import RATE_HZ, harmonic_tone

from gradtts_interp.corpus.teacher import VOICES
from gradtts_interp.evaluation import comparison, intelligibility, signal
from gradtts_interp.evaluation.comparison import MEL
from gradtts_interp.evaluation.signal import Listener
from gradtts_interp.evaluation.textgrid import write_textgrid
from gradtts_interp.pitch.contour import extract_contour

ENCODER = Path(__file__).parents[2] / "checkpts" / "speaker-demo"
FRAMES = RATE_HZ // 2 // 256
NOISE = np.random.default_rng(0).normal(0, 0.05, RATE_HZ // 2).astype(np.float32)


def tone(f0_hz, seconds=0.5):
    return harmonic_tone(f0_hz, seconds).numpy()


@pytest.fixture
def wavs(tmp_path):
    """Recordings of all kinds, good and bad."""
    made = {
        "low": tone(150),
        "high": tone(150 * 2 ** (3 / 12)),
        "middle": tone(150 * 2 ** (1.5 / 12)),
        "long": tone(150, 0.8),
        "whisper": NOISE,
        "empty": np.zeros(0, np.float32),
        "silent": np.zeros(RATE_HZ // 2, np.float32),
        "nan": np.where(np.arange(RATE_HZ // 2) == 99, np.nan, tone(150)).astype(np.float32),
        "short": tone(150, 0.02),
    }
    for name, samples in made.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "telephone.wav", tone(150)[:: RATE_HZ // 11025], 11025, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    return tmp_path


@pytest.fixture
def run(wavs, command):
    """Run a command in this process; exit status, summary (None without one) and stderr. Files are named by stem."""

    def run_command(name, *arguments, encoder="none"):
        arguments = [wavs / f"{a}.wav" if (wavs / f"{a}.wav").exists() else a for a in map(str, arguments)]
        without = ("--speaker-encoder", encoder, *(() if name == "voice" else ("--vocoder", "none")))
        status, out, err = command("evaluate", name, *without, *arguments, "--out", wavs / "out", "--json")
        return status, json.loads(out) if out.strip() else None, err

    return run_command


def lines_of(summary):
    """Lines by their condition."""
    return {line["name"]: line for line in summary["tables"][0]["lines"]}


def cells(summary):
    """Means by condition and measure."""
    return {n: {key: c and c["mean"] for key, c in one["cells"].items()} for n, one in lines_of(summary).items()}


def rows_of(folder):
    return list(csv.DictReader((folder / "out" / "results.csv").open(newline="")))


def manifest(folder, *lines, more=""):
    """A list of pairs, each as id, synthesis, and other fields; the reference is the low tone."""
    pairs = [{"id": name, "reference": "low.wav", "synthesis": f"{wav}.wav", **others} for name, wav, others in lines]
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, pairs)) + more)
    return folder / "m.jsonl"


def test_contours_of_a_tone_three_semitones_higher(run, wavs):
    status, summary, err = run("contours", "low", "high", "--textgrid")
    found = cells(summary)
    assert status == 0 and found["synthesis"]["f0_mean_cents"] == pytest.approx(300, abs=5)
    assert found["synthesis"]["coverage"] > 0.9
    assert found["reference with itself"]["f0_rms_cents"] == 0 and found["reference with itself"]["mcd_db"] == 0
    assert "low.TextGrid" in err and "measured without phone times" in err
    names = {p.name for p in (wavs / "out").iterdir()}
    assert {"report.html", "results.csv", "results.jsonl", "summary.json"} <= names
    rows = rows_of(wavs)
    assert [row["condition"] for row in rows] == ["synthesis", "reference with itself"]
    assert rows[0]["alignment"] == "none"
    page = (wavs / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 2 and "http://" not in page and "https://" not in page


def test_other_rates_lengths_and_unvoiced_files_are_measured_and_it_is_said(run, wavs):
    status, summary, err = run("contours", "low", "telephone")
    assert status == 0 and abs(cells(summary)["synthesis"]["f0_mean_cents"]) < 10
    assert "resampled from 11025 to 22050 Hz; nothing above 5512 Hz is in it" in err
    status, summary, err = run("contours", "low", "whisper")
    found = cells(summary)["synthesis"]
    assert status == 0 and "no voiced frame" in err
    assert found["f0_rms_cents"] is None and found["mcd_db"] > 1 and found["coverage"] == 0
    assert run("contours", "whisper", "whisper")[0] == 0
    status, summary, _ = run("contours", "low", "long")
    assert status == 0 and abs(cells(summary)["synthesis"]["f0_mean_cents"]) < 20
    assert rows_of(wavs)[0]["alignment"] == "dtw"


def test_a_few_voiced_frames_are_chance(monkeypatch):
    found = extract_contour(tone(150), MEL)
    stray = replace(found, voiced=np.arange(len(found)) == 7)
    monkeypatch.setattr(signal, "track_f0", lambda *args, **options: stray)
    heard = Listener(MEL).hear(NOISE, "hiss")
    assert not heard.contour.voiced.any()
    assert "hiss: no voiced frame was found but 1, which is chance" in heard.notes[0]


@pytest.mark.parametrize("name, words", [("empty", "no samples"), ("short", "at least 0.1 s"), ("text", "as audio")])
def test_files_that_cannot_be_measured(run, wavs, name, words):
    status, summary, err = run("contours", "low", name)
    last = err.strip().splitlines()[-1]
    assert status == 2 and summary is None and not (wavs / "out" / "results.csv").exists()
    assert last.startswith("error: nothing could be measured") and f"{name}.wav" in last and words in last
    assert err.count(words) == 1, "told twice"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("contours low long --align none", "frames differ"),
        ("contours low long --align phones", "alignment by phones needs TextGrids"),
        ("contours low high --speaker-encoder .", ". holds no config.json; expected the folder of a speaker encoder"),
        ("contours low high --vocoder nowhere", "nowhere holds no config.json; expected the folder of a vocoder, or"),
        ("contours low high --floor 600", "F0 range 600 to 500 Hz; expected 20 <= floor < ceiling <= 5512.5"),
        ("contours low high --recogniser nowhere", "nowhere: no such folder; expected that of a model on this"),
        ("contours low high --recogniser pocketsphinx --no-recogniser", "expected one of them"),
        ("corpus empty.csv", "holds no line"),
        ("corpus no.csv", "no synthesis; expected the field"),
        ("corpus none.csv", "cannot be read"),
        ("corpus text.wav", "expected a manifest"),
        ("corpus no.csv -j 0", "-j"),
        ("pair low high middle --weight 2", "expected a number from 0 to 1"),
        ("pair low high middle --share none.npy", "cannot be read"),
        ("pair low high middle --share wrong.npy", "expected (frames,) or (bins, frames), numbers in [0, 1]"),
        ("pair low high middle --share short.npy", "share map of 3 frames"),
        ("pair low long middle --weight 0.5", "render A, B and the blend with the same durations"),
    ],
)
def test_what_cannot_be_used_is_told(run, wavs, monkeypatch, arguments, words):
    monkeypatch.chdir(wavs)
    np.save("wrong.npy", np.full(FRAMES, 1.5))
    np.save("short.npy", np.full(3, 0.5))
    (wavs / "empty.csv").touch()
    (wavs / "no.csv").write_text("id,reference\na,low.wav\n")
    status, summary, err = run(*arguments.split())
    assert status == 2 and words in err and summary is None
    assert ("nothing could be measured" in err) == ("--align" in arguments), "told before files are read"


def test_a_corpus_with_bad_files_is_measured_without_them(run, wavs):
    good = [("good", "high", {"speaker": "s"}), ("again", "low", {"speaker": "s", "reference_textgrid": "no.grid"})]
    good += [("other", "high", {"reference": "high.wav", "speaker": "t"})]
    bad = [(name, name, {}) for name in ("empty", "nan", "none")]
    path = manifest(wavs, *good, *bad, more='\nnot json\n{"id": "good", "synthesis": "low.wav"}\n')
    status, summary, err = run("corpus", path, "-j", 1)
    assert status == 1
    assert summary["measured"] == 3 and len(summary["failed"]) == 5
    told = "\n".join(failure["error"] for failure in summary["failed"])
    for words in ("line 7: no JSON", "line 8: id 'good'", "holds no samples", "NaN", "no such audio file"):
        assert words in told and words in err
    assert "no.grid cannot be read" in err and "measured without phone times" in err
    line, found = lines_of(summary)["synthesis"], cells(summary)
    assert line["n"] == 3 and line["cells"]["f0_mean_cents"]["mean"] == pytest.approx(100, abs=5)
    assert {"another utterance of the speaker (DTW)", "another speaker (DTW)"} <= set(found)
    assert found["another speaker (DTW)"]["f0_mean_cents"] != 0
    before = {p: p.stat().st_mtime_ns for p in (wavs / "out" / "items").iterdir()}
    status, again, _ = run("corpus", path, "-j", 1)
    assert status == 1 and again["tables"] == summary["tables"]
    assert sum(p.stat().st_mtime_ns != time for p, time in before.items()) == 3, "only what failed is tried again"


def load_parrot(path, **options):
    """A recogniser that hears one thing."""
    assert options == {"language": "en", "device": "cpu"}
    return lambda audio, sample_rate_hz: "TWO CATS"


def test_words_of_a_corpus_are_recognised_where_there_is_a_text(run, wavs, monkeypatch):
    (wavs / "recogniser").mkdir()
    (wavs / "recogniser" / "config.json").write_text("{}")
    monkeypatch.setattr(intelligibility.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr("gradtts_interp.cli.evaluate_shared.metadata.version", lambda name: "5")
    monkeypatch.setattr(intelligibility, "load_recogniser", load_parrot)
    said = {"right": {"text": "2 cats."}, "half": {"text": "Two dogs."}, "mute": {}, "dots": {"text": "..."}}
    path = manifest(wavs, *((name, "high" if name == "right" else "low", text) for name, text in said.items()))
    status, summary, err = run("corpus", path, "-j", 1, "--recogniser", wavs / "recogniser")
    assert status == 0
    rates = lines_of(summary)["synthesis"]["cells"]
    assert rates["word_error_rate"]["mean"] == pytest.approx(0.25) and rates["word_error_rate"]["n"] == 2
    assert rates["character_error_rate"]["mean"] == pytest.approx(3 / 8 / 2) and rates["f0_mean_cents"]["n"] == 4
    assert cells(summary)["reference with itself"]["word_error_rate"] == pytest.approx(0.25)
    assert err.count("mute: no text; measured without intelligibility") == 1
    assert "dots: the text has no words to be heard; measured without intelligibility" in err
    assert "transformers 5)" in summary["facts"]["recognisers"]
    status, _, err = run("corpus", path, "-j", 1)
    assert status == 2 and "recognisers" in err and "--restart" in err, "another recogniser is another run"


def test_a_manifest_in_csv_with_a_folder_of_syntheses(run, wavs):
    (wavs / "m.tsv").write_text("id\treference\nhigh\tlow.wav\n")
    status, summary, _ = run("corpus", wavs / "m.tsv", "--synthesis", wavs, "-j", 1)
    assert status == 0 and cells(summary)["synthesis"]["f0_mean_cents"] == pytest.approx(300, abs=5)


def test_a_pair_is_half_way(run, wavs):
    np.savez(wavs / "map.npz", share=np.full((80, FRAMES), 0.5))
    status, summary, _ = run("pair", "low", "high", "middle", "--share", wavs / "map.npz")
    found = cells(summary)
    assert status == 0 and found["blend"]["f0_share"] == pytest.approx(0.5, abs=0.02)
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

    def pair(textgrid, **length):
        if textgrid != "none":
            phones = (("", 0.0, 0.1), ("AA", 0.1, 0.3), ("M", 0.3, 0.5))
            write_textgrid(wavs / f"{textgrid}.TextGrid", {"phones": phones}, **length)
        return run("pair", "low", "high", "middle", "--weight", 0.5, "--textgrid", wavs / f"{textgrid}.TextGrid")

    monkeypatch.setattr(comparison, "utterance_figure", watched)
    status, summary, err = pair("p")
    assert status == 0 and drawn == [["", "AA", "M"]] and "note" not in err
    status, _, err = pair("q", seconds=0.7)
    assert status == 2 and "q.TextGrid ends at 0.70 s" in err and "middle.wav at 0.50 s" in err
    status, again, err = pair("none")
    assert status == 0 and drawn[1:] == [[]] and again["tables"] == summary["tables"]
    assert "none.TextGrid cannot be read" in err and "measured without phone times" in err


def classify_age(audio, sample_rate_hz):
    """A classifier of age that hears nothing but the pitch."""
    assert sample_rate_hz == RATE_HZ and audio.ndim == 1
    return {"child": 0.25, "adult": 0.75}


def test_voices_are_described(run, wavs, monkeypatch):
    pytest.importorskip("parselmouth")
    monkeypatch.setattr("gradtts_interp.cli.evaluate.load_classifier", lambda path, device: classify_age)
    (wavs / "age").mkdir()
    files = ("low", "whisper", "silent")
    status, summary, err = run("voice", *files, "--classifier", wavs / "age", encoder=ENCODER)
    low, whisper = summary["tables"][0]["lines"]
    assert status == 1 and [failure["item"] for failure in summary["failed"]] == [str(wavs / "silent.wav")]
    assert low["name"] == "low.wav" and low["cells"]["f0_hz"]["mean"] == pytest.approx(150, rel=0.02)
    assert low["cells"]["tract_cm"] is not None and low["cells"]["age: adult"]["mean"] == 0.75
    assert 0 <= low["cells"]["female"]["mean"] <= 1 and 0.5 < low["cells"]["formant_factor"]["mean"] < 2
    assert whisper["cells"]["f0_hz"] is None and "F0 and vocal tract are left out" in err
    row = rows_of(wavs)[0]
    assert row["base"] in VOICES and row["speaker"].isdigit() and (wavs / "out" / "report.html").is_file()
    status, summary, _ = run("voice", "low", "--no-report")
    assert status == 0 and "female" not in cells(summary)["low.wav"]
