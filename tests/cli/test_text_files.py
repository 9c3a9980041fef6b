"""What ``-f`` reads: plain sentences, or the texts of a list of recordings."""

import pytest

from gradtts_interp.cli.job_flags import read_lines
from gradtts_interp.errors import InputError


def texts(tmp_path, content):
    (tmp_path / "lines.txt").write_text(content, encoding="utf-8")
    return [line.text for line in read_lines(tmp_path / "lines.txt")]


@pytest.mark.parametrize(
    "content",
    [
        "wavs/a.wav|A cat.|3\nwavs/b.wav|A dog.|4\n",
        "# list\nmy wavs/a.flac | A cat. | 3 | happy\n\nmy wavs/b.flac | A dog. | 4\n",
        "a.wav|A cat.\nb.wav|A dog.\n",
        "LJ001-0001|A 1 cat|A cat.\nLJ001-0002|A dog.|\n",
        "dir/a|A cat.|3\ndir/b|A dog.|3\n",
        "A cat.\nA dog.\n",
    ],
)
def test_texts_of_a_list_are_spoken(tmp_path, content):
    assert texts(tmp_path, content) == ["A cat.", "A dog."]


def test_a_bar_in_a_sentence_is_no_list(tmp_path):
    assert texts(tmp_path, "This | that.\nA dog.\n") == ["This | that.", "A dog."]


@pytest.mark.parametrize("row", ["A dog.", "b.wav||4", "b.wav|A|dog|4|5"])
def test_half_a_list_says_what_is_expected(tmp_path, row):
    with pytest.raises(InputError, match=r"lines.txt, line 2: .*expected path\|text\|speaker in every line"):
        texts(tmp_path, f"a.wav|A cat.|3\n{row}\n")
