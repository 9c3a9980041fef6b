"""Losses: right numbers on toys, gradients where they belong, noise that is a pure function."""

import copy
import dataclasses

import pytest
import torch
from fake_corpus import MIX, fake_items
from tiny import open_gates

from gradtts_interp.diffusion.schedule import noise_level, signal
from gradtts_interp.training import losses as module
from gradtts_interp.training.losses import (
    Cropper,
    adversarial_losses,
    align,
    answer_of_score_network,
    condition,
    draw_diffusion,
    read_references,
    shared_count,
    shift_of_mean,
    training_losses,
)
from gradtts_interp.training.mix import KINDS, Mixer, collate
from gradtts_interp.training.state import PARTS
from hifigan.discriminators import PictureDiscriminator

SHAPE = (80, MIX.crop_frames)


def noise_of(size):
    return draw_diffusion(0, 0, size=size, shape=SHAPE)


def told(model, batch, *, attended=True):
    """What the networks are told of a batch, how the styles were read, and durations."""
    return condition(model, batch, model.normalise(batch.mel), *read_references(model, batch, attended=attended))


def valid_frames(batch):
    return (torch.arange(batch.mel.shape[2])[None] < batch.lengths[:, None])[:, None].float()


def test_cropper_cuts_the_same_frames_and_repeats_the_last():
    x = torch.arange(12.0).view(2, 1, 6)
    cut = Cropper(torch.tensor([[1, 2, 3], [4, 5, 6]]))(x)
    assert cut.tolist() == [[[1, 2, 3]], [[10, 11, 11]]]


def test_noise_depends_on_seed_step_and_place_alone():
    whole = draw_diffusion(1, 5, size=6, shape=SHAPE)
    parts = [draw_diffusion(1, 5, size=3, shape=SHAPE, offset=offset, of=6) for offset in (0, 3)]
    times, noise = whole
    assert all(torch.equal(torch.cat(cut), uncut) for cut, uncut in zip(zip(*parts, strict=True), whole, strict=True))
    for other in (draw_diffusion(2, 5, size=6, shape=SHAPE), draw_diffusion(1, 6, size=6, shape=SHAPE)):
        assert not torch.equal(other[1][0], noise[0]) and not torch.equal(other[0], times)
    assert not torch.equal(noise[0], noise[1])
    assert sorted((times * 6).long().tolist()) == list(range(6))  # one time in each stratum
    many = draw_diffusion(0, 0, size=64, shape=SHAPE)[1]
    assert abs(float(many.mean())) < 0.01 and abs(float(many.std()) - 1) < 0.01


def test_padding_to_a_multiple_changes_no_loss(make_model, mixer):
    padded = Mixer(fake_items(), dataclasses.replace(MIX, length_multiple=32), mixer.mel, seed=mixer.seed)
    plain, longer = mixer.batch(0, 6), padded.batch(0, 6)
    assert longer.mel.shape[2] % 32 == 0 and longer.ids.shape[1] % 32 == 0
    assert longer.mel.shape[2] > plain.mel.shape[2] or longer.ids.shape[1] > plain.ids.shape[1]
    model = make_model().eval()
    with torch.no_grad():
        one, other = (training_losses(model, batch, noise_of(6)) for batch in (plain, longer))
    for name in ("duration", "prior", "diffusion", "pitch", "alignment"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=1e-4, rtol=1e-4)


def test_gradient_reaches_every_part(make_model, mixer):
    model = open_gates(make_model())
    batch = dataclasses.replace(mixer.batch(0, 8), null=torch.arange(8) == 0)
    training_losses(model, batch, noise_of(8)).total.backward()
    for name in ("style_encoder.patches.weight", "style_encoder.null", "encoder.emb.weight"):
        assert model.get_parameter(name).grad.abs().sum() > 0, name
    estimator = [p.grad for p in model.decoder.estimator.parameters() if p.grad is not None]
    assert sum(float(g.abs().sum()) for g in estimator) > 0
    for site in model.attention_sites.values():
        assert site.gate.grad.abs().sum() > 0 and site.attn.to_k.weight.grad.abs().sum() > 0


def test_v_loss_is_the_squared_error_of_v(make_model, mixer):
    model, batch, (times, noise) = make_model().eval(), mixer.batch(0, 4), noise_of(4)
    answers = []
    model.decoder.estimator.register_forward_hook(lambda *called: answers.append(called[-1]))
    found = training_losses(model, batch, (times, noise))
    mel = model.normalise(batch.mel)
    mu = told(model, batch)[0].mu
    crop = Cropper(batch.start[:, None] + torch.arange(SHAPE[1])[None])
    level, kept = (f(times[:, None, None], model.schedule) for f in (noise_level, signal))
    v, valid = kept * noise - level * (crop(mel) - crop(mu)), crop(valid_frames(batch))
    error = (((answers[0] - v) ** 2) * valid).sum((1, 2)) / (valid.sum((1, 2)) * 80)
    assert torch.allclose(found.per_kind, error, rtol=1e-2, atol=1e-4)
    assert torch.allclose(found.diffusion, found.per_kind.mean()) and not found.per_kind.requires_grad


