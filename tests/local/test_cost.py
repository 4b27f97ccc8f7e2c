"""docs/cost.md says what is so: what it measured, and what follows from it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from cost import PAGE, Tick, measured_of, month, of_page, rendered, replaced
from stack import built_binary
from template import read_template

BINARY = built_binary()

# Of the bytes alone: durations and ARNs have their lengths.
TOLERANCE = 0.1

NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 10: "ten", 11: "eleven", 12: "twelve"}


def differs(told: Tick, seen: Tick) -> bool:
    alike = abs(told.log_bytes - seen.log_bytes) <= TOLERANCE * seen.log_bytes
    return not alike or dataclasses.replace(told, log_bytes=seen.log_bytes) != seen


def test_the_tables_follow_from_what_was_measured() -> None:
    page = PAGE.read_text()
    assert replaced(page, of_page(page)) == page, "run `make docs`"


@pytest.mark.parametrize("workers", [1, 10])
def test_what_was_measured_is_so(workers: int) -> None:
    told = [tick for tick in of_page(PAGE.read_text()) if tick.workers == workers]
    seen = measured_of(BINARY, workers)
    assert [pair for pair in zip(told, seen, strict=True) if differs(*pair)] == [], "run `make docs`"


def test_another_measurement_is_noticed() -> None:
    tick = Tick(workers=10, busy=True, log_bytes=20_000, metrics=184, sqs_calls=10, ecs_calls=3)
    assert not differs(tick, dataclasses.replace(tick, log_bytes=21_000))
    for change in ({"log_bytes": 23_000}, {"metrics": 194}, {"ecs_calls": 4}, {"busy": False}):
        assert differs(tick, dataclasses.replace(tick, **change)), change
    assert Tick.of_row(tick.row()) == tick
    assert rendered([tick, tick]) != rendered([tick, dataclasses.replace(tick, metrics=185)])


def test_a_month_is_the_sum_that_a_person_makes() -> None:
    """730 hours, 43,800 ticks; 31 metrics at $0.30, nine alarms with a metric each and one worker's in
    the query."""
    one = month(Tick(workers=1, busy=True, log_bytes=10_000, metrics=31, sqs_calls=1, ecs_calls=3))
    assert one.metrics == pytest.approx(9.30)
    assert one.alarms == pytest.approx(1.00)
    assert one.sqs == pytest.approx(0.01752)
    assert one.log == pytest.approx(0.438 * 0.53)
    # 2,190 GB-seconds, and each tick a request and a call of Scheduler.
    assert one.function == pytest.approx(0.0292 + 0.00876 + 0.0438, abs=1e-4)
    idle = month(Tick(workers=1, busy=False, log_bytes=0, metrics=14, sqs_calls=1, ecs_calls=0))
    assert idle.alarms == pytest.approx(0.90)


def test_the_dashboard_shows_as_many_metrics_as_the_page_says() -> None:
    body = read_template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    searched = json.dumps(body).count("SEARCH(")
    assert f"shows {NUMBERS[searched]} metrics a worker" in PAGE.read_text()
