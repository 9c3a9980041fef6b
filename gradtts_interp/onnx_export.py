"""The networks as ONNX files, each checked against torch; the loop over steps stays outside, so steps are free.

``text_encoder.onnx`` gives prior means, log-durations and hidden states; where the model predicts pitch, ``pitch.onnx``
its shape and voicing from those, laid out by :func:`gradtts_interp.models.pitch_predictor.lay_out`; ``estimator.onnx``
the score of one step for two styles under a share map; ``vocoder.onnx`` the generator's audio. One sentence at a time
(batch 1), any length.

A checkpoint with a frame prior has ``prior.onnx`` besides, the mean mel. It and ``pitch.onnx`` read hidden states that
are repeated over each token's frames, and :func:`gradtts_interp.models.pitch_predictor.token_places`; the energies of
``pitch.onnx`` are still to be averaged over each token.

A vocoder with a harmonic source is exported as its networks: ``vocoder.onnx`` gives log gain and phase of the pulses
and log gain of the noise, ``vocoder_pitch.onnx`` log F0 and the logit of voicing where no contour is given. The two
sources, whose phase must be summed in double precision, and the transforms are those of :mod:`hifigan.harmonic`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.models.frame_prior import PHONE_PLACES, FramePrior, PhoneEncoder
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.models.pitch_predictor import PLACES, POSITIONS, ContourPredictor, PitchPredictor
from gradtts_interp.models.style_context import StyleContext
from gradtts_interp.pipeline import GradTTSInterpPipeline
from gradtts_interp.vocoder import Vocoder

TOLERANCE = 1e-3
OPSET = 18
Named = dict[str, Tensor]
Network = tuple[nn.Module, "Callable[[GradTTSInterpPipeline, int], Named]", dict[str, dict[int, str]]]


class EncoderGraph(nn.Module):
    """Text encoder: ids (1, L) and style (1, E) to means (1, M, L), log durations (1, 1, L), states (1, D, L)."""

    def __init__(self, model: GradTTS) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode one text."""
        lengths = torch.ones_like(ids[:, :1]).expand(-1, ids.shape[1]).sum(1)
        means, logw, _, hidden = self.model.read_text(ids, lengths, style)
        return means, logw, hidden


