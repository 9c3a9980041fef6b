"""The laws that every sampler obeys, on distributions whose score has a closed form; official numbers."""

import math

import numpy as np
import pytest
import torch
from refusing import refused

from gradtts_interp.diffusion.samplers import (
    SAMPLERS,
    _maximum_likelihood_factors,
    evaluation_times,
    sample,
    sampler_by_name,
    standard_noise,
)
from gradtts_interp.diffusion.schedule import LinearSchedule, beta, diffuse, integral, log_snr, noise_level, signal
from gradtts_interp.interpolation.mechanisms import Branch
from gradtts_interp.training.losses import answer_of_score_network

SCHEDULE = LinearSchedule()
MEAN, SPREAD = 0.8, 0.5
DETERMINISTIC = ["euler", "dpm++", "unipc"]
STOCHASTIC = ["euler_maruyama", "ml"]
every_sampler = pytest.mark.parametrize("name", list(SAMPLERS))


def gaussian_score(mu):
    """Score of mels N(mu + MEAN, SPREAD^2)."""

    def score(x, t):
        a, n = signal(t, SCHEDULE)[:, None, None], noise_level(t, SCHEDULE)[:, None, None]
        return -(x - mu - a * MEAN) / (a**2 * SPREAD**2 + n**2)

    return score


def mixture_score(mu, error, seed=1):
    """Score of three modes for each mel point, off by ``error`` of its scale 1 / noise level."""
    generator = torch.Generator().manual_seed(seed)
    centres = 1.5 * torch.randn((3, *mu.shape), generator=generator)
    phase = torch.randn(mu.shape, generator=generator)
    widths = torch.tensor([0.05, 0.15, 0.4])[:, None, None, None]

    def score(x, t):
        a, n = signal(t, SCHEDULE)[:, None, None], noise_level(t, SCHEDULE)[:, None, None]
        variance = (a * widths) ** 2 + n**2
        distance = x - mu - a * centres
        weight = torch.softmax(-0.5 * distance**2 / variance - 0.5 * torch.log(variance), dim=0)
        wrong = error / n * torch.sin(3 * (x - mu) + 7 * t[:, None, None] + phase)
        return wrong - (weight * distance / variance).sum(0)

    return score


def inputs(batch=2, bins=16, frames=24, seed=0):
    """Noise, mu and mask of a batch whose last item is padded."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(batch, 1, frames)
    mask[-1, :, 3 * frames // 4 :] = 0
    mu = torch.randn((batch, bins, frames), generator=generator) * mask
    return torch.randn((batch, bins, frames), generator=generator), mu, mask


def run(name, steps, given=None, seed=0, **keywords):
    """Sample the Gaussian toy."""
    noise, mu, mask = given or inputs()
    generator = torch.Generator().manual_seed(seed)
    return SAMPLERS[name](gaussian_score(mu), SCHEDULE, noise, mu, mask, steps, generator=generator, **keywords)


def law_error(name, steps):
    """Distance of the samples' mean and standard deviation from those of the toy."""
    mu = torch.full((4, 80, 250), -3.0)
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(5))
    residual = run(name, steps, (noise, mu, torch.ones(4, 1, 250))) - mu
    return abs(float(residual.mean()) - MEAN) + abs(float(residual.std()) - SPREAD)


@every_sampler
def test_recovers_mean_and_spread_the_better_the_more_steps(name):
    errors = [law_error(name, steps) for steps in (4, 12, 40, 100)]
    assert errors[0] > errors[1] > errors[2] and errors[3] < 0.03 + 0.02 * (name == "ml")


