"""One SQS queue, in the hands of one worker.

SQS counts how often a message was *received*, whatever became of it, and nothing takes a receive
back. The redrive policy goes by that count.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from worker.log import log

# A call has to end before SIGKILL: a poll may take its 20 s, everything else much less.
CLIENT = Config(connect_timeout=5, read_timeout=25, retries={"mode": "standard"})

LONGEST_BACK_OFF = 900
"""Seconds."""

GIVEN_BACK = "given-back"
"""The attribute of a message that was sent again: how often."""
MOST_GIVEN_BACK = 10
"""A job for which no container lives long enough ends in the dead letters, too."""

NOT_OURS = ("InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid")
"""How SQS says that a receipt is stale."""


@dataclass(eq=False)
class Message:
    """A message that was received, and is invisible to others for a while."""

    id: str
    receipt: str
    body: str
    receives: int
    """How often, this time included."""
    attributes: dict[str, Any]
    until: float
    """It is invisible for so long, by the monotonic clock."""

    @property
    def held(self) -> bool:
        """Whether nobody else can have it. Who does not hold a message must not delete it: another
        container may be at work on it."""
        return time.monotonic() < self.until

    @property
    def given_back(self) -> int:
        """As far as it is a number of ours: anybody can send anything."""
        times = self.attributes.get(GIVEN_BACK, {}).get("StringValue", "")
        return int(times) if re.fullmatch("[0-9]{1,3}", times) else 0


@dataclass(frozen=True)
class Queue:
    """Whatever SQS refuses is raised: a worker that cannot take, delete or return messages has to
    end with an error that somebody sees."""

    sqs: Any
    url: str
    wait_seconds: int = 20
    """How long SQS looks for a message; 20 is its longest. A short poll asks only some of its
    servers, and an empty answer would say nothing."""
    visibility_seconds: int = 120
    """For how long a message that was received, or kept, is invisible to others."""
    back_off_seconds: int = 30
    """How long a message rests after its first failure; twice as long after each that follows."""
    batch: int = 1
    """How many messages are taken at once: the scaler's `inFlightPerContainer`."""

    def __post_init__(self) -> None:
        if self.fifo and self.batch != 1:
            raise ValueError(
                "BATCH has to be 1 on a FIFO queue: messages behind one that fails would have to be"
                " given back unread, and follow it to the dead letters by their count of receives"
            )

    @property
    def fifo(self) -> bool:
        return self.url.endswith(".fifo")

    def receive(self) -> list[Message]:
        # Where an answer is lost, the SDK asks again: with this, SQS gives the same messages again.
        attempt = {"ReceiveRequestAttemptId": str(uuid.uuid4())} if self.fifo else {}
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=self.batch,
            WaitTimeSeconds=self.wait_seconds,
            VisibilityTimeout=self.visibility_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
            **attempt,
        )
        until = time.monotonic() + self.visibility_seconds
        return [
            Message(
                found["MessageId"],
                found["ReceiptHandle"],
                found["Body"],
                int(found["Attributes"]["ApproximateReceiveCount"]),
                found.get("MessageAttributes", {}),
                until,
            )
            for found in answer.get("Messages", [])
        ]

    def keep(self, message: Message) -> None:
        """Nobody else sees the message for another `visibility_seconds` from now. Where SQS says
        that somebody else may have it, it is not held any more."""
        until = time.monotonic() + self.visibility_seconds
        try:
            self._set_visibility(message, self.visibility_seconds)
        except ClientError as error:
            if error.response["Error"]["Code"].endswith(NOT_OURS):
                message.until = 0
            raise
        message.until = until

    def put_off(self, message: Message) -> int:
        """Nobody has the message for some seconds, which are returned: more with each receive."""
        doubled = self.back_off_seconds * 2 ** min(message.receives - 1, 10)
        seconds = min(doubled, LONGEST_BACK_OFF)
        self._set_visibility(message, seconds)
        return seconds

    def give_back(self, message: Message) -> None:
        """Somebody else may have the message at once.

        That it was received here is to count for nothing. So a message that was never received
        before is sent again, as a new one, and then deleted. One that was, may have failed then: it
        keeps its count, to which this receive is added. So does a message of a FIFO queue, which
        would lose its place, and whatever SQS does not take again.
        """
        new = message.receives == 1 and message.given_back < MOST_GIVEN_BACK
        if new and not self.fifo and self._sent_again(message):
            self.delete(message)
        else:
            self._set_visibility(message, 0)

    def delete(self, message: Message) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

    def _sent_again(self, message: Message) -> bool:
        times = {"DataType": "Number", "StringValue": str(message.given_back + 1)}
        try:
            self.sqs.send_message(
                QueueUrl=self.url,
                MessageBody=message.body,
                MessageAttributes={**message.attributes, GIVEN_BACK: times},
                DelaySeconds=0,
            )
        except ClientError as error:
            # The role does not allow it, or the message is as large as can be.
            log("not sent again", message=message.id, code=error.response["Error"]["Code"])
            return False
        return True

    def _set_visibility(self, message: Message, seconds: int) -> None:
        self.sqs.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )
