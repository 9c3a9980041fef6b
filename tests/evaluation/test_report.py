"""The page stands alone, escapes what it is given, and its players hold the audio."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from matplotlib.figure import Figure

from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.evaluation.excerpt import Excerpt, folder_name, frames_of_phones
from gradtts_interp.evaluation.figures import (
    asked_trace,
    attention_figure,
    contour_figure,
    planes_figure,
    sweep_figure,
    trace_of,
)
from gradtts_interp.evaluation.report import Example, Picture, Player, Report, audio_uri, report_html, write_report
from gradtts_interp.evaluation.tables import Column, TableDefinition, tabulate
from gradtts_interp.pitch.contour import Contour

EVIL = "<script>alert('x')</script>\"&"
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Tags that are opened and closed in order, their attributes, and the text between."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def excerpt(name="A", frames=40, f0_hz=120.0):
    config, rng = MelConfig(), np.random.default_rng(0)
    voiced = np.arange(frames) % 9 > 1
    contour = Contour(np.full(frames, f0_hz, np.float32), voiced, np.full(frames, -20, np.float32), 86.13)
    audio = rng.normal(0, 0.1, frames * config.hop_samples).astype(np.float32)
    phones = (("AH0", 0.0, 0.2), ("T", 0.2, 0.4))
    attention = {"mid": {"mass": np.full((2, 10, 10), 0.5), "cell": 8}}
    share = np.tile(np.linspace(0, 1, frames, dtype=np.float32), (80, 1))
    return Excerpt(
        name, audio, rng.normal(-5, 1, (80, frames)).astype(np.float32), contour, config, phones, share, attention
    )


@pytest.fixture(scope="module")
def page():
    a, b = excerpt("A"), excerpt("B", f0_hz=200.0)
    traces = [trace_of(a, "A"), trace_of(b, "B"), asked_trace(a, b, a.share)]
    pictures = (
        Picture("Contours", EVIL, contour_figure(traces, a)),
        Picture("Mels", "text", planes_figure([a, b], a.share)),
        Picture("Attention", "text", attention_figure(a.attention, 0.5)),
    )
    rows = [{"table": "t", "kind": k, "condition": EVIL, "x": x} for k, x in (("anchor", 0.0), ("condition", 1.0))]
    report = Report(
        EVIL,
        (EVIL,),
        ((EVIL, EVIL),),
        (tabulate(TableDefinition("t", EVIL, EVIL, (Column("x", EVIL, EVIL, EVIL, EVIL),)), rows),),
        (Picture("Sweep", EVIL, sweep_figure({"F0": {EVIL: {0.0: [0.1, 0.2], 1.0: [0.9]}}})),),
        (Example(EVIL, EVIL, (Player(EVIL, a.audio, 22050, EVIL),), pictures),),
        ((EVIL, EVIL),),
        (EVIL,),
    )
    return report_html(report), a


def test_the_page_is_well_formed_and_fetches_nothing(page):
    text, _ = page
    tags = Page(text).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    sources = [a[name] for _, a in tags for name in ("src", "href", "poster", "srcset", "data", "action") if name in a]
    assert len(sources) > 6
    assert all(s.startswith(("data:image/", "data:audio/", "#")) for s in sources)
    assert "http" not in re.sub(r"data:[^\"]*|http-equiv", "", text) and "url(" not in text and "@import" not in text
    assert any("default-src 'none'" in a.get("content", "") for tag, a in tags if tag == "meta")


def test_anchors_of_the_navigation_exist(page):
    tags = Page(page[0]).tags
    names = {a["id"] for _, a in tags if "id" in a}
    assert {a["href"][1:] for tag, a in tags if tag == "a"} <= names


def test_all_text_is_escaped(page):
    text, _ = page
    parsed = Page(text)
    assert "<script" not in text
    shown = [w for w in parsed.words if w == EVIL]
    assert len(shown) >= 10, "text comes back as it was given"


def test_players_hold_the_samples(page):
    text, a = page
    (sound,) = [attrs["src"] for tag, attrs in Page(text).tags if tag == "audio"]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound.split(",", 1)[1])))
    assert rate == 22050 and len(samples) == len(a.audio)
    np.testing.assert_allclose(samples, a.audio.clip(-1, 1), atol=1 / 32768)


def test_audio_formats_and_bad_audio():
    tone = np.sin(np.arange(22050) / 20).astype(np.float32) * 2
    for audio_format in ("flac", "ogg"):
        content = base64.b64decode(audio_uri(tone, 22050, audio_format=audio_format).split(",", 1)[1])
        samples, _ = soundfile.read(io.BytesIO(content))
        assert len(samples) == 22050 and np.abs(samples).max() <= 1.1
    for bad in (np.zeros(0), np.array([np.nan]), np.zeros((2, 2))):
        with pytest.raises(InputError, match="expected finite samples"):
            audio_uri(bad, 22050)
    with pytest.raises(InputError, match="expected one of flac, ogg"):
        audio_uri(tone, 22050, audio_format="wma")


def test_a_report_of_nothing_is_a_page_too(tmp_path):
    path = write_report(Report("Empty"), tmp_path / "r.html")
    assert Page(path.read_text(encoding="utf-8")).tags


def test_views_come_back_from_their_file(tmp_path):
    first = excerpt()
    first.save(tmp_path / "v.npz")
    found = Excerpt.load(tmp_path / "v.npz", first.mel_config)
    assert (found.name, found.phones) == (first.name, first.phones)
    np.testing.assert_array_equal(found.audio, first.audio)
    np.testing.assert_array_equal(found.contour.voiced, first.contour.voiced)
    np.testing.assert_allclose(found.share, first.share, atol=1e-3)
    np.testing.assert_allclose(found.attention["mid"]["mass"], 0.5)
    (tmp_path / "bad.npz").write_bytes(b"no")
    for name in ("bad.npz", "none.npz"):
        with pytest.raises(InputError, match=name):
            Excerpt.load(tmp_path / name, first.mel_config)


def test_pictures_of_unvoiced_speech_and_of_no_phones():
    whisper = excerpt()
    contour = Contour(whisper.contour.f0_hz, np.zeros(40, bool), whisper.contour.energy_db, 86.13)
    silent = Excerpt("w", whisper.audio, whisper.mel, contour, whisper.mel_config)
    figure = contour_figure([trace_of(silent, "reference"), trace_of(silent, "synthesis")], silent)
    assert isinstance(figure, Figure) and len(figure.axes) == 2
    assert frames_of_phones([("A", 0.0, 0.1), ("B", 0.1, 0.25)], 100.0) == [("A", slice(0, 10)), ("B", slice(10, 25))]


@pytest.mark.parametrize(("name", "folder"), [("a1", "a1"), ("x/../y z", "x_.._y_z"), ("..", "_"), ("é", "é")])
def test_names_of_items_stay_inside_their_folder(name, folder):
    assert folder_name(name) == folder
