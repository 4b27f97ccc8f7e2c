"""The loop that docs/worker-loops.md shows, run by Node, with a queue in the place of SQS: what is
looked at is what it asks of the SDK."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stack import ROOT

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")

# A queue of one message. The log has each call when it is over; `hide` is slow, or refused, where a
# test wants it.
SDK = """
import { setTimeout } from "node:timers/promises";
const call = (name) => class { constructor(input) { Object.assign(this, { name, input }); } };
export const ReceiveMessageCommand = call("receive");
export const ChangeMessageVisibilityCommand = call("hide");
export const DeleteMessageCommand = call("delete");
let message = {
  MessageId: "1", ReceiptHandle: "r", Body: process.env.BODY,
  Attributes: { ApproximateReceiveCount: process.env.RECEIVES ?? "1" },
};
export class SQSClient {
  async send({ name, input }) {
    if (name === "receive") { const found = message; message = undefined;
      return found ? { Messages: [found] } : {}; }
    if (name === "hide") await setTimeout(Number(process.env.SLOW ?? 0));
    console.log(JSON.stringify({ event: "call", name, seconds: input.VisibilityTimeout }));
    if (name === "hide" && process.env.REFUSES) throw { name: process.env.REFUSES };
  }
}
"""

# As many seconds as the message says; what is no number cannot be parsed.
WORK = """
import { setTimeout } from "node:timers/promises";
export async function work(body, signal) {
  console.log(JSON.stringify({ event: "began" }));
  if (Number.isNaN(Number(body))) throw new RangeError(`cannot parse ${body}`);
  const deaf = process.env.DEAF === "yes";
  await setTimeout(Number(body) * 1000, undefined, deaf ? {} : { signal });
}
"""


@pytest.fixture()
def loop(tmp_path: Path) -> Path:
    page = (ROOT / "docs/worker-loops.md").read_text()
    (shown,) = re.findall(r"```js\n(.*?)```", page, re.DOTALL)
    assert len(shown.splitlines()) <= 65, "the page promises 60 lines"
    sdk = tmp_path / "node_modules/@aws-sdk/client-sqs"
    sdk.mkdir(parents=True)
    (sdk / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (sdk / "index.js").write_text(SDK)
    (tmp_path / "work.mjs").write_text(WORK)
    (tmp_path / "worker.mjs").write_text(shown)
    return tmp_path / "worker.mjs"


def started(loop: Path, body: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(NODE), str(loop)],
        env={"BODY": body, "QUEUE_URL": "queue", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(worker: subprocess.Popen[str]) -> list[dict[str, Any]]:
    try:
        output, _ = worker.communicate(timeout=30)
    finally:
        worker.kill()
    assert worker.returncode == 0, output
    return [json.loads(line) for line in output.splitlines()]


def calls(log: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    return [(line["name"], line.get("seconds")) for line in log if line["event"] == "call"]


def outcome(log: list[dict[str, Any]]) -> str:
    (line,) = [line for line in log if line["event"] == "message"]
    return str(line["outcome"])


def test_a_message_is_deleted_after_its_job(loop: Path) -> None:
    log = ended(started(loop, "0"))
    assert (calls(log), outcome(log)) == ([("delete", None)], "done")
    assert log[-1] == {"event": "ended", "why": "the queue is empty"}


@pytest.mark.parametrize(("receives", "pause"), [("1", 30), ("3", 120), ("9", 900)])
def test_a_failed_job_rests_and_its_text_is_not_told(loop: Path, receives: str, pause: int) -> None:
    log = ended(started(loop, "password=1", RECEIVES=receives))
    assert (calls(log), outcome(log)) == ([("hide", pause)], "failed")
    assert "password" not in json.dumps(log)
    assert {"type": "RangeError"}.items() <= log[-2].items()


def test_sigterm_gives_the_message_back(loop: Path) -> None:
    worker = started(loop, "60")
    assert worker.stdout is not None
    worker.stdout.readline()
    worker.send_signal(signal.SIGTERM)
    log = ended(worker)
    assert (calls(log), outcome(log)) == ([("hide", 0)], "given back")
    assert log[-1]["why"] == "told to stop"


def test_a_long_job_is_kept(loop: Path) -> None:
    log = ended(started(loop, "1.3", VISIBILITY_SECONDS="1"))
    beats, last = calls(log)[:-1], calls(log)[-1]
    assert 2 <= len(beats) and set(beats) == {("hide", 1)}
    assert (last, outcome(log)) == (("delete", None), "done")


def test_a_beat_under_way_is_waited_for(loop: Path) -> None:
    """It would hide again what is given back."""
    log = ended(started(loop, "0.5", VISIBILITY_SECONDS="1", SLOW="500"))
    assert calls(log) == [("hide", 1), ("delete", None)]


@pytest.mark.parametrize("deaf", ["no", "yes"])
@pytest.mark.parametrize("refusal", ["ReceiptHandleIsInvalid", "TimeoutError"])
def test_what_is_not_held_is_not_deleted(loop: Path, refusal: str, deaf: str) -> None:
    """Neither where SQS says so, nor where no beat gets through until the time is over."""
    log = ended(started(loop, "3", VISIBILITY_SECONDS="1", REFUSES=refusal, DEAF=deaf))
    assert {name for name, _ in calls(log)} == {"hide"}
    once = refusal == "ReceiptHandleIsInvalid"
    assert (len(calls(log)) == 1) == once, "no beat after it is known to be lost"
    said = "lost, and its result may be double" if deaf == "yes" else "lost"
    assert outcome(log) == said
