"""The page: fields, what they do when they are changed, and what is shown. Nothing else knows Gradio."""

import argparse
import os
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import gradio as gr

from gradtts_interp.app.rendering import LONGEST_TEXT_CHARACTERS, FormRenderer, flags_of
from gradtts_interp.diffusion.samplers import SAMPLERS
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.mechanisms import MECHANISMS
from gradtts_interp.interpolation.noise import NOISE
from gradtts_interp.job import speakers_of
from gradtts_interp.sampling import SamplingOptions

SPEAKER, RECORDING, NOBODY = "speaker", "recording", "nobody"
DOWNLOADS = ("wav", "json", "command", "reference", "reference2")
FORGET_SECONDS = (300, 3600)
"""How often files are looked through, and at what age they are removed while the app runs."""

CURVES = {
    "glide": "0.2:0,0.8:1",
    "switch": "0.5:0,0.5:1",
    "there and back": "0:0,0.5:1,1:0",
    "all A": "0:0,1:0",
    "all B": "0:1,1:1",
}
WAYS = {"over time": "time", "pitch of one, voice of the other": "frequency", "the same mix everywhere": "mix"}
HERE = Path(__file__).parent
CURVE_EDITOR = (HERE / "curve.svg").read_text(encoding="utf-8")
HEAD = f"<script>{(HERE / 'curve.js').read_text(encoding='utf-8')}</script>"


