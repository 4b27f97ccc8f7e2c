"""`template.yaml` as SAM's transform makes it, with all that SAM adds."""

from __future__ import annotations

from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from template import read_template, resources


def expanded() -> dict[str, Any]:
    template = read_template()
    for function in resources(template, "AWS::Serverless::Function").values():
        function["Properties"]["CodeUri"] = {"Bucket": "packages", "Key": "function.zip"}
    values = {name: one.get("Default", "none") for name, one in template["Parameters"].items()}
    session = boto3.Session(region_name="eu-central-1")
    made: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(template, values)
    return made
