"""diffusers without its slow imports behaves as it does with them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys
import torch
from gradtts_interp.models import diffusers_parts
from diffusers.pipelines import pipeline_utils

assert "torch._dynamo" not in sys.modules and "diffusers.models.autoencoders" not in sys.modules
marked = {}
with diffusers_parts.compiler_later():
    @torch.compiler.disable
    def plain(x):
        return x + 1

    @torch.compiler.disable(recursive=False)
    def with_options(x):
        return x + 2

assert (plain(1), with_options(1), plain.__name__) == (2, 3, "plain")
assert "torch._dynamo" not in sys.modules, "nothing is compiled, so nothing is asked of the compiler"

# The stand-in gives way to the compiler as soon as more is asked of it.
with diffusers_parts.compiler_later():
    assert isinstance(sys.modules["torch._dynamo"], diffusers_parts._CompilerLater)
    assert torch._dynamo.config.cache_size_limit > 0
assert sys.modules["torch._dynamo"].__file__ is not None
with diffusers_parts.compiler_later():
    assert sys.modules["torch._dynamo"].__file__ is not None, "what is there stays"

# What was marked before stays out of a graph.
seen = []
def backend(graph, inputs):
    seen.append([node.name for node in graph.graph.nodes if node.op == "call_function"])
    return graph.forward
compiled = torch.compile(lambda x: plain(x * 3) * 5, backend=backend)
assert compiled(torch.ones(1)).item() == 20
assert [name[:3] for names in seen for name in names] == ["mul", "mul"], seen

# The pipelines' question whether something is an autoencoder has its usual answer.
import diffusers
assert not isinstance(torch.nn.Linear(1, 1), pipeline_utils.AutoencoderKL)
tiny = dict(block_out_channels=(4,), norm_num_groups=2, layers_per_block=1)
assert isinstance(diffusers.AutoencoderKL(**tiny), pipeline_utils.AutoencoderKL)
assert diffusers.models.AutoencoderKL is diffusers.AutoencoderKL
"""


def test_stand_ins_give_way_to_what_they_stand_for():
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
