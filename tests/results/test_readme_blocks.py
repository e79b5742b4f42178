"""A table goes between its marks, and all else of the page stays as it is."""

import pytest

from bench.base.errors import BenchError
from bench.results import readme_blocks


def test_the_readme_block_is_replaced(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- table: quick -->\nold\n<!-- /table -->\nb <!-- /table -->\n")
    readme_blocks.refresh(readme, "quick", "new\n")
    readme_blocks.refresh(readme, "quick", "new\n")
    text = "a\n<!-- table: quick -->\nnew\n<!-- /table -->\nb <!-- /table -->\n"
    assert readme.read_text() == text
    with pytest.raises(BenchError, match=r"must hold the lines <!-- table: other -->"):
        readme_blocks.refresh(readme, "other", "new")


def test_line_ends_and_permissions_and_links_of_a_readme_are_kept(tmp_path):
    text = b"\xef\xbb\xbfa\n<!-- table: quick -->\r\nold\r\n<!-- /table -->\r\nb \xc3\xa4\r\n"
    (tmp_path / "deep").mkdir()
    readme, link = tmp_path / "deep" / "README.md", tmp_path / "link.md"
    readme.write_bytes(text)
    readme.chmod(0o640)
    link.symlink_to("deep/README.md")
    readme_blocks.refresh(link, "quick", "new\nlines\n")
    assert readme.read_bytes() == text.replace(b"old", b"new\r\nlines")
    assert readme.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert [p.name for p in readme.parent.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not in UTF-8 .*: save it as UTF-8"),
        (lambda path: path.symlink_to(path), "[Ss]ymbolic links"),
        (lambda path: path.mkdir(), "directory"),
    ],
)
def test_what_is_no_readme_is_named(tmp_path, make, says):
    make(tmp_path / "README.md")
    with pytest.raises(BenchError, match=rf"README\.md: .*{says}"):
        readme_blocks.refresh(tmp_path / "README.md", "quick", "new")
