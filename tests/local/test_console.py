"""The console in a real browser: of the demo's day, of the local AWS, and of a server with 500 workers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Iterator
from urllib.error import HTTPError
from urllib.parse import urlparse

import pytest
from selenium.webdriver.common.keys import Keys

from between import Answer, Conversation, between, refused
from browser import QUEUE_SCALER, Console, Page, browser, console
from many_workers import EVIL, many_workers
from scenario import CONFIG
from stack import REGION, ROOT, SCALER, Stack, event, free_port

PICTURES = ROOT / "target" / "pictures"
BREAKER = "mail-videos"  # of the demo's day with the seed 1
MODULES = ROOT / ".tools" / "page" / "node_modules"
AXE = MODULES / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    yield from browser(tmp_path_factory.mktemp("profile"))


@pytest.fixture(autouse=True)
def nothing_went_wrong_or_out(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: the browser's console is empty, and no request has left this machine."""
    page: Page = request.getfixturevalue("page")
    page.size(1280, 900)
    page.prefers(color_scheme="light")
    page.driver.get_log("browser")
    yield
    allowed = ("net::ERR_CONNECTION_REFUSED", "net::ERR_INCOMPLETE_CHUNKED_ENCODING", "net::ERR_CONNECTION_RESET")
    ends_servers = request.node.get_closest_marker("ends_servers") is not None
    said = [entry["message"] for entry in page.driver.get_log("browser")]
    assert [line for line in said if not (ends_servers and any(it in line for it in allowed))] == []
    for entry in page.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            address = urlparse(message["params"]["request"]["url"])
            assert address.scheme not in ("http", "https", "ws", "wss") or address.hostname == "127.0.0.1", address
    page.driver.get("about:blank")


@pytest.fixture(scope="module")
def demo() -> Iterator[Console]:
    running = console("--demo", "--port", "0", "--prometheus")
    yield running
    assert running.end() == 1


def opened(page: Page, demo: Console, place: str = "") -> None:
    page.open(demo.address + place)
    page.until(page.rows)


def serious(page: Page) -> list[str]:
    """What axe-core finds of its serious kinds."""
    page.run(AXE.read_text())
    script = "const done = arguments[arguments.length - 1]; axe.run().then((found) => done(found.violations))"
    found = page.driver.execute_async_script(script)
    return [f"{it['id']}: {it['nodes'][0]['html']}" for it in found if it["impact"] in SERIOUS]


def test_whoever_opens_it_sees_who_is_in_trouble_why_and_what_to_do(page: Page, demo: Console) -> None:
    opened(page, demo)
    rows = page.rows()
    assert 5 < len(rows) < 52 and BREAKER in rows[:3], rows
    assert re.search(r"3 in trouble", page.text("header")) and page.driver.title == "(3) demo"
    assert "BREAKER" in page.row(BREAKER) and "exit code 137" in page.row(BREAKER)
    denied = page.row("ocr-documents").split()
    assert denied.count("?") >= 6 and "0" not in denied, "what was not read is never zero"
    assert serious(page) == []
    page.picture(PICTURES / "console.png")

    page.find(f'#workers tr[data-worker="{BREAKER}"] .name').click()
    page.until(lambda: "Tasks: 0" in page.text("#worker"))
    text = page.text("#worker")
    for words in (
        "267 visible + 0 in flight = 267; / 1 per container = 267 containers; - 0 alive = launch 0",
        "exit 137 OutOfMemoryError",
        "aws logs tail /ecs/mail-videos",
        "cluster jobs",
    ):
        assert words in text, text
    help_page = page.find('#worker a[href="help/breaker-open"]').get_attribute("href")
    assert demo.get(urlparse(help_page).path).startswith("# Breaker open")
    assert page.driver.switch_to.active_element.get_attribute("id") == "worker-name"


def test_charts_have_pixels_and_their_tables_the_numbers(page: Page, demo: Console) -> None:
    opened(page, demo, f"&w={BREAKER}")
    page.until(lambda: len(page.all("#worker canvas")) == 4)
    drawn = """return [...document.querySelectorAll("#worker canvas")].map((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    })"""
    assert min(page.run(drawn)) > 10, "colours"  # type: ignore[call-overload]
    page.run("document.querySelectorAll('#worker details').forEach((it) => { it.open = true })")
    page.until(lambda: len(page.all("#worker details table")) == 4)
    newest = [row.text.split()[1:] for row in page.all("#worker details tbody tr:first-child")]
    assert newest[:3] == [["267", "0"], ["0", "0", "100"], ["0", "7"]] and newest[3][0] == "1h", newest
    captions = [caption.text for caption in page.all("#worker figcaption")]
    assert captions[0] == "waiting: 267 now, peak 267; in flight: 0 now, peak 0.", captions
    assert serious(page) == []
    page.size(1280, 1700)
    page.picture(PICTURES / "worker.png")


