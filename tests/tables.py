"""Tables of cases that stand in files beside the tests: a row a line, cells apart by tabs, ``#`` before remarks."""

from pathlib import Path


def cases(name: str) -> list[list[str]]:
    """Rows of a file in ``tests/text/cases``; ``\\n`` is a line break."""
    lines = (Path(__file__).parent / "text" / "cases" / name).read_text(encoding="utf-8").splitlines()
    return [line.replace("\\n", "\n").split("\t") for line in lines if not line.startswith("#")]
