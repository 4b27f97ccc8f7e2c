"""What each kind of job makes of a document, and what it refuses."""

from __future__ import annotations

import struct
import zlib

import pytest

from worker.kinds import job_of
from worker.kinds.thumbnail import Picture, chunk, decoded, encoded, predicted
from worker.upload import Upload


def refused(kind: str, document: bytes) -> str:
    with pytest.raises(ValueError) as refusal:
        job_of(kind)(document)
    return str(refusal.value)


# -- export --


def test_records_become_a_table_of_all_their_columns() -> None:
    records = (
        '{"id": 1, "name": "Jürgen, Dr.", "vip": true}\n\n{"id": 2, "tags": ["a"], "name": null}\n'
    )
    product = job_of("exportCustomers")(records.encode())
    assert product.body.decode().splitlines() == [
        "id,name,vip,tags",
        '1,"Jürgen, Dr.",true,',
        '2,,,"[""a""]"',
    ]
    assert product.suffix == "csv"


def test_a_line_that_is_no_record_is_named() -> None:
    assert refused("exportOrders", b'{"id": 1}\noops') == "line 2 is no JSON"
    assert refused("exportOrders", b"[1]") == "line 1 is no JSON object"


# -- report --


def test_sums_are_exact_and_the_largest_comes_first() -> None:
    sales = b"\xef\xbb\xbfcountry,product,amount\nDE,a,0.10\nFR,a,7\nDE,b,0.20\n\n"
    page = job_of("reportSales")(sales).body.decode()
    table = ["FR        7", "DE     0.30", "total  7.30"]
    assert page.splitlines() == ["Sales: amount by country", "", *table]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (b"", "the first line does not name two columns"),
        (b"country\nDE", "the first line does not name two columns"),
        (b"country,amount\nDE,1\nFR,some", "line 3: 'some' is no number"),
        (b"country,amount\nDE,NaN", "line 2: 'NaN' is no number to add"),
    ],
)
def test_a_report_of_what_cannot_be_added_is_refused(document: bytes, sentence: str) -> None:
    assert refused("reportSales", document) == sentence


# -- thumbnail --

RED, GREEN, BLUE, WHITE = b"\xff\0\0", b"\0\xff\0", b"\0\0\xff", b"\xff\xff\xff"


def test_a_picture_shrinks_to_the_edge_of_its_subject() -> None:
    banner = Picture(1280, 2, 3, [RED * 640 + BLUE * 640] * 2)
    small = decoded(job_of("thumbnailBanner")(encoded(banner)).body)
    assert (small.width, small.height) == (640, 1)
    assert small.rows == [RED * 320 + BLUE * 320]


def test_a_new_pixel_is_the_mean_of_the_old_ones() -> None:
    line = (RED + GREEN) * 256
    small = decoded(job_of("thumbnailOther")(encoded(Picture(512, 2, 3, [line, line]))).body)
    assert small.rows == [b"\x7f\x7f\0" * 256]


def test_a_small_picture_stays_as_it_is() -> None:
    picture = Picture(2, 2, 3, [RED + GREEN, BLUE + WHITE])
    assert decoded(job_of("thumbnailAvatar")(encoded(picture)).body) == picture


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
    assert "too many" in refused("thumbnailAvatar", png(40_000, 40_000, 2, b""))
    assert refused("thumbnailAvatar", png(1, 1, 0, b"\7\0")) == "filter 7 is none of PNG's"


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


@pytest.mark.parametrize("body", ["", "{}", "[]", '"text"', '{"detail": {"bucket": {}}}'])
def test_a_message_that_is_no_upload_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match="no event of S3"):
        Upload.of(body)


def test_a_result_is_never_taken_for_an_upload() -> None:
    body = '{"detail": {"bucket": {"name": "b"}, "object": {"key": "results/exportA/x.csv"}}}'
    with pytest.raises(ValueError, match="not below uploads/"):
        Upload.of(body)