def test_search_order_and_worker_are_in_the_address(page: Page, demo: Console) -> None:
    opened(page, demo)
    page.find('input[value="all"]').click()
    assert len(page.rows()) == 52 and "52 of 52" in page.text("#count")
    page.find('th[data-key="waiting"] button').click()
    most = page.rows()
    page.find('th[data-key="waiting"] button').click()
    # A new reading may have moved some.
    assert set(page.rows()[-2:]) & {"ocr-documents"} and most[0] in page.rows()[-4:], "what is not known comes last"
    page.find("#text").send_keys("state:br")
    assert page.rows() == [BREAKER]
    address = page.driver.current_url
    assert {"q=state%3Abr", "sort=-waiting", "show=all"} <= set(address.split("#")[1].split("&")), address
    opened(page, Console(demo.process, address))
    assert page.rows() == [BREAKER] and page.find("#text").get_attribute("value") == "state:br"
    page.find("#text").send_keys(Keys.ESCAPE)
    assert len(page.rows()) == 52
    page.find("#text").send_keys(">200")
    many = {name: page.row(name).split()[1] for name in page.rows()}
    assert 0 < len(many) < 20 and all(int(waiting.replace(",", "")) > 200 for waiting in many.values()), many
    for text, count in (("cluster:jobs", 52), ("cluster:other", 0)):
        page.find("#text").clear()
        page.find("#text").send_keys(text)
        assert len(page.rows()) == count, text
    page.find("#text").clear()
    page.find("#text").send_keys("no-such-worker")
    assert page.rows() == [] and "Press Escape" in page.text("#nothing")


def test_a_search_means_what_a_filter_of_top_means(page: Page, demo: Console) -> None:
    opened(page, demo)
    cases = json.loads((ROOT / "tests" / "it" / "cli" / "filters.json").read_text())
    script = """const done = arguments[arguments.length - 1];
        import("/table.js").then(({ isMeant }) => done(arguments[0].map((it) => isMeant(it.filter, it))));"""
    seen = page.driver.execute_async_script(script, [case | {"words": case["state"]} for case in cases])
    wrong = [case for case, is_meant in zip(cases, seen, strict=True) if case["isMeant"] != is_meant]
    assert wrong == []


def test_what_somebody_reads_is_left_alone(page: Page, demo: Console) -> None:
    opened(page, demo, f"&w={BREAKER}")
    page.until(lambda: page.all('#worker a[href="help/breaker-open"]') and page.all("#worker pre"))
    page.run("document.querySelector('#worker a[href=\"help/breaker-open\"]').focus(); window.log = document.querySelector('#worker pre')")
    before = page.text("#worker figcaption"), page.text("#age")
    page.until(lambda: page.text("#age").split(",")[0] != before[1].split(",")[0], seconds=20)
    assert page.driver.switch_to.active_element.get_attribute("href").endswith("help/breaker-open")
    assert page.run("return window.log === document.querySelector('#worker pre')") is True


def test_all_of_it_is_done_by_keys(page: Page, demo: Console) -> None:
    opened(page, demo)
    page.press("/", "state:br", Keys.ENTER)
    assert page.rows() == [BREAKER]
    page.press(Keys.ESCAPE)
    rows = page.rows()
    page.press("j", "j", "k")
    focused = page.driver.switch_to.active_element
    assert focused.text in rows
    page.press(Keys.ENTER)
    page.until(lambda: page.find("#worker").is_displayed())
    assert focused.text in page.text("#worker-name")
    page.press(Keys.ESCAPE)
    assert not page.find("#worker").is_displayed()
    assert page.driver.switch_to.active_element.text == focused.text, "back where it was"
    page.press("?")
    assert page.find("#keys").is_displayed() and serious(page) == []
    page.press(Keys.ESCAPE)
    assert not page.find("#keys").is_displayed()
    # From end to end by Tab: everything that can be done can be reached.
    seen = set()
    page.run("document.activeElement.blur()")
    for _ in range(60):
        page.press(Keys.TAB)
        active = page.driver.switch_to.active_element
        seen.add(active.get_attribute("id") or active.text or active.get_attribute("value"))
    assert {"text", "busy", "Waiting", "show-keys", *page.rows()[:3]} <= seen, seen


