"""The main job and ``stream`` as a user meets them: flags in, files and one clear error out."""

import errno
import json
import re
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from tiny import TINY_OFFICIAL

import inference
from gradtts_interp import checkpoints
from gradtts_interp.cli import synthesize
from gradtts_interp.errors import InputError
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.sampling import CONVERGED_STEPS

ROOT = Path(__file__).parents[2]
LINES = "A small cat.\n\n# a comment\nTwo dogs ran.\n"


@pytest.fixture
def run(checkpoint, tmp_path, command):
    """Run the main job in this process; exit status, stdout and the lines of stderr."""

    def run_main(*flags, text=LINES, model=checkpoint, plots=False):
        source = tmp_path / "lines.txt"
        if text is not None:
            source.write_text(text, encoding="utf-8")
        argv = ["-c", model, "-t", 2, "--out", tmp_path / "out", *flags]
        argv += ["-f", source] if text is not None else []
        argv += [] if plots else ["--no-plots"]
        status, out, err = command(*argv, main=inference.main)
        return status, out, err.splitlines()

    return run_main


def files(tmp_path):
    folder = tmp_path / "out"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def report_of(tmp_path, index=0):
    """What the json of a sentence says."""
    return json.loads((tmp_path / "out" / f"sample_{index}.json").read_text())


def refuses(result, tmp_path, words):
    """Nothing was done: status 2, one error that holds the words, below argparse's usage or alone; no file."""
    status, out, err = result
    assert status == 2 and out == "" and files(tmp_path) == []
    assert len(err) == 1 + err[0].startswith("usage: ") and re.search(f"error: .*{words}", err[-1]), err


TWO = ("-s", 12, "-s2", 10)


@pytest.mark.parametrize(
    ("flags", "share", "asked"),
    [
        (TWO, "ramp(0.2,0.8)", [0, 1]),
        ((*TWO, "--curve", "0:1,1:1"), "curve(0:1,1:1)", [1, 1]),
        ((*TWO, "--mode", "mix", "--weight", 0.25), "constant(0.25)", [0.25, 0.25]),
        ((*TWO, "--mode", "frequency", "--pitch-from", "b"), "~pitch(1,1)", [1, 1]),
        ((*TWO, "--mode", "frequency", "--harmonics", 3, "--pitch-width", 0), "pitch(3,0)", [0, 0]),
        ((*TWO, "--words", "3:a", "--curve", "0:1,1:1"), "words(3:0) over curve(0:1,1:1)", [1, 0]),
        ((*TWO, "--words", "1:b", "--mode", "mix", "--weight", 0.25), "words(1:1) over constant(0.25)", [0.7, 0.25]),
        ((*TWO, "--bands", "f0:b", "--curve", "0:0,1:1"), "curve(0:0,1:1)*bands(f0:1)", [0.17, 0.83]),
        ((*TWO, "--mechanism", "prior", "--mechanism", "score"), "ramp(0.2,0.8)", [0, 1]),
        ((*TWO, "--share", "pitch=1"), "dimensions(pitch=constant(1)) over constant(0)", [1, 1]),
        (
            (*TWO, "--share", "timbre=f1-f2:b", "--share", "pitch=0:0,1:1", "--mode", "mix", "--weight", 0.25),
            "dimensions(timbre=bands(f1-f2:1),pitch=curve(0:0,1:1)) over constant(0.25)",
            [0.17, 0.83],
        ),
    ],
)
def test_each_mode_writes_sound_and_a_complete_json(run, tmp_path, flags, share, asked):
    status, out, err = run(*flags)
    assert (status, err) == (0, [])
    assert files(tmp_path) == ["sample_0.json", "sample_0.wav", "sample_1.json", "sample_1.wav"]
    report = report_of(tmp_path, 1)
    assert report["text"] == "Two dogs ran." and report["line"] == 4
    assert report["settings"]["share"] == share
    assert report["settings"]["styles"] == ["speaker 12 neutral", "speaker 10 neutral"]
    assert report["settings"]["steps"] == 2 and report["seed"] == 0 and report["device"] == "cpu"
    assert "-s2 10" in report["settings"]["command"] and Path(report["settings"]["checkpoint"]).is_dir()
    assert report["phonemes"][-1][2] == pytest.approx(report["seconds"], abs=1e-3)
    assert report["rtf"] > 0 and report["realised_blend"]["reason"].startswith("A and B alone")
    found = report["realised_blend"]["asked_thirds"]
    slack = 0.6 if "w" in share else 0.1  # words are no thirds
    assert found[0] == pytest.approx(asked[0], abs=slack) and found[2] == pytest.approx(asked[1], abs=slack)
    assert soundfile.info(tmp_path / "out" / "sample_1.wav").duration == pytest.approx(report["seconds"], abs=1e-3)
    assert "sample_0.wav" in out and "RTF" in out


