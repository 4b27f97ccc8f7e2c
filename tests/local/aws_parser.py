"""The AWS CLI's own parser, without AWS: run by the Python of `.tools/awscli`.

It reads calls from its standard input, a JSON list of lists of arguments, and writes what the CLI says
against each, or an empty text. A call goes as far as its request, which botocore checks against the
model of its operation; it is answered before it is sent.
"""

import argparse
import contextlib
import io
import json
import sys

from awscli.botocore.awsrequest import AWSResponse
from awscli.clidriver import create_clidriver
from awscli.customizations.commands import BasicCommand
from awscli.customizations.waiters import WaiterCaller

LAST_LINES = 3


class UnknownValue(Exception):
    """A value that is none of those that the model lists, which botocore leaves to AWS."""


def answered(**_):
    """In place of sending a request."""
    return AWSResponse("", 200, {}, None), {}


def listed(params, model, **_):
    if model.input_shape:
        check(model.input_shape, params)


def check(shape, value):
    if shape.type_name == "structure":
        for name, member in value.items():
            if name in shape.members:
                check(shape.members[name], member)
    elif shape.type_name == "list":
        for member in value:
            check(shape.member, member)
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        raise UnknownValue(f"{value} is none of {', '.join(shape.enum)}")


def commands_that_do_more_than_a_call():
    """Such as `aws s3 cp`: they have a parser like the others, and code of their own behind it."""
    known = [BasicCommand]
    for command in known:
        known.extend(command.__subclasses__())
    return [command for command in known if "_run_main" in vars(command) and not command.SUBCOMMANDS]


def complaint(driver, arguments):
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            status = driver.main(arguments)
        except SystemExit as ended:
            status = ended.code
    lines = [line for line in said.getvalue().splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:]) or f"status {status}" if status else ""


def main():
    driver = create_clidriver()
    driver.session.register("before-parameter-build", listed)
    driver.session.register("before-call", answered)
    for command in commands_that_do_more_than_a_call():
        command._run_main = lambda self, parsed_args, parsed_globals: 0
    WaiterCaller.invoke = lambda *_: 0
    # Half an option's name is none.
    argparse.ArgumentParser._get_option_tuples = lambda *_: []
    calls = json.load(sys.stdin)
    json.dump([complaint(driver, arguments) for arguments in calls], sys.stdout)


if __name__ == "__main__":
    main()
