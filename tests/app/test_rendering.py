"""What the page calls, without a browser: sound as of the command line, limits, stops, and no file left behind."""

import json
import shlex
import socket
import threading
import time
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gradtts_interp.app import rendering as rendering_module
from gradtts_interp.app.rendering import OUT_OF_MEMORY, Form, Limits, StoppedError
from gradtts_interp.cli.main import main as verbs
from gradtts_interp.errors import InputError
from gradtts_interp.job import StyleChoice

A, B, ALONE = StyleChoice(12), StyleChoice(10, "happy"), None
FORM = Form("A cat.", A, B, steps=2)


def upload(renderer, tone_wav):
    path = renderer.uploads / "someone's tone.wav"
    path.write_bytes(tone_wav.read_bytes())
    return StyleChoice(recording=str(path))


def test_a_blend_has_picture_sounds_attention_map_and_files(renderer):
    seen = []
    answer = renderer.render(FORM, "v1", lambda part, text: seen.append((part, text)))
    assert answer.picture.stat().st_size > 10_000 and answer.attention_map.stat().st_size > 5_000
    lengths = [soundfile.info(path).frames for path in answer.sounds]
    assert len(set(lengths)) == 1
    assert [p.name for p in answer.downloads] == ["sample_0.wav", "sample_0.json", "command.txt"]
    assert answer.report["settings"]["styles"] == ["speaker 12 neutral", "speaker 10 happy"]
    parts = [part for part, _ in seen]
    assert parts == sorted(parts) and seen[-1] == (1.0, "drawing") and seen[0][1].startswith("blend")


@pytest.mark.parametrize(
    "form",
    [
        FORM,
        replace(FORM, mode="mix", weight=0.25, mechanisms=("prior", "score")),
        replace(FORM, mode="frequency", pitch_from="b", seed=7),
        replace(FORM, b=ALONE, text="-f is no flag; $HOME 'quoted'."),
    ],
)
def test_the_command_line_shown_makes_the_same_sound(renderer, form, tmp_path, monkeypatch):
    answer = renderer.render(form, "v1")
    monkeypatch.chdir(tmp_path)
    program, *argv = shlex.split(answer.command)
    assert program == "gradtts-interp" and verbs([*argv, "--no-plots"]) == 0
    assert (tmp_path / "out" / "sample_0.wav").read_bytes() == answer.sounds[0].read_bytes()


def test_two_recordings_and_the_command_beside_the_downloads(renderer, tone_wav, monkeypatch):
    answer = renderer.render(replace(FORM, a=upload(renderer, tone_wav), b=upload(renderer, tone_wav)), "v1")
    names = [p.name for p in answer.downloads]
    assert names[3:] == ["reference_a.wav", "reference_b.wav"]
    report = json.loads(answer.downloads[1].read_text())
    assert report["settings"]["styles"] == ["reference_a.wav", "reference_b.wav"]
    assert str(renderer.uploads) not in json.dumps(report) and str(renderer.root) not in answer.command
    sound = answer.sounds[0].read_bytes()
    monkeypatch.chdir(answer.downloads[0].parent)
    assert verbs([*shlex.split(answer.command)[1:], "--no-plots", "--out", "again"]) == 0
    assert Path("again/sample_0.wav").read_bytes() == sound