def test_a_single_style_and_the_installed_command(checkpoint, tmp_path, command):
    flags = ("--text", "A cat.", "-c", checkpoint, "-t", 1, "-s", 12, "--out", tmp_path / "out")
    assert command("synthesize", *flags)[0] == 0
    assert files(tmp_path) == ["sample_0.json", "sample_0.png", "sample_0.wav"]
    report = report_of(tmp_path)
    assert report["settings"]["mode"] == "none" and report["settings"]["share"] is None
    assert report["realised_blend"]["reason"] == "a single style"


def test_plots_compare_with_a_and_b_and_attention_is_kept(run, tmp_path):
    status, _, err = run(*TWO, "--attention", "--emotion2", "happy", text="Two dogs ran.\n", plots=True)
    assert (status, err) == (0, [])
    names = ".json .png .wav _attention.npz _attention_layers.png _attention_phonemes.png".split()
    assert files(tmp_path) == [f"sample_0{name}" for name in names]
    report = report_of(tmp_path)
    assert report["settings"]["styles"][1] == "speaker 10 happy"
    assert report["f0"]["a"] is not None and report["f0"]["b"] is not None
    assert len(report["realised_blend"]["thirds"]) == 3
    for third in report["realised_blend"]["thirds"]:
        assert (third["value"] is None) == (third["reason"] is not None)
    with np.load(tmp_path / "out" / "sample_0_attention.npz") as kept:
        mass, phonemes = kept["mid.mass"], len(kept["phonemes"])
        assert kept["mid.map_1"].shape[:3] == (len(kept["evaluations"]), 1, phonemes)
        assert kept["evaluations"].sum() == 2 and kept["frame_rate_hz"] == 22050 / 256
    np.testing.assert_allclose(mass.sum(0), 1, atol=1e-4)
    assert mass[1, :, 0].max() < 0.01 and mass[1, :, -1].min() > 0.99


def test_what_exaggerates_is_said_to(run, tmp_path, caplog):
    run(*TWO, "--mode", "mix", "--weight", 1.25, text="A cat.\n")
    beyond = "the share of timbre, pitch, energy, rate leaves 0 to 1, where what is realised may not follow it"
    assert beyond in caplog.text and beyond in report_of(tmp_path)["notes"]


def test_json_summary_is_all_of_stdout(run, tmp_path):
    status, out, err = run(*TWO, "--json", text="A cat.\n!!!\n")
    summary = json.loads(out)
    assert status == 1 and len(err) == 1
    assert (summary["rendered"], summary["failed"], summary["device"]) == (1, 1, "cpu")
    assert Path(summary["sentences"][0]["files"]["wav"]).is_file()
    assert "nothing to speak" in summary["sentences"][1]["error"]


def test_griffin_lim_and_a_vocoder_by_path(run, tmp_path, checkpoint):
    assert run("-s", 12, "--vocoder", "griffin-lim", "--threads", torch.get_num_threads())[0] == 0
    first = (tmp_path / "out" / "sample_0.wav").read_bytes()
    assert run("-s", 12, "--vocoder", checkpoint / "vocoder")[0] == 0
    assert first != (tmp_path / "out" / "sample_0.wav").read_bytes()


# -- lines that fail ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("bad", "word"), [("a" * 5000, "5000 characters"), ("?!", "nothing to speak"), ("{XX}", "XX")])
def test_a_bad_line_is_named_and_the_others_are_rendered(run, tmp_path, bad, word, batch):
    earlier = tmp_path / "out" / "sample_1.wav"
    earlier.parent.mkdir()
    earlier.write_bytes(b"of an earlier run")
    status, _, err = run(*TWO, "--batch-size", batch, text=f"A cat.\n{bad}\nA dog.\n")
    assert status == 1
    assert len(err) == 1 and err[0].startswith("error: line 2: ") and word in err[0] and len(err[0]) < 300
    assert files(tmp_path) == ["sample_0.json", "sample_0.wav", "sample_1.wav", "sample_2.json", "sample_2.wav"]
    assert earlier.read_bytes() == b"of an earlier run"


