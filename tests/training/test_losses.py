"""Losses: right numbers on toys, gradients where they belong, noise that is a pure function."""

import dataclasses

import pytest
import torch
from fake_corpus import MIX, TINY

from gradtts_interp.diffusion.schedule import diffuse, noise_level, signal
from gradtts_interp.training import losses as module
from gradtts_interp.training.losses import (
    Cropper,
    align,
    draw_diffusion,
    pooled_references,
    prior_of_batch,
    read_references,
    shared_count,
    shift_of_mean,
    training_losses,
)
from gradtts_interp.training.mix import KINDS, Mixer
from gradtts_interp.training.start import PARTS

SHAPE = (80, MIX.crop_frames)


def opened(model, gate=1.0):
    """Let the style attention be heard."""
    for site in model.attention_sites.values():
        torch.nn.init.constant_(site.gate, gate)
    return model


def noise_of(size, step=0):
    return draw_diffusion(0, step, size=size, shape=SHAPE)


def test_cropper_cuts_the_same_frames_and_repeats_the_last():
    x = torch.arange(12.0).view(2, 1, 6)
    cut = Cropper(torch.tensor([[1, 2, 3], [4, 5, 6]]))(x)
    assert cut.tolist() == [[[1, 2, 3]], [[10, 11, 11]]]


def test_noise_depends_on_seed_step_and_place_alone():
    whole = draw_diffusion(1, 5, size=6, shape=SHAPE)
    parts = [draw_diffusion(1, 5, size=3, shape=SHAPE, offset=offset, of=6) for offset in (0, 3)]
    assert torch.equal(torch.cat([p.t for p in parts]), whole.t)
    assert torch.equal(torch.cat([p.noise for p in parts]), whole.noise)
    for other in (draw_diffusion(2, 5, size=6, shape=SHAPE), draw_diffusion(1, 6, size=6, shape=SHAPE)):
        assert not torch.equal(other.noise[0], whole.noise[0]) and not torch.equal(other.t, whole.t)
    assert not torch.equal(whole.noise[0], whole.noise[1])
    assert sorted((whole.t * 6).long().tolist()) == list(range(6))  # one time in each stratum
    many = draw_diffusion(0, 0, size=64, shape=SHAPE).noise
    assert abs(float(many.mean())) < 0.01 and abs(float(many.std()) - 1) < 0.01


def test_losses_are_finite_and_sum_up(make_model, mixer):
    batch = mixer.batch(0, 6)
    found = training_losses(make_model(), batch, noise_of(6))
    assert found.per_kind.shape == (6,) and not found.per_kind.requires_grad
    assert torch.isfinite(found.total) and float(found.duration) > 0 and float(found.diffusion) > 0
    parts = (found.duration, found.prior, found.diffusion, found.pitch, found.alignment)
    assert torch.allclose(found.total, sum(parts))
    assert torch.allclose(found.diffusion, found.per_kind.mean())


def test_padding_to_a_multiple_changes_no_loss(make_model, mixer):
    padded = Mixer(mixer.corpus, dataclasses.replace(MIX, length_multiple=32), mixer.mel, seed=mixer.seed)
    plain, longer = mixer.batch(0, 6), padded.batch(0, 6)
    assert longer.mel.shape[2] % 32 == 0 and longer.ids.shape[1] % 32 == 0
    assert longer.mel.shape[2] > plain.mel.shape[2] or longer.ids.shape[1] > plain.ids.shape[1]
    model = make_model().eval()
    with torch.no_grad():
        one, other = (training_losses(model, batch, noise_of(6)) for batch in (plain, longer))
    for name in ("duration", "prior", "diffusion", "pitch", "alignment"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=1e-4, rtol=1e-4)


def test_gradient_reaches_every_part(make_model, mixer):
    model = opened(make_model(), 0.5)
    batch = dataclasses.replace(mixer.batch(0, 8), null=torch.arange(8) == 0)
    training_losses(model, batch, noise_of(8)).total.backward()
    for name in ("style_encoder.patches.weight", "style_encoder.null", "encoder.emb.weight"):
        assert model.get_parameter(name).grad.abs().sum() > 0, name
    estimator = [p.grad for p in model.decoder.estimator.parameters() if p.grad is not None]
    assert sum(float(g.abs().sum()) for g in estimator) > 0
    for site in model.attention_sites.values():
        assert site.gate.grad.abs().sum() > 0 and site.attn.to_k.weight.grad.abs().sum() > 0