def test_files_of_a_visitor_are_replaced_and_go_with_the_visitor(renderer):
    first = renderer.render(replace(FORM, b=ALONE), "v1").sounds[0]
    other = renderer.render(replace(FORM, b=ALONE), "v2").sounds[0]
    assert first.parent != other.parent
    renderer.render(replace(FORM, b=ALONE, seed=1), "v1")
    assert len(list(renderer.root.glob("visitor-*"))) == 2
    renderer.leave("v1")
    assert not first.parent.exists() and other.exists()
    assert renderer._folder("../../etc").parent == renderer.root


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"text": "  "}, "no text"),
        ({"text": "a" * 401}, "at most 400"),
        ({"text": "?!"}, "nothing to speak"),
        ({"steps": 201}, "at most 200"),
        ({"steps": 0}, "at least 1"),
        ({"solver": "magic"}, "solver"),
        ({"seed": -1}, "seed"),
        ({"curve": "0:0,x:1"}, "curve time x: expected"),
        ({"curve": ""}, "curve"),
        ({"mode": "magic"}, "mode 'magic'"),
        ({"mode": "mix", "weight": float("nan")}, "weight"),
        ({"mechanisms": ("magic",)}, "magic"),
        ({"mechanisms": ("noise",)}, "frame prior .* mechanism 'noise'"),
        ({"a": StyleChoice(99)}, "speaker 99"),
        ({"a": StyleChoice(12, "bored")}, "bored"),
        ({"a": StyleChoice()}, "style A: choose a speaker, or upload"),
        ({"b": StyleChoice()}, "style B: choose a speaker, or upload"),
    ],
)
def test_a_form_that_cannot_be_spoken_is_refused_in_words(renderer, change, word):
    with pytest.raises(InputError, match=word):
        renderer.render(replace(FORM, **change), "v1")


def test_an_average_of_speakers_is_a_style_like_others(renderer):
    answer = renderer.render(replace(FORM, a=StyleChoice((10, 12)), steps=1), "v1")
    assert answer.sounds[0].exists() and "-s 10,12 " in answer.command


def test_only_uploads_are_read(renderer, tone_wav, tmp_path):
    for path in (tone_wav, Path("/etc/passwd"), renderer.uploads / ".." / "elsewhere.wav", renderer.uploads):
        with pytest.raises(InputError, match="not uploaded here"):
            renderer.accept_recording(path, tmp_path, "x")
    (renderer.uploads / "link.wav").symlink_to(tone_wav)
    with pytest.raises(InputError, match="not uploaded here"):
        renderer.accept_recording(renderer.uploads / "link.wav", tmp_path, "x")


def huge_header(path, seconds=10**6):
    """A wav of few bytes whose header promises hours."""
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 22050, 0, "NONE", ""))
        out.writeframes(b"\0\0" * 100)
    content = bytearray(path.read_bytes())
    content[40:44] = min(seconds * 44100, 2**32 - 1).to_bytes(4, "little")
    path.write_bytes(content)


def test_uploads_that_are_too_large_too_long_or_no_sound(renderer, tmp_path):
    renderer.limits = Limits(upload_bytes=100_000, upload_seconds=2.0)
    wav = renderer.uploads / "x.wav"
    soundfile.write(wav, np.zeros(100_000), 22050)
    with pytest.raises(InputError, match="larger than"):
        renderer.accept_recording(wav, tmp_path, "x")
    soundfile.write(wav, np.full(8000 * 3, 0.1), 8000)
    with pytest.raises(InputError, match="lasts 3 s; expected 2 s or less"):
        renderer.accept_recording(wav, tmp_path, "x")
    for content in (b"", b"RIFF", b"<html>", b"\0" * 1000):
        wav.write_bytes(content)
        with pytest.raises(InputError, match="cannot be used") as caught:
            renderer.accept_recording(wav, tmp_path, "x")
        assert str(renderer.root) not in str(caught.value)
    huge_header(wav)
    renderer.accept_recording(wav, tmp_path, "short")  # the promise is not believed: 100 samples are read
    assert soundfile.info(tmp_path / "short.wav").frames == 100


def test_a_stop_ends_the_rendering_at_its_next_step(renderer):
    started, errors = threading.Event(), []

    def work():
        try:
            renderer.render(replace(FORM, steps=200), "v1", lambda *_: started.set())
        except StoppedError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(60)
    renderer.stop("someone else")
    renderer.stop("v1")
    thread.join(60)
    assert len(errors) == 1 and not thread.is_alive()
    assert renderer.render(replace(FORM, b=ALONE), "v1").sounds[1] is None  # the next one goes on


