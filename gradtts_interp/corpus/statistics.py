"""What a corpus holds, read from its manifest: hours, speakers, balance of phones, prosody by speaker and emotion."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import entropy

from gradtts_interp.config import MelConfig
from gradtts_interp.corpus.plan import Entry
from gradtts_interp.corpus.speakers import EMOTIONS
from gradtts_interp.units import CENTS_PER_NAT

SEMITONES_PER_NAT = CENTS_PER_NAT / 100
FIELDS = ("id", "kind", "split", "tokens", "frames", "f0")
"""Of the manifest, which are counted."""

COLUMNS = {
    "items": "d",
    "hours": ".2f",
    "F0 (Hz)": ".0f",
    "F0 spread (semitones)": ".2f",
    "phones per second": ".1f",
    "level asked for (dB)": "+.1f",
}
"""What is said of a group of utterances, and how it is written. F0 is the geometric mean of their mean F0; its spread,
the standard deviation within an utterance; phones are counted by duration, pauses included."""

Prosody = dict[str, float]
"""A figure for each of :data:`COLUMNS`, a mean over the group; the level is NaN where none was asked for."""


def groups_of(entries: Sequence[Entry]) -> dict[str, dict[str, Prosody]]:
    """Sum up the prosody of a corpus.

    Args:
        entries: Its manifest, at least one entry.

    Returns:
        Prosody by what is compared and name: ``kind/split``, such as ``grid/train``, where blends have no energy;
        ``speaker``, by number, all single-style items of the speaker bank; ``emotion``, of all speakers.
    """
    bank = [e for e in entries if e["kind"] == "bank"]
    known = list(EMOTIONS)
    return {
        "kind/split": _grouped(entries, lambda e: f"{e['kind']}/{e['split']}"),
        "speaker": _grouped(sorted(bank, key=lambda e: e["speaker"]), lambda e: str(e["speaker"])),
        "emotion": _grouped(sorted(bank, key=lambda e: known.index(e["emotion"])), lambda e: e["emotion"]),
    }


def seconds_of(entries: Iterable[Entry]) -> list[float]:
    """Duration of each item."""
    return [entry["frames"] / MelConfig().frame_rate_hz for entry in entries]


def phone_counts(entries: Iterable[Entry]) -> dict[str, int]:
    """How often each phone is said, without stress, the most frequent first."""
    return dict(Counter(phone for entry in entries for phone in phones_of(entry["tokens"])).most_common())


def phones_of(tokens: Iterable[str]) -> list[str]:
    """Phones of a token sequence without stress; pauses and punctuation are left out."""
    plain = (token.lstrip("@").rstrip("012") for token in tokens)
    return [phone for phone in plain if phone.isalpha()]


def prosody_of(entries: Sequence[Entry]) -> Prosody:
    """Sum up the prosody of some entries, at least one."""
    seconds = seconds_of(entries)
    energies = [e["factors"]["energy_db"] for e in entries if e.get("factors")]
    figures = (
        len(entries),
        sum(seconds) / 3600,
        float(np.exp(np.mean([np.log(e["f0"]["mean_hz"]) for e in entries]))),
        SEMITONES_PER_NAT * float(np.mean([e["f0"]["log_std"] for e in entries])),
        float(np.mean([len(phones_of(e["tokens"])) / s for e, s in zip(entries, seconds, strict=True)])),
        float(np.mean(energies)) if energies else math.nan,
    )
    return dict(zip(COLUMNS, figures, strict=True))


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], str]) -> dict[str, Prosody]:
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    return {name: prosody_of(group) for name, group in groups.items()}


def tables_of(entries: Sequence[Entry]) -> str:
    """All tables as Markdown."""
    size = f"{len(entries)} items, {sum(seconds_of(entries)) / 3600:.2f} hours"
    tables = [_table(head, group) for head, group in groups_of(entries).items()]
    return "\n".join([f"# Statistics of the corpus\n\n{size}.\n", *tables, phones_line(entries)])


def rows_of(groups: dict[str, Prosody]) -> list[tuple[str, ...]]:
    """Lines of a table: the name of a group and its figures, empty where there is none."""
    return [(name, *("" if math.isnan(v) else f"{v:{COLUMNS[c]}}" for c, v in p.items())) for name, p in groups.items()]


def phones_line(entries: Sequence[Entry]) -> str:
    """Balance of phones in a sentence; how varied they are is the exponential of their entropy."""
    counts = phone_counts(entries)
    rarest, count = min(counts.items(), key=lambda pair: pair[1])
    varied = math.exp(entropy(list(counts.values())))
    return (
        f"{sum(counts.values()):,} phones of {len(counts)} kinds, as varied as {varied:.1f} equally frequent ones; "
        f"the rarest, {rarest}, occurs {count:,} times.\n"
    )


def _table(head: str, groups: dict[str, Prosody]) -> str:
    lines = ["| " + " | ".join((head, *COLUMNS)) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows_of(groups)), ""])


def draw(entries: Sequence[Entry], figure: Figure | None = None) -> Figure:
    """Draw counts of phones, F0 and duration of the items, F0 of each speaker, rate and spread of each emotion.

    Args:
        entries: The manifest of a corpus.
        figure: An empty figure to draw on; a new one that knows no window if None.

    Returns:
        The figure.
    """
    figure = figure or Figure(figsize=(11, 8), layout="constrained")
    counts, groups, mean_hz = phone_counts(entries), groups_of(entries), [e["f0"]["mean_hz"] for e in entries]
    grid = figure.add_gridspec(3, 2)
    phones, f0, seconds = figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1])
    phones.bar(list(counts), list(counts.values()), color="tab:blue")
    phones.set(yscale="log", ylabel="times said")
    phones.tick_params("x", rotation=90)
    low, high = min(mean_hz), max(mean_hz) * 1.001
    f0.hist(mean_hz, bins=np.geomspace(low, high, 40).tolist(), color="tab:green")
    f0.set(xscale="log", xlabel="mean F0 of an item (Hz)", ylabel="items")
    f0.set_xticks([100, 150, 200, 300], ["100", "150", "200", "300"])
    seconds.hist(seconds_of(entries), bins=40, color="tab:gray")
    seconds.set_xlabel("duration of an item (s)")
    speakers, emotions = figure.add_subplot(grid[2, 0]), figure.add_subplot(grid[2, 1])
    speakers.bar(list(groups["speaker"]), [p["F0 (Hz)"] for p in groups["speaker"].values()], color="tab:purple")
    speakers.set(xlabel="speaker", ylabel="F0 (Hz)")
    for name, p in groups["emotion"].items():
        place = (p["phones per second"], p["F0 spread (semitones)"])
        emotions.plot(*place, "o", color="tab:red")
        emotions.annotate(f" {name}, {p['level asked for (dB)']:+.0f} dB", place)
    emotions.margins(0.3)
    emotions.set(xlabel="phones per second", ylabel="F0 spread (semitones)")
    return figure
