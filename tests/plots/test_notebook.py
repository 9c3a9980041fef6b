"""What a notebook shows of speech, styles and the pipeline; and the example notebooks, run from start to end."""

import re
from pathlib import Path

import nbclient
import nbformat
import pytest

import gradtts_interp
from gradtts_interp import shares
from gradtts_interp.plots.speech import html_of_speech, html_of_style
from gradtts_interp.styles import Style

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture
def speech(tiny_pipeline):
    a, b = tiny_pipeline.style(speaker=0), tiny_pipeline.style(speaker=2)
    return tiny_pipeline("Two <b>cats</b>.", a, b, share=shares.ramp(), num_inference_steps=1, seed=3)


def test_speech_tells_plays_and_draws_and_a_style_what_it_has(speech, tiny_pipeline):
    shown = repr(speech)
    assert "'speaker 0 neutral' -> 'speaker 2 neutral'" in shown and "ramp(0.2,0.8)" in shown and "seed 3" in shown
    page = html_of_speech(speech)
    assert '<audio controls preload="metadata" src="data:audio/' in page and 'src="data:image/' in page
    assert "<b>cats" not in page and "&lt;b&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page), "needs other files"
    style = tiny_pipeline.style(speaker=0)
    assert 'src="data:image/' in html_of_style(style)
    assert "<img" not in html_of_style(Style("speaker <3>", speaker=3)) and "&lt;3&gt;" in html_of_style(Style("<3>"))


def test_a_notebook_gets_a_formatter_and_the_values_know_nothing_of_it(speech, tiny_pipeline):
    shell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell()
    gradtts_interp.load_ipython_extension(shell)
    for value, shown in ((speech, "<audio"), (tiny_pipeline.style(speaker=0), "<img")):
        data, _ = shell.display_formatter.format(value)
        assert shown in data["text/html"] and data["text/plain"] == repr(value)
        assert not hasattr(value, "_repr_html_")


def test_the_pipeline_tells_what_it_is(tiny_pipeline):
    told = r"GradTTSInterpPipeline\([\d.]+ M parameters, 2 speakers x 2 emotions, StubVocoder, on cpu\)"
    assert re.fullmatch(told, repr(tiny_pipeline))


def test_there_are_notebooks_without_stored_outputs():
    assert len(NOTEBOOKS) >= 2
    for path in NOTEBOOKS:
        assert '"output_type"' not in path.read_text(encoding="utf-8"), f"{path.name}: clear its outputs"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    shown = [o["data"].get("text/html", "") for o in outputs if "data" in o]
    assert any("<audio" in page for page in shown) or "blend" not in path.stem
    assert not any(o.output_type == "error" for o in outputs)