def test_v_loss_is_the_squared_error_of_v(make_model, mixer, monkeypatch):
    model, batch, diffusion = make_model().eval(), mixer.batch(0, 4), noise_of(4)
    answers = []
    estimator = model.decoder.estimator.forward
    monkeypatch.setattr(
        model.decoder.estimator, "forward", lambda *a, **k: answers.append(estimator(*a, **k)) or answers[-1]
    )
    found = training_losses(model, batch, diffusion)
    mel = model.normalise(batch.mel)
    mu = prior_of_batch(model, batch, read_references(model, batch)[0], mel).mu
    crop = Cropper(batch.start[:, None] + torch.arange(SHAPE[1])[None])
    t = diffusion.t[:, None, None]
    valid = (torch.arange(mel.shape[2])[None] < batch.lengths[:, None])[:, None].float()
    level, kept = noise_level(t, model.schedule), signal(t, model.schedule)
    v = kept * diffusion.noise - level * (crop(mel) - crop(mu))
    error = (((answers[0] - v) ** 2) * crop(valid)).sum((1, 2)) / (crop(valid).sum((1, 2)) * 80)
    assert torch.allclose(found.per_kind, error, rtol=1e-2, atol=1e-4)
    x_t = diffuse(crop(mel), crop(mu), diffusion.t, diffusion.noise, model.schedule)
    assert torch.allclose(x_t - crop(mu), kept * (crop(mel) - crop(mu)) + level * diffusion.noise, atol=1e-5)


def test_the_shift_of_the_mean_is_what_a_score_network_adds_to_its_prior(make_model, mixer, monkeypatch):
    """Of a network that knows the distribution exactly; the targets are moved back by it, so that none is learnt."""
    model, batch, diffusion = make_model().eval(), mixer.batch(0, 4), noise_of(4)
    shift, spread = 0.3, 0.5

    def exact(x, mask, mu, t, **_):
        a, n = signal(t, model.schedule)[:, None, None], noise_level(t, model.schedule)[:, None, None]
        return -(x - mu - a * shift) / (a**2 * spread**2 + n**2)

    monkeypatch.setattr(model, "score", exact)
    crop = Cropper(batch.start[:, None] + torch.arange(SHAPE[1])[None])
    mel = model.normalise(batch.mel)
    mean, mask = torch.randn(4, *SHAPE), torch.ones(4, 1, SHAPE[1])
    found = shift_of_mean(model, batch, diffusion, crop, target=crop(mel), mean=mean, mask=mask)
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
    valid = (crop((torch.arange(mel.shape[2])[None] < batch.lengths[:, None])[:, None].float()) > 0).expand_as(asked[0])
    assert len(asked) == 3 and torch.equal(asked[0], asked[1])
    torch.testing.assert_close((asked[0] - asked[2])[valid], found[valid], atol=0.03, rtol=0)


def test_null_items_read_nothing_of_their_references(make_model, mixer):
    model = opened(make_model().eval())
    batch = mixer.batch(0, 4)
    everyone = torch.ones(4, dtype=torch.bool)
    dropped = dataclasses.replace(batch, null=everyone, null_text=everyone, reference=batch.reference.requires_grad_())
    training_losses(model, dropped, noise_of(4)).total.backward()
    assert dropped.reference.grad.abs().max() == 0
    assert model.style_encoder.null.grad.abs().sum() > 0
    kept = dataclasses.replace(batch, null=~everyone, null_text=~everyone, reference=batch.reference.detach().clone())
    kept.reference.requires_grad_()
    training_losses(model, kept, noise_of(4)).total.backward()
    assert kept.reference.grad.abs().max() > 0


def test_a_prior_of_no_style_says_nothing_of_pitch_or_energy(make_model, mixer):
    model, batch = make_model().eval(), mixer.batch(0, 4)
    mel = model.normalise(batch.mel)

    def mean(pitch, nobody):
        changed = dataclasses.replace(batch, pitch=pitch, null_text=torch.full((4,), nobody))
        return prior_of_batch(model, changed, pooled_references(model, changed), mel).mu

    other = batch.pitch + torch.tensor([0.0, 1.0, 1.0])[:, None]
    with torch.no_grad():
        assert torch.equal(mean(batch.pitch, True), mean(other, True))
        assert not torch.allclose(mean(batch.pitch, False), mean(other, False))


def test_swapping_names_of_a_blend_changes_nothing(make_model, mixer):
    model = opened(make_model().eval())
    batch = mixer.batch(1, 6)
    sides = ("reference", "reference_lengths", "reference_mask", "role", "speaker", "emotion", "prosody")
    batch = dataclasses.replace(batch, shared=torch.ones(6), reference_mask=torch.ones_like(batch.reference_mask))
    swapped = dataclasses.replace(
        batch, share=1 - batch.share, **{name: getattr(batch, name).flip(0) for name in sides}
    )
    a, b = (training_losses(model, x, noise_of(6)) for x in (batch, swapped))
    assert torch.allclose(a.per_kind, b.per_kind, rtol=1e-3, atol=1e-5)
    assert torch.allclose(a.prior, b.prior, rtol=1e-4) and torch.allclose(a.duration, b.duration, rtol=1e-4)


