"""The pipeline: text and styles in, speech out. Glue only; the mathematics is in the folders below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm

from gradtts_interp.alignment import fix_length
from gradtts_interp.audio import Source, log_mel
from gradtts_interp.checkpoints import INDEX, load_model, load_official_pipeline_parts, read_index, save_model
from gradtts_interp.diffusion.samplers import batch_time, sampler_by_name, standard_noise, steps_from
from gradtts_interp.diffusion.schedule import diffuse
from gradtts_interp.errors import InputError, require_none
from gradtts_interp.files import write_json
from gradtts_interp.interpolation.asked_pitch import AskedPitch
from gradtts_interp.interpolation.attention import AttentionMapRecorder, MapOptions, StyleMassRecorder
from gradtts_interp.interpolation.conditioning import blend_durations, blend_rates, encode_styles, pad_ids, read_style
from gradtts_interp.interpolation.mechanisms import (
    BY_SHARE,
    MECHANISMS,
    OFFERS,
    OPEN,
    make_plan,
    make_score,
    part_of_plan,
    plan_evaluations,
)
from gradtts_interp.interpolation.mixture import mix_openly, mixture_score
from gradtts_interp.interpolation.noise import NOISE, NoiseTuning, offer_of
from gradtts_interp.interpolation.noise.objectives import style_key_sets
from gradtts_interp.interpolation.noise.tuner import NoiseTuner
from gradtts_interp.interpolation.shares import PitchRegion, Share, ShareMap
from gradtts_interp.models.grad_tts import GradTTS, frame_mask
from gradtts_interp.models.pitch_predictor import asked_f0_hz
from gradtts_interp.models.precision import choose_precision, compile_or_not, lay_out, settled
from gradtts_interp.pitch.contour import extract_contour, fill_unvoiced
from gradtts_interp.pitch.world import world_swap
from gradtts_interp.placement import (
    AskedOfLines,
    Prepared,
    copied_durations,
    copied_recordings,
    describe,
    given_durations,
    lay_requests,
    layout_of,
    pace,
    read_marked,
    shares_of_tokens,
    speech_of,
    stack_shares,
    token_spans,
)
from gradtts_interp.sampling import SamplingOptions, choose_sampler, generators_of
from gradtts_interp.speech import Speech
from gradtts_interp.streaming import Laid, join_windows, stream
from gradtts_interp.styles import Style, StyleBank, average_style, style_of_audio
from gradtts_interp.text.frontend import TextFrontend, TokenizedText
from gradtts_interp.text.ssml import Directions, is_ssml
from gradtts_interp.vocoder import GriffinLimVocoder, MelDecoder, PitchContour, Vocoder

ENVELOPE = "envelope"
DEFAULT_MECHANISMS = ("prior", "prosody", "attention", ENVELOPE)
DEFAULT_MECHANISMS_BY_PITCH = ("prosody", "attention", ENVELOPE)
DEFAULT_MECHANISMS_OFFICIAL = ("prior",)
WORLD = "world"  # by which official checkpoints, whose network reads no pitch, give one speaker that of another
RENOISED_TIME = 0.2
"""Down from which diffusion time the network smooths what WORLD has made (docs/tutorials/official.rst)."""
PRECISION_OF_TYPE = {torch.float32: "fp32", torch.bfloat16: "bf16"}

StepCallback = Callable[["GradTTSInterpPipeline", int, float, dict[str, Tensor]], "dict[str, Tensor] | None"]


Drawn = tuple[Tensor, list[Tensor], "Tensor | None"]
"""What a sampler gave: log-mels (B, M, T), the noise of each (M, T_i), and the pitch that was asked for (B, 2, T), its
voicing (0 or 1) and normalised log-F0; None for a model that predicts no contour."""


class GradTTSInterpPipeline:
    """Speak text in one style, or while moving between two.

    It is used like a pipeline of diffusers, but its base class is not theirs: to import that takes longer than to speak
    a sentence.

    Args:
        model: Acoustic model.
        vocoder: Decodes its mels; the mel contracts must agree.
        frontend: Text to token ids, of the layout the model was trained with.
        bank: Named styles of the checkpoint, if it has any.
    """

    def __init__(
        self, model: GradTTS, vocoder: MelDecoder, frontend: TextFrontend, bank: StyleBank | None = None
    ) -> None:
        model.settings.mel.require_same(vocoder.mel_config, "the acoustic model", "the vocoder")
        self.model, self.vocoder, self.frontend, self.bank = model.eval(), vocoder.eval(), frontend, bank
        self._progress_bar: dict[str, Any] = {}

    def __repr__(self) -> str:
        millions = sum(p.numel() for p in self.model.parameters()) / 1e6
        n, emotions = len(self.speakers), f" x {len(self.bank.emotions)} emotions" if self.bank is not None else ""
        voices = f"{n} speakers{emotions}" if n else "one voice"
        vocoder = type(self.vocoder).__name__
        return f"GradTTSInterpPipeline({millions:.1f} M parameters, {voices}, {vocoder}, on {self.device})"

    # -- loading ------------------------------------------------------------------------------------------------

    @classmethod
    @settled()
    def from_pretrained(cls, folder: str | Path, *, vocoder: MelDecoder | None = None) -> GradTTSInterpPipeline:
        """Load a checkpoint folder of ours, or an official Grad-TTS ``.pt`` file.

        Args:
            folder: Folder with ``pipeline.json``, or the official file (then ``vocoder`` is needed to be heard well;
                Griffin-Lim otherwise).
            vocoder: Use this one instead of the checkpoint's.

        Returns:
            The pipeline, on the CPU.

        Raises:
            CheckpointError: Missing or damaged files, or mel contracts that differ.
        """
        folder = Path(folder)
        if folder.is_file():
            model, frontend = load_official_pipeline_parts(folder)
            return cls(model, vocoder or GriffinLimVocoder(model.settings.mel), frontend)
        index = read_index(folder)
        model = load_model(folder / index["model"])
        frontend = TextFrontend(add_blank=model.settings.add_blank, word_boundaries=model.settings.word_boundaries)
        bank = StyleBank.load(folder / index["styles"], model.settings.mel) if index.get("styles") else None
        return cls(model, vocoder or Vocoder.from_pretrained(folder / index["vocoder"]), frontend, bank)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the pipeline as a folder that :meth:`from_pretrained` reads.

        Args:
            folder: Where to write; made when missing.

        Raises:
            InputError: The vocoder is no HiFi-GAN, or the folder cannot be written; nothing is left of it then.
        """
        if not isinstance(self.vocoder, Vocoder):
            raise InputError(f"{type(self.vocoder).__name__} has no weights to save; save with a HiFi-GAN vocoder")
        folder = Path(folder)
        save_model(self.model, folder / "model")
        self.vocoder.save_pretrained(folder / "vocoder")
        index: dict[str, Any] = {"model": "model", "vocoder": "vocoder"}
        if self.bank is not None:
            self.bank.save(folder / "styles")
            index["styles"] = "styles"
        write_json(folder / INDEX, index)

    def to(self, *args: Any, **kwargs: Any) -> GradTTSInterpPipeline:
        """Move to a device, and choose the arithmetic by its type.

        Weights stay in float32 whatever the arithmetic: ``torch.bfloat16`` is :meth:`accelerate` with ``"bf16"``, and
        ``torch.float32`` undoes it.

        Args:
            *args: A device, a type, or both.
            **kwargs: As a torch module takes them.

        Returns:
            The pipeline.

        Raises:
            InputError: Another type, which the networks were not tried in.
        """
        wanted = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.dtype)]
        if wanted and wanted[0] not in PRECISION_OF_TYPE:
            raise InputError(f"{wanted[0]}: expected torch.float32 or torch.bfloat16; weights stay in float32")
        args = tuple(value for value in args if not isinstance(value, torch.dtype))
        kwargs = {name: value for name, value in kwargs.items() if not isinstance(value, torch.dtype)}
        if args or kwargs:
            self.model.to(*args, **kwargs)
            self.vocoder.to(*args, **kwargs)
        if wanted and PRECISION_OF_TYPE[wanted[0]] != self.model.precision:
            self.accelerate(PRECISION_OF_TYPE[wanted[0]])
        return self

    @property
    def device(self) -> torch.device:
        """Where the acoustic model computes."""
        return self.model.device

    def set_progress_bar_config(self, **options: Any) -> None:
        """Choose how the bar over the sampler's steps looks.

        Args:
            **options: As ``tqdm`` takes them, such as ``disable=True``.
        """
        self._progress_bar = options

    # -- styles -------------------------------------------------------------------------------------------------

    @property
    def speakers(self) -> list[int]:
        """Numbers of the speakers the checkpoint knows."""
        if self.bank is not None:
            return self.bank.speakers
        return list(range(self.model.settings.n_spks)) if self.model.settings.n_spks > 1 else []

    @settled()
    def style(
        self,
        reference: Source | None = None,
        *,
        speaker: int | Sequence[int] | None = None,
        emotion: str | None = None,
        sample_rate_hz: int | None = None,
    ) -> Style:
        """Get a style.

        Args:
            reference: A recording of speech: the path of a file, an open file such as ``io.BytesIO``, or samples (N,)
                or (N, channels); or give ``speaker``.
            speaker: A speaker of the checkpoint, or several, of which the average is taken.
            emotion: An emotion of that speaker, ``neutral`` if None.
            sample_rate_hz: Rate of samples; a file tells its own.

        Returns:
            The style.

        Raises:
            InputError: Neither or both are given, an emotion with a recording, or there is no such speaker, emotion
                or file.
        """
        if (reference is None) == (speaker is None):
            raise InputError("style: give either a recording or a speaker")
        if reference is not None:
            if not self.model.has_style:
                name = reference if isinstance(reference, (str, Path)) else f"a recording ({type(reference).__name__})"
                raise InputError(f"{name}: this checkpoint has no style encoder; choose a speaker instead")
            if emotion is not None:
                raise InputError(f"emotion {emotion!r}: a recording brings its own; expected a speaker with it")
            return style_of_audio(reference, self.model.settings.mel, sample_rate_hz=sample_rate_hz)
        if sample_rate_hz is not None:
            raise InputError(f"sample rate {sample_rate_hz} Hz: it belongs to samples; expected them with it")
        assert speaker is not None
        if isinstance(speaker, Sequence):
            return average_style([self.style(speaker=each, emotion=emotion) for each in speaker])
        if self.bank is not None:
            return self.bank.style(speaker, emotion or "neutral")
        if emotion is not None:
            raise InputError(f"emotion {emotion!r}: this checkpoint has no emotions")
        if self.model.has_style:
            raise InputError(f"speaker {speaker}: this checkpoint has no style bank; expected a recording instead")
        self.model.speaker_vector(speaker)
        return Style(name=f"speaker {speaker}", speaker=speaker)

    def sampling_options(
        self,
        steps: int | None = None,
        solver: str | None = None,
        *,
        guidance: float = SamplingOptions.guidance,
        temperature: float | None = None,
        length_scale: float = SamplingOptions.length_scale,
        offer: str = BY_SHARE,
        mechanisms: Sequence[str] | None = None,
        noise_tuning: NoiseTuning | None = None,
    ) -> SamplingOptions:
        """Fill in how a call is sampled where that was not said; see :func:`~gradtts_interp.sampling.choose_sampler`.

        Args:
            steps: Steps; if None, the usual ones: 0 for a prior alone, more of them where the noise decides.
            solver: Name of a sampler, or None.
            guidance: As for a call.
            temperature: As for a call.
            length_scale: As for a call.
            offer: As for a call.
            mechanisms: As for a call.
            noise_tuning: As for a call.

        Returns:
            The options.

        Raises:
            InputError: No sampler can do one of them.
        """
        if steps is None and self.model.decoder is None:
            steps = 0
        noise_decides = offer_of(offer, _names(mechanisms), noise_tuning) == OPEN
        steps, solver = choose_sampler(steps, solver, converged=noise_decides or not self.model.has_style)
        temperature = self.model.settings.temperature if temperature is None else temperature
        return SamplingOptions(steps, solver, guidance, temperature, length_scale)

    def chosen_mechanisms(
        self, mechanisms: Sequence[str] | None, share: Share | None, *, offer: str = BY_SHARE
    ) -> tuple[str, ...]:
        """The mechanisms that a call names, or else the usual ones; none with an open offer, which blends nothing.

        Args:
            mechanisms: As for a call.
            share: As for a call.
            offer: As for a call.

        Returns:
            Their names.
        """
        if offer == OPEN:
            return ()
        if mechanisms is not None or share is None:
            return _names(mechanisms)
        if not self.model.has_style:
            return (WORLD,) if share.region else DEFAULT_MECHANISMS_OFFICIAL
        return DEFAULT_MECHANISMS_BY_PITCH if share.region else DEFAULT_MECHANISMS

    def steps_in_all(self, steps: int, mechanisms: Sequence[str] | None, share: Share | None) -> int:
        """Steps that a call takes, over all of its passes: a swap by WORLD renders both styles, then once more a part.

        Args:
            steps: Of one pass.
            mechanisms: As for a call.
            share: As for a call.

        Returns:
            How often ``callback_on_step_end`` is called for one batch.
        """
        return 2 * steps + steps_from(RENOISED_TIME, steps) if self._by_world(mechanisms, share) else steps

    def _by_world(self, mechanisms: Sequence[str] | None, share: Share | None, *, offer: str = BY_SHARE) -> bool:
        """Whether a call is the swap by WORLD, which takes the place of all mechanisms and cannot be named as one."""
        return mechanisms is None and WORLD in self.chosen_mechanisms(None, share, offer=offer)

    def accelerate(self, precision: str = "auto", *, compile_mode: str | None = None) -> GradTTSInterpPipeline:
        """Choose the arithmetic of score network and vocoder, in place; text and style encoders stay in fp32.

        Args:
            precision: ``fp32``, ``bf16``, or ``auto`` for bf16 where the machine multiplies it in hardware.
            compile_mode: Of the score network; see :func:`~gradtts_interp.models.precision.compile_or_not`.

        Returns:
            The pipeline.

        Raises:
            InputError: No such precision or mode.
        """
        chosen = choose_precision(precision, self.device)
        if self.model.decoder is not None:
            compile_or_not(self.model.decoder.estimator, compile_mode)
            lay_out(self.model.decoder.estimator, chosen)
        self.model.precision = chosen
        if isinstance(self.vocoder, Vocoder):  # Griffin-Lim has no arithmetic to choose
            self.vocoder.precision = chosen
        return self

    # -- synthesis ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    @settled()
    def __call__(
        self,
        text: str | Sequence[str],
        a: Style | None = None,
        b: Style | None = None,
        *,
        share: Share | None = None,
        offer: str = BY_SHARE,
        mechanisms: Sequence[str] | None = None,
        num_inference_steps: int | None = None,
        solver: str | None = None,
        guidance: float = SamplingOptions.guidance,
        temperature: float | None = None,
        length_scale: float = SamplingOptions.length_scale,
        seed: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        durations: Sequence[Sequence[int]] | None = None,
        pitch: AskedOfLines = None,
        prosody: Style | Sequence[Style | None] | None = None,
        prosody_weight: float = 1.0,
        callback_on_step_end: StepCallback | None = None,
        output_attention: bool | MapOptions = False,
        noise_tuning: NoiseTuning | None = None,
    ) -> Any:
        """Speak.

        Args:
            text: One line or several, plain or SSML. Several are one padded batch on a GPU; on a CPU they are rendered
                side by side, unless something is given for each of them, watched or tuned.
            a: First style; the checkpoint's only voice if None (official single-speaker files).
            b: Second style.
            share: How much of ``b`` speaks where, in all dimensions of speech or in each; needed with ``b``.
            offer: ``"share"``, or ``"open"``: both styles are offered alike, so that the noise decides which of them
                speaks, and no share is needed.
            mechanisms: Names in :data:`~gradtts_interp.interpolation.mechanisms.MECHANISMS`; or ``noise``, which offers
                openly and tunes the noise until each style is followed where the share says.
            num_inference_steps: Steps of the sampler; 0 speaks the prior mean, to which the score network then adds
                nothing (a checkpoint with a frame prior only).
            solver: Name of the sampler; what is None is filled in by
                :func:`~gradtts_interp.sampling.choose_sampler`.
            guidance: Classifier-free guidance towards the style; 0 is off.
            temperature: Divides the initial noise; the checkpoint's own, 1.5 for official ones, if None.
            length_scale: Factor on durations; above 1 is slower.
            seed: Each line's noise starts from it, so that a line sounds the same alone and in a batch; drawn and
                noted in the settings if neither it nor ``generator`` is given.
            generator: Instead of ``seed``; a sequence has one for each line.
            durations: Frames of each token of each line, instead of the predicted ones at SSML's rates and pauses.
            pitch: F0 in place of what the styles would have, such as :func:`~gradtts_interp.pitch.files.read_pitch`
                gives, or shifts of words; the same for all lines, or one of each.
            prosody: A recording of the line whose durations, F0 and energy are copied, as
                :func:`~gradtts_interp.stimuli.forced_alignment.align_recording` or
                :meth:`~gradtts_interp.speech.Speech.as_style` gives it; one for each of several lines.
            prosody_weight: How much of it is copied, from 0, the styles' own prosody, to 1.
            callback_on_step_end: ``f(pipeline, step, t, {"latents": x})`` as in diffusers; may return replacements.
            output_attention: Also record the attention mass of each style at every site, mean over heads and steps;
                with :class:`~gradtts_interp.interpolation.attention.MapOptions` also the maps themselves.
            noise_tuning: How mechanism ``noise`` tunes, which it implies; its defaults if None.

        Returns:
            A :class:`~gradtts_interp.speech.Speech`, or a list of them for several lines.

        Raises:
            InputError: An argument cannot be used; the message names it.
        """
        lines = [text] if isinstance(text, str) else list(text)
        if not lines:
            raise InputError("no text was given")
        tunes = noise_tuning is not None or NOISE in _names(mechanisms)
        offer = offer_of(offer, _names(mechanisms), noise_tuning)
        said: dict[str, Any] = {"offer": offer, "mechanisms": mechanisms, "noise_tuning": noise_tuning}
        sampler: dict[str, Any] = {"guidance": guidance, "temperature": temperature, "length_scale": length_scale}
        of_each = [value for value in (generator, durations, pitch, prosody, callback_on_step_end) if value is not None]
        if len(lines) > 1 and self.device.type == "cpu" and not (of_each or output_attention or tunes):
            seed = int(torch.randint(2**31, ())) if seed is None else seed
            same = {"solver": solver, "seed": seed, "share": share, "prosody_weight": prosody_weight, **said, **sampler}
            # One sentence keeps all cores busy; a padded batch of them outgrows the caches.
            return [self(line, a, b, num_inference_steps=num_inference_steps, **same) for line in lines]
        _require_pair(a, b, share, offer=offer)
        options = self.sampling_options(num_inference_steps, solver, **sampler, **said)
        self.require(options, b=b, share=share, **said)
        tokenized, directions, requests = read_marked(self.frontend, lines, pitch)
        mel = self.model.settings.mel
        copied = copied_recordings(prosody, tokenized, weight=prosody_weight, durations=durations)
        styles = [a or Style(name="default")] + ([b] if b is not None else [])
        timing = {"length_scale": length_scale, "durations": durations, "directions": directions}
        copying = {"prosody": copied, "prosody_weight": prosody_weight}
        chosen = self.chosen_mechanisms(mechanisms, share, offer=offer)
        by_world = self._by_world(mechanisms, share, offer=offer)
        drawn = None if by_world else share
        prepared = self.prepare(tokenized, styles, drawn, offer=offer, **timing, **copying)  # type: ignore[arg-type]
        frames = prepared.durations
        asked = lay_requests(requests, tokenized, frames, mel, prosody=copied, weight=prosody_weight)
        tuning = NoiseTuner(noise_tuning or NoiseTuning(), share) if tunes else None
        if seed is None and generator is None:
            seed = int(torch.randint(2**31, ()))
        generators = generators_of(len(lines), seed, generator)
        recorder = self._recorder(output_attention if options.steps > 0 else False, tokenized, styles, prepared)
        if by_world:
            assert share is not None and share.region is not None
            watched = (share.region.giver, generators, callback_on_step_end)
            sampled, noise, asked_of_vocoder = self.sample_by_world(prepared, options, *watched)
        else:
            with recorder or nullcontext():
                sampled, noise, asked_of_vocoder = self.sample(
                    prepared, chosen, options, generators, callback_on_step_end, tuning, recorder, asked, offer, styles
                )
        mels = [m[:, :n].cpu() for m, n in zip(sampled, prepared.lengths.tolist(), strict=True)]
        audio = self._decode(mels, asked_of_vocoder)
        settings = {
            "styles": [s.name for s in styles],
            "share": share.name if share else None,
            "offer": offer,
            "mechanisms": [*chosen, *(["noise"] if tuning else [])],
            "noise_tuning": tuning.tuning.to_dict() if tuning else None,
            "precision": self.model.precision,
            **asdict(options),
            "seed": seed,
            "pitch": [describe(request) for request in requests] if any(requests) else None,
            "prosody": [style and style.name for style in copied] if prosody else None,
            "prosody_weight": prosody_weight,
        }
        speech = partial(speech_of, self.model, prepared=prepared, settings=settings, recorder=recorder, tuning=tuning)
        results = [
            speech(i, line, mels[i], audio[i], noise[i], said=directions[i], styles=[*styles, copied[i]])
            for i, line in enumerate(tokenized)
        ]
        return results[0] if isinstance(text, str) else results

    def stream(self, text: str | Iterable[str], *styles: Style, **options: Any) -> Iterator[Speech]:
        """Speak a long text sentence by sentence; see :func:`gradtts_interp.streaming.stream`."""
        return stream(self, self.expected_seconds, text, *styles, **options)

    def stream_audio(self, text: str | Iterable[str], *styles: Style, **options: Any) -> Iterator[NDArray[np.float32]]:
        """Speak a long text in pieces that are shorter than a sentence, so that the first is soon heard.

        The mel is sampled in windows, so it differs a little from that of the sentence in one; see
        :func:`gradtts_interp.streaming.join_windows`. A sentence in SSML is one piece, and so is one whose pitch the
        vocoder has to read from the mel.

        Args:
            text: As for :meth:`stream`.
            *styles: The same.
            **options: Those of :meth:`stream` that :meth:`lay_out` takes.

        Yields:
            NDArray[np.float32]: Samples (N,) of each piece, float32 in [-1, 1]; in a row they are the speech.
        """
        for pieces in stream(self._speak_in_pieces, self.expected_seconds, text, *styles, **options):
            yield from pieces

    def _speak_in_pieces(self, text: str, *styles: Style, **options: Any) -> Iterator[NDArray[np.float32]]:
        reads_pitch = isinstance(self.vocoder, Vocoder) and self.vocoder.kind == "harmonic"
        if is_ssml(text) or (reads_pitch and not self.model.has_style):
            return iter([self(text, *styles, **options).audio])
        laid = self.lay_out(text, *styles, **options)
        multiple, reach = self.model.frame_multiple, self.vocoder.context_frames
        return join_windows(laid, self.sample_window, self.decode_span, multiple=multiple, reach=reach)

    @torch.no_grad()
    @settled()
    def lay_out(
        self,
        text: str,
        a: Style | None = None,
        b: Style | None = None,
        *,
        share: Share | None = None,
        mechanisms: Sequence[str] | None = None,
        num_inference_steps: int | None = None,
        solver: str | None = None,
        guidance: float = SamplingOptions.guidance,
        temperature: float | None = None,
        length_scale: float = SamplingOptions.length_scale,
        seed: int | None = None,
    ) -> Laid:
        """Decide the durations, the pitch and the noise of a sentence, but sample nothing of it.

        Args:
            text: One sentence of plain text.
            a: As for a call.
            b: The same.
            share: The same.
            mechanisms: The same, without noise tuning.
            num_inference_steps: The same.
            solver: The same.
            guidance: The same.
            temperature: The same.
            length_scale: The same.
            seed: The same.

        Returns:
            What :meth:`sample_window` samples from.

        Raises:
            InputError: An argument cannot be used; the message names it.
        """
        _require_pair(a, b, share)
        options = self.sampling_options(num_inference_steps, solver, guidance=guidance, temperature=temperature)
        self.require(options, share=share, mechanisms=mechanisms)
        styles = [a or Style(name="default")] + ([b] if b is not None else [])
        chosen = self.chosen_mechanisms(mechanisms, share)
        if NOISE in chosen:
            raise InputError(f"mechanism {NOISE!r}: it hears a whole sentence; expected others in a stream of audio")
        prepared = self.prepare([self.frontend(text)], styles, share, length_scale=length_scale)
        length = int(prepared.lengths[0])
        total = fix_length(length, self.model.frame_multiple)
        readings = tuple(read_style(self.model, e, prepared.durations, total) for e in prepared.encoded)
        shares = None if prepared.maps is None else stack_shares(prepared.maps, total, self.device)
        plan = plan_evaluations(readings, shares, chosen)
        generators = generators_of(1, int(torch.randint(2**31, ())) if seed is None else seed, None)
        plane = torch.empty(1, self.model.settings.n_feats, total, device=self.device)
        noise = standard_noise(plane, generators) / options.temperature
        contour = None if plan.pitch is None else self._contour(plan.pitch[0, :, :length])
        return Laid(plan, readings, frame_mask(prepared.lengths, total), noise, length, contour, options, generators)

    @torch.no_grad()
    @settled()
    def sample_window(self, laid: Laid, frames: slice) -> Tensor:
        """Sample some frames of a sentence as if there were no others.

        Args:
            laid: The sentence.
            frames: Start and stop of the frames, multiples of the model's ``frame_multiple``.

        Returns:
            Log-mel (M, stop - start).
        """
        model, options, mask = self.model, laid.options, laid.mask[..., frames]
        margin = 0 if model.frame_prior is None else model.frame_prior.context_frames
        plan = part_of_plan(laid.plan, laid.readings, frames, margin=margin)
        if options.steps == 0:
            return model.to_mel(plan.mu)[0]
        score = make_score(model, plan, mask, guidance=options.guidance)
        sampler, noise = sampler_by_name(options.solver), laid.noise[..., frames]
        x = sampler(score, model.schedule, noise, plan.mu, mask, options.steps, generator=laid.generators)
        return model.to_mel(model.from_diffusion(x, plan.mu))[0]

    @torch.no_grad()
    def decode_span(self, mel: Tensor, frames: slice, contour: PitchContour | None) -> NDArray[np.float32]:
        """Samples of some frames of a log-mel; see :meth:`gradtts_interp.vocoder.MelDecoder.decode_span`."""
        return self.vocoder.decode_span(mel, self.model.settings.mel, frames, contour).float().cpu().numpy()

    @torch.no_grad()
    @settled()
    def expected_seconds(self, text: str, styles: Sequence[Style], *, length_scale: float = 1.0) -> float:
        """How long a sentence will be, before a blend is decided: the mean over the styles, at least one frame."""
        tokens, said, _ = read_marked(self.frontend, [text], None)
        timing = {"length_scale": length_scale, "directions": said}
        found = [int(self.prepare(tokens, [s], None, **timing).lengths[0]) for s in styles]  # type: ignore[arg-type]
        return max(1, round(sum(found) / len(found))) / self.model.settings.mel.frame_rate_hz

    def prepare(
        self,
        texts: list[TokenizedText],
        styles: list[Style],
        share: Share | None,
        *,
        offer: str = BY_SHARE,
        length_scale: float = 1.0,
        durations: Sequence[Sequence[int]] | None = None,
        directions: Sequence[Directions | None] | None = None,
        prosody: Sequence[Style | None] | None = None,
        prosody_weight: float = 1.0,
    ) -> Prepared:
        """Encode texts in each style, decide durations, and draw the share maps on them."""
        settings = self.model.settings
        ids = pad_ids([t.ids for t in texts], self.device)
        by_pitch = share.region if share and offer != OPEN else None
        encoded = encode_styles(self.model, ids, styles, pitch=by_pitch)
        rounding, rate_hz = "ceil" if settings.style is None else "round", settings.mel.frame_rate_hz

        def frames_for(shares: Tensor, blend: Callable[..., Tensor] = blend_durations) -> Tensor:
            frames = blend(encoded, shares, length_scale=length_scale, rounding=rounding)
            frames = frames if directions is None else pace(frames, texts, directions, frame_rate_hz=rate_hz)
            return frames if prosody is None else copied_durations(frames, prosody, prosody_weight)

        given = None if durations is None else given_durations(durations, ids[1], self.device)
        even = torch.full((len(texts), len(styles)), 1 / len(styles), device=self.device)
        frames = given if given is not None else frames_for(even)
        if share is None:
            return Prepared(encoded, frames, frames.sum(1), None)
        pitched = styles[share.region.giver if share.region else 0]
        maps = self._maps(share, texts, frames, pitched)
        if given is None:
            # Durations follow the share, and the share is drawn on durations: one more round settles it.
            if share.region is None and share.rate is not None:
                frames = frames_for(shares_of_tokens([m.rate.mean(0) for m in maps], frames), blend_rates)
            else:
                # Where references are masked, the reading of who gives the rest holds the other one's prosody, unless
                # both are offered openly.
                of_region = (0.0 if by_pitch.from_second else 1.0) if by_pitch else 0.5
                mean = [float(m.rate.mean()) if share.region is None else of_region for m in maps]
                frames = frames_for(torch.tensor([[1 - m, m] for m in mean], device=self.device))
            maps = self._maps(share, texts, frames, pitched)
        return Prepared(encoded, frames, frames.sum(1), maps)

    def sample(
        self,
        prepared: Prepared,
        mechanisms: Sequence[str],
        options: SamplingOptions,
        generators: list[torch.Generator],
        callback: StepCallback | None = None,
        tuning: NoiseTuner | None = None,
        recorder: StyleMassRecorder | None = None,
        asked: Sequence[AskedPitch | None] = (),
        offer: str = BY_SHARE,
        styles: Sequence[Style] = (),
        around: Tensor | None = None,
    ) -> Drawn:
        """Turn noise into log-mels, or log-mels (B, M, T) and noise up to ``RENOISED_TIME`` into others near them."""
        model = self.model
        multiple = model.frame_multiple
        alone = torch.tensor([fix_length(int(n), multiple) for n in prepared.lengths], device=self.device)
        total = int(alone.max())
        region = None if bool((alone == total).all()) else frame_mask(alone, total)
        mask = frame_mask(prepared.lengths, total)
        readings = [read_style(model, e, prepared.durations, total) for e in prepared.encoded]
        shares = None if prepared.maps is None else stack_shares(prepared.maps, total, self.device)
        mixture = None
        if offer == OPEN:
            sizes = [e.tokens.tokens.shape[1] for e in prepared.encoded if e.tokens is not None]
            key_sets = style_key_sets(model, styles, sizes, PitchRegion() if tuning is None else tuning.pitch)
            mixture = mix_openly(model, readings, key_sets[..., 0].sum(1), mask)
            plan = mixture.plan_at(mixture.prior[None, :, None].expand(len(mixture.mean), -1, total))
        else:
            plan = make_plan(readings, shares, mechanisms, asked)
        noise = standard_noise(plan.mu, generators)
        kept = [z[:, :n].cpu() for z, n in zip(noise, prepared.lengths.tolist(), strict=True)]
        if options.steps == 0:
            return model.to_mel(plan.mu), kept, plan.pitch
        if mixture is not None:
            score = mixture_score(model, mixture, region=region, guidance=options.guidance)
        else:
            score = make_score(model, plan, mask, region=region, guidance=options.guidance)
        score = recorder.watch(score) if isinstance(recorder, AttentionMapRecorder) else score
        if tuning is not None:
            setting = {"mu": plan.mu, "mask": mask, "readings": readings, "shares": shares, "key_sets": key_sets}
            another = partial(standard_noise, plan.mu, generators)
            noise = tuning.begin(noise, model, score, options, **setting, another=another)  # type: ignore[arg-type]
        start, steps, start_time = noise / options.temperature, options.steps, 1.0
        if around is not None:
            mel = model.normalise(pad(around, (0, total - around.shape[-1])))
            start_time, steps = RENOISED_TIME, steps_from(RENOISED_TIME, steps)
            times = batch_time(start_time, mel)
            start = diffuse(model.to_diffusion(mel, plan.mu), plan.mu, times, start, model.schedule) - plan.mu
        with tqdm(total=steps, **self._progress_bar) as bar:

            def after_step(step: int, t: float, x: Tensor) -> Tensor | None:
                bar.update()
                tuned = None if tuning is None else tuning.after_step(t, x)
                if callback is None:
                    return tuned
                return (callback(self, step, t, {"latents": x if tuned is None else tuned}) or {}).get("latents", tuned)

            watched = {"callback": after_step, "generator": generators, "start_time": start_time}
            sampler = sampler_by_name(options.solver)
            x = sampler(score, model.schedule, start, plan.mu, mask, steps, **watched)  # type: ignore[arg-type]
        kept = [z[:, :n].cpu() for z, n in zip(noise, prepared.lengths.tolist(), strict=True)]
        pitch = plan.pitch if mixture is None else mixture.outcome(x).pitch
        return model.to_mel(model.from_diffusion(x, plan.mu)), kept, pitch

    def sample_by_world(
        self,
        prepared: Prepared,
        options: SamplingOptions,
        giver: int,
        generators: list[torch.Generator],
        callback: StepCallback | None = None,
    ) -> Drawn:
        """Log-mels of one style with the pitch of the other, ``giver``, by WORLD; both from the same noise.

        What WORLD makes is noised again, a little, and denoised in the style that gives the voice.
        """
        mel_config, audio, pitched = self.model.settings.mel, [], prepared.encoded[giver]
        alone = [replace(prepared, encoded=[style]) for style in (pitched, prepared.encoded[-1 - giver])]
        for one in alone:
            sources = [source.clone_state() for source in generators]
            sampled, noise, _ = self.sample(one, (), options, sources, callback)
            mels = [m[:, :n] for m, n in zip(sampled, prepared.lengths.tolist(), strict=True)]
            audio.append([samples.float().cpu().numpy() for samples in self._decode(mels, None)])
        swapped = []
        for a, b in zip(audio[0], audio[-1], strict=True):
            of_a, of_b = (extract_contour(samples, mel_config) for samples in (a, b))
            swapped.append(log_mel(torch.from_numpy(world_swap(b, of_b, of_a, mel_config)), mel_config).T)
        around = pad_sequence(swapped, batch_first=True).transpose(1, 2).to(self.device)
        return self.sample(alone[-1], (), options, generators, callback, around=around)

    def _decode(self, mels: list[Tensor], pitch: Tensor | None) -> list[Tensor]:
        """Decode log-mels (M, T_i), with the pitch that was asked for (B, 2, T) where the vocoder reads one."""
        on_device, mel_config = [m.to(self.device) for m in mels], self.model.settings.mel
        if pitch is None:
            return self.vocoder.decode(on_device, mel_config)
        contours = [self._contour(asked[:, : mel.shape[1]]) for mel, asked in zip(mels, pitch, strict=True)]
        return self.vocoder.decode(on_device, mel_config, contours=contours)

    def _contour(self, pitch: Tensor) -> PitchContour:
        """F0 in Hz, filled where unvoiced, and voicing (T,) of the pitch that is asked for (2, T)."""
        voicing = pitch[0].float()
        f0_hz = fill_unvoiced(asked_f0_hz(pitch[1]).cpu().numpy(), voicing.cpu().numpy() > 0)
        return torch.from_numpy(f0_hz).to(self.device), voicing.to(self.device)

    def require(
        self,
        options: SamplingOptions,
        *,
        b: Style | None = None,
        share: Share | None = None,
        offer: str = BY_SHARE,
        mechanisms: Sequence[str] | None = None,
        noise_tuning: NoiseTuning | None = None,
    ) -> None:
        """Raise unless the checkpoint has what a call asks of it.

        Args:
            options: How it is sampled.
            b: As for a call.
            share: As for a call.
            offer: As for a call.
            mechanisms: As for a call.
            noise_tuning: As for a call.

        Raises:
            InputError: 0 steps without a frame prior, or with something that is asked of the score network; an offer
                that does not exist, or lacks a second style, a step, or a frame prior; mechanisms that blend styles
                which are offered openly; a share of pitch, energy or rate that cannot take hold.
        """
        names, is_official = _names(mechanisms), not self.model.has_style
        no_steps, is_open, title = options.steps == 0, offer == OPEN, share and share.name
        asked = [name for name in ("score", NOISE) if name in names]
        asked = asked or ["guidance"] * (options.guidance > 0) or [NOISE] * (noise_tuning is not None)
        blending = next((name for name in names if name not in ("attention", NOISE)), None)
        own = share is not None and not is_open and not share.region and (share.pitch or share.energy or share.rate)
        mean = "speak the prior mean, and that of this checkpoint says nothing of how a phone moves"
        speaking = "expected 1 step or more, or a checkpoint with a frame prior"
        nothing = "0 steps ask the score network nothing; expected 1 step or more with"
        needed = "a checkpoint with a frame prior and style attention, as mechanism 'noise' does"
        lacks = "this checkpoint reads no pitch, energy or rate of a style; expected one share for all dimensions"
        lacks_prosody = mechanisms is not None and "prosody" not in names
        problems = {
            f"0 steps {mean}; {speaking}": no_steps and is_official,
            f"{nothing} {', '.join(asked)}": no_steps and asked,
            f"offer {offer!r}: expected one of {', '.join(OFFERS)}": offer not in OFFERS,
            f"{nothing} an open offer": no_steps and is_open,
            "an open offer needs two styles to choose between": is_open and b is None,
            f"an open offer needs {needed}": is_open and is_official,
            f"mechanism {blending!r}: it says who speaks where, which is left to the noise here": is_open and blending,
            f"share {title}: {lacks}": own and is_official,
            f"share {title}: expected mechanism 'prosody', by which pitch, energy and rate move": own and lacks_prosody,
        }
        require_none(problems)

    def _recorder(
        self, wanted: bool | MapOptions, texts: list[TokenizedText], styles: list[Style], prepared: Prepared
    ) -> StyleMassRecorder | None:
        """What records the attention, where it is wanted and there is any."""
        if not wanted or not self.model.attention_sites:
            return None
        if not isinstance(wanted, MapOptions):
            return StyleMassRecorder(self.model, styles=len(styles), items=len(texts))
        spans = [token_spans(text, row) for text, row in zip(texts, prepared.durations.tolist(), strict=True)]
        sizes = [e.tokens.tokens.shape[1] for e in prepared.encoded if e.tokens is not None]
        return AttentionMapRecorder(self.model, styles=styles, sizes=sizes, spans=spans, options=wanted)

    def _maps(self, share: Share, texts: list[TokenizedText], frames: Tensor, first: Style) -> list[ShareMap]:
        mel, rows = self.model.settings.mel, zip(texts, frames.tolist(), strict=True)
        return [share.render(layout_of(text, row, first, mel)) for text, row in rows]


def _names(mechanisms: Sequence[str] | None) -> tuple[str, ...]:
    """Names of mechanisms, of which one may stand alone."""
    return (mechanisms,) if isinstance(mechanisms, str) else tuple(mechanisms or ())


def _require_pair(a: Style | None, b: Style | None, share: Share | None, *, offer: str = BY_SHARE) -> None:
    """Raise unless two styles come with a share or are offered openly."""
    if (b is None) != (share is None) and offer != OPEN:
        raise InputError("two styles need a share, and a share needs two styles")
    if b is not None and a is None:
        raise InputError(f"second style {b.name}: expected a first style to blend it with")


__all__ = ["MECHANISMS", "GradTTSInterpPipeline", "SamplingOptions"]
