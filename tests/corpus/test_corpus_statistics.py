"""Statistics of a manifest."""

import argparse
import json
import lzma
from pathlib import Path

import pytest

from gradtts_interp.corpus import build
from gradtts_interp.corpus.plan import load_entries
from gradtts_interp.corpus.statistics import FIELDS, corpus_statistics, tables_of
from gradtts_interp.errors import InputError

COMMITTED = Path(__file__).parents[2] / "resources" / "corpus" / "manifest-seed0-2891.jsonl.xz"


def entry(name, **others):
    usual = {
        "id": name,
        "kind": "bank",
        "split": "train",
        "text": "Go.",
        "tokens": [" ", "G", "OW1", "."],
        "speaker": 0,
        "emotion": "neutral",
        "factors": {"energy_db": 0.0},
        "frames": 172,
        "f0": {"mean_hz": 100.0, "log_std": 0.1, "voiced_share": 0.5},
    }
    return {**usual, **others}


def test_figures_of_a_small_manifest():
    happy = {"mean_hz": 400.0, "log_std": 0.2, "voiced_share": 0.5}
    tokens = [" ", "@G0", "G", "OW2", ",", "?"]  # phones without stress; neither pauses nor punctuation
    entries = [entry("a"), entry("b", emotion="happy", speaker=1, f0=happy, tokens=tokens)]
    found = corpus_statistics(entries)
    assert found.phones == {"G": 3, "OW": 2} and 1.9 < found.effective_phones < 2
    assert found.hours == pytest.approx(2 * 172 * 256 / 22050 / 3600)
    assert found.groups["emotion"]["happy"]["F0 (Hz)"] == pytest.approx(400)
    assert list(found.groups["speaker"]) == ["0", "1"]
    assert found.groups["kind/split"]["bank/train"]["F0 (Hz)"] == pytest.approx(200)
    assert found.groups["emotion"]["neutral"]["phones per second"] == pytest.approx(2 / (172 * 256 / 22050))
    assert "| happy | 1 |" in tables_of(found)
    blend = entry("x", kind="blend", factors=None, speaker=None, emotion=None)  # without a level of its own
    assert "| blend/train | 1 | 0.00 | 100 | 1.73 | 1.0 |  |" in tables_of(corpus_statistics([blend, entry("a")]))


def test_the_command_writes_tables_and_plots(tmp_path, capsys):
    (tmp_path / "manifest.jsonl").write_text("\n".join(json.dumps(entry(str(i))) for i in range(3)))
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    assert build.run(parser.parse_args(["stats", str(tmp_path)])) == 0
    assert (tmp_path / "statistics.png").stat().st_size > 10_000
    assert (tmp_path / "statistics.md").read_text().strip() == capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "manifest.jsonl cannot be read: .*expected a manifest made by 'gradtts-interp corpus build'"),
        ("", "manifest.jsonl is empty"),
        ("{}", "line 1: expected an item of the corpus builder, with id, kind"),
        ("no", "line 1: .*expected a JSON object"),
        ("3", "line 1: .*expected a JSON object"),
        ('"id kind split tokens frames f0"', "line 1: expected an item"),
    ],
)
def test_manifests_that_cannot_be_read_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "manifest.jsonl").write_text(content)
    with pytest.raises(InputError, match=message):
        load_entries(tmp_path, fields=FIELDS)


def test_a_manifest_may_be_compressed(tmp_path):
    (tmp_path / "m.xz").write_bytes(lzma.compress(json.dumps(entry("a")).encode()))
    assert [e["id"] for e in load_entries(tmp_path / "m.xz")] == ["a"]
    (tmp_path / "m.xz").write_bytes(b"no")
    with pytest.raises(InputError, match="m.xz cannot be read"):
        load_entries(tmp_path / "m.xz")


def test_a_corpus_that_is_being_built_gives_what_there_is(tmp_path):
    lines = [json.dumps(entry(name)) + "\n" for name in "abc"]
    (tmp_path / "manifest.partial.jsonl").write_text("".join(lines)[:-20])  # the last line is being written
    assert [e["id"] for e in load_entries(tmp_path)] == ["a", "b"]
    (tmp_path / "manifest.jsonl").write_text(lines[2])
    assert [e["id"] for e in load_entries(tmp_path)] == ["c"]


def test_the_committed_corpus_is_as_large_as_it_should_be():
    found = corpus_statistics(load_entries(COMMITTED))
    assert found.hours >= 3 and len(found.groups["speaker"]) == 16 and len(found.groups["emotion"]) == 5
    assert len(found.phones) == 39 and min(found.phones.values()) >= 80