def build(renderer: FormRenderer) -> gr.Blocks:
    """Make the page.

    Args:
        renderer: Renders what is filled in; its folder takes the uploads.

    Returns:
        The page, to be launched by :mod:`gradtts_interp.app`.
    """
    renderer.uploads.mkdir(parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(renderer.uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with gr.Blocks(title="gradtts-interp", analytics_enabled=False, delete_cache=FORGET_SECONDS) as page:
        gr.Markdown("# gradtts-interp\nSpeak a sentence while moving from one speaking style to another.")
        with gr.Row():
            with gr.Column():
                fields = _fields(renderer)
                with gr.Row():
                    speak = gr.Button("Speak", variant="primary", elem_id="speak")
                    stop = gr.Button("Stop", variant="stop", elem_id="stop")
            with gr.Column():
                shown = _shown()
        _connect(page, renderer, fields, speak, stop, shown)
    return page


def _fields(renderer: FormRenderer) -> list[Any]:
    text = gr.Textbox("She wrote a letter.", label="Sentence", max_length=LONGEST_TEXT_CHARACTERS, elem_id="text")
    with gr.Row():
        a, b = _voice(renderer, "A"), _voice(renderer, "B")
    names = list(WAYS)
    mode = gr.Radio(names, value=names[0], label="From A to B", elem_id="mode")
    with gr.Group() as over_time:
        gr.HTML(CURVE_EDITOR, elem_id="curve-editor", label="Share of B")
        with gr.Row():
            curve = gr.Textbox(
                CURVES["glide"], label="Share of B over time, time:share from 0 to 1", elem_id="curve-text"
            )
            preset = gr.Dropdown([*CURVES], value="glide", label="or one of these")
        preset.input(CURVES.__getitem__, preset, curve, show_progress="hidden", api_visibility="private")
    weight = gr.Slider(0, 1, 0.5, step=0.05, label="Share of B", visible=False)
    pitch_from = gr.Radio(["A", "B"], value="A", label="Pitch from", visible=False)
    parts = [over_time, pitch_from, weight]
    mode.change(_show_part, mode, parts, show_progress="hidden", api_visibility="private")
    with gr.Accordion("More", open=False):
        bands = gr.Textbox(label="Frequency bands in Hz, such as 0-400:a,400-8000:b")
        dimensions = gr.Textbox(label="Shares of single dimensions, such as pitch=0 timbre=0:a,1:b")
        mechanisms = gr.CheckboxGroup([*MECHANISMS, NOISE], label="Mechanisms (none: the checkpoint's choice)")
        steps = gr.Slider(1, renderer.args.max_steps, SamplingOptions.steps, step=1, label="Steps", elem_id="steps")
        solver = gr.Dropdown([*SAMPLERS], value=SamplingOptions.solver, label="Solver")
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
    return [text, *a, *b, mode, curve, weight, bands, dimensions, pitch_from, mechanisms, steps, solver, seed]


def _show_part(mode: str) -> list[Any]:
    return [gr.update(visible=mode == name) for name in WAYS]


def _voice(renderer: FormRenderer, letter: str) -> list[Any]:
    """Fields of a style: where from, speaker, emotion, recording."""
    speakers = [str(number) for number in renderer.pipeline.speakers]
    bank = renderer.pipeline.bank
    sources = ([SPEAKER] if speakers else []) + ([RECORDING] if renderer.pipeline.model.has_style else [])
    sources += [NOBODY] if letter == "B" or not sources else []
    usual = {"A": "12", "B": "10"}[letter]
    chosen = usual if usual in speakers else next(iter(speakers), None)
    with gr.Column(min_width=220):
        source = gr.Radio(sources, value=sources[0], label=f"Style {letter}", elem_id=f"source-{letter}")
        speaker = gr.Dropdown(
            speakers,
            value=chosen,
            label=f"Speaker {letter}",
            info="or several, such as 3,7 or 0-15: their average",
            allow_custom_value=True,
            visible=bool(speakers),
        )
        emotions = list(bank.emotions) if bank is not None else []
        emotion = gr.Dropdown(emotions, value=next(iter(emotions), None), label="Emotion", visible=bool(emotions))
        recording = gr.Audio(
            sources=["upload", "microphone"],
            type="filepath",
            label=f"Speech in style {letter}, up to {renderer.args.max_upload_seconds:g} s",
            visible=sources[0] == RECORDING,
            buttons=[],
            elem_id=f"recording-{letter}",
        )

    def show(chosen: str) -> list[Any]:
        by_number = chosen == SPEAKER
        return [gr.update(visible=v) for v in (by_number, by_number and bool(emotions), chosen == RECORDING)]

    source.change(show, source, [speaker, emotion, recording], show_progress="hidden", api_visibility="private")
    return [source, speaker, emotion, recording]


def _shown() -> list[Any]:
    def player(name: str, place: int) -> gr.Audio:
        return gr.Audio(label=name, interactive=False, elem_id=f"sound-{place}", buttons=["download"])

    players = [player("Blend", 0)]
    with gr.Row():
        players += [player("A alone", 1), player("B alone", 2)]
    words = gr.Markdown(elem_id="summary")
    looks: dict[str, Any] = {"show_label": False, "buttons": ["download", "fullscreen"], "interactive": False}
    gr.Markdown("### Mel, F0 of A, B and the blend, share of B")
    picture = gr.Image(elem_id="picture", **looks)
    gr.Markdown("### Attention to B, by place in the network")
    attention_map = gr.Image(elem_id="attention-map", **looks)
    command = gr.Textbox(label="Makes the same sound", lines=2, elem_id="command", buttons=["copy"], interactive=False)
    files = gr.File(label="Download", file_count="multiple", elem_id="files", interactive=False)
    return [*players, words, picture, attention_map, command, files]


def _connect(
    page: gr.Blocks, renderer: FormRenderer, fields: list[Any], speak: Any, stop: Any, shown: list[Any]
) -> None:
    # The annotations of these handlers tell Gradio what to hand in.
    def on_speak(request: gr.Request, progress: gr.Progress = gr.Progress(), *values: Any) -> list[Any]:  # noqa: B008
        try:
            flags = read_fields(values)
            report, files = renderer.render(flags, _visitor(request), lambda part, text: progress(part, desc=text))
        except CancelledError:
            raise gr.Error("Stopped.", title="Stopped", duration=5, print_exception=False) from None
        except InputError as error:
            raise gr.Error(str(error), title="This cannot be spoken", print_exception=False) from None
        return values_of(report, files)

    def on_stop(request: gr.Request) -> None:
        renderer.stop(_visitor(request))

    def on_leave(request: gr.Request) -> None:
        renderer.leave(_visitor(request))

    # Progress is shown once, where the sound will be.
    speak.click(on_speak, fields, shown, concurrency_limit=1, api_visibility="private", show_progress_on=shown[:1])
    stop.click(on_stop, None, None, queue=False, api_visibility="private")
    page.unload(on_leave)


def _visitor(request: gr.Request) -> str:
    return request.session_hash or "anonymous"


def read_fields(values: Any) -> argparse.Namespace:
    """The values of the page's fields, in their order, as flags of the main command.

    Args:
        values: As Gradio hands them in.

    Returns:
        The flags.

    Raises:
        InputError: A value is missing or of another kind.
    """
    text, *rest = values
    mode, curve, weight, bands, dimensions, pitch_from, mechanisms, steps, solver, seed = rest[8:]
    text, curve, bands, dimensions = (field or "" for field in (text, curve, bands, dimensions))  # Gradio's empty ones
    flags = _style_of(rest[:4], "A") | {f"{name}2": value for name, value in _style_of(rest[4:8], "B").items()}
    try:
        flags |= {"timesteps": int(steps), "solver": solver, "seed": int(seed or 0), "text": [" ".join(text.split())]}
        if rest[4] != NOBODY:
            mode, bands = WAYS.get(mode, mode), "".join(bands.split()) or None
            pitch_from = pitch_from.lower() if bands is None else None  # bands in Hz have no pitch to follow
            own: dict[str, dict[str, Any]] = {
                "time": {"curve": "".join(curve.split())},
                "mix": {"weight": float(weight)},
                "frequency": {"pitch_from": pitch_from},
            }
            flags |= {"mode": mode, "bands": bands, "share": dimensions.split() or None, **own.get(mode, {})}
            flags["mechanism"] = list(mechanisms) or None
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a field has no usable value: {error}") from None
    return flags_of(**flags)


def _style_of(values: Any, letter: str) -> dict[str, Any]:
    """Flags of the style that is chosen, named as those of A."""
    source, speaker, emotion, recording = values
    if source == SPEAKER and speaker is not None:
        return {"speaker": speakers_of(str(speaker)), "emotion": emotion or None}
    if source == RECORDING and recording:
        return {"reference": str(recording)}
    if source != NOBODY:
        raise InputError(f"style {letter}: choose a speaker, or upload or record some speech")
    return {}


def values_of(report: dict[str, Any], files: dict[str, Path]) -> list[Any]:
    """Values of what is shown, in the order of its fields."""
    wav, a, b, png, attention_map = (
        str(files[name]) if name in files else None for name in ("wav", "a", "b", "png", "attention_map")
    )
    downloads = [str(files[name]) for name in DOWNLOADS if name in files]
    return [wav, a, b, summary(report), png, attention_map, report["settings"]["command"], downloads]


def summary(report: dict[str, Any]) -> str:
    """What was measured, in a few words of Markdown."""
    thirds = [v and v["value"] for v in report["realised_blend"]["thirds"] or []]
    lines = [f"{report['seconds']:.1f} s of speech, {report['rtf']:.1f} s of computing per second"]
    if thirds:
        asked = report["realised_blend"]["asked_thirds"]
        heard = ", ".join("not measurable" if v is None else f"{v:.2f}" for v in thirds)
        lines.append(f"share of B in the pitch, by thirds: asked {', '.join(f'{v:.2f}' for v in asked)}; heard {heard}")
    lines += [f"note: {note}" for note in report["notes"]]
    return "\n".join(f"- {line}" for line in lines)