def test_it_fits_small_and_dark_and_large(page: Page, demo: Console) -> None:
    opened(page, demo, f"&w={BREAKER}")
    page.until(lambda: "Tasks: 0" in page.text("#worker"))
    for width in (320, 640, 1280):
        page.size(width, 900)
        assert page.run("return document.documentElement.scrollWidth") <= width  # type: ignore[operator]
        assert BREAKER in page.row(BREAKER) and "BREAKER" in page.row(BREAKER), width
    page.prefers(color_scheme="dark", reduced_motion="reduce")
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(18, 20, 23)"
    assert page.run("return getComputedStyle(document.querySelector('tbody tr')).transitionDuration") == "0s"
    assert serious(page) == [], "in the dark, too"
    page.picture(PICTURES / "dark.png")
    page.size(320, 900)
    assert serious(page) == []
    page.picture(PICTURES / "narrow.png")


def test_without_javascript_it_says_what_to_use_instead(page: Page, demo: Console) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.open(demo.address)
        assert "queue-scaler top" in page.text("noscript")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.ends_servers
def test_a_lost_server_is_told_and_found_again(page: Page) -> None:
    port, key = str(free_port()), "0123456789abcdef" * 2
    where = ("--demo", "--port", port)
    first = console(*where, QUEUE_SCALER_CONSOLE_KEY=key)
    opened(page, first)
    first.end()
    page.until(lambda: page.find("#banner").is_displayed())
    assert "No connection since" in page.text("#banner") and "You are seeing values from" in page.text("#banner")
    page.until(lambda: "stale" in (page.find("main").get_attribute("class") or ""))
    assert BREAKER in page.rows(), "the last values stay"
    second = console(*where, QUEUE_SCALER_CONSOLE_KEY=key)
    page.until(lambda: not page.find("#banner").is_displayed(), seconds=60)
    page.until(lambda: "stale" not in (page.find("main").get_attribute("class") or ""))
    second.end()


