"""The sentences on what is weak: a better baseline is named, one that is better by less than is shown is not."""

import pytest

from gradtts_interp.evaluation.grid import TIME
from gradtts_interp.evaluation.grid_report import weak_sentences
from gradtts_interp.evaluation.tables import Column, TableDefinition, tabulate


def tables_of(**errors):
    rows = [
        {"table": TIME, "kind": "condition", "condition": name.replace("_", " "), "f0_control_error": error}
        for name, error in errors.items()
    ]
    return {TIME: tabulate(TableDefinition(TIME, "", "", (Column("f0_control_error", "control error"),)), rows)}


def test_a_better_baseline_is_named():
    (sentence,) = weak_sentences(tables_of(default=0.064, prosody=0.05, static_mix=0.379))
    assert sentence.startswith("Control error of F0: prosody 0.050 is below the default's 0.064")


@pytest.mark.parametrize("other", [0.0641, 0.064, 0.06399])
def test_what_is_not_seen_to_be_better_is_not_called_so(other):
    assert weak_sentences(tables_of(default=0.064, prosody=other)) == ()
