"""Acoustic models on disk: folders of ours, and the files of the official Grad-TTS."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradtts_interp.config import MelConfig, ModelConfig
from gradtts_interp.errors import CheckpointError
from gradtts_interp.files import (
    read_json,
    read_safetensors,
    read_torch,
    require_same_shapes,
    state_dict_of,
    write_json,
    write_safetensors,
)
from gradtts_interp.models.grad_tts import GradTTS
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.text.official import N_VOCAB, SYMBOLS

INDEX = "pipeline.json"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
OLD_PE_SCALE = 1.0  # grad-tts-old.pt, the first LJSpeech file
PE_SCALE = 1000.0  # all later files
_LAYER = re.compile(r"encoder\.encoder\.attn_layers\.(\d+)\.")
_HIFIGAN_KEYS = ("conv_pre.", "ups.0.", "resblocks.0.")

CHECKPOINT_VARIABLE = "GRADTTS_INTERP_CHECKPOINT"
DEMO = Path("checkpts") / "demo"

State = Mapping[str, Tensor]


def checkpoint_of(named: str | None = None) -> Path:
    """Where the checkpoint of a command lies.

    Args:
        named: As given; None or empty for the checkpoint of the environment, else the demo beside the program.

    Returns:
        Its path, which need not be there.

    Raises:
        CheckpointError: None is named, and there is no demo; the message says where it was looked for.
    """
    named = named or os.environ.get(CHECKPOINT_VARIABLE)
    if named:
        return Path(named)
    homes = [Path.cwd(), Path(sys.argv[0]).resolve().parent, Path(__file__).resolve().parents[1]]
    for home in homes:
        if (home / DEMO).is_dir():
            return home / DEMO
    places = ", ".join(dict.fromkeys(map(str, homes)))
    raise CheckpointError(
        f"no checkpoint: {DEMO} lies in none of {places}; the demo is part of the repository, not of the wheel: copy "
        f"{DEMO.parent} from there, and name it with ${CHECKPOINT_VARIABLE} or give -c"
    )


def save_model(model: GradTTS, folder: str | Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write an acoustic model as ``config.json`` and ``model.safetensors``, each whole or not at all.

    Args:
        model: The model.
        folder: Where to write; made when missing.
        dtype: Of the floating weights on disk; half precision halves the file and is loaded as float32.

    Raises:
        CheckpointError: A weight is not finite, or leaves the range of ``dtype``.
        InputError: The folder cannot be written.
    """
    folder, state = Path(folder), {}
    for name, value in model.state_dict().items():
        stored = value.detach().cpu()
        if stored.is_floating_point():
            stored = stored.to(dtype)
            _require_finite(name, stored, f"weights for {folder} as {dtype}")
        state[name] = stored.clone(memory_format=torch.contiguous_format)
    values: dict[str, Any] = {"_class_name": type(model).__name__, "settings": model.settings.to_dict()}
    write_safetensors(folder / WEIGHTS_FILE, state)
    write_json(folder / CONFIG_FILE, values)


def load_model(folder: str | Path) -> GradTTS:
    """Read an acoustic model written by :func:`save_model`.

    Args:
        folder: Holds ``config.json`` and ``model.safetensors``.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        CheckpointError: A file is missing or damaged, or they do not fit together; the first weight that does not fit
            is named with its shape.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; expected one with {CONFIG_FILE} and {WEIGHTS_FILE}")
    values = read_json(folder / CONFIG_FILE)
    if not isinstance(values.get("settings"), dict):
        raise CheckpointError(f"{folder / CONFIG_FILE} holds {sorted(values)}; expected a JSON object with settings")
    try:
        settings = ModelConfig.from_dict(values["settings"])
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG_FILE} is no model configuration: {error}") from error
    state = read_safetensors(folder / WEIGHTS_FILE)
    return _build(settings, state, folder)


def read_index(folder: Path) -> dict[str, Any]:
    """Read which folders a pipeline's checkpoint is made of.

    Args:
        folder: Holds ``pipeline.json``.

    Returns:
        Names of the folders ``model``, ``vocoder`` and ``styles`` (None where there is no bank).

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    path = folder / INDEX
    if not path.is_file():
        raise CheckpointError(f"{folder}: no checkpoint; expected a folder with {INDEX}, or an official .pt file")
    index = read_json(path)
    names = {part: index.get(part) for part in ("model", "vocoder", "styles")}
    for part, name in names.items():
        if not isinstance(name, str) and not (part == "styles" and name is None):
            raise CheckpointError(f"{path}: {part} is {name!r}; expected the name of a folder")
    return names