def connections(port: int) -> int:
    """Those that are open to a port of this machine."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1] == f"0100007F:{port:04X}" and line.split()[3] == "01" for line in lines)


@pytest.mark.ends_servers
def test_a_hidden_page_listens_to_nothing(page: Page) -> None:
    own = console("--demo", "--port", "0")
    opened(page, own)
    page.until(lambda: connections(own.port) > 0)
    hide = """Object.defineProperty(document, "hidden", { configurable: true, get: () => arguments[0] });
        document.dispatchEvent(new Event("visibilitychange"));"""
    age = page.text("#age")
    page.run(hide.replace("arguments[0]", "true"))
    page.until(lambda: connections(own.port) == 0)
    page.until(lambda: int(re.search(r", (\d+)s ago", page.text("#age"))[1]) > 8)  # type: ignore[index]
    page.run(hide.replace("arguments[0]", "false"))
    page.until(lambda: ", 0s ago" in page.text("#age") or ", 1s ago" in page.text("#age"))
    assert page.text("#age") != age
    own.end()


def test_500_workers_with_bad_names_are_drawn_and_kept_up_to_date(page: Page) -> None:
    with many_workers(500) as (many, address):
        page.open(address)
        page.until(lambda: len(page.rows()) == 500)
        names = "return [...document.querySelectorAll('#workers .name')].map((it) => it.textContent)"
        assert set(EVIL) <= set(page.run(names))  # type: ignore[call-overload]
        assert page.run("return document.querySelectorAll('main img, main script, main b').length") == 0
        assert page.run("return document.documentElement.scrollWidth") <= 1280  # type: ignore[operator]
        assert re.search(r", \ds ago; tasks 1\ds ago$", page.text("#age")), page.text("#age")
        page.run(
            """window.tasks = [];
            new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((it) => it.duration)))
                .observe({ type: "longtask" });
            document.querySelector('tr[data-worker="worker-250"] .name').focus();"""
        )
        before = page.row("worker-250")
        for _ in range(5):
            many.advance()
            page.until(lambda: page.row("worker-250") != before)
            before = page.row("worker-250")
        assert page.driver.switch_to.active_element.text == "worker-250", "who chose one keeps it"
        evil = page.find("#workers tbody tr .name")
        page.run("arguments[0].click()", page.run("return [...document.querySelectorAll('#workers .name')].find((it) => it.textContent.startsWith('<img'))"))
        assert evil and EVIL[0] in page.text("#worker-name") and "<script>alert" in page.text("#worker")
        assert page.run("return document.querySelectorAll('img, body script, b').length") == 0
        many.advance()
        print("longest task of an update, ms:", page.run("return Math.max(0, ...window.tasks)"))


def test_5000_tasks_and_reasons_that_are_html_are_text(page: Page) -> None:
    with many_workers(20) as (_, address):
        page.open(address + "&w=worker-001")
        page.until(lambda: "Tasks: 5,000" in page.text("#worker"))
        rows = "return document.querySelector('#worker [aria-label=Tasks] tbody').rows.length"
        assert page.run(rows) == 100
        assert "4,900 tasks more." in page.text("#worker")
        next(it for it in page.all("#worker button") if it.text == "Show 100 more").click()
        page.until(lambda: page.run(rows) == 200)
        text = page.text("#worker")
        assert text.count("exit 1 <img src=x onerror=alert(1)>") == 10 and "and 2 other ways before" in text
        assert "Ended badly before that" in text and "2h 00m ago" in text
        assert "<img src=x onerror=alert(1)>:8 is new since" in text
        assert page.run("return document.querySelectorAll('img, body script, b').length") == 0
        assert serious(page) == []


def test_new_credentials_and_another_configuration_are_found_while_it_runs(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    """Keys that end, in a file that then has others; and a file of workers that somebody changes."""
    keys, workers = tmp_path / "credentials", tmp_path / "workers.yaml"
    workers.write_text(json.dumps(CONFIG))

    def sign_in(key: str) -> None:
        keys.write_text(f"[ops]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")

    def reply(call: Conversation) -> Answer | None:
        signed = call.headers["Authorization"]
        if "Credential=AKIAENDS/" not in signed:
            return None
        if "/sts/aws4_request" in signed:
            words = "<Code>ExpiredToken</Code><Message>The security token is expired</Message>"
            return 403, "text/xml", f"<ErrorResponse><Error>{words}</Error></ErrorResponse>".encode()
        return refused("ExpiredTokenException", "The security token is expired")

    sign_in("AKIAENDS")
    with between(stack.endpoint) as there:
        where = ("--endpoint-url", there.endpoint, "--region", REGION, "--name", SCALER, "--config", str(workers))
        reading = console("--port", "0", "--profile", "ops", *where, AWS_SHARED_CREDENTIALS_FILE=str(keys))
        opened(page, reading, "&show=all")
        page.until(lambda: sorted(page.rows()) == ["export", "thumbnail"])
        there.replies = reply
        page.until(lambda: "NOT READ" in page.row("export"))
        assert page.row("export").count("?") >= 5, "what it was is not shown as what it is"
        sign_in("AKIANEW")
        page.until(lambda: "NOT READ" not in page.row("export"), seconds=90)
        assert f"AKIANEW {REGION}" in there.signed

        config = json.loads(workers.read_text())
        config["workers"] = [worker for worker in config["workers"] if worker["name"] == "export"]
        workers.write_text(json.dumps(config))
        page.until(lambda: page.rows() == ["export"], seconds=90)
        page.driver.get("about:blank")
        reading.end()


def test_what_happens_on_the_local_aws_is_seen_without_reloading(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    workers = tmp_path / "workers.yaml"
    workers.write_text(json.dumps(CONFIG))
    where = ("--endpoint-url", stack.endpoint, "--region", REGION, "--function", SCALER)
    reading = console("--port", "0", *where)
    opened(page, reading, "&show=all")
    page.run("window.isTheSame = true")
    stack.send("thumbnail", 3)
    page.until(lambda: re.search(r"^thumbnail 3\b", page.row("thumbnail")), seconds=30)
    stack.invoke(event("schedule.json", 0))
    page.until(lambda: " OK" in page.row("thumbnail"))
    assert page.run("return window.isTheSame") is True
    page.find('#workers tr[data-worker="thumbnail"] .name').click()
    page.until(lambda: re.search(r"Tasks: [1-9]", page.text("#worker")))
    assert page.all("button[data-task]") == [], "it may stop nothing"
    assert '"messagesPerContainer": 1' in page.text("#worker"), "its configuration"
    tasks = stack.tasks()
    path = f"/api/workers/thumbnail/tasks/{tasks[0]['taskArn'].split('/')[-1]}/stop"
    with pytest.raises(HTTPError) as refused:
        reading.get(path)
    assert refused.value.code == 404
    assert json.loads(reading.get("/api/workers/thumbnail"))["schema"] == "queue-scaler.worker"
    page.driver.get("about:blank")
    reading.end()

    stopping = console("--port", "0", "--allow-stop", "--utc", *where)
    opened(page, stopping, "&show=all&w=thumbnail")
    page.until(lambda: page.all("button[data-task]"))
    button = page.all("button[data-task]")[0]
    task = button.get_attribute("data-task")
    button.click()
    page.until(lambda: page.find("#yes").is_enabled())
    assert "SIGTERM" in page.text("#question-text") and serious(page) == []
    page.find("#no").click()
    assert len(stack.tasks()) == len(tasks), "no is no"
    # Who closes a question before its answer is there, and asks about another task, has said yes to that one alone.
    other = next(it for it in page.all("button[data-task]") if it.get_attribute("data-task") != task)
    other.click()
    page.press(Keys.ESCAPE)
    page.find(f'button[data-task="{task}"]').click()
    page.until(lambda: page.find("#yes").is_enabled())
    page.find("#yes").click()
    page.until(lambda: "stopped it; its reason is" in page.text("#question-text"))
    assert page.text("#no") == "Close" and not page.find("#yes").is_displayed()
    page.find("#no").click()
    page.until(lambda: not page.all(f'button[data-task="{task}"]'))
    assert page.text("#age").split(",")[0].endswith("UTC")
    left = [it["taskArn"].split("/")[-1] for it in stack.tasks()]
    assert len(left) == len(tasks) - 1 and task not in left
    stopped = [it for it in stack.tasks("STOPPED") if it["taskArn"].endswith(f"/{task}")]
    assert "queue-scaler: console" in stopped[0]["stoppedReason"]
    page.driver.get("about:blank")
    stopping.end()


def test_a_status_is_saved_as_a_page_that_needs_no_server(page: Page, stack: Stack, tmp_path: Path) -> None:
    workers, saved = tmp_path / "workers.yaml", tmp_path / "incident.html"
    workers.write_text(json.dumps(CONFIG))
    where = ["--endpoint-url", stack.endpoint, "--region", REGION, "--name", SCALER, "--config", str(workers)]
    ended = subprocess.run(
        [str(QUEUE_SCALER), "status", "--html", str(saved), *where], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0 and f"written to {saved}" in ended.stderr, ended.stderr
    page.open(f"file://{saved}")
    page.find('input[value="all"]').click()
    assert sorted(page.rows()) == ["export", "thumbnail"]
    assert "as of 20" in page.text("#age") and "Saved by queue-scaler" in page.text("#foot")
    page.find("#workers .name").click()
    assert "Its tasks were not saved" in page.text("#worker")
    assert serious(page) == []


def test_the_charts_are_those_of_npm_and_the_page_is_small() -> None:
    files = ROOT / "src" / "cli" / "console" / "page"
    for ours, theirs in (("uplot.js", "uPlot.iife.min.js"), ("uplot.css", "uPlot.min.css")):
        assert (files / ours).read_bytes() == (MODULES / "uplot" / "dist" / theirs).read_bytes(), "make uplot"
    assert sum(file.stat().st_size for file in files.iterdir()) < 200_000


def test_a_port_that_is_taken_and_a_weak_key_are_told(demo: Console) -> None:
    command = [str(QUEUE_SCALER), "console", "--demo", "--port"]
    taken = subprocess.run([*command, str(demo.port)], capture_output=True, text=True, timeout=30)
    assert taken.returncode == 1 and "is in use, perhaps by another console: `--port 0`" in taken.stderr
    weak = subprocess.run(
        [*command, "0"], capture_output=True, text=True, timeout=30, env=os.environ | {"QUEUE_SCALER_CONSOLE_KEY": "abc"}
    )
    assert weak.returncode == 2 and "at least 32 hexadecimal digits" in weak.stderr
