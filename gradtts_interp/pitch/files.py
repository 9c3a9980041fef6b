"""F0 contours as files: CSV, Praat's PitchTier and NumPy, read and written.

A file holds points in time; :meth:`PitchCurve.on_frames` lays them on the frames of an utterance.
"""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.pitch.contour import Contour

Unit = Literal["hz", "semitones"]
LOWEST_HZ, HIGHEST_HZ = 20.0, 2000.0
LARGEST_SHIFT_SEMITONES = 36.0
LIMITS = {"hz": (LOWEST_HZ, HIGHEST_HZ), "semitones": (-LARGEST_SHIFT_SEMITONES, LARGEST_SHIFT_SEMITONES)}
LARGEST_FILE_BYTES = 64 * 2**20
TIME_COLUMNS = ("time_s", "time", "time_seconds", "seconds", "t")
UNIT_OF_COLUMN: dict[str, Unit] = {
    "f0_hz": "hz", "f0": "hz", "hz": "hz", "pitch_hz": "hz", "frequency": "hz", "semitones": "semitones",
    "st": "semitones",
}  # fmt: skip
UNVOICED = ("", "nan", "--undefined--")
"""How CSV files say that a point has no pitch; of Hz, 0 does as well."""


@dataclass(frozen=True)
class PitchCurve:
    """F0 over time, as points.

    Attributes:
        times_seconds: Rising times (n,).
        values: At these times (n,): Hz, or semitones added to the pitch that the style would have; of no meaning
            where a point is unvoiced.
        unit: What the values are.
        voiced: Whether each point is voiced (n,); None where nothing is said of voicing.
    """

    times_seconds: NDArray[np.floating[Any]]
    values: NDArray[np.floating[Any]]
    unit: Unit = "hz"
    voiced: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no curve."""
        times, values = np.asarray(self.times_seconds), np.asarray(self.values)
        shapes = [times.shape, values.shape] + ([] if self.voiced is None else [np.shape(self.voiced)])
        if len(set(shapes)) != 1 or times.ndim != 1 or not times.size:
            raise InputError(f"pitch of arrays {', '.join(map(str, shapes))}; expected one shape (n,) with n > 0")
        if self.unit not in get_args(Unit):
            raise InputError(f"pitch in {self.unit!r}; expected {' or '.join(get_args(Unit))}")
        if not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) <= 0).any():
            raise InputError("pitch at times that are negative, not finite or do not rise; expected rising seconds")
        voiced = values if self.voiced is None else values[np.asarray(self.voiced, dtype=bool)]
        low, high = LIMITS[self.unit]
        if not voiced.size:
            raise InputError("pitch without a voiced point; expected at least one")
        wrong = ~((voiced >= low) & (voiced <= high))  # NaN is wrong as well
        if wrong.any():
            raise InputError(f"pitch of {voiced[wrong][0]:g} {self.unit}; expected {low:g} to {high:g}")

    def on_frames(self, frames: int, frame_rate_hz: float) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
        """Read the curve at the centres of an utterance's frames.

        Hz are interpolated in log-frequency and semitones linearly, both from voiced point to voiced point; before
        the first and after the last, their values are held. Voicing is that of the nearest point.

        Args:
            frames: Frames of the utterance (T).
            frame_rate_hz: Frames per second; frame ``i`` is centred at ``(i + 0.5) / frame_rate_hz``.

        Returns:
            Values (T,), and voicing (T,) or None.
        """
        at = (np.arange(frames) + 0.5) / frame_rate_hz
        chosen = slice(None) if self.voiced is None else np.asarray(self.voiced, dtype=bool)
        times, values = np.asarray(self.times_seconds)[chosen], np.asarray(self.values, dtype=np.float64)[chosen]
        found = np.exp(np.interp(at, times, np.log(values))) if self.unit == "hz" else np.interp(at, times, values)
        if self.voiced is None:
            return found, None
        between = (np.asarray(self.times_seconds)[1:] + np.asarray(self.times_seconds)[:-1]) / 2
        return found, np.asarray(self.voiced, dtype=bool)[np.searchsorted(between, at)]


def curve_of_contour(contour: Contour) -> PitchCurve:
    """A measured contour as a curve in Hz with its voicing."""
    times = (np.arange(len(contour)) + 0.5) / contour.frame_rate_hz
    return PitchCurve(times, contour.f0_hz.astype(np.float64), "hz", contour.voiced)


# -- reading --------------------------------------------------------------------------------------------------------


def read_pitch(path: str | Path, *, frame_rate_hz: float | None = None) -> PitchCurve:
    """Read F0 from a file.

    Args:
        path: By its suffix. ``.csv`` or ``.tsv``: a header, a column of times (``time_s``) and one of ``f0_hz`` (0 or
            empty where unvoiced) or ``semitones``. ``.PitchTier`` or ``.Pitch``: as Praat saves them, text or binary;
            needs extra ``eval``. ``.npy``: Hz per frame (T,), 0 or NaN where unvoiced, or times and Hz (n, 2).
            ``.npz``: ``f0_hz`` or ``semitones``, and optionally ``voiced``, ``times_s`` or ``frame_rate_hz``.
        frame_rate_hz: Frames per second of arrays that do not say it; that of the usual mel if None.

    Returns:
        The curve.

    Raises:
        InputError: The file is missing, too large, damaged or of another kind, or holds what is no pitch; the message
            names it.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: expected a pitch file, one of {', '.join(_READERS)}")
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(f"larger than {LARGEST_FILE_BYTES // 2**20} MiB; expected a pitch contour")
        return reader(path, frame_rate_hz or MelConfig().frame_rate_hz)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _read_csv(path: Path, frame_rate_hz: float) -> PitchCurve:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"no UTF-8 text (byte {error.start}); expected CSV") from error
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    names = {name.strip().lower(): name for name in rows.fieldnames or () if name}
    time = next((names[n] for n in TIME_COLUMNS if n in names), None)
    value = next((n for n in UNIT_OF_COLUMN if n in names), None)
    if time is None or value is None:
        raise InputError(f"columns {', '.join(names) or 'none'}; expected time_s and f0_hz or semitones")
    times, values = [], []
    for row in rows:
        written = (row[names[value]] or "").strip().lower()
        times.append(_number(row[time], "time", rows.line_num))
        values.append(math.nan if written in UNVOICED else _number(written, value, rows.line_num))
    return _curve(times, values, UNIT_OF_COLUMN[value])


