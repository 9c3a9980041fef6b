"""Everything that reads what others wrote, given strange input: nothing but the project's own errors come of it.

A target is called with made-up input and may raise nothing but :class:`InputError`. Files are made by changing good
ones at random, so that the readers' inner parts are reached too; no code of a file is run.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import pickle
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counting import record
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from speaking import harmonic_tone, tiny_pipeline
from training.fake_corpus import write_corpus

from gradtts_interp.app.rendering import command_of, flags_of
from gradtts_interp.audio import read_audio, write_wav
from gradtts_interp.checkpoints import load_model, load_official, read_index
from gradtts_interp.cli.flags import check_flags, job_of, read_lines
from gradtts_interp.cli.synthesize import add_arguments
from gradtts_interp.config import MelConfig, ModelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.files import read_json, read_torch
from gradtts_interp.interpolation.shares import Layout, parse_bands, parse_curve, parse_words
from gradtts_interp.styles import StyleBank
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.training.data import load_items
from gradtts_interp.training.filelist import parse_line
from gradtts_interp.vocoder import Vocoder

FAST_CASES = 4
LEAST_CASES = 10_000


class _Flags(argparse.ArgumentParser):
    """A parser that raises what the readers raise, instead of ending the program."""

    def error(self, message):
        raise InputError(message)


def targets(folder: Path) -> dict[str, tuple[Callable[[Any], object], st.SearchStrategy, int]]:
    """All readers, with their files below a folder: what reads, how its input is made, and cases of a long run."""
    files = _files(folder)
    frontends = [TextFrontend(add_blank=False, word_boundaries=False), TextFrontend(mode="official")]
    flags, pipeline = _Flags(add_help=False), tiny_pipeline()
    add_arguments(flags)
    layout = Layout(frames=20, mel=MelConfig(), words=((0, 8), (8, 20)), phones=((0, 5), (5, 20)))

    def change(name: str, read: Callable[[Path], object]) -> Callable[[Any], object]:
        path, good = files[name], files[name].read_bytes()

        def check(edits: list[tuple[float, bytes, int]]) -> object:
            path.write_bytes(_edited(good, edits))
            try:
                return read(path)
            finally:
                path.write_bytes(good)

        return check

    def write(name: str, read: Callable[[Path], object]) -> Callable[[Any], object]:
        def check(content: bytes | str) -> object:
            path = folder / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
            return read(path)

        return check

    def fill_in(form: dict[str, Any]) -> object:
        given = flags_of(out=str(folder), **form)
        return job_of(given, command_of(given), pipeline=pipeline)

    tiny = folder / "tiny"
    return {
        "text": (lambda text: [f(text) for f in frontends], TEXT, 1700),
        "curve": (lambda text: parse_curve(text).render(layout), SHARE_TEXT, 1000),
        "words": (lambda text: parse_words(text).render(layout), SHARE_TEXT, 700),
        "bands": (lambda text: parse_bands(text).render(layout), SHARE_TEXT, 700),
        "flags": (lambda words: check_flags(flags.parse_args(words)), FLAGS, 1000),
        "form": (fill_in, FORMS, 700),
        "sentences": (write("lines.txt", read_lines), st.one_of(st.binary(max_size=200), st.text()), 500),
        "filelist": (lambda row: parse_line(row, folder), ROWS, 700),
        "wav": (change("wav", lambda _: read_audio(files["wav"])), EDITS, 1000),
        "manifest": (change("manifest", lambda path: load_items(path.parent)), EDITS, 500),
        "features": (change("features", lambda _: load_items(folder / "corpus")), EDITS, 300),
        "json": (change("index", read_json), EDITS, 500),
        "model config": (ModelConfig.from_dict, JSON, 700),
        "mel config": (MelConfig.from_dict, JSON, 500),
        "index": (write("pipeline.json", lambda p: read_index(p.parent)), JSON.map(json.dumps), 500),
        "config file": (change("config", lambda _: load_model(tiny / "model")), EDITS, 300),
        "safetensors": (change("weights", lambda _: load_model(tiny / "model")), HEADER_EDITS, 500),
        "styles": (change("styles", lambda _: StyleBank.load(tiny / "styles", MelConfig())), EDITS, 300),
        "vocoder": (change("vocoder", lambda _: Vocoder.from_pretrained(tiny / "vocoder")), EDITS, 300),
        "official": (change("official", load_official), EDITS, 300),
        "torch file": (change("official", read_torch), EDITS, 300),
        "hostile pickle": (write("hostile.pt", _unpickle), PICKLES, 500),
    }


def _files(folder: Path) -> dict[str, Path]:
    """Good files, to be spoiled."""
    write_wav(folder / "good.wav", harmonic_tone(150.0, 0.3), 22050)
    corpus = write_corpus(folder / "corpus")
    tiny = folder / "tiny"
    tiny_pipeline().save_pretrained(tiny)
    torch.save({"encoder.emb.weight": torch.zeros(149, 8), "spk_emb.weight": torch.zeros(3, 4)}, folder / "official.pt")
    return {
        "wav": folder / "good.wav",
        "manifest": corpus / "manifest.jsonl",
        "features": corpus / "features" / "bank-0.npz",
        "index": tiny / "pipeline.json",
        "config": tiny / "model" / "config.json",
        "weights": tiny / "model" / "model.safetensors",
        "styles": tiny / "styles" / "styles.json",
        "vocoder": tiny / "vocoder" / "config.json",
        "official": folder / "official.pt",
    }


def _edited(good: bytes, edits: list[tuple[float, bytes, int]]) -> bytes:
    """Bytes put in at places (as parts of the length), some of what stood there cut."""
    content = bytearray(good)
    for place, inserted, cut in edits:
        at = int(place * len(content))
        content[at : at + cut] = inserted
    return bytes(content)


WITNESS = "GRADTTS_INTERP_HOSTILE_PICKLE_RAN"


def _hostile(kind: int, protocol: int, junk: Any) -> bytes:
    code = f"import os; os.environ[{WITNESS!r}] = '1'"
    calls = (
        (exec, (code,)),
        (eval, (f"exec({code!r})",)),
        (os.putenv, (WITNESS, "1")),
        (os.system, ("exit 1",)),
        (getattr, ("text", "upper")),
        (np.load, ("/etc/passwd",)),
    )

    class Hostile:
        """Unpickling it would call a function."""

        def __reduce__(self) -> tuple:
            return calls[kind]

    return pickle.dumps({"model": Hostile(), "junk": junk}, protocol=protocol)


def _unpickle(path: Path) -> None:
    for read in (read_torch, load_official):
        try:
            read(path)
        except InputError:
            continue
        finally:
            assert WITNESS not in os.environ, "code of a checkpoint was run"
        raise AssertionError("a hostile file was taken for a checkpoint")


# -- how input is made ----------------------------------------------------------------------------------------------

warnings.filterwarnings("ignore", category=SyntaxWarning)
_PARTS = st.sampled_from(
    "{HH AH0} { } {XX} Dr. $5.20 1,234 3rd 1999 12:30 % & é ß 你好 \u0000 \u202e 🙂 -- ... 'tis I.B.M.".split(" ")
)
TEXT = st.one_of(st.text(max_size=60), st.lists(_PARTS | st.text(max_size=6), max_size=12).map(" ".join))
SHARE_TEXT = st.one_of(st.text(max_size=20), st.text("0123456789.,:-+eabwsinf ", max_size=24))
NUMBERS = st.floats() | st.floats(0, 1) | st.sampled_from([0.0, 1.0, 8000.0])
_WORDS = "-s -s2 --mode --curve --weight --mechanism --text --emotion -t --seed time mix 0:0,1:1 0.5 12 nan -1".split()
FLAGS = st.lists(st.sampled_from(_WORDS) | st.text(max_size=5), max_size=8)
_STYLE = {"speaker": st.none() | st.integers(), "emotion": st.none() | st.text(max_size=5)}
_STYLE["reference"] = st.none() | st.just("x.wav")
FORMS = st.fixed_dictionaries(
    {
        "text": st.tuples(TEXT).map(list),
        "timesteps": st.integers(),
        "seed": st.integers(),
        "solver": st.text(max_size=5),
    },
    optional={
        **_STYLE,
        **{f"{name}2": made for name, made in _STYLE.items()},
        "mode": st.sampled_from(["time", "mix", "frequency"]) | st.text(max_size=4),
        "curve": SHARE_TEXT,
        "weight": NUMBERS,
        "bands": SHARE_TEXT,
        "share": st.lists(SHARE_TEXT, max_size=2),
        "pitch_from": st.text(max_size=2),
        "mechanism": st.lists(st.text(max_size=5), max_size=2),
    },
)
ROWS = st.one_of(st.text(max_size=40), st.lists(st.text(max_size=8), max_size=5).map("|".join))
EDITS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8), st.integers(0, 40)), min_size=1, max_size=4
)
HEADER_EDITS = st.lists(
    st.tuples(st.floats(0, 0.05, exclude_max=True), st.binary(max_size=8), st.integers(0, 12)), min_size=1, max_size=3
)
_FIELDS = st.sampled_from([*ModelConfig().to_dict(), *MelConfig().to_dict(), "model", "vocoder", "styles", "x"])
JSON = st.dictionaries(
    _FIELDS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=6,
)
PICKLES = st.builds(
    _hostile, st.integers(0, 5), st.integers(0, pickle.HIGHEST_PROTOCOL), st.integers() | st.text() | st.binary()
)


# -- the tests -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def all_targets(tmp_path_factory):
    logging.disable(logging.WARNING)
    os.environ["TQDM_DISABLE"] = "1"
    yield targets(tmp_path_factory.mktemp("fuzz"))
    logging.disable(logging.NOTSET)
    del os.environ["TQDM_DISABLE"]


def attack(check, made, cases):
    """Run cases; how many ran, and the tracebacks of those that failed otherwise than by InputError."""
    ran, failures = 0, []

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(made)
    def run(made):
        nonlocal ran
        ran += 1
        try:
            check(made)
        except InputError as error:
            if not str(error).strip():
                failures.append(f"{made!r}: an error without words")
        except Exception:
            failures.append(f"{made!r}\n{traceback.format_exc()}")

    run()
    return ran, failures


def test_a_few_cases_of_every_reader(all_targets):
    for name, (check, made, _) in all_targets.items():
        _, failures = attack(check, made, FAST_CASES)
        assert not failures, f"{name}: {failures[0]}"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_cases(all_targets):
    found = {name: attack(*target) for name, target in all_targets.items()}
    for name, (ran, failures) in found.items():
        record("fuzz", name, cases=ran, failures=len(failures))
    cases, failed = sum(ran for ran, _ in found.values()), sum(len(failures) for _, failures in found.values())
    record("fuzz", "all", cases=cases, failures=failed)
    assert not failed, "\n\n".join(f"{name}: such as\n{each[0]}" for name, (_, each) in found.items() if each)
    assert cases >= LEAST_CASES
