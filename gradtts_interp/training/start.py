"""Fine-tuning: begin a run from the weights of a checkpoint, with room for new speakers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from gradtts_interp.checkpoints import INDEX, load_model, read_index
from gradtts_interp.config import parse_settings
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.training.state import checkpoints

SPEAKERS = ("style_encoder.speakers.weight", "style_encoder.timbre.speakers.weight")

_DURATIONS, _PITCH = ("encoder.proj_w.", "encoder.duration_style."), ("pitch_predictor.",)
_PRIOR = ("encoder.", "frame_prior.", "pitch_predictor.", "style_encoder.timbre.", "style_encoder.null_pooled")
SPEAKER_ROWS = "speakers"
"""Name of the speakers' rows of the pooled style, without decay, so that who is not in the corpus stays as it is."""
PARTS = {
    "durations": _DURATIONS,
    "pitch": _PITCH,
    "prosody": _DURATIONS + _PITCH,
    "prior": _PRIOR,
    SPEAKER_ROWS: SPEAKERS[1:],
}
"""Parts that can be trained alone, by the prefixes of their weights; they need no score network."""
SCORE_FIELDS: dict[str, Callable[[str], Any]] = {
    "dec_dim": int,
    "patch": int,
    "heads": int,
    "sites": lambda text: tuple(text.split("+")),
    "residual_std": float,
}
"""What may be changed of a score network that begins anew, and how it is read; names as in the configuration."""
OPEN_GATE = 0.3
"""Of the style attention of a score network that begins anew. From a gate of zero, which an official network needs to
stay what it is, attention had learnt nothing after 500 steps."""
SCORE = "score"
"""Name of all that is none of the prior's: the score network, and the style tokens that it reads."""


def model_from_checkpoint(source: str | Path) -> GradTTS:
    """Read a model to be trained further.

    Args:
        source: Checkpoint folder of ours, its ``model`` folder, or the folder of a training run.

    Returns:
        The model in training mode, float32, on the CPU.

    Raises:
        CheckpointError: The folder cannot be read, or its model has no style encoder.
    """
    source = Path(source)
    if checkpoints(source):
        model, _ = averaged_model(source)
    else:
        model = load_model(source / read_index(source)["model"] if (source / INDEX).is_file() else source)
    if not model.has_style:
        raise CheckpointError(f"{source}: this model reads no styles; expected one with a style encoder to start from")
    return model.train()


def averaged_model(folder: Path) -> tuple[GradTTS, int]:
    """The averaged weights of a run's newest checkpoint, and its step.

    Args:
        folder: Folder of the run.

    Returns:
        Model in evaluation mode, and the optimiser step.

    Raises:
        CheckpointError: The run has no checkpoint.
    """
    found = checkpoints(folder)
    if not found:
        raise CheckpointError(f"{folder}: no checkpoint; expected the folder of a training run")
    state = json.loads((found[-1] / "state.json").read_text())
    model = GradTTS(state["settings"])
    model.load_state_dict(load_file(found[-1] / "ema.safetensors"))
    return model.eval(), state["step"]


def add_speakers(model: GradTTS, new_speakers: int) -> GradTTS:
    """Widen the table of speakers of a model with a style encoder.

    Args:
        model: The model; left as it is.
        new_speakers: Rows to add after its own; they start as the mean of the known rows.

    Returns:
        A wider model in training mode.
    """
    state, style = model.state_dict(), model.settings.style
    assert style is not None
    tables = [name for name in SPEAKERS if name in state]
    wider = replace(model.settings, style=replace(style, n_speakers=style.n_speakers + new_speakers))
    grown = GradTTS(wider.to_dict())
    for name in tables:
        state[name] = torch.cat([state[name], state[name].mean(0, keepdim=True).expand(new_speakers, -1)])
    if not tables:
        state |= {name: value for name, value in grown.state_dict().items() if name in SPEAKERS}
    grown.load_state_dict(state)
    return grown.train()


def renew_score_network(model: GradTTS, changes: Sequence[str]) -> GradTTS:
    """Give a model a score network that begins anew, of a shape of its own; all else keeps its weights.

    Args:
        model: A model with a style encoder; left as it is.
        changes: ``name=value`` each, names of :data:`SCORE_FIELDS`; sites are joined by ``+``.

    Returns:
        The model in training mode.

    Raises:
        InputError: A name or value is none of these, or no width is given.
    """
    style = model.settings.style
    assert style is not None
    values = parse_settings(changes, SCORE_FIELDS, "score network")
    if not values.get("dec_dim", model.settings.dec_dim):
        raise InputError("the model is a prior alone: expected dec_dim=48 or another width of its score network")
    of_style = {name: values.pop(name) for name in ("sites", "heads") if name in values}
    renewed = GradTTS(replace(model.settings, style=replace(style, **of_style), **values).to_dict())
    kept = {name: value for name, value in model.state_dict().items() if not name.startswith("decoder.")}
    renewed.load_state_dict(kept, strict=False)
    for site in renewed.decoder.estimator.style_attn.values():  # type: ignore[union-attr]
        nn.init.constant_(site.gate, OPEN_GATE)  # type: ignore[arg-type]
    return renewed.train()


def n_speakers(model: GradTTS) -> int:
    """Rows of the model's speaker table."""
    return model.settings.style.n_speakers if model.settings.style else 0


def parameters_to_train(model: GradTTS, only: str) -> list[nn.Parameter]:
    """Choose what a run trains, and freeze all else.

    Args:
        model: The model, whose parameters are marked.
        only: A key of :data:`PARTS`, or :data:`SCORE`; "" for all of the model.

    Returns:
        The parameters that are trained.

    Raises:
        InputError: There is no such part.
    """
    if only and only not in (*PARTS, SCORE):
        raise InputError(f"part {only!r} to be trained alone: expected one of {', '.join((*PARTS, SCORE))}")
    prefixes, named = PARTS.get(only, ("",)), dict(model.named_parameters())
    if only == SCORE:
        prefixes = _PRIOR  # all but these
    for name, parameter in named.items():
        parameter.requires_grad_(name.startswith(prefixes) != (only == SCORE))
    return [parameter for parameter in named.values() if parameter.requires_grad]
