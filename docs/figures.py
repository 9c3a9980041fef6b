"""Make the figures of the pages on blending: ``python docs/figures.py [NAME ...]`` writes ``docs/_static/NAME.png``.

They are kept in the repository, so that building the pages needs no model and little time. A new checkpoint wants new
figures.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gradtts_interp import GradTTSInterpPipeline, shares
from gradtts_interp.interpolation.attention import MapOptions, mass_plane
from gradtts_interp.interpolation.noise import NoiseTuning
from gradtts_interp.interpolation.shares import parse_bands, parse_words
from gradtts_interp.placement import frames_of_reference, layout_of
from gradtts_interp.plots.attention import plot_layers, plot_phonemes
from gradtts_interp.plots.drawing import SMALL, centres_seconds, draw_plane, save_figure
from gradtts_interp.plots.speech import plot_speech
from gradtts_interp.speech import Speech

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "docs" / "_static"
TEXT = "Nobody remembered the name of the old grey lion."
FAST = {"num_inference_steps": 10, "solver": "unipc", "seed": 0}


@cache
def pipeline() -> GradTTSInterpPipeline:
    """The shipped checkpoint."""
    tts = GradTTSInterpPipeline.from_pretrained(ROOT / "checkpts" / "demo")
    tts.set_progress_bar_config(disable=True)
    return tts


@cache
def blend() -> Speech:
    """Words 3 to 5 in speaker 10's style, the others in speaker 12's, with attention."""
    tts = pipeline()
    a, b = tts.style(speaker=12), tts.style(speaker=10)
    return tts(TEXT, a, b, share=parse_words("3-5:b"), output_attention=MapOptions(), **FAST)


@cache
def alone() -> Speech:
    """Speaker 12 with the durations of the blend."""
    return pipeline()(TEXT, pipeline().style(speaker=12), durations=[blend().durations.tolist()], **FAST)


def share_maps() -> Figure:
    """Shares of all kinds on one sentence."""
    tts, speech = pipeline(), blend()
    text, style = tts.frontend(TEXT), alone().as_style("A")
    layout = layout_of(text, speech.durations.tolist(), style, speech.mel_config)
    drawn = {
        "step(0.4)": shares.step(0.4),
        'ramp("0.5s", "1.5s")': shares.ramp("0.5s", "1.5s"),
        'curve([("w2", 0), ("w3", 1), ("w6", 1), ("w7", 0.5)])': shares.curve(
            [("w2", 0), ("w3", 1), ("w6", 1), ("w7", 0.5)]
        ),
        '--words "2-4:b,6:0.5"': parse_words("2-4:b,6:0.5"),
        "--bands f0:a,f1-f2:b,f3-f4:0.5": parse_bands("f0:a,f1-f2:b,f3-f4:0.5"),
        "pitch(harmonics=3)": shares.pitch(harmonics=3),
        'ramp() * band("f1-f2")': shares.ramp() * shares.band("f1-f2"),
        "~pitch() + words({0: 1})": ~shares.pitch() + shares.words({0: 1}),
    }
    figure = Figure(figsize=(12.0, 9.0), dpi=100, layout="constrained")
    for axes, (name, share) in zip(figure.subplots(4, 2, sharex=True).flat, drawn.items(), strict=True):
        image = draw_plane(axes, share.render(layout).timbre, speech.mel_config, "cividis", (0.0, 1.0))
        axes.set_title(name, fontsize=SMALL)
        axes.set_ylabel("Hz", fontsize=SMALL)
        axes.tick_params(labelsize=SMALL)
        for _, start, _ in speech.words:
            axes.axvline(start / speech.mel_config.frame_rate_hz, color="white", linewidth=0.5, alpha=0.5)
    figure.supxlabel("Time (s); lines are starts of words", fontsize=SMALL)
    figure.colorbar(image, ax=figure.axes, label="share of B", shrink=0.4)
    return figure


def pitch_warp() -> Figure:
    """F0 of a slow rendering, carried to a fast one of the same text with other durations."""
    text = pipeline().frontend(TEXT)
    source = alone().as_style("A")
    durations = [int(n) for n in alone().durations]
    target = [max(1, n // 2) if i < len(durations) // 2 else 2 * n for i, n in enumerate(durations)]
    figure = Figure(figsize=(12.0, 5.0), dpi=100, layout="constrained")
    times = {"phoneme by phoneme": source, "linearly": replace(source, tokens=None, durations=None)}
    for axes, (name, style) in zip(figure.subplots(2, 1, sharex=True), times.items(), strict=True):
        layout = layout_of(text, target, style, alone().mel_config)
        weight = shares.pitch(harmonics=3).render(layout).timbre
        mel = source.mel[:, frames_of_reference(text, target, source)]
        draw_plane(axes, np.where(weight > 0, mel, np.nan), alone().mel_config, "magma", (mel.min(), mel.max()))
        axes.set_title(f"mask of F0 and two harmonics (white), warped {name}", fontsize=SMALL)
        axes.set_ylim(-0.5, 30)
    axes.set_xlabel("Time (s)", fontsize=SMALL)
    return figure


def noise_open() -> Figure:
    """Two styles offered openly: what one noise becomes, and what it becomes tuned to A first and then B."""
    tts = GradTTSInterpPipeline.from_pretrained(ROOT / "checkpts" / "demo")
    tts.set_progress_bar_config(disable=True)
    a, b = tts.style(speaker=12), tts.style(speaker=10)
    options = {"offer": "open", "seed": 3, "output_attention": True}
    found = {"untuned": tts(TEXT, a, b, **options)}
    options["durations"] = durations = [found["untuned"].durations.tolist()]
    tuned = tts(TEXT, a, b, share=shares.step(0.5), noise_tuning=NoiseTuning(), **options)
    found["tuned: A in the first half, B in the second"] = tuned
    ends = {name: tts(TEXT, style, seed=3, durations=durations) for name, style in (("A alone", a), ("B alone", b))}
    figure = Figure(figsize=(12.0, 7.5), dpi=100, layout="constrained")
    grid = figure.subplots(3, 2, sharex=True, sharey="row")
    frames, config = tuned.mel.shape[1], tuned.mel_config
    times = centres_seconds(frames, config.frame_rate_hz)
    for (mel, f0, attention), (name, speech) in zip(grid.T, found.items(), strict=True):
        mel.set_title(name, fontsize=SMALL)
        draw_plane(mel, speech.mel, config, "magma", (tuned.mel.min(), tuned.mel.max()))
        for label, each, style in [(label, each, ":") for label, each in ends.items()] + [("spoken", speech, "-")]:
            heard = each.contour
            f0.plot(times, np.where(heard.voiced, heard.f0_hz, np.nan)[:frames], style, label=label)
        mass = mass_plane(speech.attention, 1, frames, n_mels=config.n_mels).mean(0)
        attention.plot(times, mass, color="tab:red")
        attention.set_ylim(0, 1)
        mel.label_outer()
        attention.set_xlabel("Time (s)", fontsize=SMALL)
    grid[0, 1].set_ylabel("")
    grid[1, 0].set_ylabel("F0 (Hz)", fontsize=SMALL)
    grid[2, 0].set_ylabel("Attention to B", fontsize=SMALL)
    grid[1, 0].legend(fontsize=SMALL)
    return figure


FIGURES = {
    "noise_open": noise_open,
    "share_maps": share_maps,
    "blend_words": lambda: plot_speech(blend(), a=alone()),
    "pitch_warp": pitch_warp,
    "attention_phonemes": lambda: plot_phonemes(blend().attention_maps),
    "attention_layers": lambda: plot_layers(blend().attention_maps),
}


def main(names: list[str]) -> None:
    """Write figures, all if none is named."""
    STATIC.mkdir(exist_ok=True)
    for name in names or FIGURES:
        figure = FIGURES[name]()
        figure.set_dpi(70 if name.startswith("attention") else 90)
        save_figure(figure, STATIC / f"{name}.png")
        sys.stdout.write(f"{name}.png\n")


if __name__ == "__main__":
    main(sys.argv[1:])
