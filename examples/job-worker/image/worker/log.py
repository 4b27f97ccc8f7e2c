"""The worker's log."""

from __future__ import annotations

import json


def log(event: str, **fields: object) -> None:
    """One line of JSON, as CloudWatch Logs Insights reads it. Never a message's body."""
    print(json.dumps({"event": event, **fields}), flush=True)