def _number(text: str | None, what: str, line: int) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise InputError(f"line {line}: {what} {text!r} is no number") from None


def _curve(times: ArrayLike, values: ArrayLike, unit: Unit, voiced: NDArray[Any] | None = None) -> PitchCurve:
    """A curve of values that are NaN, or 0 Hz, where unvoiced; without such, nothing is said of voicing."""
    values = np.asarray(values, dtype=np.float64)
    has_pitch = np.isfinite(values) & ((values != 0) | (unit != "hz"))
    if unit == "semitones":  # a shift says nothing of voicing: points without one are left out
        return PitchCurve(np.asarray(times, dtype=np.float64)[has_pitch], values[has_pitch], unit)
    if voiced is not None:
        has_pitch = has_pitch & np.asarray(voiced, dtype=bool)
    said = None if voiced is None and has_pitch.all() else has_pitch
    return PitchCurve(np.asarray(times, dtype=np.float64), values, unit, said)


def _read_praat(path: Path, frame_rate_hz: float) -> PitchCurve:
    head = path.open("rb").read(256).replace(b"\x00", b"")
    if not any(mark in head for mark in (b"ooTextFile", b"ooBinaryFile")) or b"Pitch" not in head:
        raise InputError("no PitchTier: it does not begin as one")
    try:
        import parselmouth
        from parselmouth.praat import call
    except ImportError as error:
        raise InputError("reading Praat's files needs parselmouth: pip install 'gradtts-interp[eval]'") from error
    try:
        found = parselmouth.read(str(path))
    except parselmouth.PraatError as error:
        raise InputError(f"cannot be read as a PitchTier: {str(error).splitlines()[0]}") from error
    if isinstance(found, parselmouth.Pitch):
        return _curve(found.xs(), found.selected_array["frequency"], "hz")
    if found.class_name != "PitchTier":
        raise InputError(f"holds a {found.class_name}; expected a PitchTier")
    points = range(1, int(call(found, "Get number of points")) + 1)
    times = np.array([call(found, "Get time from index", i) for i in points])
    return PitchCurve(times, np.array([call(found, "Get value at index", i) for i in points]))


