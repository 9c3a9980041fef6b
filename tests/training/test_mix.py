"""Corpora read from disk, and draws of the training mix: pure, honest about styles, masked where they should be."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from fake_corpus import MIX, STYLES, fake_item, fake_items
from refusing import refused

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.text.official import BLANK_ID, SYMBOLS
from gradtts_interp.training.data import EMOTIONS, StyleRef, load_items
from gradtts_interp.training.mix import KINDS, MixConfig, Mixer, collate, parse_mix

PLAIN = replace(MIX, null=0.0, null_text=0.0, drop_prosody=0.0, drop_name=0.0, drop_tokens=0.0)
ITEMS = fake_items()


def mixer_of(config=MIX, items=ITEMS, **options):
    return Mixer(items, config, MelConfig(), **options)


def only(kind, items=ITEMS, **changes):
    return mixer_of(replace(PLAIN, **{k: float(k == kind) for k in KINDS}, **changes), items, seed=5)


def source_of(reference, items=ITEMS):
    """The item whose mel a reference was cut from."""
    width = reference.mel.shape[1]
    for item in items:
        for start in range(item.frames - width + 1):
            if np.array_equal(item.mel[:, start : start + width].astype(np.float32), reference.mel):
                return item
    raise AssertionError("reference is from no item")


def test_items_of_a_built_corpus(corpus_folder):
    items = load_items(corpus_folder)
    assert [i.id for i in items] == ["bank-0", "bank-1", "bank-2", "bank-3", "blend-0"]
    assert tuple(SYMBOLS[i] for i in items[0].ids if i != BLANK_ID) == (" ", "@B", "@AH0", ".")
    for item in items:
        assert item.frames == item.durations.sum() == len(item.contour)
        assert item.contour.voiced.dtype == bool and np.isfinite(item.prosody).all()
    assert items[4].styles == (StyleRef("s0", "s0-neutral"), StyleRef("s1", "s1-neutral"))
    assert items[4].share.shape == (items[4].frames,) and items[0].share is None
    assert [i.id for i in load_items(corpus_folder, ("valid", "test"))] == ["bank-valid", "test-0"]
    assert [i.id for i in load_items(corpus_folder, kinds=("blend",))] == ["blend-0"]
    assert load_items(corpus_folder, add_blank=True)[0].ids[0] == BLANK_ID


def test_styles_name_speaker_and_emotion():
    style = StyleRef("s12", "s12-happy")
    assert style.speaker == 12 and style.emotion.tolist() == [float(e == "happy") for e in EMOTIONS]
    assert StyleRef("v3", "p7").speaker == -1 and not StyleRef("v3", "p7").emotion.any()


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


def test_draws_are_a_pure_function_of_seed_and_index(mixer):
    again = mixer_of(items=fake_items(), seed=3).batch(2, 6)
    mixer.batch(7, 4)
    batch, other = mixer.batch(2, 6), mixer_of(seed=4)
    assert all(torch.equal(getattr(batch, f.name), getattr(again, f.name)) for f in fields(batch))
    assert [mixer.example(i)["target"].id for i in range(8)] != [other.example(i)["target"].id for i in range(8)]
    parts = [mixer.batch(2, 3, offset=offset, of=6) for offset in (0, 3)]
    assert torch.cat([p.start for p in parts]).tolist() == batch.start.tolist()
    assert torch.equal(torch.cat([p.reference for p in parts], dim=1), batch.reference)
    assert torch.cat([p.lengths for p in parts]).tolist() == batch.lengths.tolist()


def test_matched_reference_is_another_utterance_of_the_same_style():
    mixer = only("matched")
    for i in range(20):
        example = mixer.example(i)
        (a, role_a, mask_a), (b, _, mask_b) = example["a"], example["b"]
        source = source_of(a)
        assert source.text != example["target"].text
        assert source.styles == example["target"].styles
        assert mask_a.min() == 1 and role_a == "whole"
        assert mask_b.max() == 0 and b.speaker is None and b.emotion is None
        assert example["share"].max() == 0


def test_dual_reads_pitch_from_a_and_voice_from_b():
    mixer = only("dual")
    seen = 0
    for i in range(30):
        example = mixer.example(i)
        wanted = example["target"].styles[0]
        (pitched, role_a, of_pitch), (voiced, role_b, of_rest) = example["a"], example["b"]
        if role_b == "whole":
            continue  # no such pair: a matched draw instead
        seen += 1
        a, b = (source_of(style).styles[0] for style in (pitched, voiced))
        assert a.pitch == wanted.pitch and a.voice != wanted.voice
        assert b.voice == wanted.voice and b.pitch != wanted.pitch
        assert role_a == "pitch" and role_b == "rest" and np.array_equal(pitched.prosody, voiced.prosody)
        assert pitched.speaker is None and voiced.emotion is None
        frames = of_pitch.sum(0) > 0
        assert frames.any() and not frames.all()  # unvoiced frames have no pitch
        assert set(np.unique(of_pitch)) == {0.0, 1.0}
        assert of_rest.mean() > 0.8 and example["share"].min() == 1
    assert seen > 15


def test_blends_may_swap_names_but_mean_the_same():
    mixer = only("blend")
    swapped = set()
    for i in range(20):
        example = mixer.example(i)
        a, b = (source_of(example[k][0]).styles[0] for k in "ab")
        straight = (a, b) == example["target"].styles
        assert straight or (b, a) == example["target"].styles
        share = example["target"].share
        assert np.allclose(example["share"], share if straight else 1 - share)
        swapped.add(straight)
    assert swapped == {True, False}


def test_shares_of_kinds_follow_the_mix():
    mixer = mixer_of(replace(PLAIN, matched=0.2, dual=0.3, blend=0.5))
    kinds = np.bincount([mixer.example(i)["kind"] for i in range(400)], minlength=3) / 400
    assert np.allclose(kinds, (0.2, 0.3, 0.5), atol=0.08)


def test_kinds_that_a_corpus_cannot_give_leave_their_share_to_others():
    alone = [fake_item(i, (STYLES[0],)) for i in range(3)]
    lonely = fake_item(4, (STYLES[0], StyleRef("v99", "p99")), kind="blend")  # a style that is heard nowhere else
    one_voice = [fake_item(i, (s,)) for i, s in enumerate(STYLES) if s.voice == "s0"]
    for items in (alone, [*alone, lonely], one_voice):
        assert mixer_of(items=items).kind_shares.tolist() == [1.0, 0.0, 0.0]
    refused(mixer_of, (replace(MIX, matched=0.0), alone, r"expected one of them > 0 for \['matched'\]"))


def test_a_mix_on_the_command_line_is_the_default_but_for_what_is_named():
    refused(
        parse_mix,
        (["matched=-1"], "matched is -1.0; expected a share or probability from 0 to 1"),
        (["drop_name=1.5"], "drop_name is 1.5"),
        (["blend=nan"], "blend is nan"),
        (["crop_frames=0"], "crop_frames is 0; expected 1 or more"),
        (["matched=half"], "'matched=half': expected a number"),
        (["other=1"], "'other=1': expected name=value, with a name of matched, dual, blend"),
        (["matched"], "'matched': expected name=value"),
        (["length_buckets=0"], "length_buckets is 0; expected 1 or more"),
    )
    assert parse_mix(["matched=0.4", "crop_frames=64"]) == MixConfig(matched=0.4, crop_frames=64)


def test_a_named_manner_comes_with_the_mean_numbers_of_all_its_utterances():
    numbers = [np.full(4, value, dtype=np.float32) for value in (0.0, 1.0, 5.0)]
    items = [replace(fake_item(i, (STYLES[0],)), prosody=prosody) for i, prosody in enumerate(numbers)]
    matched = replace(PLAIN, matched=1.0, dual=0.0, blend=0.0)
    named = Mixer(items, matched, MelConfig())
    assert {float(named.example(i)["a"][0].prosody.mean()) for i in range(9)} == {2.0}
    unnamed = Mixer(items, replace(matched, drop_name=1.0), MelConfig())
    assert {float(unnamed.example(i)["a"][0].prosody.mean()) for i in range(9)} == {0.0, 1.0, 5.0}


def test_valid_targets_read_training_references():
    both = fake_items() + fake_items(split="valid", start=1000)
    mixer = mixer_of(items=both, target_split="valid")
    assert {mixer.example(i)["target"].split for i in range(30)} == {"valid"}
    splits = {source_of(mixer.example(i)["a"][0], both).split for i in range(30)}
    assert splits == {"train", "valid"}


def test_pictures_get_nothing_withheld():
    mixer = mixer_of(replace(MIX, null=1.0, null_text=1.0, drop_prosody=1.0))
    example = mixer.example_of("blend", 0)
    assert (example["null"], example["null_text"], example["prosody_known"]) == (False, False, True)
    assert mixer.example(0)["null"] and not mixer.example(0)["prosody_known"]


def test_dropped_tokens_hide_blocks():
    example = only("matched", drop_tokens=1.0).example(0)
    _, _, mask = example["a"]
    assert 0.2 < mask.mean() < 0.8
    assert len(np.unique(mask[:8, :8])) == 1


def test_collate_shapes_and_padding(mixer):
    examples = [mixer.example(i) for i in range(5)]
    batch = collate(examples, MIX, MelConfig())
    longest = max(e["target"].frames for e in examples)
    tokens = max(len(e["target"].ids) for e in examples)
    assert batch.mel.shape == (5, 80, longest) and batch.ids.shape == (5, tokens)
    assert batch.reference.shape == batch.reference_mask.shape == (2, 5, 80, MIX.reference_frames)
    assert batch.emotion.shape == (2, 5, 5) and batch.prosody.shape == (2, 5, 5)
    assert (batch.prosody[..., -1] == 1).all()
    assert torch.equal(batch.durations.sum(1), batch.lengths)
    shortest = int(batch.lengths.argmin())
    padding = batch.mel[shortest, :, int(batch.lengths[shortest]) :]
    assert (padding == np.float32(MelConfig().log_silence)).all()
    assert torch.equal(batch.shared.bool(), batch.kind == KINDS.index("blend"))
    wide = collate(examples, MixConfig(crop_frames=100, reference_frames=100), MelConfig())
    assert wide.mel.shape[2] == wide.reference.shape[-1] == 100 and (wide.reference_lengths <= 16).all()
    assert wide.reference_mask[..., 16:].max() == 0 < wide.reference_mask[..., :16].max()


def test_length_buckets_sort_the_same_draws():
    plain, sorted_ = mixer_of(seed=3), mixer_of(replace(MIX, length_buckets=3), seed=3)
    one, other = ([m.batch(step, 4) for step in range(3)] for m in (plain, sorted_))
    lengths, same = (sorted(torch.cat([b.lengths for b in batches]).tolist()) for batches in (one, other))
    assert lengths == same
    assert sum(b.mel.shape[2] for b in other) <= sum(b.mel.shape[2] for b in one)
    parts = [sorted_.batch(1, 2, offset=offset, of=4).lengths for offset in (0, 2)]
    assert torch.equal(torch.cat(parts), other[1].lengths)
