"""Noise schedule: derivative, inverse, agreement of floats and tensors, the law of the forward process."""

import math

import pytest
import torch
from refusing import refused

from gradtts_interp.diffusion.schedule import (
    LinearSchedule,
    beta,
    integral,
    log_snr,
    noise_level,
    signal,
    time_of_log_snr,
)

SCHEDULES = [LinearSchedule(), LinearSchedule(0.1, 5.0), LinearSchedule(3.0, 3.0)]
TIMES = torch.linspace(1e-4, 1.0, 401, dtype=torch.float64)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_derivative_variance_and_inverse(schedule):
    t = TIMES.clone().requires_grad_()
    integral(t, schedule).sum().backward()
    torch.testing.assert_close(t.grad, beta(TIMES, schedule))
    total = signal(TIMES, schedule) ** 2 + noise_level(TIMES, schedule) ** 2
    torch.testing.assert_close(total, torch.ones_like(total))
    for time in TIMES.tolist():
        value = log_snr(time, schedule)
        ratio = signal(time, schedule) / noise_level(time, schedule)
        assert value == pytest.approx(math.log(ratio), rel=1e-9, abs=1e-9)
        assert time_of_log_snr(value, schedule) == pytest.approx(time, rel=1e-9)
    ends = (integral(0.0, schedule), signal(0.0, schedule), noise_level(0.0, schedule), log_snr(0.0, schedule))
    assert ends == (0.0, 1.0, 0.0, math.inf)


@pytest.mark.parametrize("function", [beta, integral, signal, noise_level])
def test_floats_equal_tensors(function):
    for t in (0.001, 0.3, 1.0):
        of_float = function(t, LinearSchedule())
        of_tensor = function(torch.tensor(t, dtype=torch.float64), LinearSchedule())
        assert isinstance(of_float, float) and isinstance(of_tensor, torch.Tensor)
        assert of_float == pytest.approx(float(of_tensor), rel=1e-12)


def test_noise_level_is_exact_near_zero_in_single_precision():
    t = 1e-6
    single = noise_level(torch.tensor(t), LinearSchedule())
    assert float(single) == pytest.approx(noise_level(t, LinearSchedule()), rel=1e-5)


def test_rates_are_checked():
    for low, high in ((0.0, 20.0), (-1.0, 20.0), (5.0, 1.0), (0.05, math.inf), (math.nan, 1.0)):
        message = f"expected 0 < beta_min <= beta_max, got beta_min={low}, beta_max={high}"
        refused(LinearSchedule, (low, high, message))