@pytest.fixture
def spoil(monkeypatch):
    """Let the pipeline raise an error for some texts."""
    whole = GradTTSInterpPipeline.__call__

    def spoil_pipeline(error, is_bad):
        def call(self, texts, *args, **options):
            if is_bad(texts):
                raise error
            return whole(self, texts, *args, **options)

        monkeypatch.setattr(GradTTSInterpPipeline, "__call__", call)

    return spoil_pipeline


def test_a_line_that_fails_in_a_batch_fails_alone_and_a_bug_is_not_taken_for_one(run, tmp_path, spoil):
    spoil(InputError("dogs do not\nspeak"), lambda texts: any("dogs" in text for text in texts))
    assert run("-s", 12, "--batch-size", 2)[::2] == (1, ["error: line 4: dogs do not speak"])
    assert files(tmp_path) == ["sample_0.json", "sample_0.wav"]
    spoil(RuntimeError("shapes do not fit"), lambda texts: True)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run("-s", 12)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory. Tried"), MemoryError(), torch.cuda.OutOfMemoryError("no")]
)
def test_out_of_memory_falls_back_to_single_lines_with_advice(run, tmp_path, spoil, error):
    spoil(error, lambda texts: len(texts) > 1 or "dogs" in texts[0])
    status, _, err = run("-s", 12, "--batch-size", 2)
    assert status == 1
    assert err[0].startswith("warning: out of memory with 2 sentences") and "lower --batch-size" in err[0]
    assert err[1].startswith("error: line 4: out of memory") and len(err) == 2
    assert files(tmp_path) == ["sample_0.json", "sample_0.wav"]


@pytest.mark.parametrize(
    ("writer", "error", "flags", "left"),
    [
        ("np.savez_compressed", OSError(errno.ENOSPC, "No space left on device"), ("--attention",), ["sample_0.wav"]),
        ("write_wav", soundfile.LibsndfileError(2, "sample_0.wav: "), (), []),
    ],
)
def test_a_full_disk_leaves_no_partial_file(run, tmp_path, monkeypatch, writer, error, flags, left):
    monkeypatch.setattr(f"gradtts_interp.cli.synthesize.{writer}", Mock(side_effect=error))
    status, _, (err,) = run(*TWO, *flags, text="A cat.\n")
    assert status == 1 and "cannot write" in err and ("No space left on device" in err or not flags)
    assert files(tmp_path) == left


# -- what stops everything ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "word"), [(b"", "holds no sentence"), (b"text with\x00 a zero", "binary")])
def test_a_file_without_text(run, tmp_path, content, word):
    (tmp_path / "strange.txt").write_bytes(content)
    refuses(run("-f", tmp_path / "strange.txt", "-s", 12, text=None), tmp_path, f"strange.txt.*{word}")


