"""The pipeline: loading, official files, options, errors."""

from __future__ import annotations

import io
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from refusing import refused
from speaking import harmonic_tone, tiny_vocoder
from tiny import TINY, StubVocoder, tiny_model, tiny_style
from tiny import tiny_pipeline as make_pipeline

from gradtts_interp import pipeline as pipeline_module
from gradtts_interp.app.rendering import _steps_watched
from gradtts_interp.audio import log_mel, mel_filters
from gradtts_interp.config import MelConfig
from gradtts_interp.errors import CheckpointError, InputError
from gradtts_interp.interpolation import shares
from gradtts_interp.interpolation.attention import MapOptions
from gradtts_interp.interpolation.mechanisms import StyleReading
from gradtts_interp.interpolation.noise import NoiseTuning
from gradtts_interp.job import Job
from gradtts_interp.models.grad_tts import GradTTS, emphasise_formants
from gradtts_interp.pipeline import GradTTSInterpPipeline, Prepared, SamplingOptions
from gradtts_interp.pitch.contour import extract_contour
from gradtts_interp.pitch.world import world_swap
from gradtts_interp.styles import Style, average_style
from gradtts_interp.text.frontend import TextFrontend
from gradtts_interp.vocoder import mel_magnitudes

TEXT = "Go."
A, B = tiny_style(1, f0_hz=110.0), tiny_style(2, frames=41, f0_hz=220.0)
QUICK = {"num_inference_steps": 2, "seed": 3}


@pytest.fixture(scope="module")
def official(golden, tmp_path_factory):
    """The golden weights, read from an official file."""
    name = "grad-tts-old.pt" if golden.config.pe_scale == 1 else "grad-tts.pt"
    path = tmp_path_factory.mktemp("official") / name
    torch.save(golden.weights, path)
    pipeline = GradTTSInterpPipeline.from_pretrained(path, vocoder=StubVocoder())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def speakers(official):
    if official.model.settings.n_spks == 1:
        pytest.skip("these golden weights have one speaker")
    return official.style(speaker=0), official.style(speaker=1)


