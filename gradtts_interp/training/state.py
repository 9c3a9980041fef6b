"""What a training run begins from, what of it is trained, and what keeps it: checkpoints, log, and the stop signal."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from gradtts_interp.checkpoints import INDEX, load_model, read_index
from gradtts_interp.config import ModelConfig, parse_settings
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.files import read_json, read_safetensors, read_torch, write_text
from gradtts_interp.models.grad_tts import GradTTS

logger = logging.getLogger(__name__)

KEPT = 2
SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What fixes the stream of data and noise, and what is trained on it. Rate, length and the like may change from one part
# of a run to the next.
STREAM_SETTINGS = ("batch_size", "seed", "mix", "only", "adversarial", "keep_mean")

Weights = dict[str, dict[str, torch.Tensor]]
"""State dicts by file: of the model, of the averaged weights (``ema``), and of :data:`SOMETIMES` what there is."""
SOMETIMES = ("discriminator", "beginning")

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


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    return sorted(p for p in folder.glob("step_*") if (p / "state.json").is_file())


def write(path: Path, weights: Weights, optimiser: dict[str, Any], values: dict[str, Any]) -> Path:
    """Write a checkpoint under a temporary name, rename it, and remove all but the last two.

    Args:
        path: Its folder.
        weights: State dicts.
        optimiser: State dict of the optimiser.
        values: Step, seconds, steps of the average, settings of model and run.

    Returns:
        ``path``.
    """
    for left_over in path.parent.glob(".step_*.tmp"):
        shutil.rmtree(left_over, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.mkdir()
    for name, state in weights.items():
        save_file(state, temporary / f"{name}.safetensors")
    torch.save(optimiser, temporary / "optimiser.pt")
    (temporary / "state.json").write_text(json.dumps(values, indent=1))
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)
    for old in checkpoints(path.parent)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def read(path: Path) -> tuple[Weights, dict[str, Any], dict[str, Any]]:
    """Read a checkpoint.

    Args:
        path: Its folder.

    Returns:
        Weights, optimiser and values, as :func:`write` got them, on the CPU.

    Raises:
        CheckpointError: A file is missing or damaged, named.
    """
    files = {name: path / f"{name}.safetensors" for name in ("model", "ema", *SOMETIMES)}
    try:
        weights = {n: read_safetensors(file) for n, file in files.items() if n not in SOMETIMES or file.is_file()}
        return weights, read_torch(path / "optimiser.pt"), read_json(path / "state.json")
    except CheckpointError as error:
        raise CheckpointError(f"{error}; remove {path.name} to resume before it") from error


def require_same_run(path: Path, saved: dict[str, Any], settings: ModelConfig, train: dict[str, Any]) -> None:
    """Raise unless a checkpoint has the model's settings and the same stream of data.

    Args:
        path: The checkpoint, for the message.
        saved: Its values.
        settings: Settings of the model now.
        train: Settings of the run now.

    Raises:
        CheckpointError: A setting differs; the first one is named with both values.
    """
    # A run from before `keep_mean` kept none.
    stream = {name: saved["train"].get(name, False) for name in STREAM_SETTINGS}
    before = _flat({"model": ModelConfig.from_dict(saved["settings"]).to_dict(), **stream})
    now = _flat({"model": settings.to_dict(), **{name: train[name] for name in STREAM_SETTINGS}})
    for name, value in now.items():
        if name in before and before[name] != value:
            raise CheckpointError(
                f"{path}: was trained with {name} = {before[name]!r}, now {value!r}; "
                "resume with the same settings or choose another output folder"
            )


def plain(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copy a state dict to the CPU, contiguous."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name; a group that is None and one that is not differ in that name."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found[prefix + name] = "given"
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


# -- beginning --------------------------------------------------------------------------------------------------------


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
    state = read_json(found[-1] / "state.json")
    model = GradTTS(state["settings"])
    model.load_state_dict(read_safetensors(found[-1] / "ema.safetensors"))
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
        InputError: There is no such part, or the model lacks it.
    """
    if only and only not in (*PARTS, SCORE):
        raise InputError(f"part {only!r} to be trained alone: expected one of {', '.join((*PARTS, SCORE))}")
    prefixes, named = PARTS.get(only, ("",)), dict(model.named_parameters())
    if only == SCORE:
        prefixes = _PRIOR  # all but these
    for name, parameter in named.items():
        parameter.requires_grad_(name.startswith(prefixes) != (only == SCORE))
    chosen = [parameter for parameter in named.values() if parameter.requires_grad]
    if not chosen:
        raise InputError(
            f"part {only!r} to be trained alone: this model has none; expected one with weights {', '.join(prefixes)}"
        )
    return chosen


# -- log -------------------------------------------------------------------------------------------------------------


def cut_log(path: Path, step: int) -> None:
    """Remove from the log of a run what an earlier part of it wrote beyond the step that it goes on from."""
    if not path.is_file():
        return
    kept = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            kept += f"{line}\n" if json.loads(line)["step"] <= step else ""
        except ValueError:
            logger.warning("%s: a damaged line is left out", path)
    write_text(path, kept)


def tensorboard(folder: Path, step: int = 0) -> Any:
    """A writer of tensorboard that goes on after a step, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


# -- stopping --------------------------------------------------------------------------------------------------------


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Note Ctrl-C and SIGTERM; the second one of a kind ends the process at once.

    Outside the main thread nothing is caught, since Python handles signals only there.

    Yields:
        list[int]: Numbers of the signals that came.
    """
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, before[number])
        logger.info("%s: stopping after this step", signal.Signals(number).name)

    caught = SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before: dict[int, Any] = {number: signal.signal(number, note) for number in caught}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
