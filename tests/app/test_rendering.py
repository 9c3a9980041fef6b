"""What the page calls, without a browser: sound as of the command line, limits, stops, and no file left behind."""

import json
import shlex
import socket
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import soundfile
from refusing import refused

from gradtts_interp.app import rendering as rendering_module
from gradtts_interp.app.rendering import OUT_OF_MEMORY, flags_of
from gradtts_interp.cli.main import main as verbs
from gradtts_interp.errors import InputError

ALONE = {"text": ["A cat."], "speaker": 12, "timesteps": 2, "solver": "unipc"}
BLEND = {**ALONE, "speaker2": 10, "emotion2": "happy", "mode": "time"}


def blend(**changes):
    return flags_of(**{**BLEND, **changes})


def upload(renderer, tone_wav):
    path = renderer.uploads / "someone's tone.wav"
    path.write_bytes(tone_wav.read_bytes())
    return str(path)


def test_a_blend_has_picture_sounds_attention_map_and_files(renderer):
    seen = []
    report, files = renderer.render(blend(), "v1", lambda part, text: seen.append((part, text)))
    assert files["png"].stat().st_size > 10_000 and files["attention_map"].stat().st_size > 5_000
    assert len({soundfile.info(files[name]).frames for name in ("wav", "a", "b")}) == 1
    assert {"json", "command"} < set(files) and files["command"].read_text() == report["settings"]["command"] + "\n"
    assert report["settings"]["styles"] == ["speaker 12 neutral", "speaker 10 happy"]
    parts = [part for part, _ in seen]
    assert parts == sorted(parts) and seen[-1] == (1.0, "drawing") and seen[0][1].startswith("blend")


@pytest.mark.parametrize(
    "flags",
    [
        blend(),
        blend(mode="mix", weight=0.25, mechanism=["prior", "score"]),
        blend(mode="frequency", pitch_from="b", seed=7),
        blend(speaker=(10, 12), bands="0-400:a,400-8000:b", share=["pitch=0", "timbre=0:b,1:a"], timesteps=1),
        flags_of(**{**ALONE, "text": ["-f is no flag; $HOME 'quoted'."]}),
    ],
)
def test_the_command_line_shown_makes_the_same_sound(renderer, flags, tmp_path, monkeypatch):
    report, files = renderer.render(flags, "v1")
    monkeypatch.chdir(tmp_path)
    program, *argv = shlex.split(report["settings"]["command"])
    assert program == "gradtts-interp" and verbs([*argv, "--no-plots"]) == 0
    assert (tmp_path / "out" / "sample_0.wav").read_bytes() == files["wav"].read_bytes()


def test_two_recordings_and_the_command_beside_the_downloads(renderer, tone_wav, monkeypatch):
    recordings = {name: upload(renderer, tone_wav) for name in ("reference", "reference2")}
    _, files = renderer.render(blend(speaker=None, speaker2=None, emotion2=None, **recordings), "v1")
    report, sound = json.loads(files["json"].read_text()), files["wav"].read_bytes()
    assert report["settings"]["styles"] == [files[name].name for name in recordings]
    command = report["settings"]["command"]
    assert str(renderer.uploads) not in json.dumps(report) and str(renderer.root) not in command
    monkeypatch.chdir(files["wav"].parent)
    assert verbs([*shlex.split(command)[1:], "--no-plots", "--out", "again"]) == 0
    assert Path("again/sample_0.wav").read_bytes() == sound


def test_files_of_a_visitor_are_replaced_and_go_with_the_visitor(renderer):
    first, other = (renderer.render(flags_of(**ALONE), visitor)[1]["wav"] for visitor in ("v1", "v2"))
    assert first.parent != other.parent
    renderer.render(flags_of(**ALONE, seed=1), "v1")
    assert len(list(renderer.root.glob("visitor-*"))) == 2
    renderer.leave("v1")
    assert not first.parent.exists() and other.exists()
    assert renderer._folder("../../etc").parent == renderer.root


def test_what_cannot_be_spoken_is_refused_in_words(renderer):
    refused(
        lambda change: renderer.render(blend(**change), "v1"),
        ({"text": [""]}, "no text"),
        ({"text": ["a" * 401]}, "at most 400"),
        ({"text": ["?!"]}, "nothing to speak"),
        ({"timesteps": 201}, "at most 200"),
        ({"timesteps": 0}, "at least 1"),
        ({"solver": "magic"}, "solver"),
        ({"seed": -1}, "seed"),
        ({"mode": "magic"}, "mode 'magic'"),
        ({"mode": "mix", "weight": float("nan")}, "weight"),
    )