class TestOfficialFile:
    def test_sampling_equals_the_official_one(self, official, golden, monkeypatch):
        golden = golden.tensors
        mu, z = golden["mu"], golden["z"]
        whole = [i for i, n in enumerate(golden["mel_mask"].sum((1, 2)).tolist()) if n == mu.shape[-1]]
        assert whole  # padding enters the official network's statistics, so shorter items differ on purpose
        for i in whole:
            row = slice(i, i + 1)
            speaker = None
            if official.model.settings.n_spks > 1:
                speaker = official.model.speaker_vector(int(golden["speaker_id"][i]))
            frames = torch.ones(1, mu.shape[-1], dtype=torch.long)
            encoded = StyleReading(torch.zeros(1, 1, 1), torch.ones(1, 1, 1), means=mu[row], speaker=speaker)
            noise = (z[row] - mu[row]) * 1.5
            monkeypatch.setattr(pipeline_module, "standard_noise", lambda *_, noise=noise: noise)
            prepared = Prepared([encoded], frames, frames.sum(1), None)
            with torch.no_grad():
                mel, *_ = official.sample(prepared, (), SamplingOptions(10, "euler"), [torch.Generator()])
            torch.testing.assert_close(mel, golden["euler_10"][row], atol=1e-3, rtol=0)

    @pytest.mark.parametrize("mechanisms", [("prior",), ("score",), ("prior", "score"), None])
    def test_two_speakers(self, official, speakers, mechanisms):
        a, b = speakers
        ends = [official(TEXT, s, **QUICK) for s in (a, b)]
        assert np.array_equal(ends[0].durations, ends[1].durations)
        assert np.abs(ends[0].mel - ends[1].mel).max() > 1e-3
        blend = official(TEXT, a, b, share=shares.constant(0.5), mechanisms=mechanisms, **QUICK)
        assert min(np.abs(blend.mel - end.mel).max() for end in ends) > 1e-4
        for weight, end in zip((0.0, 1.0), ends, strict=True):
            same = official(TEXT, a, b, share=shares.constant(weight), mechanisms=mechanisms, **QUICK)
            # Random weights give mels up to 20 here: float32 rounds them to about 1e-6 of that.
            np.testing.assert_allclose(same.mel, end.mel, atol=1e-5, rtol=1e-5)
            assert np.abs(same.mel - end.mel).max() < 1e-4

    def test_a_share_by_pitch_goes_by_world(self, official, speakers, monkeypatch):
        a, b = speakers
        length, config = len(official.frontend(TEXT).ids), official.model.settings.mel
        options = {**QUICK, "durations": [[8] * length]}
        mels = [official(TEXT, style, **options).mel for style in (a, b)]

        class Hum(StubVocoder):
            """Speaks the mel of speaker 0 at 140 Hz, and others at 210 Hz."""

            def _decode(self, mel, contour=None):
                f0_hz = 140 if np.abs(mel[0].numpy() - mels[0]).max() < 1e-3 else 210
                phase = 2 * np.pi * f0_hz * np.arange(mel.shape[2] * config.hop_samples) / config.sample_rate_hz
                return torch.from_numpy(0.05 * sum(np.cos(k * phase) for k in range(1, 9))).float()[None]

        monkeypatch.setattr(official, "vocoder", Hum(config))
        swapped = []
        monkeypatch.setattr(
            "gradtts_interp.pipeline.world_swap", lambda *given: swapped.append(world_swap(*given)) or swapped[-1]
        )
        for share, f0_hz in ((shares.pitch(), 140), (~shares.pitch(), 210)):
            crossed = official(TEXT, a, b, share=share, **options)
            contour = extract_contour(swapped[-1], config)
            assert np.median(contour.f0_hz[contour.voiced]) == pytest.approx(f0_hz, rel=0.02)
            of_world = log_mel(torch.from_numpy(swapped[-1]), config).numpy()
            assert crossed.settings["mechanisms"] == ["world"]
            assert np.abs(crossed.mel - of_world).max() > 0.5  # these random weights leave nothing as it is
            with monkeypatch.context() as patch:
                patch.setattr("gradtts_interp.pipeline.RENOISED_TIME", 1e-6)
                near = official(TEXT, a, b, share=share, **options)
            assert np.abs(near.mel - of_world).max() < 0.05
            assert crossed.settings["styles"] == [a.name, b.name]
        told, job = [], Job(official, a, b, share=shares.pitch(), sampling=official.sampling_options(2))
        watch = _steps_watched(job, threading.Event(), lambda part, text: told.append((part, text)))
        job.speak([TEXT], durations=options["durations"], on_step=watch)  # both styles, then a shorter pass
        assert told[-1] == (0.6, "blend: step 6 of 10") and len(told) == 6
        refused(
            lambda share, mechanism: official(TEXT, a, b, share=share, mechanisms=mechanism, **options),
            (shares.pitch(), "prior", "no F0 contour"),
            *((shares.ramp(), name, f"mechanism '{name}': this checkpoint") for name in ("attention", "prosody")),
        )

    def test_what_it_cannot_read(self, official):
        refused(official.style, ("a.wav", "no style encoder; choose a speaker instead"))
        refused(
            lambda style, options: official(TEXT, style, **options),
            (Style("x", speaker=0), {"num_inference_steps": 0}, "0 steps speak the prior mean, and that of this"),
            (Style("x", speaker=0), {"guidance": 1.0, **QUICK}, "no null style"),
        )
        if official.model.settings.n_spks > 1:
            last = official.model.settings.n_spks - 1
            assert official.speakers == list(range(last + 1))
            refused(
                lambda given: official.style(**given),
                ({"speaker": 999}, f"speaker 999: this checkpoint has speakers 0 to {last}"),
                ({"speaker": 0, "emotion": "happy"}, "emotion 'happy': this checkpoint has no emotions"),
            )
            refused(
                lambda *style: official(TEXT, *style, **QUICK),
                (Style("recording"), "reads no recordings; expected one of its speakers"),
                ("style default: .* expected one of its speakers",),
            )


