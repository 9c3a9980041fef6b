"""The quality benchmark: its tasks, tables, and the model cards."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from refusing import refused

from benchmarks.common import TaskItem
from benchmarks.quality import copies, speech
from benchmarks.quality import run as run_module
from benchmarks.quality.context import foreign_references
from benchmarks.quality.report import TASKS, page, refreshed, table
from benchmarks.quality.run import RUNS, result_of
from gradtts_interp.audio import log_mel, read_audio
from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.speakers import EMOTIONS
from gradtts_interp.evaluation.run import Record
from gradtts_interp.pitch.contour import Contour
from gradtts_interp.vocoder import GriffinLimVocoder

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {"solver": "unipc", "steps": 10, "weights": "abc"}


def foreign_rows(*shares):
    return [{"condition": "model", "item": str(i), "within 1 semitone": v} for i, v in enumerate(shares)]


def test_tables_have_a_line_for_each_condition_and_name_failures():
    assert set(TASKS) == set(RUNS)
    records = [Record("foreign/0", foreign_rows(0.1, None), 1.0), Record("foreign/7", [], 2.0, error="no voiced frame")]
    result = result_of(records, SETTINGS)
    assert result["failed"] == ["foreign/7"] and len(result["rows"]) == 2 and result["seconds"] == 3.0
    text = table(result)
    assert "| model | 2 | 0.1 [0.1, 0.1] |" in text and "not measurable: foreign/7" in text
    assert page({"foreign": result}).count("## ") == 1


def test_cards_get_their_tables_and_keep_the_rest():
    results = {"foreign": result_of([Record("foreign/0", foreign_rows(0.1), 1.0)], SETTINGS)}
    card = "# A\n\n<!-- scores: foreign -->\nold\n<!-- end of scores -->\nkept\n"
    new = refreshed(card, results, source=Path("card"))
    assert "old" not in new and "| model | 1 |" in new and new.endswith("kept\n")
    assert refreshed(new, results, source=Path("card")) == new
    assert "Not measured yet." in refreshed(card.replace("foreign", "emotions"), results, source=Path("card"))
    refused(
        lambda wrong: refreshed(wrong, results, source=Path("card")),
        (card.replace("foreign", "none"), "'none'; expected one of vocoder"),
        ("<!-- scores: foreign -->\n", "does not end"),
    )


def test_the_committed_cards_show_the_committed_results():
    results = json.loads((ROOT / "benchmarks" / "quality" / "RESULTS.json").read_text())
    for card in (ROOT / "checkpts").glob("*/README.md"):
        text = card.read_text(encoding="utf-8")
        assert refreshed(text, results, source=card) == text, "python -m benchmarks.quality.run --cards checkpts"


def test_emotions_are_judged_by_their_design(monkeypatch):
    context = SimpleNamespace(
        tts=SimpleNamespace(style=lambda speaker, emotion: emotion),
        sentence=str,
        render=lambda text, style: SimpleNamespace(contour=(style, 1), durations=[]),
        bank=lambda speaker, emotion: [((emotion, -1), 0)],
    )

    def designed(contour, tokens):
        emotion, sign = contour
        return sign * np.array([EMOTIONS[emotion][key] for key in speech.FACTORS.values()])

    monkeypatch.setattr(speech, "_manner", designed)
    rows = speech.emotions(context, 3)
    model, recordings = rows[:4], rows[4:]
    assert [row["condition"] for row in model] == list(speech.FACTORS)
    assert [row["condition"] for row in recordings] == [name + speech.RECORDINGS for name in speech.FACTORS]
    assert all(row["whole order right"] == row["pairs right"] == row["lowest and highest right"] == 1 for row in model)
    assert all(row["pairs right"] == row["lowest and highest right"] == 0 for row in recordings)


RENDERED = 25600


def test_a_foreign_voice_is_looked_up_among_others(monkeypatch):
    """A model that speaks 3 semitones too high, in the voice of the next reference."""
    monkeypatch.chdir(ROOT)

    def spoken(f0_hz):
        ones = np.ones(100)
        contour = Contour(np.float32(f0_hz * ones), ones.astype(bool), np.float32(ones), frame_rate_hz=86.0)
        return SimpleNamespace(contour=contour, audio=np.zeros(RENDERED))  # in which no second reader hears anything

    voices = np.eye(len(foreign_references()))
    context = SimpleNamespace(
        mel=MelConfig(),
        setting=SimpleNamespace(steps=18),
        sentence=str,
        tts=SimpleNamespace(style=lambda path: spoken(100)),
        render=lambda text, style, num_inference_steps: spoken(100 * 2 ** (num_inference_steps / 72)),
        foreign_voices=voices,
        public_embedding=lambda audio, rate: voices[1 if len(audio) == RENDERED else 0],
    )
    recording, prior, model = speech.foreign(context, 0)
    assert [row["condition"] for row in (recording, prior, model)] == ["recording", "prior alone", "model"]
    assert recording["voice found among all"] == recording["rank"] == recording["within 1 semitone"] == 1
    assert (prior["F0 error (semitones)"], prior["within 1 semitone"], prior["rank"]) == (0, 1, 2)
    assert model["F0 error (semitones)"] == pytest.approx(3, abs=1e-3) and model["within 1 semitone"] == 0
    assert model["voice found among all"] == 0


def test_each_foreign_voice_has_a_second_recording():
    folder = ROOT / "resources" / "references" / "foreign"
    names = {path.name for path in folder.glob("*.flac")}
    assert len(names) >= 16 and names == {path.name for path in (folder / "others").glob("*.flac")}
    assert sum(path.stat().st_size for path in folder.rglob("*.flac")) < 600_000


def test_manner_is_measured_from_contour_and_tokens():
    f0 = np.exp(np.log(200.0) + 0.1 * np.where(np.arange(200) % 2, 1, -1)).astype(np.float32)
    contour = Contour(f0, np.ones(200, dtype=bool), np.full(200, -20.0, dtype=np.float32), frame_rate_hz=100.0)
    level, spread, rate, energy = speech._manner(contour, 30)
    assert (level, spread) == (pytest.approx(np.log(200), abs=1e-3), pytest.approx(0.1, abs=1e-3))
    assert (rate, energy) == (pytest.approx(15.0), pytest.approx(-20.0))


def test_a_job_runs_the_task_it_names(monkeypatch):
    task = run_module.Task(lambda context, index: [{"condition": context, "item": index}], 5, lambda context: 3)
    monkeypatch.setitem(run_module.RUNS, "foreign", task)
    assert run_module.measure("b", TaskItem("foreign", 2)) == ([{"condition": "b", "item": 2}], [])
    assert len(run_module.jobs_of("foreign", task, "b", None)) == 3
    assert [job.id for job in run_module.jobs_of("foreign", task, "b", 2)] == ["foreign/0", "foreign/1"]


def test_a_recording_is_its_own_perfect_copy():
    """The vocoder task with Griffin-Lim in the place of a vocoder."""
    natural = read_audio(ROOT / "resources" / "references" / "speaker_12.flac").numpy()[:33000]
    griffin = GriffinLimVocoder(MelConfig(), iterations=4, inverse_rounds=8)
    griffin.refinement_rounds = 0

    context = SimpleNamespace(
        mel=MelConfig(),
        named=[{"id": "x", "tokens": ["N", "EH1", "V", "ER0"]}],
        unseen=[],
        tts=SimpleNamespace(vocoder=griffin),
        griffin=griffin,
        audio=lambda entry: natural,
        log_mel=lambda audio: log_mel(torch.from_numpy(audio), MelConfig()),
    )
    rows = {row["condition"]: row for row in copies.vocoder(context, 0)}
    assert set(rows) == {"recording", "shipped vocoder", "Griffin-Lim", "WORLD re-synthesis"}
    measures = ("F0 error (median cents)", "voicing errors", "envelope distance (dB)", "MCD (dB)")
    assert all(rows["recording"][name] == pytest.approx(0, abs=1e-9) for name in measures)
    assert all(rows["WORLD re-synthesis"][name] < rows["Griffin-Lim"][name] for name in measures[2:])