@pytest.mark.parametrize("error", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("name", ["dpm++", "unipc"])
def test_few_steps_stay_finite_and_each_helps(name, error):
    mu = torch.randn((4, 80, 32), generator=torch.Generator().manual_seed(2))
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(3)) / 1.5
    mask, score = torch.ones(4, 1, 32), mixture_score(mu, error)
    with torch.no_grad():
        reference = SAMPLERS["euler"](score, SCHEDULE, noise, mu, mask, 1000)
        mels = [SAMPLERS[name](score, SCHEDULE, noise, mu, mask, steps) for steps in range(1, 21)]
    assert max(float((mel - mu).abs().max()) for mel in mels) < 20
    errors = [float((mel - reference).abs().mean()) for mel in mels[3:]]
    assert all(later < earlier for earlier, later in zip(errors, errors[1:], strict=False)), errors
    assert errors[0] < 0.6 and errors[6] < 0.12 and errors[-1] < 0.05
    for steps in (4, 10, 20) if not error else ():
        with torch.no_grad():
            euler = SAMPLERS["euler"](score, SCHEDULE, noise, mu, mask, steps)
        assert errors[steps - 4] < 0.6 * float((euler - reference).abs().mean())


@every_sampler
def test_gradient_flows_to_the_noise(name):
    noise, mu, mask = inputs()
    noise.requires_grad_()
    mel = run(name, 6, (noise, mu, mask))
    (mel.square().sum()).backward()
    valid = noise.grad[mask.expand_as(noise) > 0]
    assert torch.isfinite(noise.grad).all() and float(valid.abs().min()) > 0
    assert float((noise.grad * (1 - mask)).abs().max()) == 0


@every_sampler
def test_same_seed_same_mel_and_inputs_are_left_as_they_are(name):
    assert sorted(DETERMINISTIC + STOCHASTIC) == sorted(SAMPLERS)
    given = inputs()
    mel = run(name, 5, given, seed=1)
    assert all(torch.equal(tensor, before) for tensor, before in zip(given, inputs(), strict=True))
    assert torch.equal(mel, run(name, 5, seed=1))
    assert torch.equal(mel, run(name, 5, seed=2)) == (name in DETERMINISTIC)


@every_sampler
def test_padding_is_zero_and_changes_nothing(name):
    noise, mu, mask = inputs()
    valid = int(mask[1].sum())
    seeds = [torch.Generator().manual_seed(seed) for seed in (7, 8)]
    batch = SAMPLERS[name](gaussian_score(mu), SCHEDULE, noise, mu, mask, 5, generator=seeds)
    assert float((batch * (1 - mask)).abs().max()) == 0
    cut = [tensor[1:, :, :valid] for tensor in (noise, mu, mask)]
    own = torch.Generator().manual_seed(8)
    single = SAMPLERS[name](gaussian_score(cut[1]), SCHEDULE, *cut, 5, generator=own)
    torch.testing.assert_close(batch[1:, :, :valid], single, atol=1e-5, rtol=1e-5)


@every_sampler
def test_each_step_is_one_evaluation_and_is_told_to_the_callback(name):
    noise, mu, mask = inputs()
    evaluated, told = [], []

    def score(x, t):
        assert t.shape == (2,) and t.dtype == mu.dtype
        evaluated.append(float(t[0]))
        return gaussian_score(mu)(x, t)

    options = {"generator": torch.Generator().manual_seed(0), "callback": lambda *step: told.append(step)}
    mel = SAMPLERS[name](score, SCHEDULE, noise, mu, mask, 6, **options)
    steps, passed, mels = zip(*told, strict=True)
    for times in (evaluated, list(passed)):
        assert times == sorted(times, reverse=True) and len(times) == 6
    assert steps == tuple(range(6)) and passed[-1] == 0 < evaluated[-1] and evaluated[0] <= 1
    assert torch.equal(mels[-1], mel) and torch.equal(mel, run(name, 6))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_sampler_goes_on_from_a_replaced_mel(name):
    """A mel put in half-way flows to the point that the exact ODE carries it to, with no trace of the past."""
    noise, mu, mask = inputs()
    steps, place, reached = 60, 30, []
    wanted = mu + 2.0 * torch.randn(mu.shape, generator=torch.Generator().manual_seed(9))

    def callback(step, t, x):
        if step != place:
            return None
        reached.append(t)
        return wanted * mask

    mel = run(name, steps, (noise, mu, mask), callback=callback)
    a, n = signal(reached[0], SCHEDULE), noise_level(reached[0], SCHEDULE)
    exact = mu + MEAN + (wanted - mu - a * MEAN) * SPREAD / math.sqrt((a * SPREAD) ** 2 + n**2)
    assert float(((mel - exact) * mask).abs().mean()) < 0.03


