"""The networks as ONNX files, each checked against torch; the loop over steps stays outside, so steps are free.

``text_encoder.onnx`` gives log-durations and hidden states; ``pitch.onnx`` the shape of the pitch, its voicing and the
energy, and ``prior.onnx`` the mean mel; ``estimator.onnx`` the score of one step for two styles under a share map;
``vocoder.onnx`` the generator's audio. One sentence at a time (batch 1), any length.

``pitch.onnx`` and ``prior.onnx`` read hidden states that are repeated over each token's frames, and
:func:`gradtts_interp.models.pitch_predictor.token_places`; the energies of ``pitch.onnx`` are still to be averaged over
each token.

A vocoder with a harmonic source is exported as its networks: ``vocoder.onnx`` gives log gain and phase of the pulses
and log gain of the noise, ``vocoder_pitch.onnx`` log F0 and the logit of voicing where no contour is given. The two
sources, whose phase must be summed in double precision, and the transforms are those of :mod:`hifigan.harmonic`.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gradtts_interp.checkpoints import checkpoint_of
from gradtts_interp.errors import CheckpointError, InputError, import_extra
from gradtts_interp.files import atomic_path, write_json
from gradtts_interp.models.frame_prior import PHONE_PLACES
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.pitch_predictor import PITCH_FROM, PLACES, PROSODY_CHANNELS
from gradtts_interp.models.style_attention import StyleContext
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.vocoder import Vocoder

TOLERANCE = 1e-3
OPSET = 18
NUMBERS = ("mel_mean", "mel_std", "residual_std", "temperature", "formant_emphasis", "beta_min", "beta_max")
"""What a program around the files needs of the model's settings."""
Named = dict[str, Tensor]
Shape = tuple[int | str, ...]
"""Sizes of an input's axes; one with a name is free."""

VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "ids": lambda x: 1 + (10 * x.abs()).long(),
    "mask": torch.ones_like,
    "t": lambda x: torch.full_like(x, 0.4),
    "places": torch.sigmoid,
    "log_weight": torch.zeros_like,
    "owner": lambda x: torch.arange(len(x)) // (len(x) // 2),
    "share": lambda x: x.softmax(1),
    "mel": lambda x: x - 5,
    "f0_hz": lambda x: 100 + 50 * x.abs(),
    "voiced": lambda x: (x > 0).float(),
}
"""What inputs to try a network by are made of normal numbers; those not named here are left as they are."""


class Graph(nn.Module):
    """What one file computes.

    Args:
        network: Holds the weights.
        answer: Computes with it from inputs in the order of ``shapes``.
        shapes: Inputs by their names.
    """

    def __init__(self, network: nn.Module, answer: Callable[..., Any], shapes: dict[str, Shape]) -> None:
        super().__init__()
        self.network, self.answer, self.shapes = network, answer, shapes
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute for one sentence; the outputs always as a tuple."""
        found = self.answer(*inputs)
        return (found,) if isinstance(found, Tensor) else tuple(found)

    def inputs(self, length: int, frame_multiple: int) -> Named:
        """Inputs to try it by: so many tokens and keys of each of two styles, and so many times the multiple frames."""
        sizes = {"tokens": length, "frames": length * frame_multiple, "keys": 2 * length}
        draw = torch.Generator().manual_seed(length)
        found = {}
        for name, shape in self.shapes.items():
            numbers = torch.randn([sizes[n] if isinstance(n, str) else n for n in shape], generator=draw)
            found[name] = VALUES[name](numbers) if name in VALUES else numbers
        return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``gradtts-interp export-onnx``."""
    parser.add_argument("-c", "--checkpoint", help="folder of a checkpoint; None is checkpts/demo")
    parser.add_argument("--out", default="out/onnx", help="folder to write to")


def run(args: argparse.Namespace) -> int:
    """Export, check, and print the differences.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.
    """
    tts = GradTTSInterpPipeline.from_pretrained(checkpoint_of(args.checkpoint))
    for name, error in export_onnx(tts, args.out).items():
        print(f"{args.out}/{name}.onnx: differs from torch by at most {error:.1e}")  # noqa: T201
    return 0


def export_onnx(tts: GradTTSInterpPipeline, folder: str | Path) -> dict[str, float]:
    """Write the networks of a pipeline as ONNX, each compared with torch at a length that it was not exported with.

    Args:
        tts: Pipeline with style attention and a trained vocoder, on the CPU, in fp32.
        folder: Where to write; each file appears whole or not at all.

    Returns:
        Largest difference between onnxruntime and torch by file, also written to ``onnx.json``.

    Raises:
        InputError: The extra ``onnx`` is not installed, or the pipeline has no such networks.
        CheckpointError: A file answers otherwise than torch.
    """
    for module in ("onnxruntime", "onnxscript"):
        import_extra(module, "ONNX export needs the extra onnx", "onnx")
    if not tts.model.has_style or not isinstance(tts.vocoder, Vocoder):
        raise InputError("ONNX export: expected a checkpoint with style attention and a trained vocoder")
    if tts.model.decoder is None:
        raise InputError("ONNX export: this checkpoint is a prior alone; expected one with a score network")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    errors = {}
    for name, graph in graphs_of(tts.model, tts.vocoder).items():
        path = folder / f"{name}.onnx"
        with atomic_path(path) as temporary:
            _export(graph, graph.inputs(12, tts.model.frame_multiple), temporary)
            errors[name] = _difference(graph, graph.inputs(17, tts.model.frame_multiple), temporary)
            if not errors[name] <= TOLERANCE:
                raise CheckpointError(f"{path}: differs from torch by {errors[name]:.2g}; expected at most {TOLERANCE}")
    contract = {  # what a program around the files needs to know
        "mel": tts.model.settings.mel.to_dict(),
        **{name: getattr(tts.model.settings, name) for name in NUMBERS},
        "frame_multiple": tts.model.frame_multiple,
        "vocoder": {"kind": tts.vocoder.kind, **tts.vocoder.generator.config.to_dict()},
        "phase_refinement_rounds_left_out": tts.vocoder.refinement_rounds,
        "largest_difference_from_torch": errors,
    }
    write_json(folder / "onnx.json", contract)
    return errors


