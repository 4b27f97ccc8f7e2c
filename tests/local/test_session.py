"""The session that docs/cli.md shows is what the program says, against a local AWS, in this order."""

from __future__ import annotations

from session import PAGE, played, replaced


def test_the_session_of_the_page_is_played_as_it_stands_there() -> None:
    page = PAGE.read_text()
    assert replaced(page, played()) == page, "run `make docs`"
