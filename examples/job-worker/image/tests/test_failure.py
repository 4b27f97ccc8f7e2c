"""What the log says of an exception, and what it must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from worker.failure import Unfit, described

SECRET = "password=tr0ub4dor"
HERE = str(Path(__file__).relative_to(Path(__file__).parents[1]))


def caught(raises: Callable[[], object]) -> list[dict[str, str]]:
    try:
        raises()
    except Exception as error:
        return described(error)
    raise AssertionError("nothing was raised")


def parsed() -> None:
    raise ValueError(f"cannot parse {SECRET}")


def led_on() -> None:
    try:
        parsed()
    except ValueError as error:
        raise RuntimeError(f"gave up on {SECRET}") from error


def failed_again() -> None:
    try:
        parsed()
    except ValueError:
        raise KeyError(SECRET)


def hidden() -> None:
    try:
        parsed()
    except ValueError:
        raise KeyError(SECRET) from None


def in_a_library() -> None:
    json.loads(SECRET)


@pytest.mark.parametrize("raises", [parsed, led_on, failed_again, hidden, in_a_library])
def test_no_text_is_told(raises: Callable[[], object]) -> None:
    assert "tr0ub4dor" not in json.dumps(caught(raises))


def test_the_type_and_the_line_of_own_code_are_told_of_each_in_a_chain() -> None:
    line = parsed.__code__.co_firstlineno + 1
    told = {"type": "ValueError", "at": f"{HERE}:{line}"}
    assert caught(parsed) == [told]
    assert [each["type"] for each in caught(led_on)] == ["RuntimeError", "ValueError"]
    assert caught(led_on)[1] == told
    assert [each["type"] for each in caught(failed_again)] == ["KeyError", "ValueError"]
    assert [each["type"] for each in caught(hidden)] == ["KeyError"]


def test_an_error_inside_a_library_is_told_by_the_line_that_called_it() -> None:
    line = in_a_library.__code__.co_firstlineno + 1
    assert caught(in_a_library) == [{"type": "JSONDecodeError", "at": f"{HERE}:{line}"}]


def test_what_a_job_says_on_purpose_is_told() -> None:
    def unfit() -> None:
        raise Unfit("line 3 is no JSON")

    (told,) = caught(unfit)
    assert told["says"] == "line 3 is no JSON"


def test_awss_word_is_told_and_not_its_sentence() -> None:
    def denied() -> None:
        answer = {"Error": {"Code": "AccessDenied", "Message": SECRET}}
        raise ClientError(answer, "GetObject")

    (told,) = caught(denied)
    assert told["code"] == "AccessDenied"
    assert "tr0ub4dor" not in json.dumps(told)
