"""Noise tuning as it is written on the command line: ``target=initial``, ``window=0.8-1:style=a:region=pitch``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.noise import NoiseTuning, NoiseWindow

STYLES = {"a": 0, "b": 1}
SWITCH = {"yes": True, "no": False}
WINDOW = "window"
_SPAN = re.compile(r"(\d*\.?\d+)-(\d*\.?\d+)")


def parse_tuning(settings: Sequence[str]) -> NoiseTuning:
    """Read settings of a noise tuning.

    Args:
        settings: ``name=value`` each, names of :class:`~gradtts_interp.interpolation.noise.NoiseTuning`; ``window``
            may come several times, as ``FROM-TO`` with ``:name=value`` of a
            :class:`~gradtts_interp.interpolation.noise.NoiseWindow` behind it.

    Returns:
        The tuning; what is not named is as by default.

    Raises:
        InputError: A name or value is none of these.
    """
    windows: list[NoiseWindow] = []
    values: dict[str, Any] = {}
    for written in settings:
        name, _, value = written.partition("=")
        if name.strip() == WINDOW:
            windows.append(_window(value))
        else:
            values |= _read(NoiseTuning, written, besides=("windows",))
    return NoiseTuning(windows=tuple(windows) or None, **values)


def _window(written: str) -> NoiseWindow:
    span, *others = written.split(":")
    found = _SPAN.fullmatch(span.strip())
    if found is None:
        raise InputError(
            f"noise window {written!r}: expected times such as 0.8-1, then perhaps :style=a:region=pitch:steps=6"
        )
    values: dict[str, Any] = {}
    for other in others:
        values |= _read(NoiseWindow, other, besides=("t_from", "t_to"))
    return NoiseWindow(float(found[1]), float(found[2]), **values)


def _read(kind: type[NoiseTuning] | type[NoiseWindow], written: str, *, besides: Sequence[str]) -> dict[str, Any]:
    """One ``name=value`` as an argument of a kind."""
    known = {field.name: str(field.type).removesuffix(" | None") for field in fields(kind) if field.name not in besides}
    name, equals, value = (part.strip() for part in written.partition("="))
    if name not in known or not equals:
        extra = f", {WINDOW}" if kind is NoiseTuning else ""
        raise InputError(f"noise setting {written!r}: expected name=value, with a name of {', '.join(known)}{extra}")
    try:
        return {name: _READERS.get(name, _READERS.get(known[name], str))(value)}
    except (ValueError, KeyError) as error:
        raise InputError(f"noise setting {written!r}: expected {_EXPECTED.get(name, known[name])}") from error


def _style(value: str) -> int:
    return STYLES[value.lower()]


def _switch(value: str) -> bool:
    return SWITCH[value.lower()]


def _sites(value: str) -> dict[str, float]:
    return dict.fromkeys(value.split("+"), 1.0)


_READERS: dict[str, Callable[[str], Any]] = {
    "style": _style,
    "sites": _sites,
    "bool": _switch,
    "int": int,
    "float": float,
}
_EXPECTED = {"style": "a or b", "shell": "yes or no", "checkpointing": "yes or no"}