def test_only_uploads_are_read_and_none_that_is_too_large_too_long_or_no_sound(renderer, tone_wav, tmp_path):
    renderer.args.max_upload_mb, renderer.args.max_upload_seconds = 0.1, 2.0
    wav = renderer.uploads / "x.wav"

    def accept(path=wav):
        try:
            renderer.accept_recording(path, tmp_path, "x")
        except InputError as error:
            assert str(renderer.root) not in str(error)
            raise

    (renderer.uploads / "link.wav").symlink_to(tone_wav)
    elsewhere = (renderer.uploads / ".." / "elsewhere.wav", renderer.uploads, renderer.uploads / "link.wav")
    refused(accept, *((path, "not uploaded here") for path in (tone_wav, Path("/etc/passwd"), *elsewhere)))
    soundfile.write(wav, np.zeros(100_000), 22050)
    refused(accept, ("larger than 0.1 MiB",))
    soundfile.write(wav, np.full(8000 * 3, 0.1), 8000)
    refused(accept, ("lasts 3 s; expected 2 s or less",))
    for content in (b"", b"RIFF", b"<html>", b"\0" * 1000):
        wav.write_bytes(content)
        refused(accept, ("cannot be used",))
    soundfile.write(wav, np.zeros(100), 22050)
    content = bytearray(wav.read_bytes())
    content[40:44] = (2**32 - 1).to_bytes(4, "little")  # a header that promises hours
    wav.write_bytes(content)
    renderer.accept_recording(wav, tmp_path, "short")  # the promise is not believed: 100 samples are read
    assert soundfile.info(tmp_path / "short.wav").frames == 100


@pytest.fixture
def begin(renderer):
    """Start a rendering in a thread; what waits for its end, and says whether it was stopped."""

    def begin_rendering(*given):
        started = ThreadPoolExecutor().submit(renderer.render, *given)
        return lambda: isinstance(started.exception(60), CancelledError)

    return begin_rendering


def test_a_stop_ends_the_rendering_at_its_next_step(renderer, begin):
    started, told = threading.Event(), []
    was_stopped = begin(blend(timesteps=200), "v1", lambda part, _: (told.append(part), started.set()))
    assert started.wait(60)
    renderer.stop("someone else")
    renderer.stop("v1")
    assert was_stopped() and max(told) < 1, "it went on to its end"
    assert "a" not in renderer.render(flags_of(**ALONE), "v1")[1]  # the next one goes on


def test_who_leaves_while_waiting_leaves_no_files(renderer, begin, tone_wav):
    with renderer._turn:  # another's rendering
        was_stopped = begin(blend(speaker2=None, emotion2=None, reference2=upload(renderer, tone_wav)), "v1")
        while "v1" not in renderer._stops:
            time.sleep(0.01)
        renderer.leave("v1")
    assert was_stopped() and not list(renderer.root.glob("visitor-*"))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), InputError, OUT_OF_MEMORY[:13]),
        (OSError(28, "No space left on device"), InputError, "No space left"),
        (RuntimeError("a bug"), RuntimeError, "a bug"),
    ],
)
def test_out_of_memory_and_a_full_disk_become_advice(renderer, monkeypatch, error, kind, message):
    monkeypatch.setattr(rendering_module, "speak", Mock(side_effect=error))
    with pytest.raises(kind, match=message):
        renderer.render(blend(), "v1")
    assert not list(renderer.root.glob("visitor-*"))


def test_without_gradio_the_verb_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    assert verbs(["app"]) == 2
    assert "pip install 'gradtts-interp[app]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--port", "TAKEN"], "in use"),
        (["--port", "70000"], "65535"),
        (["--host", "no such host"], "cannot listen"),
        (["--max-steps", "0"], "--max-steps 0: expected 1"),
        (["--max-upload-mb", "nan"], "--max-upload-mb nan"),
    ],
)
def test_a_port_or_a_limit_that_cannot_be_is_told_in_one_line(capsys, flags, word):
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        assert verbs(["app", *(taken if flag == "TAKEN" else flag for flag in flags)]) == 2
    err = capsys.readouterr().err
    assert word in err and err.count("\n") == 1


def test_the_page_reads_its_fields():
    pytest.importorskip("gradio")
    from gradtts_interp.app.page import read_fields

    a, b = ["speaker", "12", "neutral", None], ["speaker", "3,7", "", None]
    rest = ["over time", "0:0, 1:1", 0.5, "", "pitch=0  rate=1", "A", ["prior"], 5, "unipc", 3]
    sampling = {"text": ["Hi."], "speaker": 12, "emotion": "neutral", "timesteps": 5, "solver": "unipc", "seed": 3}
    assert read_fields(["Hi. ", *a, "nobody", *b[1:], *rest]) == flags_of(**sampling)
    two = {**sampling, "speaker2": (3, 7), "share": ["pitch=0", "rate=1"], "mechanism": ["prior"]}
    assert read_fields([" Hi.", *a, *b, *rest]) == flags_of(**two, mode="time", curve="0:0,1:1")
    untouched = [*rest[:3], None, None, *rest[5:]]  # as Gradio hands in boxes that nobody filled
    assert read_fields(["Hi.", *a, *b, *untouched]) == flags_of(**two | {"share": None}, mode="time", curve="0:0,1:1")
    mix = ["the same mix everywhere", *rest[1:]]
    assert read_fields(["Hi.", *a, *b, *mix]) == flags_of(**two, mode="mix", weight=0.5)
    for bands, found in (("", {"pitch_from": "a"}), ("0-400:a, 400-8000:b", {"bands": "0-400:a,400-8000:b"})):
        pitch = ["pitch of one, voice of the other", *rest[1:3], bands, *rest[4:]]
        assert read_fields(["Hi.", *a, *b, *pitch]) == flags_of(**two, mode="frequency", **found)
    refused(
        read_fields,
        (["Hi.", "speaker", "x", *a[2:], *b, *rest], "'x': expected a whole number from 0, or several"),
        (["Hi.", *a, "recording", None, None, None, *rest], "style B: choose a speaker, or upload"),
        (["Hi.", *a, *b, *rest[:7], None, "unipc", 3], "no usable value"),
    )