OF_TWO_STYLES = "--mode time,--mechanism prior,--attention,--noise pool=1,--offer open,--bands f0:b,--share pitch=1"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        *((f"-s 12 {flag}", f"{flag.split()[0]}.*: .*two styles") for flag in OF_TWO_STYLES.split(",")),
        ("-s2 10", "style B without style A"),
        ("--reference2 b.wav", "style B without style A"),
        ("-s 12 --reference a.wav", "both name style A"),
        ("-s 12 -s2 10 --reference2 a.wav", "both name style B"),
        ("--emotion happy", "--emotion: it belongs to a speaker"),
        ("-s 12 --emotion2 happy", "--emotion2: it belongs to a speaker"),
        ("-s 12 -s2 10 --mode none", "--mode none"),
        ("-s 12 -s2 10 --weight 0.5", "--weight: it belongs to --mode mix"),
        ("-s 12 -s2 10 --mode mix --curve 0:0,1:1", "--curve: it belongs to --mode time"),
        ("-s 12 -s2 10 --pitch-from a", "--pitch-from: it belongs to --mode frequency"),
        ("-s 12 -s2 10 --attention --mechanism prior", "--attention: .* --mechanism attention"),
        ("-s 12 -s2 10 --mechanism magic", "magic.*prior"),
        ("-s 12 -s2 10 --curve 0:0,half:1", "curve time half"),
        ("-s 12 --words 1:b", "--words: it belongs to --mode time or mix"),
        ("-s 12 -s2 10 --words 1:b --mode frequency", "--words: it belongs to --mode time or mix"),
        ("-s 12 -s2 10 --words 2-1:b", "--words: .*2-1.*from 1"),
        ("-s 12 -s2 10 --bands f0:b,100-200:a", "--bands: .*overlap"),
        ("-s 12 -s2 10 --bands f0:b --pitch-from a", "--pitch-from and --bands: give one"),
        ("-s 12 -s2 10 --harmonics 2", "--harmonics: it belongs to --mode frequency"),
        ("-s 12 -s2 10 --mode mix --pitch-width 2", "--pitch-width: it belongs to --mode frequency"),
        ("-s 12 -s2 10 --mode frequency --share energy=b", "--share and --mode frequency.*--mode mix"),
        ("-s 12 -s2 10 --share pitch", "--share: 'pitch' is not dimension=share"),
        ("-s 12 -s2 10 --share rate=1 --mechanism attention", "expected mechanism 'prosody'"),
        ("-s 99", "speaker 99.*10, 12"),
        ("-s 12 --emotion bored", "bored.*neutral, happy"),
        ("", "no style.*-s/--speaker"),
        ("-s 12 --text more", "-f/--file and --text"),
        ("-s 12 --device abacus", "abacus"),
        ("-s 12 --device cuda:99", "cuda:99"),
        ("-s 12 --vocoder none-such", "none-such.*griffin-lim"),
        ("-s 12 -c none-such", "none-such"),
        ("-s 12 --pitch-file none.csv", "none.csv cannot be read"),
        ("-s 12 --words x:+2st", "--words: 'x:[+]2st' is no shift"),
        ("-s 12 --copy a.wav", "--copy: it says one sentence; give --text once"),
        ("-s 12 --copy-textgrid a.TextGrid", "--copy-textgrid: it belongs to --copy"),
        # a number or a choice, which argparse refuses below its usage
        ("-t -5", "-t/--timesteps.*at least 1"),
        ("-s -1", "-s/--speaker.*from 0"),
        ("-s 12 -s2 1.5", "-s2/--speaker2.*'1.5': expected"),
        ("--mode mix --weight 2", "--weight.*0 to 1"),
        ("--harmonics 0", "--harmonics.*at least 1"),
        ("--pitch-width wide", "--pitch-width.*'wide': expected"),
        ("--temperature 0", "--temperature.*above 0"),
        ("--guidance -1", "--guidance.*at least 0"),
        ("--length-scale nan", "--length-scale.*above 0"),
        ("--solver magic", "--solver.*euler"),
        ("--batch-size 0", "--batch-size.*at least 1"),
    ],
)
def test_flags_that_contradict_or_name_nothing(run, tmp_path, flags, words):
    refuses(run(*flags.split()), tmp_path, words)


def test_an_output_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "taken").write_text("a file")
    refuses(run("-s", 12, "--out", tmp_path / "taken"), tmp_path, "--out .*taken")


# -- official files and the default checkpoint ----------------------------------------------------------------------


@pytest.fixture
def official(golden_dir, tmp_path):
    """The golden weights as an official file of several speakers."""
    weights = load_file(golden_dir / "grad_tts_weights.safetensors")
    if "spk_emb.weight" not in weights:
        pytest.skip("these golden weights have one speaker")
    path = tmp_path / "grad-tts.pt"
    torch.save(weights, path)
    return path


def test_an_official_file_speaks_with_one_and_with_two_speakers(run, tmp_path, official):
    assert run("-s", 0, model=official)[0] == 0
    assert run("-s", 0, "-s2", 1, model=official, plots=True, text="A cat.\n")[::2] == (0, [])
    report = report_of(tmp_path)
    assert report["settings"]["mechanisms"] == ["prior"]
    assert report["settings"]["vocoder"] == "GriffinLimVocoder"


