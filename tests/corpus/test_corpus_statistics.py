"""Statistics of a manifest."""

import argparse
import json
import lzma
from pathlib import Path

import pytest
from refusing import refused

from gradtts_interp.corpus import build
from gradtts_interp.corpus.plan import load_entries
from gradtts_interp.corpus.statistics import FIELDS, groups_of, phone_counts, phones_line, seconds_of, tables_of

COMMITTED = Path(__file__).parents[2] / "resources" / "corpus" / "manifest-seed0-2891.jsonl.xz"
USUAL = {
    **{"kind": "bank", "split": "train", "text": "Go.", "tokens": [" ", "G", "OW1", "."], "frames": 172},
    **{"speaker": 0, "emotion": "neutral", "factors": {"energy_db": 0.0}},
    "f0": {"mean_hz": 100.0, "log_std": 0.1, "voiced_share": 0.5},
}


def entry(name, **others):
    return {"id": name, **USUAL, **others}


def test_figures_of_a_small_manifest():
    happy = {"mean_hz": 400.0, "log_std": 0.2, "voiced_share": 0.5}
    tokens = [" ", "@G0", "G", "OW2", ",", "?"]  # phones without stress; neither pauses nor punctuation
    entries = [entry("b", emotion="happy", speaker=1, f0=happy, tokens=tokens), entry("a")]
    groups, seconds = groups_of(entries), 172 * 256 / 22050
    assert phone_counts(entries) == {"G": 3, "OW": 2} and seconds_of(entries) == pytest.approx([seconds] * 2)
    assert "5 phones of 2 kinds, as varied as 2.0 equally frequent ones; the rarest, OW" in phones_line(entries)
    assert list(groups["speaker"]) == ["0", "1"] and list(groups["emotion"]) == ["neutral", "happy"]
    assert groups["emotion"]["happy"]["F0 (Hz)"] == pytest.approx(400)
    assert groups["kind/split"]["bank/train"]["F0 (Hz)"] == pytest.approx(200)
    assert groups["emotion"]["neutral"]["phones per second"] == pytest.approx(2 / seconds)
    assert "| happy | 1 |" in tables_of(entries)
    blend = entry("x", kind="blend", factors=None, speaker=None, emotion=None)  # without a level of its own
    assert "| blend/train | 1 | 0.00 | 100 | 1.73 | 1.0 |  |" in tables_of([blend, entry("a")])


def test_the_command_writes_tables_and_plots(tmp_path, capsys):
    (tmp_path / "manifest.jsonl").write_text("\n".join(json.dumps(entry(str(i))) for i in range(3)))
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    assert build.run(parser.parse_args(["stats", str(tmp_path)])) == 0
    assert (tmp_path / "statistics.png").stat().st_size > 10_000
    assert (tmp_path / "statistics.md").read_text().strip() == capsys.readouterr().out.strip()


def test_a_manifest_may_be_compressed_or_growing_and_what_is_none_is_named(tmp_path):
    def load(content, name="manifest.jsonl"):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        return [e["id"] for e in load_entries(tmp_path / name if name.endswith("xz") else tmp_path, fields=FIELDS)]

    refused(
        load,
        (None, "manifest.jsonl cannot be read: .*expected a manifest made by 'gradtts-interp corpus build'"),
        (b"", "manifest.jsonl is empty"),
        (b"{}", "line 1: expected an item of the corpus builder, with id, kind"),
        (b"no", "line 1: .*expected a JSON object"),
        (b"3", "line 1: .*expected a JSON object"),
        (b'"id kind split tokens frames f0"', "line 1: expected an item"),
        (b"no", "m.xz", "m.xz cannot be read"),
    )
    lines = [json.dumps(entry(name)).encode() + b"\n" for name in "abc"]
    assert load(lzma.compress(lines[0]), "m.xz") == ["a"]
    (tmp_path / "manifest.jsonl").unlink()
    partial = b"".join(lines)[:-20]  # the last line is being written
    assert load(partial, "manifest.partial.jsonl") == ["a", "b"] and load(lines[2]) == ["c"]


def test_the_committed_corpus_is_as_large_as_it_should_be():
    entries = load_entries(COMMITTED)
    groups, counts = groups_of(entries), phone_counts(entries)
    assert sum(seconds_of(entries)) >= 3 * 3600 and len(groups["speaker"]) == 16 and len(groups["emotion"]) == 5
    assert len(counts) == 39 and min(counts.values()) >= 80
