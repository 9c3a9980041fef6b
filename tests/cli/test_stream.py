"""``stream``: one file of many sentences; a bad sentence costs itself alone, and no flag is ignored."""

import json

import pytest
import soundfile
import torch

TEXT = "A small cat. Two dogs {ZZ} ran. The end.\nGood night.\n"


@pytest.fixture
def run(checkpoint, tmp_path, command):
    def run_stream(*flags, text=TEXT):
        source = tmp_path / "text.txt"
        source.write_text(text, encoding="utf-8")
        return command("stream", "-c", checkpoint, "-f", source, "-s", 12, "-t", 2, "--out", tmp_path / "out", *flags)

    return run_stream


@pytest.mark.parametrize("flags", [(), ("-s2", 10), ("-s2", 10, "--each-sentence")], ids=["one", "whole", "each"])
def test_a_bad_sentence_costs_itself_alone(run, tmp_path, monkeypatch, flags):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    status, out, err = run("--json", "--threads", 1, *flags)
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


def test_nothing_but_bad_sentences_leaves_no_file(run, tmp_path):
    status, _, err = run(text="Two {ZZ}. {QQ}.\n")
    assert status == 2 and "no sentence could be spoken" in err
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("flag", ["--attention", "--batch-size=2", "--no-plots"])
def test_what_means_nothing_for_a_stream_is_refused(run, flag):
    status, _, err = run(flag, "-s2", 10)
    assert status == 2 and "unrecognized arguments" in err