def test_speakers_alone_are_solved_as_their_checkpoint_needs(run, official, monkeypatch):
    steps, blend, speak = [], [], synthesize.Job.speak

    def spoken(job, *given, **named):
        steps.append(job.sampling.steps)
        blend[:] = blend or speak(job, *given, **named)  # random weights stay finite for few steps alone
        return blend

    monkeypatch.setattr(synthesize.Job, "speak", spoken)
    for given in (2, 20):
        assert run("-s", 0, "-s2", 1, "-t", given, model=official, plots=True, text="Oh.\n")[::2] == (0, [])
    assert steps == [2, 2, 2, 20, CONVERGED_STEPS, CONVERGED_STEPS]


def test_an_official_file_of_one_speaker_needs_none(run, tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "grad-tts-old.pt"
    torch.save(GradTTS(TINY_OFFICIAL.to_dict()).state_dict(), path)
    assert run(model=path)[::2] == (0, [])
    assert "one speaker" in run("-s", 0, model=path)[2][-1]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("-s 0 -s2 1 --mechanism attention", "attention.*prior, score"),
        ("-s 0 -s2 1 --share pitch=b", "reads no pitch, energy or rate of a style"),
        ("-s 0 -s2 1 --attention", "--attention: .* no style attention"),
        ("-s 0 --guidance 1", "--guidance: .*null style"),
        ("-s 0 -s2 1 --mode frequency --mechanism prior", "--mode frequency: .*F0 contour.*--bands"),
        ("-s 0 -s2 1 --offer open", "open offer.*frame prior"),
        ("-s 100000", "speaker 100000"),
        ("-s 0 --emotion happy", "happy"),
    ],
)
def test_what_an_official_file_lacks(run, tmp_path, official, flags, words):
    refuses(run(*flags.split(), model=official), tmp_path, words)


def test_the_default_checkpoint_comes_from_the_environment_or_is_told(run, tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr(checkpoints, "DEMO", Path("checkpts") / "none-such")
    monkeypatch.delenv("GRADTTS_INTERP_CHECKPOINT", raising=False)
    refuses(run("-s", 12, model=""), tmp_path, "none-such.*give -c")
    monkeypatch.setenv("GRADTTS_INTERP_CHECKPOINT", str(checkpoint))
    assert run("-s", 12, model="")[::2] == (0, [])


# -- one file of many sentences ---------------------------------------------------------------------------------------

PARAGRAPHS = "A small cat. Two dogs {ZZ} ran. The end.\nGood night.\n"


@pytest.fixture
def stream(checkpoint, tmp_path, command):
    def run_stream(*flags, text=PARAGRAPHS):
        source = tmp_path / "text.txt"
        source.write_text(text, encoding="utf-8")
        return command("stream", "-c", checkpoint, "-f", source, "-s", 12, "-t", 2, "--out", tmp_path / "out", *flags)

    return run_stream


@pytest.mark.parametrize("flags", [(), ("-s2", 10), ("-s2", 10, "--each-sentence")], ids=["one", "whole", "each"])
def test_a_bad_sentence_costs_itself_alone(stream, tmp_path, monkeypatch, flags):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    status, out, err = stream("--json", "--threads", 1, *flags)
    assert asked == [1]
    summary = json.loads(out)
    assert status == 1 and summary["failed"] == 1 and err.count("error: line 1: ") == 1 and "ZZ" in err
    texts = {s["text"]: "error" in s for s in summary["sentences"]}
    assert [*texts] == ["A small cat.", "Two dogs {ZZ} ran.", "The end.", "Good night."]
    assert [*texts.values()] == [False, True, False, False]
    good = [s for s in summary["sentences"] if "error" not in s]
    samples, rate = soundfile.read(tmp_path / "out" / "stream.wav")
    assert len(samples) / rate == pytest.approx(sum(s["seconds"] for s in good), abs=1e-3) == summary["seconds"]
    assert good[1]["start"] == pytest.approx(good[0]["seconds"], abs=1e-3)


def test_nothing_but_bad_sentences_leaves_no_file(stream, tmp_path):
    status, _, err = stream(text="Two {ZZ}. {QQ}.\n")
    assert status == 2 and "no sentence could be spoken" in err
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("flag", ["--attention", "--batch-size=2", "--no-plots"])
def test_what_means_nothing_for_a_stream_is_refused(stream, flag):
    status, _, err = stream(flag, "-s2", 10)
    assert status == 2 and "unrecognized arguments" in err