def test_the_shift_of_the_mean_is_what_a_score_network_adds_to_its_prior(make_model, mixer, monkeypatch):
    """Of a network that knows the distribution exactly; the targets are moved back by it, so that none is learnt."""
    model, batch, diffusion = make_model().eval(), mixer.batch(0, 4), noise_of(4)
    shift, spread = 0.3, 0.5

    def exact(x, mask, mu, t, *_, **__):
        a, n = signal(t, model.schedule)[:, None, None], noise_level(t, model.schedule)[:, None, None]
        return -(x - mu - a * shift) / (a**2 * spread**2 + n**2)

    monkeypatch.setattr(model, "score", exact)
    crop = Cropper(batch.start[:, None] + torch.arange(SHAPE[1])[None])
    mean, mask = torch.randn(4, *SHAPE), torch.ones(4, 1, SHAPE[1])
    found = shift_of_mean(model, batch, diffusion, crop, mean=mean, mask=mask)
    torch.testing.assert_close(found, torch.full_like(found, shift * model.settings.residual_std), atol=0.03, rtol=0)

    asked = []
    answer = module.answer_of_score_network
    monkeypatch.setattr(
        module,
        "answer_of_score_network",
        lambda *a, target, **k: asked.append(target) or answer(*a, target=target, **k),
    )
    training_losses(model, batch, diffusion)
    training_losses(model, batch, diffusion, beginning=model)  # which asks it for the shift first
    valid = (crop(valid_frames(batch)) > 0).expand_as(asked[0])
    assert len(asked) == 3 and torch.equal(asked[0], asked[1])
    torch.testing.assert_close((asked[0] - asked[2])[valid], found[valid], atol=0.03, rtol=0)


def test_null_items_read_nothing_of_their_references(make_model, mixer):
    model, batch = open_gates(make_model().eval()), mixer.batch(0, 4)
    unknown = dataclasses.replace(batch, prosody_known=torch.zeros(4))
    withheld, known = (told(model, each)[0].prosody.abs().max() for each in (unknown, batch))
    assert withheld == 0 < known
    for null in (True, False):
        flags, reference = torch.full((4,), null), batch.reference.clone().requires_grad_()
        changed = dataclasses.replace(batch, null=flags, null_text=flags, reference=reference)
        training_losses(model, changed, noise_of(4)).total.backward()
        assert (reference.grad.abs().max() == 0) == null
    assert model.style_encoder.null.grad.abs().sum() > 0


def test_a_frame_prior_reads_the_contour_but_that_of_no_style(make_model, mixer):
    model, batch = make_model().eval(), mixer.batch(1, 4)
    nobody = torch.ones(4, dtype=torch.bool)

    def mean(**changes):
        return told(model, dataclasses.replace(batch, **changes), attended=False)[0].mu

    with torch.no_grad():
        for channel in (1, 2):
            pitch = batch.pitch.clone()
            pitch[:, channel] += 1
            assert not torch.allclose(mean(pitch=pitch), mean())
            assert torch.equal(mean(pitch=pitch, null_text=nobody), mean(null_text=nobody))


def test_pooled_references_are_those_of_the_style_encoder_and_skip_what_is_hidden(make_model, mixer):
    model, batch = make_model().eval(), mixer.batch(0, 6)
    short, whole = (read_references(model, batch, attended=attended)[1] for attended in (False, True))
    hidden = (batch.kind == KINDS.index("matched")).nonzero()[:, 0]
    torch.testing.assert_close(short[0], whole[0])
    seen = [i for i in range(6) if i not in hidden]
    torch.testing.assert_close(short[1][seen], whole[1][seen])
    assert (short[1][hidden] == 0).all() and len(hidden)


def test_contours_are_taught_by_single_styles_only(make_model, mixer):
    model, batch = make_model().eval(), mixer.batch(0, 4)
    batch = dataclasses.replace(batch, shared=torch.tensor([0.0, 0.0, 1.0, 1.0]))

    def loss(**changes):
        return float(training_losses(model, dataclasses.replace(batch, **changes), None).pitch.detach())

    blends = torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert loss(pitch=batch.pitch - blends[:, None, None], level=batch.level + blends) == loss()
    assert loss(level=batch.level + 1) != loss() and loss(shared=torch.ones(4)) == 0


def test_the_pooled_style_learns_from_token_means_which_leave_the_text_as_it_is(make_model, mixer):
    model, batch = make_model(), mixer.batch(0, 8)
    training_losses(model, batch, None).alignment.backward()
    moved = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert "style_encoder.timbre.spectrum.weight" in moved and "encoder.means.0.weight" in moved
    assert not any(name.startswith(("encoder.emb", "encoder.blocks", "frame_prior.")) for name in moved)