def test_who_leaves_while_waiting_leaves_no_files(renderer, tone_wav):
    form, errors = replace(FORM, b=upload(renderer, tone_wav)), []

    def work():
        try:
            renderer.render(form, "v1")
        except StoppedError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    with renderer._turn:  # another's rendering
        thread.start()
        while "v1" not in renderer._stops:
            time.sleep(0.01)
        renderer.leave("v1")
    thread.join(60)
    assert len(errors) == 1 and not list(renderer.root.glob("visitor-*"))


def test_out_of_memory_and_a_full_disk_become_advice(renderer, monkeypatch):
    def fail(error):
        def speak(*_, **__):
            raise error

        return speak

    for error, kind, message in (
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), InputError, OUT_OF_MEMORY[:13]),
        (OSError(28, "No space left on device"), InputError, "No space left"),
        (RuntimeError("a bug"), RuntimeError, "a bug"),
    ):
        monkeypatch.setattr(rendering_module, "speak", fail(error))
        with pytest.raises(kind, match=message):
            renderer.render(FORM, "v1")
        assert not list(renderer.root.glob("visitor-*"))


@pytest.mark.parametrize("mode", ["time", "mix", "frequency"])
def test_bands_join_every_mode(renderer, mode):
    answer = renderer.render(replace(FORM, mode=mode, bands="0-400:a, 400-8000:b"), "v1")
    assert "--bands=0-400:a,400-8000:b" in answer.command and "--pitch-from" not in answer.command


def test_dimensions_have_shares_of_their_own(renderer):
    answer = renderer.render(replace(FORM, dimensions="pitch=0  timbre=0:b,1:a"), "v1")
    assert "--share=pitch=0 --share=timbre=0:b,1:a" in answer.command
    assert answer.report["realised_blend"]["asked_thirds"] == [0, 0, 0]
    with pytest.raises(InputError, match=r"--share: share pitch\(1,1\) masks the references"):
        renderer.render(replace(FORM, dimensions="energy=1", mode="frequency"), "v1")


def test_without_gradio_the_verb_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    assert verbs(["app"]) == 2
    assert "pip install 'gradtts-interp[app]'" in capsys.readouterr().err


def test_a_port_or_a_limit_that_cannot_be_is_told_in_one_line(capsys):
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        for flags, word in (
            (["--port", taken], "in use"),
            (["--port", "70000"], "65535"),
            (["--host", "no such host"], "cannot listen"),
            (["--max-steps", "0"], "--max-steps 0: expected 1"),
            (["--max-upload-mb", "nan"], "--max-upload-mb nan"),
        ):
            assert verbs(["app", *flags]) == 2
            err = capsys.readouterr().err
            assert word in err and err.count("\n") == 1


def test_the_page_reads_its_fields():
    pytest.importorskip("gradio")
    from gradtts_interp.app.page import form_of

    values = ["Hi.", "speaker", "12", "neutral", None, "nobody", None, None, None]
    rest = ["over time", "0:0,1:1", 0.5, "", "pitch=0", "A", ["prior"], 5, "unipc", 3]
    assert form_of([*values, *rest]) == Form(
        "Hi.",
        StyleChoice(12, "neutral"),
        None,
        curve="0:0,1:1",
        dimensions="pitch=0",
        mechanisms=("prior",),
        steps=5,
        seed=3,
    )
    assert form_of(["Hi.", "speaker", "3,7", "neutral", *values[4:], *rest]).a == StyleChoice((3, 7), "neutral")
    with pytest.raises(InputError, match="'x': expected a whole number from 0, or several"):
        form_of(["Hi.", "speaker", "x", *values[3:], *rest])
    with pytest.raises(InputError, match="no usable value"):
        form_of([*values, *rest[:7], None, "unipc", 3])
