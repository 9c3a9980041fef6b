"""Long text sentence by sentence, shares that go on over sentences, and a vocoder in pieces."""

import gc
import itertools
import weakref

import numpy as np
import pytest
import torch
from refusing import refused
from tiny import tiny_pipeline, tiny_style

from gradtts_interp import shares
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import InputError
from gradtts_interp.interpolation.shares import Layout
from gradtts_interp.sampling import SamplingOptions
from gradtts_interp.streaming import FADE_FRAMES, Laid, join_windows, part_of_share, piece_ends
from gradtts_interp.vocoder import GriffinLimVocoder, Vocoder
from hifigan import CONFIGS, GeneratorConfig

A, B = tiny_style(1), tiny_style(2)
QUICK = {"num_inference_steps": 1, "solver": "euler", "seed": 0}


class TestParagraph:
    @pytest.mark.parametrize(
        "share",
        [
            shares.ramp(),
            shares.ramp(0.3, 0.7),
            shares.curve([(0, 1), (0.5, 0), (1, 1)]),
            shares.dimensions(shares.ramp(), pitch=shares.ramp(0.6, 0.9), rate=0.25),
        ],
    )
    def test_parts_in_a_row_are_the_share_of_the_whole(self, share):
        mel, lengths = MelConfig(), (30, 50, 20)
        whole = share.render(Layout(sum(lengths), mel)).planes
        ends = np.cumsum(lengths) / sum(lengths)
        seconds = sum(lengths) / mel.frame_rate_hz
        parts = [
            part_of_share(share, end - n / sum(lengths), end, seconds).render(Layout(n, mel)).planes
            for n, end in zip(lengths, ends, strict=True)
        ]
        for name, plane in whole.items():
            np.testing.assert_allclose(np.concatenate([part[name] for part in parts], axis=1), plane, atol=1e-6)

    def test_seconds_count_from_the_start_of_the_paragraph(self):
        mel = MelConfig()
        frames = round(mel.frame_rate_hz)
        part = part_of_share(shares.step("1.5s"), 0.5, 1.0, 2 * frames / mel.frame_rate_hz)
        weight = part.render(Layout(frames, mel)).timbre[0]
        assert weight[: frames // 2 - 1].max() == 0 and weight[frames // 2 + 1 :].min() == 1

    def test_weights_go_on_over_sentences(self, tiny_pipeline):
        texts = ["One two three.", "Four five.", "Six seven eight."]
        spoken = list(tiny_pipeline.stream(" ".join(texts), A, B, share=shares.ramp(0, 1), **QUICK))
        assert [s.text for s in spoken] == texts
        weight = np.concatenate([s.share[0] for s in spoken])
        assert (np.diff(weight) >= 0).all() and weight[0] < 0.1 and weight[-1] > 0.9
        assert np.diff(weight).max() < 3 / len(weight)

    def test_each_sentence_anew_takes_an_endless_text(self, tiny_pipeline):
        endless = itertools.repeat("One two.")
        spoken = tiny_pipeline.stream(endless, A, B, share=shares.ramp(), whole_paragraph=False, **QUICK)
        first, second = itertools.islice(spoken, 2)
        alone = tiny_pipeline("One two.", A, B, share=shares.ramp(), **QUICK)
        for speech in (first, second):
            np.testing.assert_array_equal(speech.audio, alone.audio)

    def test_only_the_last_sentence_is_held(self, tiny_pipeline):
        held = []
        for speech in tiny_pipeline.stream("One two. " * 6, A, B, share=shares.ramp(), **QUICK):
            held.append(weakref.ref(speech))
            del speech
            gc.collect()
            assert sum(found() is not None for found in held) <= 1  # the generator may hold the one it gave

    def test_errors(self, tiny_pipeline):
        refused(
            lambda text, styles, options: list(tiny_pipeline.stream(text, *styles, **options)),
            ("...", [A], {}, "no text"),
            ("One.", [A], {"durations": [[1]]}, "durations: they belong to one sentence"),
            ("One.", [], {"share": shares.ramp()}, "a share needs two styles"),
            ("One.", [A], {"share": shares.ramp()}, "a share needs two styles"),
        )


LENGTH, TOTAL = 500, 504


def pieces_of(plane, steps, offsets=()):
    """Pieces of a sentence whose windows are those of one plane, but for an offset of each."""
    offsets = itertools.chain(offsets, itertools.repeat(0.0))

    def sample(laid, frames):
        assert frames.start % 8 == 0 and frames.stop % 8 == 0
        return plane[:, frames] + next(offsets)

    def decode(mel, frames, contour):
        assert mel.shape[1] >= min(frames.stop + 29, LENGTH)  # what its samples depend on
        return mel[:, frames].numpy()

    noise = torch.zeros(1, 3, TOTAL)
    laid = Laid(None, (), noise[:, :1], noise, LENGTH, None, SamplingOptions(steps, "euler"), [])
    return list(join_windows(laid, sample, decode, multiple=8, reach=29))


class TestPieces:
    @pytest.mark.parametrize("steps", [0, 4, 18])
    def test_windows_in_a_row_are_the_whole(self, steps):
        plane = torch.randn(3, TOTAL)
        pieces = pieces_of(plane, steps)
        assert [p.shape[1] for p in pieces] == np.diff([0, *piece_ends(LENGTH, steps)]).tolist()
        np.testing.assert_allclose(np.concatenate(pieces, axis=1), plane[:, :LENGTH].numpy(), atol=1e-6)

    def test_one_window_passes_slowly_into_the_next(self):
        pieces = pieces_of(torch.zeros(3, TOTAL), 4, itertools.count())
        steps = np.diff(np.concatenate(pieces, axis=1))
        assert (steps >= 0).all() and steps.max() <= 1 / FADE_FRAMES + 1e-6 and steps[0].sum() >= 2

    @pytest.mark.parametrize(("frames", "steps"), [(1, 4), (24, 4), (25, 0), (1000, 18), (1000, 100)])
    def test_each_piece_has_the_time_of_the_one_before(self, frames, steps):
        ends = piece_ends(frames, steps)
        sizes = np.diff([0, *ends])
        assert ends[-1] == frames and sizes.min() > 0 and (sizes[1:] <= 2 * sizes[:-1]).all()
        assert sizes[0] == min(frames, max(24, 3 * steps))

    @pytest.mark.parametrize("share", [shares.ramp(), shares.bands(0.0, 1000.0), ~shares.pitch()], ids=lambda s: s.name)
    def test_the_prior_mean_is_the_same_in_windows(self, share):
        tts = tiny_pipeline()
        options = {"share": share, "num_inference_steps": 0, "seed": 0, "length_scale": 8.0}
        whole, pieces = tts("One two.", A, B, **options), list(tts.stream_audio("One two.", A, B, **options))
        assert len(pieces) > 2
        np.testing.assert_allclose(np.concatenate(pieces), whole.audio, atol=1e-6)

    def test_a_sampled_sentence_has_its_length_and_no_window_goes_beyond_it(self, tiny_pipeline):
        options = {**QUICK, "share": shares.constant(0.5), "length_scale": 20}
        pieces = tiny_pipeline.stream_audio("One two.", A, B, **options)
        assert sum(map(len, pieces)) == len(tiny_pipeline("One two.", A, B, **options).audio)

    def test_ssml_is_one_piece(self, tiny_pipeline):
        text = '<speak><prosody volume="+6dB">One two.</prosody></speak>'
        (piece,) = tiny_pipeline.stream_audio(text, A, **QUICK)
        np.testing.assert_array_equal(piece, tiny_pipeline(text, A, **QUICK).audio)

    def test_noise_that_hears_the_whole_sentence_is_refused(self, tiny_pipeline):
        with pytest.raises(InputError, match="mechanism 'noise': it hears a whole sentence"):
            next(tiny_pipeline.stream_audio("One.", A, mechanisms="noise", **QUICK))


@pytest.mark.parametrize(
    ("name", "rounds"),
    [("v1", 0), ("v1", 3), ("v3", 0), ("v3", 3), ("griffin-lim", 0), ("harmonic", 0), ("harmonic by itself", 0)],
)
def test_chunks_of_a_vocoder_in_a_row_are_the_whole(name, rounds, harmonic):
    torch.manual_seed(0)
    contour = (torch.linspace(150.0, 250.0, 230), (torch.arange(230) % 46 < 32).float())
    contour = contour if name == "harmonic" else None
    if name == "griffin-lim":
        vocoder = GriffinLimVocoder(iterations=3)
    elif name.startswith("harmonic"):
        vocoder = harmonic
    else:
        config = GeneratorConfig.from_dict({**CONFIGS[name].to_dict(), "upsample_initial_channel": 32})
        vocoder = Vocoder(config, refinement_rounds=rounds)
        for weight in vocoder.parameters():
            torch.nn.init.normal_(weight, std=0.05)  # as they begin, nothing is heard from far away
        assert vocoder.context_frames < 50  # else the pieces would hold the whole mel
    mel = torch.randn(80, 230) - 5
    with torch.no_grad():
        whole = vocoder(mel, vocoder.mel_config, contour)
        pieces = list(vocoder.decode_chunks(mel, vocoder.mel_config, contour, chunk_frames=60))
    assert [len(p) for p in pieces] == [60 * 256] * 3 + [50 * 256]
    torch.testing.assert_close(torch.cat(pieces), whole, atol=1e-4, rtol=0)
    with pytest.raises(InputError, match="chunks of 0 frames"):
        next(vocoder.decode_chunks(mel, vocoder.mel_config, chunk_frames=0))