def test_a_frame_prior_reads_target_contour_and_reference_timbre(make_model, mixer):
    model, batch = make_model().eval(), mixer.batch(1, 4)
    mel, pooled = model.normalise(batch.mel), pooled_references(model, batch)
    mu = prior_of_batch(model, batch, pooled, mel).mu
    higher = dataclasses.replace(batch, pitch=batch.pitch + torch.tensor([0.0, 1.0, 0.0])[:, None])
    louder = dataclasses.replace(batch, pitch=batch.pitch + torch.tensor([0.0, 0.0, 1.0])[:, None])
    numbers = dataclasses.replace(batch, prosody=batch.prosody + 1)
    for other in (higher, louder):
        assert not torch.allclose(prior_of_batch(model, other, pooled, mel).mu, mu)
    assert torch.equal(prior_of_batch(model, numbers, pooled, mel).mu, mu)
    assert not torch.allclose(prior_of_batch(model, batch, pooled[::-1], mel).mu, mu)


def test_pooled_references_are_those_of_the_style_encoder_and_skip_what_is_hidden(make_model, mixer):
    model, batch = make_model().eval(), mixer.batch(0, 6)
    short, whole = pooled_references(model, batch), read_references(model, batch)[0]
    hidden = (batch.kind == KINDS.index("matched")).nonzero()[:, 0]
    torch.testing.assert_close(short[0], whole[0])
    seen = [i for i in range(6) if i not in hidden]
    torch.testing.assert_close(short[1][seen], whole[1][seen])
    assert (short[1][hidden] == 0).all() and len(hidden)


def test_a_blend_mixes_pooled_styles_frame_by_frame(make_model, mixer):
    """At share 0 and 1 the mean is that of one style alone; texts and contours are the same."""
    model, batch = make_model().eval(), mixer.batch(0, 3)
    mel, (a, b) = model.normalise(batch.mel), pooled_references(model, batch)
    half = (torch.arange(mel.shape[2]) >= 20).float().expand(3, -1)
    batch = dataclasses.replace(batch, shared=torch.ones(3))
    moving, first, second = (
        prior_of_batch(model, dataclasses.replace(batch, share=share), (a, b + 1), mel).mu
        for share in (half, torch.zeros_like(half), torch.ones_like(half))
    )
    reach = 4 * TINY.prior_frame_layers
    torch.testing.assert_close(moving[..., : 20 - reach], first[..., : 20 - reach], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moving[..., 20 + reach :], second[..., 20 + reach :], atol=1e-5, rtol=1e-5)


def test_contours_are_taught_by_single_styles_only(make_model, mixer):
    model, batch = make_model().eval(), mixer.batch(0, 4)
    batch = dataclasses.replace(batch, shared=torch.tensor([0.0, 0.0, 1.0, 1.0]))
    wrong = dataclasses.replace(batch, pitch=batch.pitch.clone(), level=batch.level.clone())
    wrong.pitch[2:] = -wrong.pitch[2:]
    wrong.level[2:] += 1
    assert torch.equal(training_losses(model, batch, None).pitch, training_losses(model, wrong, None).pitch)
    wrong.level[0] += 1
    assert not torch.equal(training_losses(model, batch, None).pitch, training_losses(model, wrong, None).pitch)
    blends = dataclasses.replace(batch, shared=torch.ones(4))
    assert float(training_losses(model, blends, None).pitch) == 0


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
    lacking = [n for n, p in model.named_parameters() if n.startswith(PARTS["prior"]) and p.grad is None]
    others = [n for n, p in model.named_parameters() if not n.startswith(PARTS["prior"]) and p.grad is not None]
    assert lacking == [] == others and float(found.diffusion) == 0 < float(found.alignment)


def test_alignment_finds_the_durations_of_separable_tokens():
    mu = torch.tensor([[[-4.0, 0.0, 4.0]]])
    mel = torch.tensor([[[-4.0, -4.0, 0.0, 4.0, 4.0, 4.0, 9.0]]])
    valid = torch.tensor([[1, 1, 1, 1, 1, 1, 0]]).bool()
    assert align(mu, mel, torch.ones(1, 3), valid).tolist() == [[2, 1, 3]]


def test_unknown_durations_are_aligned(make_model, mixer):
    model, batch = make_model().eval(), mixer.batch(0, 3)
    batch = dataclasses.replace(batch, shared=torch.zeros(3))
    unknown = dataclasses.replace(batch, durations=torch.zeros_like(batch.durations))
    mel = model.normalise(batch.mel)
    known, found = (prior_of_batch(model, b, pooled_references(model, b), mel) for b in (batch, unknown))
    assert torch.equal(found.durations.sum(1), batch.lengths) and torch.isfinite(found.duration)
    assert found.alignment < known.alignment  # the best monotonic path is better than any other, the true one included


def test_counts_are_averaged_over_processes(monkeypatch):
    count = torch.tensor(6.0)
    assert shared_count(count) is count
    monkeypatch.setattr(module.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(module.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(module.distributed, "all_reduce", lambda total: total.add_(4.0))
    assert float(shared_count(count)) == pytest.approx(5.0) and float(count) == 6.0


def test_dropped_prosody_reaches_no_score(make_model, mixer):
    batch = dataclasses.replace(mixer.batch(0, 4), prosody_known=torch.zeros(4))
    assert read_references(make_model(), batch)[2].abs().max() == 0