def graphs_of(model: GradTTS, vocoder: Vocoder) -> dict[str, Graph]:
    """What is exported of a checkpoint.

    Args:
        model: Acoustic model with style attention and a score network.
        vocoder: Trained vocoder.

    Returns:
        Graphs by the name of their file.
    """
    found = {**_text_graphs(model), "estimator": _estimator_graph(model)}
    mel: Shape = (1, model.settings.n_feats, "frames")
    generator: Any = vocoder.generator
    if vocoder.kind == "harmonic":
        track: Shape = (1, "frames")
        # Log gain and phase of the pulses, and log gain of the noise, (1, T, bins) each.
        found["vocoder"] = Graph(generator, generator.spoken_gains, {"mel": mel, "f0_hz": track, "voiced": track})
        found["vocoder_pitch"] = Graph(generator.pitch, generator.pitch, {"mel": mel})
    else:
        found["vocoder"] = Graph(generator, lambda x: generator(x)[:, 0], {"mel": mel})
    return found


def _text_graphs(model: GradTTS) -> dict[str, Graph]:
    """From ids to what the diffusion starts around."""
    settings = model.settings
    parts: tuple[Any, Any, Any] = model.encoder, model.pitch_predictor, model.frame_prior
    encoder, predictor, prior = parts
    style, hidden = settings.spk_emb_dim, (1, "frames", settings.prior_width)

    def lengths(ids: Tensor) -> Tensor:
        return torch.ones_like(ids[:, :1]).expand(-1, ids.shape[1]).sum(1)

    def read_phones(ids: Tensor, style: Tensor, prosody: Tensor) -> tuple[Tensor, ...]:
        reading = encoder(ids, lengths(ids))
        return encoder.durations(reading, style, prosody), reading.hidden

    def contour(hidden: Tensor, places: Tensor, style: Tensor) -> tuple[Tensor, ...]:
        return predictor.of_frames(predictor.tokens(hidden), places, torch.ones_like(places[..., :1]), style)

    def mean_mel(hidden: Tensor, places: Tensor, style: Tensor, prosody: Tensor) -> Tensor:
        return prior.of_frames(prior.tokens(hidden), places, torch.ones_like(hidden[..., :1]), style, prosody)

    text: dict[str, Shape] = {"ids": (1, "tokens"), "style": (1, style), "prosody": (1, PITCH_FROM)}
    places = {"hidden": hidden, "places": (1, "frames", PLACES), "style": (1, style)}
    planes = {"places": PHONE_PLACES, "style": style, "prosody": PROSODY_CHANNELS}
    return {
        "text_encoder": Graph(encoder, read_phones, text),
        "pitch": Graph(predictor, contour, places),
        "prior": Graph(prior, mean_mel, {"hidden": hidden, **{name: (1, n, "frames") for name, n in planes.items()}}),
    }


def _estimator_graph(model: GradTTS) -> Graph:
    """Score of one step for the tokens of two styles; arguments as in :meth:`GradTTS.score` and `StyleContext`."""
    assert model.settings.style is not None
    plane: Shape = (1, model.settings.n_feats, "frames")

    def score(x: Tensor, mask: Tensor, mu: Tensor, t: Tensor, *rest: Tensor) -> Tensor:
        *context, prosody = rest
        return model.score(x, mask, mu, t, context=StyleContext(*context), prosody=prosody)

    shapes: dict[str, Shape] = {
        "x": plane,
        "mask": (1, 1, "frames"),
        "mu": plane,
        "t": (1,),
        "tokens": (1, "keys", model.settings.style.width),
        "log_weight": (1, "keys"),
        "owner": ("keys",),
        "share": (1, 2, model.settings.n_feats, "frames"),
        "prosody": (1, PROSODY_CHANNELS, "frames"),
    }
    return Graph(model, score, shapes)


def _export(graph: Graph, inputs: Named, path: Path) -> None:
    torch.onnx.register_custom_op_symbolic("aten::expm1", _expm1, OPSET)
    named = {name: {i: n for i, n in enumerate(shape) if isinstance(n, str)} for name, shape in graph.shapes.items()}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            dynamic_axes={name: axes for name, axes in named.items() if axes},
            opset_version=OPSET,
            dynamo=False,  # lengths that the newer exporter proves to be constant are free here
        )


def _expm1(graph: Any, x: Any) -> Any:
    """ONNX has no expm1; the difference loses digits only where the diffusion time is nearly 0."""
    return graph.op("Sub", graph.op("Exp", x), graph.op("Constant", value_t=torch.tensor(1.0)))


@torch.no_grad()
def _difference(graph: Graph, inputs: Named, path: Path) -> float:
    """Largest absolute difference between onnxruntime and torch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    found = session.run(None, {name: value.numpy() for name, value in inputs.items() if name in wanted})
    pairs = zip(found, graph(*inputs.values()), strict=True)
    return max(float((torch.from_numpy(f) - e).abs().max()) for f, e in pairs)
