"""`template.yaml` with its parameters filled in: what CloudFormation would make of it.

As much of CloudFormation as the template uses. A part of a resource that is known only once it is made
stays as it is written in a `!Sub`: `${ScalerLogs.Arn}`.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::StackName": "scaler",
    "AWS::URLSuffix": "amazonaws.com",
}
NOTHING = object()
"""What `AWS::NoValue` leaves behind."""


class Filled:
    """A template with values for its parameters, and for the pseudo parameters."""

    def __init__(
        self, template: dict[str, Any], values: Mapping[str, str], pseudo: Mapping[str, str] = PSEUDO
    ) -> None:
        self.template = template
        self.pseudo = pseudo
        given = {n: p["Default"] for n, p in template["Parameters"].items() if "Default" in p}
        self.values = {name: str(value) for name, value in given.items()} | dict(values)

    def resource(self, name: str) -> dict[str, Any] | None:
        """A resource's properties, or None where its condition does not hold."""
        resource = self.template["Resources"][name]
        if "Condition" in resource and not self.holds(resource["Condition"]):
            return None
        properties: dict[str, Any] = self.of(resource["Properties"])
        return properties

    def output(self, name: str) -> Any:
        return self.of(self.template["Outputs"][name]["Value"])

    def holds(self, condition: str) -> bool:
        return bool(self.of(self.template["Conditions"][condition]))

    def refused(self) -> list[str]:
        """What the template's rules say against the values."""
        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            if self.of(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.of(assertion["Assert"])
        ]

    def of(self, node: Any) -> Any:
        """A part of the template without functions."""
        if isinstance(node, list):
            return [value for value in map(self.of, node) if value is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(name, argument)] = node.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self.called(name.removeprefix("Fn::"), argument)
        values = {key: self.of(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not NOTHING}

    def called(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", name:
                return self.referred(name)
            case "Condition", name if isinstance(name, str):
                return self.holds(name)
            case "GetAtt", [resource, attribute]:
                return f"${{{resource}.{attribute}}}"
            case "If", [condition, then, otherwise]:
                return self.of(then if self.holds(condition) else otherwise)
            case "Sub", [text, names]:
                return self.substituted(text, self.of(names))
            case "Sub", text:
                return self.substituted(text, {})
            case "Equals", [left, right]:
                return self.of(left) == self.of(right)
            case "Contains", [members, member]:
                return self.of(member) in self.of(members)
            case "Not", [condition]:
                return not self.of(condition)
            case "And", conditions:
                return all(map(self.of, conditions))
            case "Or", conditions:
                return any(map(self.of, conditions))
            case "Join", [separator, parts]:
                return separator.join(self.of(parts))
            case "Split", [separator, text]:
                return self.of(text).split(separator)
        raise ValueError(f"a function that the template did not use until now: {function} {argument}")

    def referred(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.template["Resources"]:
            return f"${{{name}}}"
        value = self.values[name]
        is_list = self.template["Parameters"][name]["Type"] == "CommaDelimitedList"
        return [part.strip() for part in value.split(",")] if is_list else value

    def substituted(self, text: str, names: Mapping[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in names:
                return names[name]
            return match[0] if "." in name else str(self.referred(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)


def refused_by(parameter: dict[str, Any], value: str) -> str | None:
    """What CloudFormation says against a value, as far as the parameter's constraints tell."""
    if fits(parameter, value):
        return None
    return str(parameter.get("ConstraintDescription", "is out of range"))


def fits(parameter: dict[str, Any], value: str) -> bool:
    if len(value.encode()) > 4096:
        return False
    if "AllowedValues" in parameter:
        return value in map(str, parameter["AllowedValues"])
    if parameter["Type"] == "Number":
        return bool(parameter["MinValue"] <= int(value) <= parameter["MaxValue"])
    if "MinLength" in parameter and len(value) < parameter["MinLength"]:
        return False
    if "MaxLength" in parameter and len(value) > parameter["MaxLength"]:
        return False
    pattern = parameter.get("AllowedPattern", "(?s).*")
    parts = value.split(",") if parameter["Type"] == "CommaDelimitedList" else [value]
    return all(re.fullmatch(pattern, part.strip()) for part in parts)
