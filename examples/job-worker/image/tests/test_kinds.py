"""What each kind of job makes of a document, and what it refuses."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from worker.failure import Unfit
from worker.kinds import Product, job_of
from worker.kinds.thumbnail import Picture, chunk, decoded, encoded, predicted
from worker.upload import Made, Upload


def product(kind: str, document: bytes) -> Product:
    return job_of(kind)(lambda: io.BytesIO(document))


def made(kind: str, document: bytes) -> bytes:
    return b"".join(product(kind, document).body)


def refused(kind: str, document: bytes) -> str:
    with pytest.raises(Unfit) as refusal:
        made(kind, document)
    return str(refusal.value)


# -- export --


def test_records_become_a_table_of_all_their_columns() -> None:
    records = (
        '{"id": 1, "name": "Jürgen, Dr.", "vip": true}\n\n{"id": 2, "tags": ["a"], "name": null}\n'
    )
    assert made("exportCustomers", records.encode()).decode().splitlines() == [
        "id,name,vip,tags",
        '1,"Jürgen, Dr.",true,',
        '2,,,"[""a""]"',
    ]
    assert product("exportCustomers", b"").suffix == "csv"


def test_a_line_that_is_no_record_is_named() -> None:
    assert refused("exportOrders", b'{"id": 1}\noops') == "line 2 is no JSON"
    assert refused("exportOrders", b"[1]") == "line 1 is no JSON object"


def test_a_long_document_is_not_held_as_a_whole() -> None:
    """Ten megabytes, with the memory for one."""
    line = b'{"id": 12345678, "text": "' + b"x" * 470 + b'"}\n'
    document = lambda: io.BufferedReader(Made(line for _ in range(20_000)))
    tracemalloc.start()
    try:
        length = sum(len(piece) for piece in job_of("exportOrders")(document).body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 9_000_000 < length
    assert most < 1_000_000


# -- report --


def test_sums_are_exact_and_the_largest_comes_first() -> None:
    sales = b"\xef\xbb\xbfcountry,product,amount\nDE,a,0.10\nFR,a,7\nDE,b,0.20\n\n"
    page = made("reportSales", sales).decode()
    table = ["FR        7", "DE     0.30", "total  7.30"]
    assert page.splitlines() == ["Sales: amount by country", "", *table]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (b"", "the first line does not name two columns"),
        (b"country\nDE", "the first line does not name two columns"),
        (b"country,amount\nDE,1\nFR,some", "the last column of line 3 is no number"),
        (b"country,amount\nDE,NaN", "the last column of line 2 is no number to add"),
    ],
)
def test_a_report_of_what_cannot_be_added_is_refused(document: bytes, sentence: str) -> None:
    assert refused("reportSales", document) == sentence


# -- thumbnail --

RED, GREEN, BLUE, WHITE = b"\xff\0\0", b"\0\xff\0", b"\0\0\xff", b"\xff\xff\xff"


def test_a_picture_shrinks_to_the_edge_of_its_subject() -> None:
    banner = Picture(1280, 2, 3, [RED * 640 + BLUE * 640] * 2)
    small = decoded(made("thumbnailBanner", encoded(banner)))
    assert (small.width, small.height) == (640, 1)
    assert small.rows == [RED * 320 + BLUE * 320]


def test_a_new_pixel_is_the_mean_of_the_old_ones() -> None:
    line = (RED + GREEN) * 256
    small = decoded(made("thumbnailOther", encoded(Picture(512, 2, 3, [line, line]))))
    assert small.rows == [b"\x7f\x7f\0" * 256]


def test_a_small_picture_stays_as_it_is() -> None:
    picture = Picture(2, 2, 3, [RED + GREEN, BLUE + WHITE])
    assert decoded(made("thumbnailAvatar", encoded(picture))) == picture


@pytest.mark.parametrize("method", range(5))
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_filter_of_png_is_undone(method: int, channels: int) -> None:
    rows = [bytes((x * 7 + y * 31) & 0xFF for x in range(6 * channels)) for y in range(4)]
    lines = b"".join(filtered(method, channels, rows))
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    assert decoded(png(6, 4, colour, lines)) == Picture(6, 4, channels, rows)


def test_png_predicts_from_the_neighbours() -> None:
    left, up, corner = 10, 20, 15
    assert [predicted(method, left, up, corner) for method in range(5)] == [0, 10, 20, 15, 15]
    nearest = {(1, 2, 3): 1, (9, 1, 9): 1, (1, 9, 9): 1, (5, 5, 1): 5}
    assert {near: predicted(4, *near) for near in nearest} == nearest


def test_what_is_no_picture_is_refused_with_the_reason() -> None:
    whole = encoded(Picture(2, 2, 3, [RED + GREEN, BLUE + WHITE]))
    assert refused("thumbnailAvatar", b"GIF89a") == "the upload is no PNG picture"
    assert refused("thumbnailAvatar", whole[:8]) == "the picture has no header"
    assert refused("thumbnailAvatar", whole[:33]) == "the picture is cut off"
    assert "without palette" in refused("thumbnailAvatar", png(1, 1, 3, b"\0\0"))
    assert "more than 16000000" in refused("thumbnailAvatar", png(40_000, 40_000, 2, b""))
    assert refused("thumbnailAvatar", png(1, 1, 0, b"\7\0")) == "a line has a filter that is none of PNG's"


def filtered(method: int, channels: int, rows: list[bytes]) -> list[bytes]:
    """PNG's filters the other way round."""
    above = bytes(len(rows[0]))
    lines = []
    for row in rows:
        before = bytes(channels) + row
        corners = bytes(channels) + above
        line = [
            (value - predicted(method, before[at], above[at], corners[at])) & 0xFF
            for at, value in enumerate(row)
        ]
        lines.append(bytes([method, *line]))
        above = row
    return lines


