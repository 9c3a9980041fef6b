"""Training and inference tell the networks the same of the same item, each from its own end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from fake_corpus import MIX, fake_items

from gradtts_interp.alignment import token_mean
from gradtts_interp.config import MelConfig
from gradtts_interp.interpolation import conditioning
from gradtts_interp.interpolation.conditioning import readable_part
from gradtts_interp.interpolation.shares import PitchRegion, Share, pitch
from gradtts_interp.models.pitch_predictor import PITCH_FROM
from gradtts_interp.models.style_attention import LOG_ZERO
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.pitch.contour import PROSODY_MEAN, PROSODY_STD
from gradtts_interp.text.frontend import TextFrontend, TokenizedText
from gradtts_interp.training.losses import draw_diffusion, training_losses
from gradtts_interp.training.mix import KINDS, Mixer, collate

ITEMS = fake_items()
WHOLE = replace(MIX, crop_frames=32, reference_frames=32, drop_name=0.0, drop_tokens=0.0)  # longer than all items
LOWEST_BIAS = -20.0  # what is less is nothing


def listen(model, monkeypatch):
    """Lists of what the networks of a model are told from now on: for durations, for the prior and what it answers, and
    for the score network."""
    of_durations, of_prior, of_score, durations = [], [], [], model.encoder.durations

    def predict(text, *told):
        of_durations.append(told)
        return durations(text, *told)

    def hear_prior(_, told, named, mu):
        of_prior.append({**dict(zip(("hidden", "durations", "style"), told, strict=True)), **named, "mu": mu})

    monkeypatch.setattr(model.encoder, "durations", predict)
    model.frame_prior.register_forward_hook(hear_prior, with_kwargs=True)
    model.decoder.estimator.register_forward_hook(
        lambda _, told, named, __: of_score.append((*told, named)), with_kwargs=True
    )
    return of_durations, of_prior, of_score


def item_of(style):
    """The utterance that was drawn as a reference."""
    return next(i for i in ITEMS if np.array_equal(i.mel.astype(np.float32), style.mel))


def brought(style, role):
    """A drawn style as a user brings it: with all the names that it has, and its own numbers."""
    item = item_of(style)
    own = replace(style, speaker=item.styles[0].speaker, emotion=item.styles[0].emotion)
    return replace(own, prosody=item.prosody) if role == "rest" else own


def draw(kind):
    """A draw of a kind whose references differ and have all names; without, inference follows the spectrum."""
    mixer = Mixer(ITEMS, WHOLE, MelConfig(), seed=3)
    for index in range(1000):
        example = mixer.example_of(kind, index)
        a, b = (item_of(example[k][0]) for k in "ab")
        named = all(item.styles[0].speaker >= 0 and item.styles[0].emotion.any() for item in (a, b))
        if named and (kind == "matched" or a.prosody[0] != b.prosody[0]):
            return example
    raise AssertionError("no such draw")


def share_of(kind, example):
    """How a user asks for it: the harmonics that a dual was masked by are found by its mask."""
    if kind == "matched":
        return None
    if kind == "dual":
        style, role, drawn = example["a"]
        masks = {n: readable_part(style.contour, role, PitchRegion(harmonics=n), MelConfig()) for n in (1, 2, 3)}
        return pitch(harmonics=next(n for n, mask in masks.items() if np.array_equal(mask, drawn)))
    return Share("that of the item", lambda at: np.tile(example["share"], (at.mel.n_mels, 1)))


def spoken_contour(batch):
    """The item's own contour as a prediction under the blend's level and range, which pitch is read back from."""
    share = batch.share[:, None]
    numbers = batch.prosody[0][..., None] * (1 - share) + batch.prosody[1][..., None] * share
    spread = numbers[:, 1:2] * float(PROSODY_STD[1]) + float(PROSODY_MEAN[1])
    shape = (batch.pitch[:, 1:2] - numbers[:, :1]) * float(PROSODY_STD[0]) / spread
    energy = token_mean(batch.pitch[:, 2], batch.durations)[:, None]
    return torch.cat([shape, batch.pitch[:, :1], energy - numbers[:, 2:3]], dim=1)


@pytest.mark.parametrize("kind", KINDS)
def test_training_and_inference_give_the_networks_the_same_inputs(kind, make_model, monkeypatch):
    model, example = tiny.open_gates(make_model()).eval(), draw(kind)
    target, batch = example["target"], collate([example], WHOLE, MelConfig())
    frames, width = target.frames, WHOLE.crop_frames
    heard = listen(model, monkeypatch)
    with torch.no_grad():
        training_losses(model, batch, draw_diffusion(0, 0, size=1, shape=(80, width)))
    trained = [list(told) for told in heard]

    contour = spoken_contour(batch)

    monkeypatch.setattr(conditioning, "contour_of", lambda found, *_: contour[..., : found.shape.shape[1]])
    tts = GradTTSInterpPipeline(model, tiny.StubVocoder(), TextFrontend(add_blank=False))
    text = TokenizedText(target.text, target.text, ("?",) * len(target.ids), tuple(target.ids.tolist()), (), (), ())
    styles = [brought(*example[k][:2]) for k in ("a" if kind == "matched" else "ab")]
    mechanisms = ("prosody", "attention") if kind == "dual" else ("prior", "prosody", "attention")
    with torch.no_grad():
        prepared = tts.prepare([text], styles, share_of(kind, example), durations=[target.durations.tolist()])
        options = tts.sampling_options(1, "euler")
        tts.sample(prepared, mechanisms, options, [torch.Generator().manual_seed(0)])

    inferred = [told[len(before) :] for told, before in zip(heard, trained, strict=True)]

    def same(one, other):
        torch.testing.assert_close(one[..., :frames], other[..., :frames], atol=2e-5, rtol=2e-5)

    for one, other in zip(trained[0], inferred[0], strict=kind != "matched"):  # that reads a hidden B as well
        for told, then in zip(one, other, strict=True):
            torch.testing.assert_close(told, then, atol=1e-5, rtol=1e-5)

    told, then = trained[1][-1], inferred[1][-1]
    assert torch.equal(told["hidden"], then["hidden"]) and torch.equal(told["durations"], then["durations"])
    same(told["prosody"][:, PITCH_FROM:], then["prosody"][:, PITCH_FROM:])
    style, shown = (x["style"].expand(-1, -1, x["mu"].shape[2]) for x in (told, then))
    if kind != "dual":
        same(style, shown)
        same(told["mu"], then["mu"])
        same(trained[2][-1][2], inferred[2][-1][2])
    else:
        # Who is told the pitch may see all of the reference, which is more than training shows.
        assert not torch.allclose(style[..., 0], shown[..., 0])
        (whole,) = conditioning.encode_styles(model, conditioning.pad_ids([text.ids], model.device), styles[1:])
        torch.testing.assert_close(shown[..., 0], whole.pooled)

    (*_, no_speaker, told), (*_, no_speaker_then, then) = trained[2][-1], inferred[2][-1]
    assert no_speaker is None and no_speaker_then is None
    same(told["prosody"], then["prosody"])
    biases, tokens, owners = [], [], []
    for context in (told["context"], then["context"]):
        readable = context.log_weight[0] > LOG_ZERO / 2
        tokens.append(context.tokens[:, readable])
        owners.append(context.owner[readable])
        frames_of = width if context is told["context"] else then["prosody"].shape[2]
        bias = context.bias(80, frames_of)[..., readable].expand(-1, 80 * frames_of, -1)
        biases.append(bias.unflatten(1, (80, frames_of))[:, :, :frames].clamp_min(LOWEST_BIAS))
    torch.testing.assert_close(*tokens, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(*biases, atol=1e-4, rtol=1e-4)
    assert torch.equal(*owners)
