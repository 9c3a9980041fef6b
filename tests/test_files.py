"""Text files as people and other programs write them."""

from functools import partial

from refusing import refused

from gradtts_interp.files import read_text

read_words = partial(read_text, expected="words")


def test_utf8_however_its_lines_end(tmp_path):
    plain, marked, old_mac = b"caf\xc3\xa9\none\n", b"\xef\xbb\xbfcaf\xc3\xa9\r\none\r\n", b"caf\xc3\xa9\rone\r"
    for content in (plain, marked, old_mac):
        (tmp_path / "a.txt").write_bytes(content)
        assert read_words(tmp_path / "a.txt") == "café\none\n"


def test_other_encodings_are_named(tmp_path):
    path = tmp_path / "a.txt"
    for content, message in (
        ("A cat.\nA café.\n".encode("latin-1"), r"line 2, byte 12, 'é' in Latin-1 or Windows-1252.*Expected words"),
        ("A “cat”.\n".encode("cp1252"), "line 1, byte 2, '“' in .*Windows-1252"),
        ("A cat.\n".encode("utf-16"), "looks like UTF-16; save it as UTF-8. Expected words"),
        ("A cat.\n".encode("utf-16-le"), "looks like UTF-16"),
        ("A cat.\n".encode("utf-16-be"), "looks like UTF-16"),
        (b"A long cat\0 sat", "binary file; expected words, in UTF-8"),
    ):
        path.write_bytes(content)
        refused(read_words, (path, f"a.txt .*{message}"))


def test_other_encodings_where_they_are_allowed(tmp_path):
    for encoding in ("utf-8", "utf-16", "gbk"):
        (tmp_path / "a.txt").write_text("happy 开心", encoding=encoding)
        assert read_words(tmp_path / "a.txt", others=("utf-16", "gbk")) == "happy 开心"


def test_what_is_no_file_of_text(tmp_path):
    (tmp_path / "large.txt").write_bytes(b"x" * (2**20 + 1))
    no_file = "none.txt cannot be read: No such file.*"
    for name, message in ((".", "is a folder"), ("none.txt", no_file), ("large.txt", "larger than 1 MiB")):
        refused(partial(read_words, largest_bytes=2**20), (tmp_path / name, f"{message}; expected words"))
