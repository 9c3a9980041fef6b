"""Strange input, at random: nothing but the project's own errors, and no code of a file is run."""

import logging
import os
import traceback

import pytest
from counting import record
from fuzz_targets import targets
from hypothesis import HealthCheck, Phase, given, settings

from gradtts_interp.errors import InputError

FAST_CASES = 4
LEAST_CASES = 10_000


@pytest.fixture(scope="module")
def all_targets(tmp_path_factory):
    logging.disable(logging.WARNING)
    os.environ["TQDM_DISABLE"] = "1"
    yield targets(tmp_path_factory.mktemp("fuzz"))
    logging.disable(logging.NOTSET)
    del os.environ["TQDM_DISABLE"]


def attack(target, cases, *, seed=None):
    """Run cases; how many ran, and the tracebacks of those that failed otherwise than by InputError."""
    ran, failures = 0, []

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=seed is None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(target.made)
    def run(made):
        nonlocal ran
        ran += 1
        try:
            target.check(made)
        except InputError as error:
            if not str(error).strip():
                failures.append(f"{made!r}: an error without words")
        except Exception:
            failures.append(f"{made!r}\n{traceback.format_exc()}")

    run()
    return ran, failures


def test_a_few_cases_of_every_reader(all_targets):
    for name, target in all_targets.items():
        _, failures = attack(target, FAST_CASES)
        assert not failures, f"{name}: {failures[0]}"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_cases(all_targets):
    assert sum(target.cases for target in all_targets.values()) >= LEAST_CASES
    found, ran = {}, {}
    for name, target in all_targets.items():
        ran[name], failures = attack(target, target.cases)
        record("fuzz", name, cases=ran[name], failures=len(failures))
        if failures:
            found[name] = failures
    record("fuzz", "all", cases=sum(ran.values()), failures=sum(map(len, found.values())))
    summary = "\n\n".join(
        f"{name}: {len(failures)} failures, such as\n{failures[0]}" for name, failures in found.items()
    )
    assert not found, summary
    assert sum(ran.values()) >= LEAST_CASES
