"""The pipeline: text and styles in, speech out. Glue only; the mathematics is in the folders below."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from gradtts_interp.acceleration import accelerate
from gradtts_interp.alignment import fix_length
from gradtts_interp.audio import Source
from gradtts_interp.checkpoints import INDEX, load_model, load_official_pipeline_parts, read_index, save_model
from gradtts_interp.diffusion.contract import standard_noise
from gradtts_interp.diffusion.samplers import sampler_by_name
from gradtts_interp.errors import InputError
from gradtts_interp.files import atomic_path
from gradtts_interp.interpolation.asked_pitch import AskedPitch
from gradtts_interp.interpolation.attention_maps import AttentionMapRecorder, MapOptions
from gradtts_interp.interpolation.attention_record import StyleMassRecorder
from gradtts_interp.interpolation.mechanisms import BY_SHARE, MECHANISMS, OFFERS, OPEN, make_plan, open_plan
from gradtts_interp.interpolation.noise import NOISE, NoiseTuning
from gradtts_interp.interpolation.noise_run import TuningRun, split_noise
from gradtts_interp.interpolation.reading import blend_durations, encode_styles, pad_ids, read_style
from gradtts_interp.interpolation.scoring import Frames, make_score
from gradtts_interp.interpolation.shares import Share, ShareMap
from gradtts_interp.markup import (
    AskedOfLines,
    at_volume,
    copied_durations,
    copied_recordings,
    describe,
    lay_requests,
    pace,
    read_marked,
    with_notes,
)
from gradtts_interp.models.grad_tts import GradTTS, frame_mask
from gradtts_interp.models.pitch_predictor import asked_f0_hz
from gradtts_interp.models.precision import float32_default
from gradtts_interp.pitch.contour import fill_unvoiced
from gradtts_interp.placement import Prepared, given_durations, layout_of, stack_shares, token_spans
from gradtts_interp.results import speech_of
from gradtts_interp.sampling import SamplingOptions, choose_sampler, generators_of
from gradtts_interp.speech import Speech
from gradtts_interp.streaming import stream
from gradtts_interp.styles import Style, StyleBank, style_of_audio
from gradtts_interp.text.frontend import TextFrontend, TokenizedText
from gradtts_interp.text.ssml import Directions
from gradtts_interp.vocoder import GriffinLimVocoder, MelDecoder, Vocoder

DEFAULT_MECHANISMS = ("prior", "prosody", "attention")
DEFAULT_MECHANISMS_BY_PITCH = ("prosody", "attention")
ENVELOPE = "envelope"  # beside these, of a model with a frame prior
DEFAULT_MECHANISMS_OFFICIAL = ("prior", "score")
PRECISION_OF_TYPE = {torch.float32: "fp32", torch.bfloat16: "bf16"}

StepCallback = Callable[["GradTTSInterpPipeline", int, float, dict[str, Tensor]], "dict[str, Tensor] | None"]


class Drawn(NamedTuple):
    """What a sampler gave.

    Attributes:
        mel: Log-mels (B, M, T).
        noise: What each was made from, (M, T_i).
        pitch: Voicing (0 or 1) and normalised log-F0 that were asked for, (B, 2, T); None for a model that predicts no
            contour.
    """

    mel: Tensor
    noise: list[Tensor]
    pitch: Tensor | None


class GradTTSInterpPipeline(DiffusionPipeline):
    """Speak text in one style, or while moving between two.

    Args:
        model: Acoustic model.
        vocoder: Decodes its mels; the mel contracts must agree.
        frontend: Text to token ids, of the layout the model was trained with.
        bank: Named styles of the checkpoint, if it has any.
    """

    def __init__(
        self, model: GradTTS, vocoder: MelDecoder, frontend: TextFrontend, bank: StyleBank | None = None
    ) -> None:
        super().__init__()
        model.settings.mel.require_same(vocoder.mel_config, "the acoustic model", "the vocoder")
        self.register_modules(model=model.eval(), vocoder=vocoder.eval(), frontend=frontend)
        self.bank = bank

    def __repr__(self) -> str:
        millions = sum(p.numel() for p in self.model.parameters()) / 1e6
        n, emotions = len(self.speakers), f" x {len(self.bank.emotions)} emotions" if self.bank is not None else ""
        voices = f"{n} speakers{emotions}" if n else "one voice"
        vocoder = type(self.vocoder).__name__
        return f"GradTTSInterpPipeline({millions:.1f} M parameters, {voices}, {vocoder}, on {self.device})"

    # -- loading ------------------------------------------------------------------------------------------------

    @classmethod
    @float32_default()
    def from_pretrained(cls, folder: str | Path, *, vocoder: MelDecoder | None = None) -> GradTTSInterpPipeline:  # type: ignore[override]
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

    def save_pretrained(self, folder: str | Path, **_: Any) -> None:  # type: ignore[override]
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
        with atomic_path(folder / INDEX) as temporary:
            temporary.write_text(json.dumps(index, indent=1))

    def to(self, *args: Any, **kwargs: Any) -> GradTTSInterpPipeline:
        """Move to a device, and choose the arithmetic by its type.

        Weights stay in float32 whatever the arithmetic: ``torch.bfloat16`` is :meth:`accelerate` with ``"bf16"``, and
        ``torch.float32`` undoes it.

        Args:
            *args: A device, a type, or both.
            **kwargs: As diffusers takes them.

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
            super().to(*args, **kwargs)
        if wanted and PRECISION_OF_TYPE[wanted[0]] != self.model.precision:
            self.accelerate(PRECISION_OF_TYPE[wanted[0]])
        return self

    # -- styles -------------------------------------------------------------------------------------------------

    @property
    def speakers(self) -> list[int]:
        """Numbers of the speakers the checkpoint knows."""
        if self.bank is not None:
            return self.bank.speakers
        return list(range(self.model.settings.n_spks)) if self.model.settings.n_spks > 1 else []

    @float32_default()
    def style(
        self,
        reference: Source | None = None,
        *,
        speaker: int | None = None,
        emotion: str | None = None,
        sample_rate_hz: int | None = None,
    ) -> Style:
        """Get a style.

        Args:
            reference: A recording of speech: the path of a file, an open file such as ``io.BytesIO``, or samples (N,)
                or (N, channels); or give ``speaker``.
            speaker: A speaker of the checkpoint.
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
        if self.bank is not None:
            return self.bank.style(speaker, emotion or "neutral")
        if emotion is not None:
            raise InputError(f"emotion {emotion!r}: this checkpoint has no emotions")
        if self.model.has_style:
            raise InputError(f"speaker {speaker}: this checkpoint has no style bank; expected a recording instead")
        self.model.speaker_vector(speaker)
        return Style(name=f"speaker {speaker}", speaker=speaker)

    def default_mechanisms(self, share: Share) -> tuple[str, ...]:
        """Mechanisms used when none are named."""
        if not self.model.has_style:
            return DEFAULT_MECHANISMS_OFFICIAL
        usual = DEFAULT_MECHANISMS_BY_PITCH if share.pitch else DEFAULT_MECHANISMS
        return usual if self.model.frame_prior is None else (*usual, ENVELOPE)

    def accelerate(self, precision: str = "auto", *, compile_mode: str | None = None) -> GradTTSInterpPipeline:
        """Choose the arithmetic of the networks; see :func:`gradtts_interp.acceleration.accelerate`."""
        accelerate(self.model, self.vocoder, precision, compile_mode=compile_mode)
        return self

    # -- synthesis ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    @float32_default()
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
        temperature: float = SamplingOptions.temperature,
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
            text: One line or several, plain or SSML; several are rendered as one padded batch.
            a: First style; the checkpoint's only voice if None (official single-speaker files).
            b: Second style.
            share: How much of ``b`` speaks where; needed with ``b``.
            offer: ``"share"``, or ``"open"``: both styles are offered alike, and with noise tuning alone the share says
                which of them is followed where; without it the noise decides, and no share is needed.
            mechanisms: Names in :data:`~gradtts_interp.interpolation.mechanisms.MECHANISMS` and ``noise``; or one.
            num_inference_steps: Steps of the sampler; 0 speaks the prior mean, to which the score network then adds
                nothing (a checkpoint with a frame prior only).
            solver: Name of the sampler; what is None is filled in by
                :func:`~gradtts_interp.sampling.choose_sampler`.
            guidance: Classifier-free guidance towards the style; 0 is off.
            temperature: Divides the initial noise.
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
                with :class:`~gradtts_interp.interpolation.attention_maps.MapOptions` also the maps themselves.
            noise_tuning: How mechanism ``noise`` tunes, which it implies; its defaults if None.

        Returns:
            A :class:`~gradtts_interp.speech.Speech`, or a list of them for several lines.

        Raises:
            InputError: An argument cannot be used; the message names it.
        """
        lines = [text] if isinstance(text, str) else list(text)
        if not lines:
            raise InputError("no text was given")
        if (b is None) != (share is None) and offer != OPEN:
            raise InputError("two styles need a share, and a share needs two styles")
        if b is not None and a is None:
            raise InputError(f"second style {b.name}: expected a first style to blend it with")
        exchanged = share is not None and share.pitch is not None and share.pitch.from_second
        if share is not None and exchanged and noise_tuning is not None and noise_tuning.windows:
            raise InputError(f"share {share.name} with windows of your own: exchange the styles and use ~share instead")
        named_share = share
        if (
            share is not None and exchanged
        ):  # the same by the law of swapping, and all below may take the first style's pitch
            a, b, share = b, a, ~share
        if num_inference_steps is None and self.model.decoder is None:
            num_inference_steps = 0
        options = SamplingOptions(*choose_sampler(num_inference_steps, solver), guidance, temperature)
        if options.steps == 0:
            self.require_speaking_prior(guidance, mechanisms, noise_tuning)
        self.require_offer(offer, b, options.steps)
        tokenized, directions, requests = read_marked(self.frontend, lines, pitch)
        blank = self.model.settings.add_blank
        copied = copied_recordings(prosody, tokenized, weight=prosody_weight, durations=durations, blank=blank)
        styles = [a or Style(name="default")] + ([b] if b is not None else [])
        prepared = self.prepare(
            tokenized,
            styles,
            share,
            offer=offer,
            length_scale=length_scale,
            durations=durations,
            directions=directions,
            prosody=copied,
            prosody_weight=prosody_weight,
        )
        asked = lay_requests(
            requests,
            tokenized,
            prepared.durations,
            self.model.settings,
            prosody=copied,
            weight=prosody_weight,
        )
        if isinstance(mechanisms, str):
            mechanisms = (mechanisms,)
        usual = self.default_mechanisms(share) if share and offer != OPEN else ()
        chosen = tuple(mechanisms) if mechanisms is not None else usual
        chosen, tuning = split_noise(chosen, noise_tuning, styles, share, offer=offer)
        if seed is None and generator is None:
            seed = int(torch.randint(2**31, ()))
        generators = generators_of(len(lines), seed, generator)
        recorder = self._recorder(output_attention if options.steps > 0 else False, tokenized, styles, prepared)
        with recorder or nullcontext():
            drawn = self.sample(
                prepared, chosen, options, generators, callback_on_step_end, tuning, recorder, asked, offer
            )
        mels = [m[:, :n].cpu() for m, n in zip(drawn.mel, prepared.lengths.tolist(), strict=True)]
        audio = self._decode(mels, drawn.pitch)
        settings = {
            "styles": [s.name for s in styles],
            "share": named_share.name if named_share else None,
            "offer": offer,
            "mechanisms": [*chosen, *(["noise"] if tuning else [])],
            "noise_tuning": tuning.tuning.to_dict() if tuning else None,
            "steps": options.steps,
            "solver": options.solver,
            "precision": self.model.precision,
            "guidance": options.guidance,
            "temperature": options.temperature,
            "length_scale": length_scale,
            "seed": seed,
            "pitch": [describe(request) for request in requests] if any(requests) else None,
            "prosody": [style and style.name for style in copied] if prosody else None,
            "prosody_weight": prosody_weight,
        }
        results = [
            speech_of(
                self.model, i, tokenized[i], prepared, mels[i], audio[i], drawn.noise[i], settings, recorder, tuning
            )
            for i in range(len(lines))
        ]
        results = [with_notes(speech, [*styles, own]) for speech, own in zip(results, copied, strict=True)]
        results = [at_volume(speech, said) for speech, said in zip(results, directions, strict=True)]
        results = [speech.reversed_styles() for speech in results] if exchanged else results
        return results[0] if isinstance(text, str) else results

    def stream(self, text: str | Iterable[str], *styles: Style, **options: Any) -> Iterator[Speech]:
        """Speak a long text sentence by sentence; see :func:`gradtts_interp.streaming.stream`."""
        return stream(self, self.expected_seconds, text, *styles, **options)

    @torch.no_grad()
    @float32_default()
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
        by_pitch = share.pitch if share and offer != OPEN else None
        encoded = encode_styles(self.model, ids, styles, pitch=by_pitch)
        rounding = "ceil" if settings.style is None else "round"

        def frames_for(mean: Tensor) -> Tensor:
            frames = blend_durations(encoded, mean, length_scale=length_scale, rounding=rounding)
            frames = frames if directions is None else pace(frames, texts, directions, settings)
            return frames if prosody is None else copied_durations(frames, prosody, prosody_weight)

        given = None if durations is None else given_durations(durations, ids.lengths, self.device)
        size = len(texts)
        if share is None:
            even = torch.full((size, len(styles)), 1 / len(styles), device=self.device)
            frames = given if given is not None else frames_for(even)
            return Prepared(encoded, frames, frames.sum(1), None)
        start = torch.full((size, 2), 0.5, device=self.device)
        frames = given if given is not None else frames_for(start)
        maps = self._maps(share, texts, frames, styles[0])
        if given is None:
            # Durations follow the mean share, and the share is drawn on durations: one more round settles it.
            mean = [float(m.weight.mean()) for m in maps]
            if share.pitch:
                # The last style's reading holds the first one's prosody, unless both are offered openly.
                mean = [1.0 if by_pitch else 0.5] * size
            mean_share = torch.tensor([[1 - m, m] for m in mean], device=self.device)
            frames = frames_for(mean_share)
            maps = self._maps(share, texts, frames, styles[0])
        return Prepared(encoded, frames, frames.sum(1), maps)

    def sample(
        self,
        prepared: Prepared,
        mechanisms: Sequence[str],
        options: SamplingOptions,
        generators: list[torch.Generator],
        callback: StepCallback | None = None,
        tuning: TuningRun | None = None,
        recorder: StyleMassRecorder | None = None,
        asked: Sequence[AskedPitch | None] = (),
        offer: str = BY_SHARE,
    ) -> Drawn:
        """Turn noise into log-mels."""
        model = self.model
        multiple = model.frame_multiple
        alone = torch.tensor([fix_length(int(n), multiple) for n in prepared.lengths], device=self.device)
        total = int(alone.max())
        region = None if bool((alone == total).all()) else frame_mask(alone, total)
        frames = Frames(frame_mask(prepared.lengths, total), region)
        readings = [read_style(model, e, prepared.durations, total) for e in prepared.encoded]
        shares = None
        if prepared.maps is not None:
            shares = stack_shares(prepared.maps, total, self.device)
        if offer == OPEN:
            plan = open_plan(readings, model.style_encoder.null_pooled, model.prosody_channels)
        else:
            plan = make_plan(readings, shares, mechanisms, asked)
        noise = standard_noise(plan.mu, generators)
        kept = [z[:, :n].cpu() for z, n in zip(noise, prepared.lengths.tolist(), strict=True)]
        if options.steps == 0:
            return Drawn(model.to_mel(plan.mu), kept, plan.pitch)
        score = make_score(model, plan, frames, guidance=options.guidance)
        score = recorder.watch(score) if isinstance(recorder, AttentionMapRecorder) else score
        if tuning is not None:
            setting = {"plan": plan, "frames": frames, "readings": readings, "shares": shares}
            another = partial(standard_noise, plan.mu, generators)
            noise = tuning.begin(noise, model, score, options, **setting, another=another)  # type: ignore[arg-type]
        with self.progress_bar(total=options.steps) as bar:

            def after_step(step: int, t: float, x: Tensor) -> Tensor | None:
                bar.update()
                tuned = None if tuning is None else tuning.after_step(t, x)
                if callback is None:
                    return tuned
                return (callback(self, step, t, {"latents": x if tuned is None else tuned}) or {}).get("latents", tuned)

            x = sampler_by_name(options.solver)(
                score,
                model.schedule,
                noise / options.temperature,
                plan.mu,
                frames.mask,
                options.steps,
                callback=after_step,
                generator=generators,
            )
        kept = [z[:, :n].cpu() for z, n in zip(noise, prepared.lengths.tolist(), strict=True)]
        return Drawn(model.to_mel(model.from_diffusion(x, plan.mu)), kept, plan.pitch)

    def _decode(self, mels: list[Tensor], pitch: Tensor | None) -> list[Tensor]:
        """Decode log-mels (M, T_i), with the pitch that was asked for (B, 2, T) where the vocoder reads one."""
        on_device, mel_config = [m.to(self.device) for m in mels], self.model.settings.mel
        if pitch is None:
            return self.vocoder.decode(on_device, mel_config)
        contours = []
        for mel, hertz, voicing in zip(mels, asked_f0_hz(pitch[:, 1]).cpu(), pitch[:, 0].cpu(), strict=True):
            frames = mel.shape[1]
            f0_hz = fill_unvoiced(hertz[:frames].numpy(), voicing[:frames].numpy() > 0)
            contours.append((torch.from_numpy(f0_hz).to(self.device), voicing[:frames].float().to(self.device)))
        return self.vocoder.decode(on_device, mel_config, contours=contours)

    def require_offer(self, offer: str, b: Style | None, steps: int) -> None:
        """Raise unless two styles can be offered in this way.

        Args:
            offer: As for a call.
            b: The second style, if there is one.
            steps: Network evaluations.

        Raises:
            InputError: There is no such offer, or it needs a second style, a step, or a frame prior.
        """
        if offer not in OFFERS:
            raise InputError(f"offer {offer!r}: expected one of {', '.join(OFFERS)}")
        if offer == OPEN and steps == 0:
            raise InputError("0 steps ask the score network nothing; expected 1 step or more with an open offer")
        if offer == OPEN and b is None:
            raise InputError("an open offer needs two styles to choose between")
        if offer == OPEN and (self.model.frame_prior is None or self.model.style_encoder is None):
            raise InputError("an open offer needs a checkpoint with a frame prior, which can speak in nobody's style")

    def require_speaking_prior(
        self, guidance: float, mechanisms: Sequence[str] | None, noise_tuning: NoiseTuning | None
    ) -> None:
        """Raise unless the prior can be spoken alone, which 0 steps ask for.

        Args:
            guidance: As for a call.
            mechanisms: As for a call.
            noise_tuning: As for a call.

        Raises:
            InputError: The checkpoint has no frame prior, or something is asked of the score network.
        """
        if self.model.frame_prior is None:
            raise InputError(
                "0 steps speak the prior mean, and that of this checkpoint says nothing of how a phone moves; expected "
                "1 step or more, or a checkpoint with a frame prior"
            )
        others = [name for name in ("score", NOISE) if mechanisms is not None and name in mechanisms]
        if guidance > 0 or others or noise_tuning is not None:
            asked = others or (["guidance"] if guidance > 0 else [NOISE])
            raise InputError(f"0 steps ask the score network nothing; expected 1 step or more with {', '.join(asked)}")

    def _recorder(
        self, wanted: bool | MapOptions, texts: list[TokenizedText], styles: list[Style], prepared: Prepared
    ) -> StyleMassRecorder | None:
        """What records the attention, where it is wanted and there is any."""
        if not wanted or not self.model.attention_sites:
            return None
        if not isinstance(wanted, MapOptions):
            return StyleMassRecorder(self.model, styles=len(styles), items=len(texts))
        blank = self.model.settings.add_blank
        durations = prepared.durations.tolist()
        spans = [token_spans(text, row, blank) for text, row in zip(texts, durations, strict=True)]
        sizes = [e.tokens.tokens.shape[1] for e in prepared.encoded if e.tokens is not None]
        return AttentionMapRecorder(self.model, styles=styles, sizes=sizes, spans=spans, options=wanted)

    def _maps(self, share: Share, texts: list[TokenizedText], frames: Tensor, first: Style) -> list[ShareMap]:
        blank = self.model.settings.add_blank
        return [
            share.render(layout_of(text, row.tolist(), first, self.model.settings.mel, blank))
            for text, row in zip(texts, frames.cpu(), strict=True)
        ]


__all__ = ["MECHANISMS", "GradTTSInterpPipeline", "SamplingOptions"]