class PitchGraph(nn.Module):
    """Pitch predictor: states laid out over frames (1, D + 4, T) to shape and logit of voicing, (1, T) each."""

    def __init__(self, predictor: PitchPredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Predict for one sentence."""
        predicted = self.predictor.of_frames(features, torch.ones_like(features[:, :1]))
        return predicted.shape, predicted.voicing


class PhoneGraph(nn.Module):
    """Phone encoder: ids (1, L), style (1, E), prosody (1, 5) to log durations (1, 1, L) and states (1, D, L)."""

    def __init__(self, encoder: PhoneEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor, style: Tensor, prosody: Tensor) -> tuple[Tensor, Tensor]:
        """Encode one text."""
        reading = self.encoder.read(ids, torch.ones_like(ids[:, :1]).expand(-1, ids.shape[1]).sum(1))
        return self.encoder.durations(reading, style, prosody), reading.hidden


class ContourGraph(nn.Module):
    """Contour predictor: states (1, T, D), places (1, T, 5), style (1, E) to shape, voicing and energy, (1, T) each."""

    def __init__(self, predictor: ContourPredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, hidden: Tensor, places: Tensor, style: Tensor) -> tuple[Tensor, ...]:
        """Predict for one sentence."""
        tokens = self.predictor.tokens(hidden)
        return tuple(self.predictor.of_frames(tokens, places, torch.ones_like(places[..., :1]), style))  # type: ignore[arg-type]


class PriorGraph(nn.Module):
    """Frame prior: states (1, T, D), places (1, 3, T), style (1, E, T), prosody (1, 8, T) to the mean mel (1, M, T)."""

    def __init__(self, prior: FramePrior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, hidden: Tensor, places: Tensor, style: Tensor, prosody: Tensor) -> Tensor:
        """Predict for one sentence."""
        mask = torch.ones_like(hidden[..., :1])
        return self.prior.of_frames(self.prior.tokens(hidden), places, mask, style, prosody)


class EstimatorGraph(nn.Module):
    """Score of one step (1, M, T) for the tokens of two styles under shares (1, 2, M, T)."""

    def __init__(self, model: GradTTS) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        mu: Tensor,
        t: Tensor,
        tokens: Tensor,
        log_weight: Tensor,
        owner: Tensor,
        share: Tensor,
        prosody: Tensor,
    ) -> Tensor:
        """Evaluate once; arguments as in :meth:`GradTTS.score` and :class:`StyleContext`."""
        context = StyleContext(tokens, log_weight, owner, share)
        return self.model.score(x, mask, mu, t, context=context, prosody=prosody)


class GeneratorGraph(nn.Module):
    """Generator of the vocoder: log-mel (1, M, T) to samples (1, N)."""

    def __init__(self, vocoder: Vocoder) -> None:
        super().__init__()
        self.generator = vocoder.generator

    def forward(self, mel: Tensor) -> Tensor:
        """Decode one mel."""
        return self.generator(mel)[:, 0]


class GainsGraph(nn.Module):
    """Filters of a harmonic source: log-mel (1, M, T), F0 in Hz and voicing (1, T) to gains (1, T, bins)."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, mel: Tensor, f0_hz: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decide log gain and phase of the pulses, and log gain of the noise."""
        return self.generator.spoken_gains(mel, f0_hz, voiced)  # type: ignore[operator]


def encoder_inputs(tts: GradTTSInterpPipeline, length: int) -> Named:
    """Inputs of :class:`EncoderGraph` for a text of ``length`` ids."""
    draw = torch.Generator().manual_seed(length)
    ids = torch.randint(1, tts.model.settings.n_vocab, (1, length), generator=draw)
    return {"ids": ids, "style": torch.randn(1, tts.model.settings.spk_emb_dim, generator=draw)}


def pitch_inputs(tts: GradTTSInterpPipeline, length: int) -> Named:
    """Inputs of :class:`PitchGraph` for ``length`` frames."""
    draw = torch.Generator().manual_seed(length)
    channels = tts.model.settings.n_enc_channels + tts.model.settings.spk_emb_dim + POSITIONS
    return {"features": torch.randn(1, channels, length, generator=draw)}


def phone_inputs(tts: GradTTSInterpPipeline, length: int) -> Named:
    """Inputs of :class:`PhoneGraph` for a text of ``length`` ids."""
    draw = torch.Generator().manual_seed(length)
    return {**encoder_inputs(tts, length), "prosody": torch.randn(1, 5, generator=draw)}


def contour_inputs(tts: GradTTSInterpPipeline, length: int) -> Named:
    """Inputs of :class:`ContourGraph` for ``length`` frames."""
    draw, settings = torch.Generator().manual_seed(length), tts.model.settings
    return {
        "hidden": torch.randn(1, length, settings.prior_width, generator=draw),
        "places": torch.rand(1, length, PLACES, generator=draw),
        "style": torch.randn(1, settings.spk_emb_dim, generator=draw),
    }


def prior_inputs(tts: GradTTSInterpPipeline, length: int) -> Named:
    """Inputs of :class:`PriorGraph` for ``length`` frames."""
    draw, settings = torch.Generator().manual_seed(length), tts.model.settings
    return {
        "hidden": torch.randn(1, length, settings.prior_width, generator=draw),
        "places": torch.rand(1, PHONE_PLACES, length, generator=draw),
        "style": torch.randn(1, settings.spk_emb_dim, length, generator=draw),
        "prosody": torch.randn(1, tts.model.prosody_channels, length, generator=draw),
    }


def estimator_inputs(tts: GradTTSInterpPipeline, length: int) -> Named:
    """Inputs of :class:`EstimatorGraph` for ``length`` times the frame multiple, and as many tokens of each style."""
    style = tts.model.settings.style
    assert style is not None
    draw = torch.Generator().manual_seed(length)
    bins, frames, keys = tts.model.settings.n_feats, length * tts.model.frame_multiple, 2 * length
    weight = torch.rand(1, 1, bins, frames, generator=draw)
    return {
        "x": torch.randn(1, bins, frames, generator=draw),
        "mask": torch.ones(1, 1, frames),
        "mu": torch.randn(1, bins, frames, generator=draw),
        "t": torch.tensor([0.4]),
        "tokens": torch.randn(1, keys, style.width, generator=draw),
        "log_weight": torch.zeros(1, keys),
        "owner": torch.arange(keys) // length,
        "share": torch.cat([1 - weight, weight], dim=1),
        "prosody": torch.randn(1, tts.model.prosody_channels, frames, generator=draw),
    }


def generator_inputs(tts: GradTTSInterpPipeline, length: int) -> Named:
    """Inputs of :class:`GeneratorGraph` for ``length`` frames."""
    draw = torch.Generator().manual_seed(length)
    return {"mel": torch.randn(1, tts.model.settings.n_feats, length, generator=draw) - 5}


def gains_inputs(tts: GradTTSInterpPipeline, length: int) -> Named:
    """Inputs of :class:`GainsGraph` for ``length`` frames."""
    f0_hz = torch.linspace(100.0, 200.0, length)[None]
    return {**generator_inputs(tts, length), "f0_hz": f0_hz, "voiced": (f0_hz < 150).float()}


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
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"ONNX export needs the extra onnx: pip install 'gradtts-interp[onnx]' ({error})") from error
    if not tts.model.has_style or not isinstance(tts.vocoder, Vocoder):
        raise InputError("ONNX export: expected a checkpoint with style attention and a trained vocoder")
    if tts.model.decoder is None:
        raise InputError("ONNX export: this checkpoint is a prior alone; expected one with a score network")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    errors = {}
    for name, (network, inputs, axes) in _networks(tts, tts.vocoder).items():
        path = folder / f"{name}.onnx"
        with atomic_path(path) as temporary:
            _export(network.eval(), inputs(tts, 12), axes, temporary)
            errors[name] = _difference(network, inputs(tts, 17), temporary)
            if not errors[name] <= TOLERANCE:
                raise CheckpointError(f"{path}: differs from torch by {errors[name]:.2g}; expected at most {TOLERANCE}")
    with atomic_path(folder / "onnx.json") as temporary:
        temporary.write_text(json.dumps(_contract(tts, errors), indent=1) + "\n")
    return errors


