"""Fuzzing led by coverage, of readers in pure Python: ``python tests/fuzz_by_coverage.py -atheris_runs=N``."""

import json
import sys

import atheris

with atheris.instrument_imports(include=["gradtts_interp"]):
    from gradtts_interp.config import ModelConfig
    from gradtts_interp.errors import InputError
    from gradtts_interp.interpolation.share_text import parse_bands, parse_curve, parse_words
    from gradtts_interp.text.frontend import TextFrontend

FRONTENDS = [TextFrontend(add_blank=False, word_boundaries=False), TextFrontend(mode="official")]


def read_settings(text):
    values = json.loads(text)
    return ModelConfig.from_dict(values) if isinstance(values, dict) else None


READERS = [*FRONTENDS, parse_curve, parse_words, parse_bands, read_settings]


def one_input(data):
    provider = atheris.FuzzedDataProvider(data)
    reader = READERS[provider.ConsumeIntInRange(0, len(READERS) - 1)]
    text = provider.ConsumeUnicode(120)
    try:
        reader(text)
    except InputError:
        pass
    except (ValueError, RecursionError):
        if reader is not read_settings:  # what is no JSON at all is told where the file is read
            raise


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
