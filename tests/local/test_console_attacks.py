"""What a console answers to those who are not its own page: a local server is open to every site in the same browser."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path
from typing import Iterator

import pytest

from browser import Console, console


@pytest.fixture(scope="module")
def demo() -> Iterator[Console]:
    running = console("--demo", "--port", "0", "--prometheus", "--also-port", "9")
    yield running
    assert running.process.poll() is None, "it has stood all of it"
    running.end()


def connected(demo: Console, timeout: float = 30) -> socket.socket:
    return socket.create_connection(("127.0.0.1", demo.port), timeout=timeout)


def read(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while part := connection.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    return answer


def sent(demo: Console, raw: bytes) -> str:
    """What comes back until the server closes."""
    with connected(demo) as connection:
        connection.sendall(raw)
        return read(connection).decode(errors="replace")


def asked(demo: Console, line: str, *headers: str, host: str | None = None, body: str = "") -> str:
    host = f"127.0.0.1:{demo.port}" if host is None else host
    lines = [line, *([f"Host: {host}"] if host else []), *headers, "Connection: close"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return sent(demo, ("\r\n".join([*lines, "", ""]) + body).encode())


def code(answer: str) -> int:
    return int(answer.split()[1]) if answer else 0


def with_key(demo: Console) -> str:
    return f"Authorization: Bearer {demo.key}"


def is_well(demo: Console) -> bool:
    return code(asked(demo, "GET /api/status HTTP/1.1", with_key(demo))) == 200


def test_only_its_own_names_are_answered_to(demo: Console) -> None:
    key = with_key(demo)
    for host in (
        "example.com",
        f"example.com:{demo.port}",
        f"127.0.0.1.example.com:{demo.port}",
        f"localhost.example.com:{demo.port}",
        f"127.0.0.1:{demo.port + 1}",
        "127.0.0.1",
        f"evil@127.0.0.1:{demo.port}",
        "",
    ):
        for path in ("/", "/page.js", "/api/status", "/metrics"):
            answer = asked(demo, f"GET {path} HTTP/1.1", key, host=host)
            assert code(answer) in (400, 421), f"{host} {path}: {answer}"
    for host in (f"127.0.0.1:{demo.port}", f"localhost:{demo.port}", f"[::1]:{demo.port}", "localhost:9"):
        assert code(asked(demo, "GET /api/status HTTP/1.1", key, host=host)) == 200, host
    absolute = asked(demo, f"GET http://example.com:{demo.port}/api/status HTTP/1.1", key)
    assert code(absolute) == 421, absolute


def test_nothing_about_the_account_is_said_without_the_key(demo: Console) -> None:
    for path in ("/api/status", "/api/live", "/api/workers/ocr-orders", "/metrics", "/api/no-such"):
        for header in ("X-None: 1", "Authorization: Bearer 0", f"Authorization: Basic {demo.key}", f"Cookie: k={demo.key}"):
            answer = asked(demo, f"GET {path} HTTP/1.1", header)
            assert code(answer) == 401 and "ocr" not in answer, answer
        assert code(asked(demo, f"GET {path}?k={demo.key} HTTP/1.1")) == 401
    for path in ("/", "/page.js", "/page.css", "/help/not-served"):
        answer = asked(demo, f"GET {path} HTTP/1.1")
        assert code(answer) == 200 and demo.key not in answer


def test_every_answer_has_the_headers_that_keep_it_in(demo: Console) -> None:
    for line in ("GET / HTTP/1.1", "GET /api/status HTTP/1.1", "GET /no-such HTTP/1.1", "OPTIONS /api/status HTTP/1.1"):
        answer = asked(demo, line, "Origin: https://example.com").lower()
        for header in (
            "content-security-policy: default-src 'none'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ):
            assert header in answer, f"{line}: {answer}"
        assert "access-control" not in answer and "unsafe" not in answer and "set-cookie" not in answer


def test_other_sites_change_nothing(demo: Console) -> None:
    key, kind = with_key(demo), "Content-Type: application/json"
    path = "POST /api/workers/ocr-orders/tasks/00000001/stop HTTP/1.1"
    body = '{"task":"00000001"}'
    assert code(asked(demo, path, kind, body=body)) == 401
    for site in ("X-None: 1", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: none"):
        assert code(asked(demo, path, key, kind, site, body=body)) == 403, site
    same = "Sec-Fetch-Site: same-origin"
    assert code(asked(demo, path, key, kind, same, "Origin: https://example.com", body=body)) == 403
    form = "Content-Type: application/x-www-form-urlencoded"
    assert code(asked(demo, path, key, form, same, body="task=00000001")) == 415
    # Our own page gets no further either: without --allow-stop there is no such way.
    assert code(asked(demo, path, key, kind, same, body=body)) in (404, 405)
    assert code(asked(demo, "OPTIONS /api/status HTTP/1.1", "Origin: https://example.com", key)) == 405


def test_no_file_but_its_own_is_read(demo: Console) -> None:
    for path in (
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/help/../../Cargo.toml",
        "/help/..%2f..%2fCargo.toml",
        "//etc/passwd",
        "/api/workers/..%2f..%2fetc%2fpasswd",
        "/.git/config",
        "/page.js%00.css",
        "/index.html",
    ):
        answer = asked(demo, f"GET {path} HTTP/1.1", with_key(demo))
        assert code(answer) in (400, 404) and "root:" not in answer and "[package]" not in answer, answer
    for raw in (b"GET /api/workers/%ff%fe HTTP/1.1", b"GET /api/workers/\xff\xfe HTTP/1.1"):
        host = f"\r\nHost: 127.0.0.1:{demo.port}\r\n{with_key(demo)}\r\nConnection: close\r\n\r\n".encode()
        assert code(sent(demo, raw + host)) in (400, 404)


def test_long_heads_and_bodies_are_cut_off(demo: Console) -> None:
    with connected(demo) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{demo.port}\r\n".encode())
        try:
            for _ in range(1000):
                connection.sendall(b"X-Long: " + b"a" * 10_000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = read(connection).decode()
    assert code(answer) in (0, 431), answer
    many = "".join(f"X-{number}: 1\r\n" for number in range(500))
    answer = sent(demo, f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{demo.port}\r\n{many}\r\n".encode())
    assert code(answer) in (0, 431), answer
    assert code(asked(demo, "GET /" + "a" * 100_000 + " HTTP/1.1")) in (0, 414, 431)
    assert is_well(demo)


def test_who_is_slow_or_too_many_keeps_nobody_from_it(demo: Console) -> None:
    slow = [connected(demo) for _ in range(20)]
    for number, connection in enumerate(slow):
        connection.sendall(b"GET / HT" if number % 2 else b"")
    assert is_well(demo)
    crowd = []
    for _ in range(1000):
        try:
            crowd.append(connected(demo, timeout=5))
        except OSError:
            break
    assert len(crowd) > 500
    for connection in crowd:
        connection.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not is_well(demo):
        time.sleep(0.2)
    assert is_well(demo), "the crowd has gone"
    # Who takes all places, asks for much, and reads nothing of it.
    greedy = [connected(demo) for _ in range(64)]
    for connection in greedy:
        connection.sendall(f"GET /uplot.js HTTP/1.1\r\nHost: 127.0.0.1:{demo.port}\r\n\r\n".encode() * 40)
    for _ in range(5):
        assert is_well(demo), "strangers give way to who has the key"
    for connection in greedy:
        connection.close()
    lone = connected(demo)
    lone.sendall(b"GET / HT")
    begun = time.monotonic()
    assert code(read(lone).decode()) in (0, 408)
    assert 10 < time.monotonic() - begun < 40, "it is closed by the server, in its time"
    for connection in [*slow, lone]:
        connection.close()
    memory = Path(f"/proc/{demo.process.pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", memory)[1]) < 80_000, memory  # type: ignore[index]


def test_it_listens_on_this_machine_alone(demo: Console) -> None:
    def listening(file: str) -> list[str]:
        lines = [line.split() for line in Path(file).read_text().splitlines()[1:]]
        own = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{demo.port:04X}")]
        return [address.split(":")[0] for address in own]

    assert listening("/proc/net/tcp") == ["0100007F"]
    if Path("/proc/net/tcp6").exists():
        assert listening("/proc/net/tcp6") in ([], ["00000000000000000000000001000000"])