def _networks(tts: GradTTSInterpPipeline, vocoder: Vocoder) -> dict[str, Network]:
    """Networks by the name of their file, with inputs to try them by and the axes that have any length."""
    model = tts.model
    found: dict[str, Network] = {}
    if isinstance(model.encoder, PhoneEncoder):
        found["text_encoder"] = (PhoneGraph(model.encoder), phone_inputs, {"ids": {1: "tokens"}})
    else:
        found["text_encoder"] = (EncoderGraph(model), encoder_inputs, {"ids": {1: "tokens"}})
    found["estimator"] = (EstimatorGraph(model), estimator_inputs, _estimator_axes())
    if vocoder.kind == "harmonic":
        axes = {"mel": {2: "frames"}, "f0_hz": {1: "frames"}, "voiced": {1: "frames"}}
        found["vocoder"] = (GainsGraph(vocoder.generator), gains_inputs, axes)
        found["vocoder_pitch"] = (vocoder.generator.pitch, generator_inputs, {"mel": {2: "frames"}})
    else:
        found["vocoder"] = (GeneratorGraph(vocoder), generator_inputs, {"mel": {2: "frames"}})
    if isinstance(model.pitch_predictor, ContourPredictor):
        axes = {name: {1: "frames"} for name in ("hidden", "places")}
        found["pitch"] = (ContourGraph(model.pitch_predictor), contour_inputs, axes)
    elif model.pitch_predictor is not None:
        found["pitch"] = (PitchGraph(model.pitch_predictor), pitch_inputs, {"features": {2: "frames"}})
    if model.frame_prior is not None:
        axes = {"hidden": {1: "frames"}} | {name: {2: "frames"} for name in ("places", "style", "prosody")}
        found["prior"] = (PriorGraph(model.frame_prior), prior_inputs, axes)
    return found


def _estimator_axes() -> dict[str, dict[int, str]]:
    axes = {name: {2: "frames"} for name in ("x", "mask", "mu", "prosody")}
    axes |= {name: {1: "keys"} for name in ("tokens", "log_weight")}
    return axes | {"owner": {0: "keys"}, "share": {3: "frames"}}


def _export(network: nn.Module, inputs: Named, axes: dict[str, dict[int, str]], path: Path) -> None:
    torch.onnx.register_custom_op_symbolic("aten::expm1", _expm1, OPSET)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,  # lengths that the newer exporter proves to be constant are free here
        )


def _expm1(graph: Any, x: Any) -> Any:
    """ONNX has no expm1; the difference loses digits only where the diffusion time is nearly 0."""
    return graph.op("Sub", graph.op("Exp", x), graph.op("Constant", value_t=torch.tensor(1.0)))


@torch.no_grad()
def _difference(network: nn.Module, inputs: Named, path: Path) -> float:
    """Largest absolute difference between onnxruntime and torch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = {i.name for i in session.get_inputs()}
    found = session.run(None, {name: value.numpy() for name, value in inputs.items() if name in wanted})
    expected = network(**inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    return max(float((torch.from_numpy(f) - e).abs().max()) for f, e in zip(found, expected, strict=True))


def _contract(tts: GradTTSInterpPipeline, errors: dict[str, float]) -> dict[str, Any]:
    """What a program around the files needs to know."""
    settings, vocoder = tts.model.settings, tts.vocoder
    assert isinstance(vocoder, Vocoder), "required before"
    return {
        "mel": settings.mel.to_dict(),
        "mel_mean": settings.mel_mean,
        "mel_std": settings.mel_std,
        "residual_std": settings.residual_std,
        "formant_emphasis": settings.formant_emphasis,
        "beta_min": settings.beta_min,
        "beta_max": settings.beta_max,
        "frame_multiple": tts.model.frame_multiple,
        "vocoder": {"kind": vocoder.kind, **vocoder.generator.config.to_dict()},
        "phase_refinement_rounds_left_out": vocoder.refinement_rounds,
        "largest_difference_from_torch": errors,
    }