def test_the_prior_alone_needs_no_score_network_and_teaches_all_of_itself(make_model, mixer):
    model = make_model()
    found = training_losses(model, mixer.batch(0, 8), None)
    found.total.backward()
    assert all(n.startswith(PARTS["prior"]) == (p.grad is not None) for n, p in model.named_parameters())
    assert float(found.diffusion) == 0 < float(found.alignment)


@pytest.mark.parametrize(("kind", "role", "giver"), [("matched", "whole", 0), ("dual", "rest", 1)])
@torch.no_grad()
def test_token_means_are_those_of_who_gives_the_voice(make_model, mixer, kind, role, giver):
    model, draws = make_model().eval(), (mixer.example_of(kind, i) for i in range(100))
    batch = collate([next(draw for draw in draws if draw["b"][1] == role)], MIX, mixer.mel)
    tokens, pooled = read_references(model, batch)
    _, readings, _ = condition(model, batch, model.normalise(batch.mel), tokens, pooled)
    means = [model.encoder.token_means(model.encoder(batch.ids, batch.id_lengths), style) for style in pooled]
    assert torch.equal(readings[0].means, means[giver]) and not torch.equal(*means)


def test_unknown_durations_are_aligned(make_model, mixer):
    mel = torch.tensor([[[1.0, 1.0, 3.0, 0.0, 0.0, 0.0, 9.0]]])
    valid = torch.arange(7)[None] < 6
    assert align(torch.tensor([[[1.0, 3.0, 0.0]]]), mel, torch.ones(1, 3), valid).tolist() == [[2, 1, 3]]
    model, batch = make_model().eval(), mixer.batch(0, 3)
    batch = dataclasses.replace(batch, shared=torch.zeros(3))
    unknown = dataclasses.replace(batch, durations=torch.zeros_like(batch.durations))
    known, found = (training_losses(model, b, None) for b in (batch, unknown))
    durations = told(model, unknown)[2]
    assert torch.equal(durations.sum(1), batch.lengths) and torch.isfinite(found.duration)
    assert found.alignment < known.alignment  # the best monotonic path is better than any other, the true one included


def test_counts_are_averaged_over_processes(monkeypatch):
    count = torch.tensor(6.0)
    assert shared_count(count) is count
    monkeypatch.setattr(module.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(module.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(module.distributed, "all_reduce", lambda total: total.add_(4.0))
    assert float(shared_count(count)) == pytest.approx(5.0) and float(count) == 6.0


@pytest.fixture
def judge():
    torch.manual_seed(0)
    return PictureDiscriminator(4)


def test_each_adversarial_loss_moves_its_own_weights_alone(judge):
    real, fake = torch.randn(2, 80, 40), torch.zeros(2, 80, 40, requires_grad=True)
    for_model, own = adversarial_losses(judge, real, fake, distance=torch.tensor(0.2), weight=0.1)
    for_model.backward(retain_graph=True)
    assert fake.grad.abs().max() > 0 and all(p.grad is None for p in judge.parameters())
    fake.grad = None
    own.backward()
    assert fake.grad is None and all(p.grad.abs().max() > 0 for p in judge.parameters())


def test_the_feature_distance_has_the_size_of_the_distance_and_scores_that_of_the_weight(judge):
    real, fake = torch.randn(2, 80, 40), torch.zeros(2, 80, 40)
    found = [
        float(adversarial_losses(judge, real, fake, distance=torch.tensor(d), weight=w)[0])
        for d, w in ((0.2, 0.0), (0.4, 0.0), (0.2, 1.0))
    ]
    assert found[0] == pytest.approx(0.2, rel=1e-4) and found[1] == pytest.approx(0.4, rel=1e-4)
    scores = judge(fake[:, None])[0].detach()
    assert found[2] - found[0] == pytest.approx(float((1 - scores).square().mean()), rel=1e-3)


def test_the_score_network_is_judged_by_the_clean_mel_it_sees(make_model, mixer, judge):
    """Where its answer is exact, the clean mel is the target; where it is not, the discriminator's loss reaches it."""
    model, batch, diffusion = make_model(), mixer.batch(0, 4), noise_of(4)
    exact = copy.deepcopy(model)
    exact.score = lambda x, mask, mu, t, *_, **__: -diffusion[1] / noise_level(t, exact.schedule)[:, None, None]
    mel = model.normalise(batch.mel)[..., : SHAPE[1]]
    branch = Cropper(torch.arange(SHAPE[1]).expand(4, -1)).branch(told(model, batch)[0])
    branch = dataclasses.replace(branch, mu=torch.zeros_like(mel))
    error, clean = answer_of_score_network(exact, diffusion, branch, target=mel, mask=torch.ones_like(mel[:, :1]))
    torch.testing.assert_close(clean, mel, atol=2e-3, rtol=0)
    assert error.max() < 1e-6
    losses = training_losses(model, batch, diffusion, discriminator=judge, weight=0.1)
    losses.adversarial.backward()
    reached = [p.grad is not None and p.grad.abs().max() > 0 for p in model.decoder.parameters()]
    assert sum(reached) > 0.5 * len(reached)
