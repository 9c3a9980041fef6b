"""Corpora read from disk, and the errors of damaged ones."""

import json

import numpy as np
import pytest
from fake_corpus import STYLES, fake_item

from gradtts_interp.errors import InputError
from gradtts_interp.text.symbols import BLANK_ID, SYMBOLS
from gradtts_interp.training.data import EMOTIONS, Corpus, StyleRef, load_items, symbols_of


def test_items_of_a_built_corpus(corpus_folder):
    items = load_items(corpus_folder)
    assert [i.id for i in items] == ["bank-0", "bank-1", "bank-2", "bank-3", "blend-0"]
    assert tuple(SYMBOLS[i] for i in items[0].ids if i != BLANK_ID) == (" ", "@HH", "@AH0", ".")
    for item in items:
        assert item.frames == item.durations.sum() == len(item.f0_hz) == len(item.voiced)
        assert item.voiced.dtype == bool and np.isfinite(item.prosody).all()
    assert items[4].styles == (StyleRef("s0", "s0-neutral"), StyleRef("s1", "s1-neutral"))
    assert items[4].share.shape == (items[4].frames,) and items[0].share is None
    assert [i.id for i in load_items(corpus_folder, ("valid", "test"))] == ["bank-valid", "test-0"]
    assert load_items(corpus_folder, add_blank=True)[0].ids[0] == BLANK_ID


def test_tokens_and_letters_are_told_apart():
    assert symbols_of([" ", "B", "AH0", ",", "."]) == (" ", "@B", "@AH0", ",", ".")


def test_styles_name_speaker_and_emotion():
    style = StyleRef("s12", "s12-happy")
    assert style.speaker == 12 and style.emotion.tolist() == [float(e == "happy") for e in EMOTIONS]
    assert StyleRef("v3", "p7").speaker == -1 and not StyleRef("v3", "p7").emotion.any()


def test_index_by_voice_and_pitch(corpus):
    assert {i.styles[0].voice for i in corpus.by_voice["v7"]} == {"v7"}
    assert {i.styles[0].voice for i in corpus.by_pitch["p3"]} == {"s0", "s1", "v7"}
    assert corpus.has_duals and corpus.blends
    one_voice = Corpus([fake_item(i, (s,)) for i, s in enumerate(STYLES) if s.voice == "s0"])
    assert not one_voice.has_duals


def test_blends_of_unknown_styles_are_left_out():
    lonely = fake_item(1, (STYLES[0], StyleRef("v99", "p99")), kind="blend")
    assert Corpus([fake_item(0, (STYLES[0],)), lonely]).blends == []


def test_too_short_items_are_an_error():
    with pytest.raises(InputError, match="none of 1 items has 10000 frames"):
        Corpus([fake_item(0, (STYLES[0],))], minimum_frames=10_000)


@pytest.mark.parametrize("damage", ["features", "tokens", "text"])
def test_damaged_item_is_named(corpus_folder, damage):
    lines = [json.loads(line) for line in (corpus_folder / "manifest.jsonl").read_text().splitlines()]
    if damage == "features":
        (corpus_folder / "features" / "bank-1.npz").unlink()
    elif damage == "tokens":
        lines[1]["tokens"] = ["QQ"]
    else:
        del lines[1]["text"]
    (corpus_folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match="item bank-1: .*expected an item of the corpus builder"):
        load_items(corpus_folder)
