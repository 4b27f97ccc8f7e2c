"""From an event of S3 to a result in S3: of `uploads/<kind>/a.b` comes `results/<kind>/a.b.<ext>`.

The result's name follows from the upload's, so that a job that runs twice writes the same twice.
Neither is ever held as a whole, so that the size of an upload is no matter of memory.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from boto3.s3.transfer import TransferConfig

from worker.failure import Unfit
from worker.kinds import Work

UPLOADS = "uploads/"
RESULTS = "results/"

# No threads: then the job runs in the main one, which is the one that can be interrupted.
IN_PARTS = TransferConfig(use_threads=False)
BUFFER = 1 << 20


@dataclass(frozen=True)
class Upload:
    """An object that somebody put into the bucket."""

    bucket: str
    key: str
    version: str | None = None
    """Of a bucket that keeps versions: the one that the event is about. Another may be the newest
    by now, and has an event of its own."""

    @classmethod
    def of(cls, body: str) -> Upload:
        """From an EventBridge event of S3, whose keys are not URL-encoded (those of S3's own
        notifications are). `Unfit` when it is something else."""
        try:
            detail = json.loads(body)["detail"]
            bucket, found = detail["bucket"]["name"], detail["object"]
            upload = cls(bucket, found["key"], found.get("version-id"))
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise Unfit("the message is no event of S3 from EventBridge") from error
        if not upload.key.startswith(UPLOADS):
            raise Unfit(f"the object is not below {UPLOADS}")
        return upload

    def result_key(self, suffix: str) -> str:
        return f"{RESULTS}{self.key.removeprefix(UPLOADS)}.{suffix}"


@dataclass
class Stored:
    """The upload, to be read from its beginning as often as a job likes: always the same bytes."""

    s3: Any
    upload: Upload
    etag: str | None = None
    """Of what was read first. In a bucket without versions it may be replaced meanwhile."""

    def open(self) -> BinaryIO:
        same = {"VersionId": self.upload.version} if self.upload.version else {}
        if self.etag:
            same["IfMatch"] = self.etag
        found = self.s3.get_object(Bucket=self.upload.bucket, Key=self.upload.key, **same)
        self.etag = found["ETag"]
        return io.BufferedReader(found["Body"], BUFFER)


class Made(io.RawIOBase):
    """Pieces as a file, each made when somebody reads it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def worked_on(s3: Any, body: str, work: Work) -> None:
    """Works on the upload that a message tells of, and stores the result, which is there as a whole
    or not at all."""
    upload = Upload.of(body)
    product = work(Stored(s3, upload).open)
    s3.upload_fileobj(
        io.BufferedReader(Made(product.body), BUFFER),
        upload.bucket,
        upload.result_key(product.suffix),
        ExtraArgs={"ContentType": product.media_type},
        Config=IN_PARTS,
    )
