"""From an event of S3 to a result in S3: of `uploads/<kind>/a.b` comes `results/<kind>/a.b.<ext>`.

The result's name follows from the upload's, so that a job that runs twice writes the same twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from worker.kinds import Work

UPLOADS = "uploads/"
RESULTS = "results/"


@dataclass(frozen=True)
class Upload:
    """An object that somebody put into the bucket."""

    bucket: str
    key: str

    @classmethod
    def of(cls, body: str) -> Upload:
        """From an EventBridge event of S3, whose keys are not URL-encoded (those of S3's own
        notifications are). `ValueError` when it is something else."""
        try:
            detail = json.loads(body)["detail"]
            upload = cls(detail["bucket"]["name"], detail["object"]["key"])
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError("the message is no event of S3 from EventBridge") from error
        if not upload.key.startswith(UPLOADS):
            raise ValueError(f"{upload.key} is not below {UPLOADS}")
        return upload

    def result_key(self, suffix: str) -> str:
        return f"{RESULTS}{self.key.removeprefix(UPLOADS)}.{suffix}"


def worked_on(s3: Any, body: str, work: Work) -> None:
    """Fetches the upload that a message tells of, works on it, and stores the result."""
    upload = Upload.of(body)
    document = s3.get_object(Bucket=upload.bucket, Key=upload.key)["Body"].read()
    product = work(document)
    s3.put_object(
        Bucket=upload.bucket,
        Key=upload.result_key(product.suffix),
        Body=product.body,
        ContentType=product.media_type,
    )
