import pytest

from gradtts_interp.errors import InputError
from gradtts_interp.text.lexicon import PHONES, Lexicon


def test_lookup_ignores_case_and_gives_all_variants_of_many_words_in_known_phones():
    lexicon = Lexicon.default()
    assert lexicon.lookup("Hello")[0] == ("HH", "AH0", "L", "OW1")
    assert lexicon.lookup("the") == (("DH", "AH0"), ("DH", "AH1"), ("DH", "IY0"))
    assert lexicon.lookup("zyxgor") == ()
    assert "HELLO" in lexicon and "zyxgor" not in lexicon and len(lexicon.words) > 125_000
    assert {phone for word in lexicon.words for variant in lexicon.lookup(word) for phone in variant} == PHONES


def test_official_dictionary_is_the_older_release():
    official = Lexicon.official()
    assert official.lookup("a") == (("EY1",),)
    assert official.lookup("adblock") == () and Lexicon.default().lookup("adblock")
    assert all(len(official.lookup(word)) == 1 for word in ("the", "read", "twenty-one"))


def test_additions_come_first_and_leave_the_original_alone(tmp_path):
    path = tmp_path / "more.txt"
    path.write_text("# comment\nTHE  DH IY1  # strong\nZYXGOR  Z IH1 K S G AO0 R\n\n", encoding="utf-8")
    more = Lexicon.default().with_additions(path)
    assert more.lookup("the")[:2] == (("DH", "IY1"), ("DH", "AH0"))
    assert more.lookup("zyxgor") == (("Z", "IH1", "K", "S", "G", "AO0", "R"),)
    assert Lexicon.default().lookup("zyxgor") == ()


def test_shipped_additions_are_valid(request):
    path = request.config.rootpath / "resources" / "lexicon" / "additions.txt"
    assert Lexicon.default().with_additions(path).lookup("vocoder")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FOO  F UW9", "unknown phone 'UW9'"),
        ("FOO", "'FOO' has no phones"),
        ("MP3  EH1 M", "word 'MP3' can stand in no text after normalisation; expected letters"),
        ("naïve  N AA0", "word 'naïve' can stand in no text"),
        ("''  N AA0", "can stand in no text"),
    ],
)
def test_bad_additions_name_file_line_and_word(tmp_path, line, message):
    path = tmp_path / "bad.txt"
    path.write_text(f"BAR  B AA1 R\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"bad.txt:2: .*{message}"):
        Lexicon.default().with_additions(path)
    with pytest.raises(InputError, match="nowhere.txt cannot be read: No such file.*expected lexicon additions"):
        Lexicon.default().with_additions("nowhere.txt")


@pytest.mark.parametrize("word", ["ZYX", "o'zyx", "'zyx", "zyx-gor", "Z."])
def test_words_that_a_text_can_hold_are_taken(tmp_path, word):
    (tmp_path / "more.txt").write_bytes(b"\xef\xbb\xbf" + f"{word}  Z IH1 K\r\n".encode())
    assert Lexicon.default().with_additions(tmp_path / "more.txt").lookup(word)[0] == ("Z", "IH1", "K")