def _read_numpy(path: Path, frame_rate_hz: float) -> PitchCurve:
    """An array, or arrays by name; nothing is unpickled."""
    try:
        found = np.load(path, allow_pickle=False)
        arrays = {"f0_hz": found} if isinstance(found, np.ndarray) else dict(found)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"no NumPy file of numbers: {str(error).splitlines()[0]}") from error
    name = next((n for n in ("f0_hz", "semitones") if n in arrays), None)
    if name is None:
        raise InputError(f"arrays {', '.join(arrays) or 'none'}; expected f0_hz or semitones")
    values = np.atleast_1d(arrays[name])
    if not np.issubdtype(values.dtype, np.number):
        raise InputError("no array of numbers")
    if values.ndim == 2 and values.shape[1] == 2:
        return _curve(values[:, 0], values[:, 1], UNIT_OF_COLUMN[name])
    if values.ndim != 1:
        raise InputError(f"array of shape {values.shape}; expected (T,) in Hz, or (n, 2) of times and Hz")
    frames = (np.arange(len(values)) + 0.5) / float(arrays.get("frame_rate_hz", frame_rate_hz))
    return _curve(arrays.get("times_s", frames), values, UNIT_OF_COLUMN[name], arrays.get("voiced"))


_READERS: dict[str, Callable[[Path, float], PitchCurve]] = {
    ".csv": _read_csv, ".tsv": _read_csv, ".pitchtier": _read_praat, ".pitch": _read_praat, ".npy": _read_numpy,
    ".npz": _read_numpy,
}  # fmt: skip


# -- writing --------------------------------------------------------------------------------------------------------


def write_pitch(path: str | Path, curve: PitchCurve) -> None:
    """Write F0 in the format of the suffix; the file appears whole or not at all. Needs no extra.

    Args:
        path: ``.csv``, ``.tsv``, ``.PitchTier`` (Hz of the voiced points only), ``.npy`` (times and Hz, NaN where
            unvoiced) or ``.npz``.
        curve: What to write.

    Raises:
        InputError: Another suffix, or a PitchTier or ``.npy`` of semitones, which those do not hold.
    """
    kind = Path(path).suffix.lower()
    if kind not in _READERS or kind == ".pitch":
        raise InputError(f"{path}: expected a name in .csv, .tsv, .PitchTier, .npy or .npz")
    if curve.unit != "hz" and kind in (".pitchtier", ".npy"):
        raise InputError(f"{path}: it would hold {curve.unit}; expected .csv or .npz for those")
    times, values = np.asarray(curve.times_seconds, dtype=np.float64), np.asarray(curve.values, dtype=np.float64)
    voiced = np.ones(len(times), dtype=bool) if curve.voiced is None else np.asarray(curve.voiced, dtype=bool)
    kept, name = np.where(voiced, values, np.nan), "f0_hz" if curve.unit == "hz" else "semitones"
    with atomic_path(path) as temporary:
        if kind in (".csv", ".tsv"):
            rows = [(f"{t:.6f}", f"{v:.4f}" if on else "") for t, v, on in zip(times, values, voiced, strict=True)]
            with temporary.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, delimiter="\t" if kind == ".tsv" else ",").writerows([("time_s", name), *rows])
        elif kind == ".pitchtier":
            head = f'File type = "ooTextFile"\nObject class = "PitchTier"\n\nxmin = 0\nxmax = {times[-1].item()!r}\n'
            points = enumerate(zip(times[voiced].tolist(), values[voiced].tolist(), strict=True), 1)
            body = "".join(f"points [{i}]:\n    number = {t!r}\n    value = {v!r}\n" for i, (t, v) in points)
            temporary.write_text(f"{head}points: size = {voiced.sum()}\n{body}", encoding="utf-8", newline="\n")
        elif kind == ".npy":
            np.save(temporary, np.stack([times, kept], axis=1))
        else:
            np.savez(temporary, **{name: kept, "times_s": times, "voiced": voiced})  # type: ignore[arg-type]