class TestOptions:
    def test_the_seed_that_was_drawn_is_noted(self, tiny_pipeline):
        found = []
        for _ in range(2):
            torch.manual_seed(11)
            found += tiny_pipeline([TEXT, TEXT], A, num_inference_steps=1)
        (drawn,) = {speech.settings["seed"] for speech in found}
        again = tiny_pipeline(TEXT, A, num_inference_steps=1, seed=drawn)
        assert drawn != 0 and again.settings["seed"] == drawn
        assert all(np.array_equal(speech.mel, again.mel) for speech in found)

    def test_a_generator_for_each_line(self, tiny_pipeline):
        seeds = (3, 2**32 - 1)  # torch reads 32 bits of a seed
        sources = [torch.Generator().manual_seed(s) for s in seeds]
        batch = tiny_pipeline([TEXT, TEXT], A, num_inference_steps=2, generator=sources)
        for seed, speech in zip(seeds, batch, strict=True):
            alone = tiny_pipeline(TEXT, A, num_inference_steps=2, seed=seed)
            np.testing.assert_allclose(speech.mel, alone.mel, atol=1e-5, rtol=0)

    def test_callback_sees_each_step_and_may_replace_the_latents(self, tiny_pipeline):
        seen = []

        def stop(pipeline, step, t, values):
            assert pipeline is tiny_pipeline
            seen.append((step, t, tuple(values["latents"].shape)))
            return {"latents": torch.zeros_like(values["latents"])} if step == 1 else {}

        speech = tiny_pipeline(TEXT, A, callback_on_step_end=stop, **QUICK)
        total = -(-speech.mel.shape[1] // 8) * 8
        assert seen == [(0, 0.5, (1, 80, total)), (1, 0.0, (1, 80, total))]
        assert (speech.mel == tiny_pipeline.model.settings.mel_mean).all()

    def test_durations_are_given_or_scaled(self, tiny_pipeline):
        frames = list(range(1, len(tiny_pipeline.frontend(TEXT).ids) + 1))
        speech = tiny_pipeline(TEXT, A, B, share=shares.ramp(), durations=[frames], **QUICK)
        assert speech.durations.tolist() == frames and speech.mel.shape == (80, sum(frames))
        assert len(speech.audio) == sum(frames) * 256 and speech.share.shape == speech.mel.shape
        slow, fast = (tiny_pipeline(TEXT, A, length_scale=s, **QUICK).mel.shape[1] for s in (2.0, 1.0))
        assert slow == pytest.approx(2 * fast, abs=len(frames))

    def test_words_lie_on_the_frames_of_their_tokens(self, tiny_pipeline):
        speech = tiny_pipeline("Go there.", A, **QUICK)
        assert len(speech.tokens) == len(speech.durations) == len(speech.phoneme_times)
        ends = np.cumsum(speech.durations).tolist()  # of a space, G, OW, TH, EH, R and a stop
        assert speech.words == (("Go", ends[0], ends[2]), ("there", ends[2], ends[5]))

    def test_default_mechanisms(self, tiny_pipeline):
        usual = ["prior", "prosody", "attention", "envelope"]
        for share, names in ((shares.ramp(), usual), (shares.pitch(), usual[1:]), (None, [])):
            assert tiny_pipeline(TEXT, A, share and B, share=share, **QUICK).settings["mechanisms"] == names


class PitchVocoder(StubVocoder):
    """Keeps the contours that it is given."""

    def decode(self, mels, mel_config, contours=None):
        self.contours = contours
        return super().decode(mels, mel_config)


@pytest.fixture(scope="module")
def frame_pipeline():
    pipeline = make_pipeline()
    pipeline.vocoder = PitchVocoder()
    return pipeline


class TestFramePrior:
    def test_no_steps_speak_the_prior_mean_whatever_the_seed(self, frame_pipeline):
        one, other = (frame_pipeline(TEXT, A, num_inference_steps=0, seed=seed) for seed in (3, 4))
        assert np.array_equal(one.mel, other.mel) and one.settings["steps"] == 0
        assert frame_pipeline(TEXT, A, num_inference_steps=0, output_attention=True).attention is None
        sampled = frame_pipeline(TEXT, A, **QUICK)
        assert np.array_equal(one.durations, sampled.durations) and np.abs(one.mel - sampled.mel).max() > 1e-2

    def test_no_steps_ask_the_score_network_nothing(self, frame_pipeline):
        none = {"share": shares.ramp(), "num_inference_steps": 0}
        refused(
            lambda given: frame_pipeline(TEXT, A, B, **none, **given),
            ({"guidance": 1.0}, "0 steps ask the score network nothing; .* with guidance"),
            ({"mechanisms": ("prior", "score")}, "0 steps ask the score network nothing; .* with score"),
            ({"noise_tuning": NoiseTuning()}, "0 steps ask the score network nothing; .* with noise"),
        )

    def test_the_text_is_encoded_once_and_the_prior_asked_once_more_for_each_envelope(
        self, frame_pipeline, monkeypatch
    ):
        calls, usual = [], ("prior", "prosody", "attention")
        for name, part in (("prior", frame_pipeline.model.frame_prior), ("text", frame_pipeline.model.encoder)):
            inner = part.forward
            monkeypatch.setattr(part, "forward", lambda *a, f=inner, n=name, **k: calls.append(n) or f(*a, **k))
        for share, mechanisms, times in (
            (shares.ramp(), None, 3),
            (shares.ramp(), usual, 1),
            (shares.bands(0.0, 1000.0), usual, 2),
        ):
            frame_pipeline(TEXT, A, B, share=share, num_inference_steps=0, mechanisms=mechanisms)
            assert calls == ["text", *["prior"] * times]
            calls.clear()

    @pytest.mark.parametrize("others", [{}, {"pitch": 1.0}, {"timbre": 1.0}, {"pitch": 0.7, "timbre": 0.3}])
    @pytest.mark.parametrize("weight", [-0.5, 0.0, 0.5, 1.0])
    def test_the_level_of_each_frame_is_at_the_share_of_the_energy(self, weight, others):
        """Whatever pitch and timbre are, and after the formants have been emphasised."""
        pipeline = make_pipeline(replace(TINY, formant_emphasis=1.3, mel_std=2.0))
        options = {"num_inference_steps": 0, "durations": [[6] * len(pipeline.frontend(TEXT).ids)]}
        blend = pipeline(TEXT, A, B, share=shares.dimensions(energy=weight, **others), **options)
        alone = [pipeline(TEXT, style, **options) for style in (A, B)]
        a, b, level = (np.log(np.exp(2 * speech.mel.astype(float)).sum(0)) for speech in (*alone, blend))
        assert np.abs(b - a).mean() > 0.1, "nothing to blend"
        np.testing.assert_allclose(level, (1 - weight) * a + weight * b, atol=1e-3)

    def test_all_styles_have_the_pitch_that_is_asked_for_where_shares_differ_over_bins(self, frame_pipeline):
        """Where B alone is heard, the mean is that of B's voice, with the F0 of A, who has the lowest bins."""
        options = {"num_inference_steps": 0, "durations": [[6] * len(frame_pipeline.frontend(TEXT).ids)]}
        low = frame_pipeline(TEXT, A, B, share=shares.bands(1000.0, 8000.0), mechanisms=("prosody",), **options)
        both = frame_pipeline(TEXT, A, B, share=shares.bands(1000.0, 8000.0), **options)
        assert np.abs(low.mel - both.mel)[60:].max() < 1e-4 < np.abs(low.mel - both.mel)[:20].max()

    def test_the_vocoder_gets_the_pitch_that_was_asked_for(self, frame_pipeline):
        watched = {**QUICK, "callback_on_step_end": lambda *_: None}  # as one batch
        speeches = frame_pipeline(["Go.", "A calm day."], A, **watched)
        for speech, (f0_hz, voiced) in zip(speeches, frame_pipeline.vocoder.contours, strict=True):
            assert f0_hz.shape == voiced.shape == (speech.mel.shape[1],)
            assert (f0_hz >= 20).all() and set(voiced.tolist()) <= {0.0, 1.0}
        frame_pipeline(TEXT, A, B, share=shares.ramp(), mechanisms="score", **QUICK)  # each branch has its own
        assert len(frame_pipeline.vocoder.contours) == 1

    def test_a_residual_is_seen_divided_by_its_spread(self):
        narrow = make_pipeline(replace(TINY, residual_std=0.1))
        wide = make_pipeline()
        mean, far, near = (
            p(TEXT, A, **o).mel for p, o in ((wide, {"num_inference_steps": 0}), (wide, QUICK), (narrow, QUICK))
        )
        np.testing.assert_allclose(near - mean, 0.1 * (far - mean), atol=1e-4)

    def test_the_usual_temperature_is_that_of_the_checkpoint(self):
        usual, own = make_pipeline(), make_pipeline(replace(TINY, temperature=4.0))
        for call in (lambda p, **o: p(TEXT, A, **QUICK, **o).mel, lambda p, **o: p.lay_out(TEXT, A, seed=0, **o).noise):
            assert np.array_equal(call(own), call(usual, temperature=4.0))
            assert np.array_equal(call(usual), call(own, temperature=1.5))
            assert not np.array_equal(call(own), call(usual))

    def test_formants_are_emphasised_in_what_is_decoded(self):
        plain, strong = make_pipeline(), make_pipeline(replace(TINY, formant_emphasis=1.3))
        for options in (QUICK, {"num_inference_steps": 0}):
            before, after = (
                p(TEXT, A, B, share=shares.ramp(), mechanisms="prosody", **options).mel for p in (plain, strong)
            )
            wanted = emphasise_formants(torch.from_numpy(before), 1.3).clamp(min=TINY.mel.log_silence)
            np.testing.assert_allclose(after, wanted, atol=1e-4)
            assert np.abs(after - before).max() > 0.01

    def test_a_prior_alone_speaks_without_a_score_network(self, tmp_path):
        alone = make_pipeline(replace(TINY, dec_dim=0))
        speech = alone(TEXT, A, B, share=shares.ramp())
        assert speech.settings["steps"] == 0 and np.isfinite(speech.mel).all()
        assert np.array_equal(speech.mel, alone(TEXT, A, B, share=shares.ramp(), num_inference_steps=0).mel)
        assert alone.accelerate("bf16") is alone and not alone.model.attn_processors
        with pytest.raises(InputError, match=r"has no score network; expected 0 steps \(-t 0\)"):
            alone(TEXT, A, num_inference_steps=4)


def test_what_is_refused(tiny_pipeline):
    both = {"b": B, "share": shares.ramp()}
    refused(
        lambda changed: tiny_pipeline(**{"text": TEXT, "a": A, **QUICK, **changed}),
        ({"b": B}, "two styles need a share"),
        ({"share": shares.ramp()}, "a share needs two styles"),
        ({**both, "a": None}, "second style tiny 2: expected a first style"),
        ({"a": None}, "style default: this checkpoint reads references"),
        ({"solver": "rk45"}, "unknown solver 'rk45'"),
        ({"num_inference_steps": -3}, "at least 1, got -3"),
        ({"num_inference_steps": 2.5}, r"got 2\.5"),
        ({"guidance": -1.0}, r"guidance -1\.0"),
        ({"temperature": 0.0}, r"temperature 0\.0: expected a number > 0"),
        ({"length_scale": -1.0}, "length_scale: expected a finite number above 0"),
        ({"seed": -1}, "seed -1: expected a whole number from 0"),
        ({"seed": 1.5}, r"seed 1\.5"),
        ({"generator": torch.Generator()}, "give a seed or a generator, not both"),
        ({"seed": None, "generator": []}, "0 generators were given for 1 lines"),
        ({**both, "mechanisms": ("warp",)}, "mechanism 'warp': expected one of prior"),
        ({**both, "mechanisms": "warp"}, "mechanism 'warp'"),
        ({"durations": []}, "durations of 0 lines were given for 1 lines"),
        ({"durations": [[1, 2]]}, r"durations of line 0: expected \d numbers of frames, got 2"),
        ({"durations": [[1, -2, 1, 1]]}, "durations of line 0: expected all >= 0, sum >= 1; got -2, sum 1"),
        ({"durations": [[0, 0, 0, 0]]}, "got 0, sum 0"),
        ({"text": []}, "no text was given"),
        ({"text": "..."}, "nothing to speak"),
    )


class TestStyles:
    def test_what_is_refused(self, tiny_pipeline):
        refused(
            lambda given: tiny_pipeline.style(**given),
            ({}, "give either a recording or a speaker"),
            ({"reference": "a.wav", "speaker": 0}, "give either a recording or a speaker"),
            ({"speaker": 7}, "speaker 7: this checkpoint has speakers 0, 2"),
            ({"speaker": (0, 7)}, "speaker 7: this checkpoint has speakers 0, 2"),
            ({"speaker": 0, "emotion": "bored"}, "emotion 'bored' of speaker 0"),
            ({"reference": "none.wav"}, "none.wav: no such audio file"),
            ({"reference": "a.wav", "emotion": "happy"}, "emotion 'happy': a recording brings its own"),
            ({"speaker": 0, "sample_rate_hz": 16000}, "sample rate 16000 Hz: it belongs to samples"),
        )

    def test_an_average_of_equals_is_that_style_and_of_two_is_neither(self, tiny_pipeline):
        pipeline = tiny_pipeline
        alone = pipeline(TEXT, A, **QUICK)
        options = {**QUICK, "durations": [alone.durations.tolist()]}
        same = pipeline(TEXT, average_style([A, A]), **options)
        np.testing.assert_allclose(same.mel, alone.mel, atol=1e-4)
        average, other = (pipeline(TEXT, style, **options) for style in (average_style([A, B]), B))
        assert min(np.abs(average.mel - speech.mel).max() for speech in (alone, other)) > 1e-3
        blend = pipeline(TEXT, average_style([A, B]), B, share=shares.constant(1.0), **options)
        np.testing.assert_allclose(blend.mel, other.mel, atol=1e-4)

    def test_an_average_of_speakers(self, tiny_pipeline, official):
        found = tiny_pipeline.style(speaker=[0, 2])
        assert [part.name for part in found.parts] == ["speaker 0 neutral", "speaker 2 neutral"]
        speakers = official.style(speaker=(0, 1))
        mels = [official(TEXT, style, **QUICK).mel for style in (*speakers.parts, speakers)]
        assert min(np.abs(mel - mels[2]).max() for mel in mels[:2]) > 1e-3
        refused(
            lambda given: tiny_pipeline(TEXT, found, B, **{"share": shares.ramp(), **given}),
            (
                {"output_attention": MapOptions()},
                "average of speaker 0 neutral, .* has no reference of its own to draw",
            ),
            ({"share": shares.pitch()}, "share by pitch: the style that gives it has no F0 contour"),
        )

    def test_without_a_bank_only_recordings_serve(self):
        pipeline = GradTTSInterpPipeline(tiny_model(), StubVocoder(), TextFrontend())
        assert pipeline.speakers == []
        with pytest.raises(InputError, match="speaker 0: this checkpoint has no style bank"):
            pipeline.style(speaker=0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    pipeline = make_pipeline()
    pipeline.vocoder = tiny_vocoder()
    folder = tmp_path_factory.mktemp("saved")
    pipeline.save_pretrained(folder)
    return folder


class TestFolders:
    def test_round_trip(self, saved, tmp_path):
        once = GradTTSInterpPipeline.from_pretrained(saved)
        once.save_pretrained(tmp_path)
        twice = GradTTSInterpPipeline.from_pretrained(tmp_path)
        assert twice.speakers == [0, 2] and twice.model.settings == TINY
        assert (twice.frontend.add_blank, twice.frontend.word_boundaries) == (False, False)
        one, two = (
            p(TEXT, p.style(speaker=0), p.style(speaker=2), share=shares.ramp(), **QUICK) for p in (once, twice)
        )
        assert np.array_equal(one.mel, two.mel) and np.array_equal(one.audio, two.audio)
        twice.bank = None
        twice.save_pretrained(tmp_path / "without")
        assert GradTTSInterpPipeline.from_pretrained(tmp_path / "without").bank is None

    def test_another_vocoder(self, saved, tiny_pipeline, tmp_path):
        with pytest.raises(InputError, match="StubVocoder has no weights to save"):
            tiny_pipeline.save_pretrained(tmp_path / "folder")
        assert not (tmp_path / "folder").exists()
        assert isinstance(GradTTSInterpPipeline.from_pretrained(saved, vocoder=StubVocoder()).vocoder, StubVocoder)
        with pytest.raises(CheckpointError, match="mel contracts differ: hop_samples is 256 for the acoustic model"):
            GradTTSInterpPipeline.from_pretrained(saved, vocoder=StubVocoder(MelConfig(hop_samples=200)))

    def test_wrong_index(self, tmp_path):
        for text, message in (
            (None, r"no checkpoint; expected a folder with pipeline\.json"),
            ("{", "pipeline.json is no JSON"),
            ("[]", "pipeline.json holds a list; expected a JSON object"),
            ('{"model": "model"}', "vocoder is None; expected the name of a folder"),
            ('{"model": 3, "vocoder": "v"}', "model is 3; expected the name of a folder"),
            ('{"model": "none", "vocoder": "v"}', "none: no such folder"),
        ):
            if text is not None:
                (tmp_path / "pipeline.json").write_text(text)
            with pytest.raises(CheckpointError, match=message):
                GradTTSInterpPipeline.from_pretrained(tmp_path)


class TestTypesAndPickles:
    def spoken(self, pipeline):
        return pipeline(TEXT, A, B, share=shares.ramp(), **QUICK).audio

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
    def test_types_that_were_not_tried_are_refused(self, dtype, tiny_pipeline):
        for args, named in (((dtype,), {}), (("cpu", dtype), {}), ((), {"dtype": dtype})):
            with pytest.raises(InputError, match=rf"{dtype}: expected torch.float32 or torch.bfloat16"):
                tiny_pipeline.to(*args, **named)
        assert next(tiny_pipeline.model.parameters()).dtype == torch.float32

    def test_bfloat16_is_the_arithmetic_and_float32_undoes_it(self):
        pipeline = make_pipeline()
        before = self.spoken(pipeline)
        assert pipeline.to("cpu", torch.bfloat16) is pipeline and pipeline.model.precision == "bf16"
        assert next(pipeline.model.parameters()).dtype == torch.float32 and np.isfinite(self.spoken(pipeline)).all()
        assert pipeline.to(torch.float32).model.precision == "fp32"
        assert np.array_equal(self.spoken(pipeline), before)
        assert pipeline.to("cpu").device == torch.device("cpu")

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
    def test_other_default_types_change_nothing(self, dtype, tiny_pipeline):
        def heard():
            streamed = tiny_pipeline.stream([TEXT], A, B, share=shares.ramp(), **QUICK)
            return [self.spoken(tiny_pipeline), *(speech.audio for speech in streamed)]

        expected = heard()
        torch.set_default_dtype(dtype)
        try:
            assert all(np.array_equal(*pair) for pair in zip(heard(), expected, strict=True))
            assert torch.get_default_dtype() == dtype
        finally:
            torch.set_default_dtype(torch.float32)

    def test_a_pipeline_can_be_pickled(self, tiny_pipeline):
        again = pickle.loads(pickle.dumps(tiny_pipeline))
        assert np.array_equal(self.spoken(again), self.spoken(tiny_pipeline))

    def test_recordings_in_memory_are_styles_and_their_notes_reach_the_speech(self, tiny_pipeline):
        wave = harmonic_tone(150.0).numpy()
        file = io.BytesIO()
        soundfile.write(file, wave, 22050, format="WAV", subtype="FLOAT")
        of_file, of_samples = tiny_pipeline.style(file), tiny_pipeline.style(wave, sample_rate_hz=22050)
        assert np.array_equal(of_file.mel, of_samples.mel) and of_file == tiny_pipeline.style(file)
        noted = tiny_pipeline.style(np.stack([wave, -wave]), sample_rate_hz=22050)
        assert any("antiphase" in note for note in tiny_pipeline(TEXT, noted, **QUICK).notes)


# -- plausible wrong versions of central functions, each of which fails a test here ------------------------------------

# What a user can observe is tested, so that the parts may be rewritten: each test names the wrong version it is for.
LONGER, MEL = "Go on.", MelConfig()
LOW, HIGH = tiny_style(1, f0_hz=90.0), tiny_style(2, frames=41, f0_hz=330.0)
NO_NOISE = {"temperature": 1e9}  # it divides the noise


@pytest.fixture(scope="module")
def uneven():
    """LOW pipeline whose styles differ much in rate."""
    pipeline = make_pipeline()
    with torch.no_grad():
        pipeline.model.encoder.proj_w.proj.weight.mul_(3)
    return pipeline


def mel_of(pipeline, *styles, **options):
    return pipeline(LONGER, *styles, **{"num_inference_steps": 2, "seed": 0, **options}).mel


@pytest.mark.parametrize("weight", [0.5, 0.9])
def test_durations_are_blended_in_log(uneven, weight):
    """Wrong: the arithmetic mean; the share of the first guess (one half) instead of the share that was asked for."""
    options = {"num_inference_steps": 1, "seed": 0, "length_scale": 20.0}
    a, b = (uneven(LONGER, style, **options).durations.astype(float) for style in (LOW, HIGH))
    blend = uneven(LONGER, LOW, HIGH, share=shares.constant(weight), **options).durations
    geometric, arithmetic = a ** (1 - weight) * b**weight, (1 - weight) * a + weight * b
    half = np.sqrt(a * b)
    wrong = [arithmetic] if weight == 0.5 else [arithmetic, half]
    for other in wrong:
        assert np.abs(other - geometric).max() > 2, "the styles are too alike in rate to tell the versions apart"
    assert np.abs(blend - geometric).max() <= 1


def test_the_temperature_is_taken_as_it_is(tiny_pipeline):
    """Wrong: a temperature above 2 taken for 2, so that the noise never goes."""
    assert np.abs(mel_of(tiny_pipeline, LOW, seed=0) - mel_of(tiny_pipeline, LOW, seed=1)).max() > 0.1
    np.testing.assert_allclose(
        mel_of(tiny_pipeline, LOW, seed=0, **NO_NOISE), mel_of(tiny_pipeline, LOW, seed=1, **NO_NOISE), atol=1e-4
    )


@pytest.mark.parametrize("weight", [0.3, 0.6])
def test_mixed_scores_stand_on_the_mixed_prior(tiny_pipeline, weight, monkeypatch):
    """Wrong: scores of LOW and HIGH around the prior of the dominant style.

    Without noise the sampler starts from the mean of the diffusion.
    """
    seen = []
    original = GradTTS.score

    def watched(self, x, *rest, **named):
        seen.append(x.detach().clone())
        return original(self, x, *rest, **named)

    monkeypatch.setattr(GradTTS, "score", watched)

    def start(*styles, **options):
        seen.clear()
        tiny_pipeline(LONGER, *styles, num_inference_steps=1, seed=0, **NO_NOISE, **options)
        return seen[0][0]

    durations = [tiny_pipeline(LONGER, LOW, num_inference_steps=1, seed=0).durations.tolist()]
    a, b = start(LOW, durations=durations), start(HIGH, durations=durations)
    share = shares.constant(weight)
    blend = start(LOW, HIGH, share=share, mechanisms=("score",), durations=durations)
    assert (a - b).abs().max() > 0.1
    torch.testing.assert_close(blend, (1 - weight) * a + weight * b, atol=1e-4, rtol=0)


def test_an_emotion_is_heard_where_it_belongs(tiny_pipeline):
    """Wrong: the emotion dropped where a style is read whole, or where it gives its pitch or its voice to another."""
    durations = [tiny_pipeline(LONGER, LOW, num_inference_steps=1, seed=0).durations.tolist()]
    moody_low, moody_high = (replace(style, emotion=(style.emotion[::-1] * 2).copy()) for style in (LOW, HIGH))

    def moved(before, after, **given):
        plain, other = (mel_of(tiny_pipeline, *styles, durations=durations, **given) for styles in (before, after))
        return np.abs(other - plain).max() > 1e-4

    assert moved([LOW], [moody_low])
    for share in (shares.pitch(), ~shares.pitch()):
        given = {"share": share, "mechanisms": ("attention",)}
        assert moved([LOW, HIGH], [moody_low, HIGH], **given) and moved([LOW, HIGH], [LOW, moody_high], **given)


def fast_griffin_lim(audio, magnitude, rounds):
    """Perraudin et al. 2013, written out: each round goes to the time domain and back, momentum 0.9.

    Bins that no filter of the mel sees keep the magnitudes of ``audio``.
    """
    window = torch.hann_window(MEL.window_samples)
    hop, edge = MEL.hop_samples, 2
    lead = edge * hop - hop // 2  # the mel's frames stand half a hop after torch's
    wanted = torch.nn.functional.pad(magnitude, (edge, edge), mode="replicate")

    def analysed(x):
        return torch.stft(x, MEL.n_fft, hop, MEL.window_samples, window, return_complex=True)

    def synthesised(spectrum):
        fitted = torch.polar(wanted, spectrum.angle())
        return torch.istft(fitted, MEL.n_fft, hop, MEL.window_samples, window, length=audio.shape[-1] + 2 * lead)

    spectra = [analysed(torch.nn.functional.pad(audio, (lead, lead)))]
    seen = torch.from_numpy(mel_filters(MEL)).sum(0) > 0
    wanted[:, ~seen] = spectra[0].abs()[:, ~seen]
    last = spectra[0]
    for _ in range(rounds):
        spectra.append(analysed(synthesised(last)))
        last = spectra[-1] + 0.9 * (spectra[-1] - spectra[-2])
    return synthesised(last)[:, lead : lead + audio.shape[-1]].clamp(-1, 1)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_as_many_rounds_of_refinement_as_a_vocoder_was_given(rounds):
    """Wrong: one round less."""
    vocoder, mel = tiny_vocoder(), torch.randn(1, 80, 20, generator=torch.Generator().manual_seed(0)) - 4
    with torch.no_grad():
        plain = vocoder.decode([mel[0]], MEL)[0][None]
        vocoder.refinement_rounds = rounds
        refined = vocoder.decode([mel[0]], MEL)[0][None]
        expected, fewer = (fast_griffin_lim(plain, mel_magnitudes(mel, MEL), r) for r in (rounds, rounds - 1))
    assert (expected - fewer).abs().max() > 1e-3
    torch.testing.assert_close(refined, expected, atol=1e-4, rtol=0)