def test_maximum_likelihood_factors_equal_the_paper():
    """The published form with kappa*, omega* and sigma, written out from gamma."""

    def gamma(s, t, power=1.0):
        return math.exp(-0.5 * power * (integral(t, SCHEDULE) - integral(s, SCHEDULE)))

    for t, h in [(1.0, 0.1), (0.5, 0.05), (0.1, 0.1)]:
        s, beta_h = t - h, beta(t, SCHEDULE) * h
        kappa = gamma(0, s) * (1 - gamma(s, t, 2)) / (gamma(0, t) * beta_h) - 1
        mu_st = gamma(s, t) * (1 - gamma(0, s, 2)) / (1 - gamma(0, t, 2))
        nu_st = gamma(0, s) * (1 - gamma(s, t, 2)) / (1 - gamma(0, t, 2))
        omega = (mu_st + nu_st / gamma(0, t) - 1) / beta_h - 0.5
        sigma = math.sqrt((1 - gamma(0, s, 2)) * (1 - gamma(s, t, 2)) / (1 - gamma(0, t, 2)))
        published = (1 + beta_h * (0.5 + omega), beta_h * (1 + kappa), sigma)
        assert _maximum_likelihood_factors(t, s, SCHEDULE) == pytest.approx(published, rel=1e-9, abs=1e-12)


def test_evaluation_times():
    assert evaluation_times(1, SCHEDULE) == [1.0]
    assert evaluation_times(5, SCHEDULE) == pytest.approx([(1 - i / 5) ** 1.5 for i in range(5)])
    for steps in (4, 20, 1000):
        times = evaluation_times(steps, SCHEDULE)
        assert len(times) == steps and times[0] == 1.0 and 0.4 < times[-1] * steps**1.5 < 1.1
        assert all(later < earlier for earlier, later in zip(times, times[1:], strict=False))
        assert all(math.isfinite(log_snr(t, SCHEDULE)) for t in times)
    rises = np.diff([log_snr(t, SCHEDULE) for t in times])
    np.testing.assert_allclose(rises, rises.mean(), rtol=0.05)


def test_noise_of_the_first_frames_does_not_depend_on_what_follows():
    short, long = torch.empty(1, 80, 9), torch.empty(1, 80, 40)
    first = standard_noise(short, torch.Generator().manual_seed(3))
    assert torch.equal(first, standard_noise(long, torch.Generator().manual_seed(3))[..., :9])
    both = standard_noise(torch.empty(2, 80, 9), [torch.Generator().manual_seed(seed) for seed in (3, 4)])
    assert torch.equal(both[:1], first) and not torch.equal(both[1:], first)
    shared = standard_noise(torch.empty(2, 80, 9), torch.Generator().manual_seed(3))
    assert torch.equal(shared[:1], first) and not torch.equal(shared[1:], first)


def test_noise_is_standard_normal_and_follows_the_global_seed():
    torch.manual_seed(4)
    noise = standard_noise(torch.empty(2, 80, 1000))
    assert abs(float(noise.mean())) < 0.01 and abs(float(noise.std()) - 1) < 0.01
    torch.manual_seed(4)
    assert torch.equal(noise, standard_noise(torch.empty(2, 80, 1000)))
    generators = [torch.Generator(), torch.Generator()]
    refused(standard_noise, (torch.empty(3, 80, 4), generators, "expected one generator for each of 3 items, got 2"))