def png(width: int, height: int, colour: int, lines: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + packed + chunk(b"IEND", b"")


# -- which kind, which upload --


@pytest.mark.parametrize("kind", ["", "Orders", "export-orders", "kinds.export", "nothingKnown"])
def test_a_kind_without_a_module_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"<module><Subject>|no module"):
        job_of(kind)


def test_the_result_is_named_after_the_upload() -> None:
    body = '{"detail": {"bucket": {"name": "b"}, "object": {"key": "uploads/exportA/x/y z.jsonl"}}}'
    upload = Upload.of(body)
    assert upload == Upload("b", "uploads/exportA/x/y z.jsonl")
    assert upload.result_key("csv") == "results/exportA/x/y z.jsonl.csv"


def test_the_version_of_the_upload_is_the_one_of_its_event() -> None:
    found = '{"key": "uploads/a", "version-id": "v1"}'
    body = f'{{"detail": {{"bucket": {{"name": "b"}}, "object": {found}}}}}'
    assert Upload.of(body).version == "v1"


def test_pieces_are_a_file_that_makes_no_more_of_them_than_are_read() -> None:
    made = 0

    def pieces() -> Iterator[bytes]:
        nonlocal made
        for piece in (b"ab", b"", b"cde", b"f"):
            made += 1
            yield piece

    file = Made(pieces())
    assert [file.read(2), made] == [b"ab", 1]
    assert [file.read(2), file.read(2), made] == [b"cd", b"e", 3]
    assert [file.read(), file.read(2)] == [b"f", b""]


@pytest.mark.parametrize("body", ["", "{}", "[]", '"text"', '{"detail": {"bucket": {}}}'])
def test_a_message_that_is_no_upload_is_refused(body: str) -> None:
    with pytest.raises(Unfit, match="no event of S3"):
        Upload.of(body)


def test_a_result_is_never_taken_for_an_upload() -> None:
    body = '{"detail": {"bucket": {"name": "b"}, "object": {"key": "results/exportA/x.csv"}}}'
    with pytest.raises(Unfit, match="not below uploads/"):
        Upload.of(body)
