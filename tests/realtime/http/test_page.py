from pathlib import Path

from realtime.http import site
from realtime.http.page import assembled


def test_parts_are_put_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/one.html").write_text("  <p>1</p>\n")
    (tmp_path / "parts/two.html").write_text("<p>\\2</p>\n")
    (tmp_path / "index.html").write_text(
        "<main>\n  <!-- part: one -->\n</main>\n<!-- part: two -->\n<!-- no part -->\n"
    )
    assert assembled(tmp_path) == b"<main>\n  <p>1</p>\n</main>\n<p>\\2</p>\n<!-- no part -->\n"


def test_the_studio_has_all_its_parts_and_each_id_once() -> None:
    folder = Path(site.__file__).with_name("studio")
    page = assembled(folder).decode()
    for part in (folder / "parts").iterdir():
        assert part.read_text() in page
    ids = [piece.partition('"')[0] for piece in page.split(' id="')[1:]]
    assert sorted(set(ids)) == sorted(ids)
