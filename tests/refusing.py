"""What is refused, a case a line."""

import pytest

from gradtts_interp.errors import InputError


def refused(call, *cases, error=InputError):
    """Each case, arguments of ``call`` with a pattern last, raises an error whose message has the pattern."""
    for *arguments, message in cases:
        with pytest.raises(error, match=message):
            call(*arguments)


def called(call, *arguments):
    """For cases that call each their own function."""
    return call(*arguments)