def test_steps_are_a_whole_number_shapes_belong_together_and_solvers_have_names():
    noise, mu, mask = inputs()
    wrong = (0, -3, 2.5, True, "10", None)
    refused(
        run,
        *(("euler", steps, f"steps: expected a whole number of at least 1, got {steps!r}") for steps in wrong),
        ("euler", 3, (noise[..., :-1], mu, mask), r"got \(2, 16, 23\), \(2, 16, 24\) and \(2, 1, 24\)"),
        ("euler", 3, (noise, mu, mask[..., :-1]), r"expected noise and mu \(B, M, T\) and mask \(B, 1, T\)"),
    )
    assert torch.equal(run("euler", np.int64(3)), run("euler", 3))
    refused(sampler_by_name, ("heun", r"unknown solver 'heun'; expected one of \['dpm\+\+', 'euler', .*'unipc'\]"))
    assert all(sampler_by_name(name) is SAMPLERS[name] for name in SAMPLERS)


@pytest.mark.parametrize(("solver", "steps"), [("unipc", 12), ("dpm++", 12), ("euler", 100), ("ml", 100)])
def test_samplers_can_start_below_one(solver, steps):
    """From a mel noised up to a time, the same distribution is reached; from nearly no noise, the mel itself."""
    noise, mu, mask = inputs(batch=64)
    clean, told = mu + MEAN + SPREAD * noise.flip(0), []
    options = {"callback": lambda _, t, x: told.append(t), "generator": torch.Generator().manual_seed(0)}
    given, t = (mu, torch.ones_like(mask)), torch.full((len(mu),), 0.4)
    start = diffuse(clean, mu, t, noise, SCHEDULE) - mu
    found = sample(solver, gaussian_score(mu), SCHEDULE, start, *given, steps, start_time=0.4, **options) - mu
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(found.std()) == pytest.approx(SPREAD, abs=0.02)
    assert len(told) == steps and told == sorted(told, reverse=True) and 0.25 < told[0] < 0.4 and told[-1] == 0
    start = diffuse(clean, mu, torch.full_like(t, 1e-3), noise, SCHEDULE) - mu
    near = sample(solver, gaussian_score(mu), SCHEDULE, start, *given, 4, start_time=1e-3, **options)
    assert (near - clean).abs().max() < 0.05


# -- the official process, against golden numbers ----------------------------------------------------------------


@torch.no_grad()
def test_euler_equals_official_sampling(golden):
    model, tensors = golden.model, golden.tensors
    mu, mask = tensors["mu"], tensors["mel_mask"]

    def score(x, t):
        return model.score(x, mask, mu, t, golden.speaker)

    lengths = sorted(int(name.removeprefix("euler_")) for name in tensors if name.startswith("euler_"))
    assert lengths
    for steps in lengths:
        mel = sample("euler", score, model.schedule, tensors["z"] - mu, mu, mask, steps)
        torch.testing.assert_close(mel, tensors[f"euler_{steps}"], atol=1e-3, rtol=0)


def test_diffuse_equals_official(golden):
    tensors = golden.tensors
    clean, mu, t, noise = (tensors[name] for name in ("x0", "mu", "t", "noise"))
    x_t = diffuse(clean, mu, t, noise, golden.model.schedule) * tensors["mel_mask"]
    torch.testing.assert_close(x_t, tensors["x_t"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_loss_of_training_equals_the_official(golden):
    model, tensors = golden.model, golden.tensors
    branch, mask = Branch(0, None, None, golden.speaker, mu=tensors["mu"]), tensors["mel_mask"]
    diffusion = tensors["t"], tensors["noise"]
    error, _ = answer_of_score_network(model, diffusion, branch, target=tensors["x0"], mask=mask)
    loss = (error * mask.sum((1, 2))).sum() / mask.sum()
    torch.testing.assert_close(loss, tensors["diffusion_loss"], atol=1e-4, rtol=0)
