"""The page stands alone, escapes what it is given, and its players hold the audio."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from speaking import RATE_HZ, harmonic_tone

from gradtts_interp.config import MelConfig
from gradtts_interp.evaluation import report
from gradtts_interp.evaluation.run import Record
from gradtts_interp.evaluation.signal import Listener
from gradtts_interp.evaluation.tables import tabulate
from gradtts_interp.plots.attention import attention_figure
from gradtts_interp.plots.drawing import save_figure

EVIL = "<script>alert('x')</script>\"&"
LOUD = 20.0
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Tags that are opened and closed in order, their attributes, and the text between."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def signals():
    listener = Listener(MelConfig())
    return {name: listener.hear(harmonic_tone(f0_hz, 0.4).numpy(), name) for name, f0_hz in (("A", 120), ("B", 200))}


@pytest.fixture(scope="module")
def page(signals, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    a, b = (signal.contour for signal in signals.values())
    share = np.tile(np.linspace(0, 1, len(a), dtype=np.float32), (80, 1))
    phones = (("AH0", 0.0, 0.2), ("", 0.2, 0.22), ("T", 0.22, 0.4))
    save_figure(report.utterance_figure(signals, MelConfig(), share, phones=phones), folder / "a.png")
    save_figure(attention_figure({"mid": {"mass": np.full((2, 10, 10), 0.5), "cell": 8}}, 0.5), folder / "b.png")
    soundfile.write(folder / "a.wav", LOUD * signals["A"].audio, RATE_HZ, subtype="FLOAT")
    shown = report.shown_row(EVIL, EVIL, EVIL, "a.wav", contour=a, pictures=["a.png", "b.png"])
    rows = [{"table": "t", "kind": k, "condition": EVIL, "x": x} for k, x in (("anchor", 0.0), ("condition", 1.0))]
    column = {"key": "x", "heading": EVIL, "wanted": EVIL, "definition": EVIL}
    table = {"name": "t", "title": EVIL, "text": EVIL, "columns": [column]}
    curves = {"F0": {EVIL: {0.0: [0.1, 0.2], 1.0: [0.9]}}}
    shown = {
        "tables": (tabulate(table, rows),),
        "pictures": (("Sweep", EVIL, report.sweep_figure(curves)),),
        "examples": report.shown_in([Record("x", [shown, *rows], 0.0)]),
        **{"facts": {EVIL: EVIL}, "failures": ((EVIL, EVIL),)},
        **dict.fromkeys(("summary", "weak", "notes"), (EVIL,)),
    }
    return report.write_report(folder / "report.html", title=EVIL, **shown).read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_fetches_nothing(page):
    tags = Page(page).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    sources = [a[name] for _, a in tags for name in ("src", "href", "poster", "srcset", "data", "action") if name in a]
    assert len(sources) > 6
    assert all(s.startswith(("data:image/", "data:audio/", "#")) for s in sources)
    assert "http" not in re.sub(r"data:[^\"]*|http-equiv", "", page) and "url(" not in page and "@import" not in page
    assert any("default-src 'none'" in a.get("content", "") for tag, a in tags if tag == "meta")
    assert {a["href"][1:] for tag, a in tags if tag == "a"} <= {a["id"] for _, a in tags if "id" in a}


def test_all_text_is_escaped(page):
    assert "<script" not in page and Page(page).words.count(EVIL) >= 10, "text comes back as it was given"


def test_players_hold_the_samples_clipped(page, signals):
    (sound,) = [attrs["src"] for tag, attrs in Page(page).tags if tag == "audio"]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound.split(",", 1)[1])))
    wanted = (LOUD * signals["A"].audio).clip(-1, 1)
    assert rate == 22050 and (np.abs(wanted) == 1).sum() > 100
    np.testing.assert_allclose(samples, wanted, atol=1 / 32768)


def test_a_report_of_nothing_is_a_page_too(tmp_path):
    nothing = {"facts": {}, "examples": {}, "tables": (), "failures": (), "notes": ()}
    path = report.write_report(tmp_path / "r.html", title="Empty", **nothing)
    assert Page(path.read_text(encoding="utf-8")).tags


def test_pictures_of_unvoiced_speech_and_of_no_phones(signals):
    whisper = Listener(MelConfig()).hear(np.random.default_rng(0).normal(0, 0.1, 9000), "w")
    figure = report.utterance_figure({"reference": whisper, "synthesis": whisper}, MelConfig())
    assert len(figure.axes) == 2 + 2 * 2  # contours and levels, and mels with their scales
    assert report.shown_row("t", "", "w", "w.wav", contour=whisper.contour)["note"] == "unvoiced"


def test_what_was_asked_for_lies_between_the_styles(signals):
    a, b = (signal.contour for signal in signals.values())
    share = np.full((80, len(a)), 0.5)
    half = report.asked_contour(a, b, share)
    drawn = report.utterance_figure(signals, MelConfig(), share).axes[0].lines
    assert [line.get_label() for line in drawn] == ["A", "B", "asked for"]
    np.testing.assert_allclose(half.f0_hz, np.sqrt(a.f0_hz * b.f0_hz), rtol=1e-5)
    assert np.array_equal(half.voiced, a.voiced & b.voiced)
    np.testing.assert_allclose(report.asked_contour(a, b, np.zeros((80, len(a)))).f0_hz, a.f0_hz, rtol=1e-5)
