"""Linear layers and Mish that compute what torch's own do, on a CPU in half the time where nothing is learnt.

Both are torch's own where gradients are asked for, on a GPU, and where a graph is traced or compiled.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

BY_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
"""That operator is torch's own and not public: where it is missing, layers are torch's."""
LARGEST_EXPONENT = 20.0
"""Beyond it tanh(softplus(x)) is 1 in float32."""


def eager_on_cpu(x: Tensor) -> bool:
    """Whether a layer computes at once on a CPU, and no gradient is asked for."""
    watched = torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing()
    return x.device.type == "cpu" and not watched


class Linear(nn.Linear):
    """A linear layer by oneDNN in float32.

    Torch multiplies by MKL, which leaves the AVX-512 units of an AMD processor idle: 106 GFLOP/s a core in place of
    240 (EPYC of family 26, 408 x 256 by 256 x 768, torch 2.11).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., C_in) to (..., C_out)."""
        plain = input.dtype == self.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if not (BY_ONEDNN and plain and eager_on_cpu(input) and input.numel()):
            return super().forward(input)
        return torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "none", [], "")


class Mish(nn.Mish):
    """x tanh(softplus(x)), by one exponential in place of three functions."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply to each number.

        With e = exp(x), tanh(log(1 + e)) = n / (n + 1) for n = e + e^2 / 2.
        """
        if not eager_on_cpu(input):
            return functional.mish(input)
        x = input.float()
        e = x.clamp(max=LARGEST_EXPONENT).exp_()
        n = torch.addcmul(e, e, e, value=0.5)
        return n.div_(n + 1).mul_(x).to(input.dtype)
