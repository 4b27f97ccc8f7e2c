"""`make emulator`: a local AWS with queues, messages and task definitions, to try the function on
with `cargo lambda watch` and `cargo lambda invoke`. It stays until Ctrl-C."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path

from scenario import CONFIG, prepare, send
from stack import CREDENTIALS, SCALER, Stack, local_aws


def environment(stack: Stack) -> str:
    """What a shell sources so that the function finds the emulator and its configuration."""
    variables = {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": stack.endpoint,
        "SCALER_NAME": SCALER,
        "SCALER_CONFIG": json.dumps(CONFIG),
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def main(env_file: Path) -> None:
    with local_aws() as stack:
        prepare(stack)
        send(stack)
        env_file.write_text(environment(stack))
        try:
            print(f"A local AWS is at {stack.endpoint}. In another terminal:\n")
            print(f"  source {env_file}\n  cargo lambda watch\n")
            print("Ctrl-C stops it.", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            print("\nstopping")
        finally:
            env_file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