def load_official(path: str | Path, *, pe_scale: float | None = None) -> GradTTS:
    """Read an official Grad-TTS file such as ``grad-tts-libri-tts.pt``; no code in it is run.

    The shape of the model follows from the weights. The position code's scale does not: it is 1 for a file with
    ``old`` in its name and 1000 for others.

    Args:
        path: State dict made by ``torch.save``, bare or under ``model``; or the same names in a ``.safetensors`` file.
        pe_scale: Scale of the position code, if the name of the file says wrongly.

    Returns:
        The model in evaluation mode, float32, on the CPU, without style parts.

    Raises:
        CheckpointError: The file is missing, damaged, holds more than tensors, or is no Grad-TTS model; the first
            weight that does not fit is named with its shape.
    """
    path = Path(path)
    state = _read_official_state(path)
    if pe_scale is None:
        pe_scale = OLD_PE_SCALE if "old" in path.stem.lower() else PE_SCALE
    return _build(_infer_config(state, path, pe_scale), state, path)


def load_official_pipeline_parts(path: str | Path) -> tuple[GradTTS, TextFrontend]:
    """Read an official file and make the text frontend that goes with it.

    Args:
        path: As for :func:`load_official`.

    Returns:
        The model, and the frontend that gives the official ids.

    Raises:
        CheckpointError: As for :func:`load_official`, or the vocabulary is not that of the official English symbols.
    """
    model = load_official(path)
    if model.settings.n_vocab not in (len(SYMBOLS), N_VOCAB):
        found = f"encoder.emb.weight has {model.settings.n_vocab} symbols"
        raise CheckpointError(f"{path}: {found}; expected {len(SYMBOLS)}, or {N_VOCAB} with a blank")
    return model, TextFrontend(mode="official", add_blank=model.settings.add_blank, word_boundaries=True)


# -- reading ----------------------------------------------------------------------------------------------------------


def _read_official_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict, running no code of the file."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected an official Grad-TTS state dict")
    content = read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)
    content = state_dict_of(content, "model")
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected an official Grad-TTS state dict")
    names = [str(name) for name in content]
    if isinstance(content.get("generator"), dict) or any(n.startswith(_HIFIGAN_KEYS) for n in names):
        raise CheckpointError(f"{path} is a HiFi-GAN vocoder; expected an official Grad-TTS acoustic model")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {name!r} is a {type(value).__name__}; expected a state dict of tensors")
    return content


# -- fitting ----------------------------------------------------------------------------------------------------------


def _infer_config(state: State, path: Path, pe_scale: float) -> ModelConfig:
    """Read the model's shape off its weights."""

    def shape(name: str, axes: int) -> tuple[int, ...]:
        if name not in state:
            first = next(iter(state), "nothing")
            raise CheckpointError(f"{path} lacks {name} (its first is {first}); expected an official Grad-TTS model")
        found = tuple(state[name].shape)
        if len(found) != axes or 0 in found:
            raise CheckpointError(f"{path}: {name} has shape {found}; expected {axes} axes, none empty")
        return found

    n_vocab, channels = shape("encoder.emb.weight", 2)
    _, offsets, head_width = shape("encoder.encoder.attn_layers.0.emb_rel_k", 3)
    if channels % head_width:
        raise CheckpointError(
            f"{path}: emb_rel_k is {head_width} wide; expected a divisor of {channels}, the encoder's"
        )
    filters, _, kernel = shape("encoder.encoder.ffn_layers.0.conv_1.weight", 3)
    n_feats = shape("encoder.proj_m.weight", 3)[0]
    n_spks, spk_emb_dim = shape("spk_emb.weight", 2) if "spk_emb.weight" in state else (1, ModelConfig.spk_emb_dim)
    return ModelConfig(
        n_vocab=n_vocab,
        n_spks=n_spks,
        spk_emb_dim=spk_emb_dim,
        n_enc_channels=channels,
        filter_channels=filters,
        filter_channels_dp=shape("encoder.proj_w.conv_1.weight", 3)[0],
        n_heads=channels // head_width,
        n_enc_layers=1 + max(int(found[1]) for found in map(_LAYER.match, state) if found),
        enc_kernel=kernel,
        window_size=(offsets - 1) // 2,
        n_feats=n_feats,
        dec_dim=shape("decoder.estimator.mlp.2.weight", 2)[0],
        pe_scale=pe_scale,
        add_blank=n_vocab != len(SYMBOLS),
        mel=MelConfig(n_mels=n_feats),
    )


def _build(settings: ModelConfig, state: State, source: Path) -> GradTTS:
    """Make a model and give it its weights; the first one that does not fit is named."""
    try:
        model = GradTTS(settings.to_dict())
    except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        raise CheckpointError(f"{source}: no model has this configuration: {error}") from error
    expected = model.state_dict()
    require_same_shapes(state, expected, source=source, owner="model")
    for name, value in state.items():
        _require_finite(name, value, str(source))
    model.load_state_dict({name: value.to(expected[name].dtype) for name, value in state.items()})
    return model.eval()


def _require_finite(name: str, value: Tensor, source: str) -> None:
    strange = int((~torch.isfinite(value)).sum()) if value.is_floating_point() else 0
    if strange:
        raise CheckpointError(f"{source}: {strange} of {value.numel()} values of {name} are NaN or infinite")
