"""What the runbook quotes are the function's words, and what it filters the log by are its fields."""

from __future__ import annotations

import re

import pytest

from pages import ALARMS, blocks, outside_blocks, pages
from stack import ROOT

RESULT = "docs/result.md"

# Programs and functions of a shell, whose calls stand in backquotes too.
CALLED = ("aws", "cargo", "make", "parameter", "queue", "queue-scaler", "sam", "tick", "logged")

# Words that are quoted and not the function's.
OF_OTHERS = {
    "decreases account's UnreservedConcurrentExecution below its minimum value": "Lambda",
    "Requires capabilities : [CAPABILITY_IAM]": "CloudFormation",
    "Parameter value, NAME, failed to satisfy the regular expression validation constraint": "Parameter Store",
    "EC2 Spot Instance Interruption Warning": "EventBridge",
    "EC2 Instance Rebalance Recommendation": "EventBridge",
    "EC2 Instance-terminate Lifecycle Action": "EventBridge",
    "7x4 + 1x2": "the value of a tag",
}


def runbook() -> dict[str, str]:
    names = ("docs/operations.md", "docs/deploying.md")
    found = pages().items()
    return {page: text for page, text in found if page in names or page.startswith("docs/alarms/")}


def quotes(page: str) -> list[str]:
    """What is in backquotes, has three words or more, and is no command and no setting."""
    found = re.findall(r"`([^`]+)`", outside_blocks(page))
    joined = [" ".join(text.split()) for text in found]
    return [
        text
        for text in joined
        if len(text.split()) >= 3 and text.split()[0] not in CALLED and not re.search(r"[{}$=|]", text)
    ]


def words_of_the_function() -> str:
    """The texts of its sources, and of the snapshots of what it has said."""
    sources = [*ROOT.glob("src/**/*.rs"), *ROOT.glob("decision/src/**/*.rs")]
    snapshots = [path for where in ("src", "decision/src", "tests/it") for path in ROOT.glob(f"{where}/**/*.snap")]
    assert sources and snapshots
    texts = (path.read_text() for path in (*sources, *snapshots))
    return "\n".join(re.sub(r"\\\n\s*", "", text) for text in texts)


def unsaid(quote: str, words: str) -> list[str]:
    """The parts of a quote, without its numbers and omissions, that the function never says."""
    parts = [part.strip() for part in re.split(r"\.\.\.|\b\d+\b", quote)]
    return [part for part in parts if part not in words]


def test_what_is_quoted_is_what_the_function_says() -> None:
    words = words_of_the_function()
    assert unsaid("no AWS credentials; give the function a role", words) == []
    assert unsaid("Unable to locate credentials", words) != []
    quoted = {page: quotes(text) for page, text in runbook().items()}
    listed = [quote for found in quoted.values() for quote in found]
    assert "no instance has room" in listed and "no AWS credentials" in listed
    assert set(OF_OTHERS) <= set(listed), "nobody quotes it any more"
    wrong = {
        (page, quote): parts
        for page, found in quoted.items()
        for quote in found
        if quote not in OF_OTHERS and (parts := unsaid(quote, words))
    }
    assert wrong == {}


def test_every_reason_why_messages_wait_is_explained() -> None:
    source = (ROOT / "src" / "report" / "waiting.rs").read_text()
    body = source.split("pub enum WaitsFor {")[1].split("\n}")[0]
    variants = re.findall(r"^    ([A-Z]\w+),", body, re.M)
    reasons = {name[0].lower() + name[1:] for name in variants}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", pages()["docs/alarms/not-served.md"], re.M)
    explained = {word for row in rows for word in re.findall(r"`(\w+)`", row)} - {"waitsFor"}
    assert len(reasons) > 10
    assert explained == reasons


def fields(block: str) -> list[str]:
    """What a filter pattern asks for. A name with a point in it needs brackets: else it is a member
    of a member (CloudWatch Logs user guide, "Filter pattern syntax")."""
    return [bracketed or plain for bracketed, plain in re.findall(r"\$\.(?:\['([^']+)'\]|([\w.]+))", block)]


def is_of_the_log(field: str, result: str) -> bool:
    return f"`{field}`" in result or f'"{field}":' in result


@pytest.mark.parametrize("page", [page for page in runbook() if page != ALARMS])
def test_filters_ask_for_fields_of_the_log(page: str) -> None:
    text, result = runbook()[page], pages()[RESULT]
    filters = "\n".join(blocks(text, "sh"))
    assert [field for field in fields(filters) if not is_of_the_log(field, result)] == []
    assert re.findall(r"\$\.\w+\.\w+", filters) == []


def test_a_field_that_no_line_has_is_noticed() -> None:
    result = pages()[RESULT]
    asked = fields("logged '{ $.waits_for = * }'; logged \"{ \\$.['containers.idle'] > 0 }\"")
    assert asked == ["waits_for", "containers.idle"]
    assert all(is_of_the_log(field, result) for field in asked)
    assert not is_of_the_log("waiting_for", result)


def queried(query: str) -> set[str]:
    """The names of a query of Logs Insights that are fields of the log."""
    query = re.sub(r"/[^/]*/|\"[^\"]*\"", "", query)
    made = set(re.findall(r" as (\w+)", query))
    words = set(re.findall(r"[a-z_]+(?:\.[a-z_]+)*", re.sub(r"@\w+|\w+\(", "", query)))
    syntax = {"filter", "and", "or", "sort", "desc", "display", "limit", "stats", "by", "like", "as", "h"}
    return words - made - syntax


def test_queries_ask_for_fields_of_the_log() -> None:
    sample = 'filter worker.name = "a" | stats sum(tasks.launched) as tasks by bin(1h), error'
    assert queried(sample) == {"worker.name", "tasks.launched", "error"}
    result, count = pages()[RESULT], 0
    for page, text in runbook().items():
        for query in blocks(text, "text"):
            names = queried(query)
            assert names, f"{page}: {query}"
            assert [n for n in names if not is_of_the_log(n, result)] == [], f"{page}: {query}"
            count += 1
    assert count >= 6
