"""Writes workers.yaml for ecs-queue-scaler: one worker for each kind in template.yaml.

    python workers.py --network '<output AwsvpcConfiguration of the stack>' > workers.yaml

Without `--network` it is the file that lies here, with an example of a network. Needs PyYAML.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).with_name("template.yaml")
EXAMPLE_NETWORK = (
    '{"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}'
)

FILE = """\
# Made by workers.py from template.yaml: change that, and make it again.
cluster: {stack}
launch:
  networkConfiguration:
    awsvpcConfiguration: {network}
# Spot while there is some; what it cannot place is started on demand, in the same tick.
capacity:
  - {{capacityProvider: FARGATE_SPOT}}
  - {{capacityProvider: FARGATE}}

workers:
{workers}"""

WORKER = """\
  - name: {kind}
    queue: {stack}-{kind}
    taskDefinition: {stack}-{kind}
    scaling: {{messagesPerContainer: {messages}, maxContainers: {containers}}}
"""


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!FindInMap [...]` is its list, `!Ref x` its text."""


def short_form(loader: Template, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Template.add_multi_constructor("!", short_form)


def workers_yaml(stack: str, network: str) -> str:
    """The whole file. What a kind has of its own stands in the template's tags of its queue."""
    template = yaml.load(TEMPLATE.read_text(), Template)
    kinds = template["Parameters"]["Kinds"]["Default"].split(",")
    resources = template["Resources"]["Fn::ForEach::EachKind"][2]
    tags = {tag["Key"]: tag["Value"] for tag in resources["Queue${Kind}"]["Properties"]["Tags"]}

    def of_kind(kind: str, tag: str) -> str:
        _, _, attribute, usual = tags[f"ecs-queue-scaler:{tag}"]
        exceptions = template["Mappings"]["Exceptions"].get(kind, {})
        return str(exceptions.get(attribute, usual["DefaultValue"]))

    workers = [
        WORKER.format(
            kind=kind,
            stack=stack,
            messages=of_kind(kind, "messages-per-container"),
            containers=of_kind(kind, "max-containers"),
        )
        for kind in kinds
    ]
    return FILE.format(
        stack=stack, network=json.dumps(json.loads(network)), workers="".join(workers)
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--stack", default="job-worker", help="the name of the stack")
    options.add_argument("--network", default=EXAMPLE_NETWORK, help="an awsvpcConfiguration, JSON")
    chosen = options.parse_args()
    print(workers_yaml(chosen.stack, chosen.network), end="")


if __name__ == "__main__":
    main()
