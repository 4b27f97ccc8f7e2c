"""A module of Terraform with values for its variables: what its blocks say.

As much of HCL as examples/terraform uses. What is known only once it is applied stays a reference:
`${aws_sqs_queue.failed_events.arn}`.
"""

from __future__ import annotations

import json
import operator
import re
from pathlib import Path
from typing import Any, Iterator, Mapping

import hcl2

TEXT = r'"(?:[^"\\]|\\.)*"'
NAME = r"[A-Za-z_][\w-]*(?:\.[\w-]+|\[each\.key\])*"
OPERATOR = r"==|!=|[<>]=?|&&|\|\||[?:,=(){}\[\]]"
TOKEN = re.compile(rf"\s*(?P<token>{TEXT}|{NAME}|-?\d+|{OPERATOR})")
INTERPOLATION = re.compile(r"\$\{([^}]+)\}")

FUNCTIONS = {
    "concat": lambda *lists: [item for one in lists for item in one],
    "filebase64sha256": lambda path: f"digest of {path}",
    "join": lambda separator, parts: separator.join(parts),
    "length": len,
    "merge": lambda *maps: {key: value for one in maps for key, value in one.items()},
}
FOR_TERRAFORM = {"count", "depends_on", "for_each", "lifecycle"}
"""Of a resource: what it has for Terraform, and not for AWS."""
CONSTANTS = {"true": True, "false": False, "null": None}


Files = Mapping[str, dict[str, Any]]


def parsed(folder: Path) -> Files:
    return {path.name: hcl2.loads(path.read_text()) for path in sorted(folder.glob("*.tf"))}


class Module:
    """The files of a folder. `outside` has what data sources of the account tell."""

    def __init__(self, files: Files, values: Mapping[str, Any], outside: Mapping[str, str]) -> None:
        self.files = files
        self.variables = {name: body for name, body in self.blocks("variable")}
        self.locals: dict[str, Any] = {}
        for file in self.files.values():
            for block in file.get("locals", []):
                self.locals |= attributes(block)
        defaults = {
            name: self.of(body["default"]) for name, body in self.variables.items() if "default" in body
        }
        assert set(values) <= set(self.variables), set(values) - set(self.variables)
        self.values = defaults | dict(values)
        self.outside = outside

    def blocks(self, kind: str, of_type: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Blocks by their last label."""
        for file in self.files.values():
            for block in file.get(kind, []):
                for label, inside in attributes(block).items():
                    if of_type is None:
                        yield unquoted(label), inside
                    elif unquoted(label) == of_type:
                        yield from ((unquoted(name), body) for name, body in attributes(inside).items())

    def resources(self, of_type: str) -> dict[str, dict[str, Any]]:
        """What would be made of a type, by name; with `count`, if it is not 0."""
        bodies = dict(self.blocks("resource", of_type))
        made = {name: body for name, body in bodies.items() if self.of(body.get("count", 1))}
        return {
            name: {key: self.of(value) for key, value in attributes(body).items() if key not in FOR_TERRAFORM}
            for name, body in made.items()
        }

    def refused(self) -> list[str]:
        """What resources say against the values."""
        bodies = [body for file in self.files.values() for body in file.get("resource", [])]
        conditions = [
            condition
            for one in bodies
            for named in attributes(one).values()
            for body in attributes(named).values()
            for lifecycle in body.get("lifecycle", [])
            for condition in lifecycle.get("precondition", [])
        ]
        return [self.of(one["error_message"]) for one in conditions if not self.of(one["condition"])]

    def document(self, name: str) -> list[dict[str, Any]]:
        """The statements of an `aws_iam_policy_document`, as IAM has them."""
        body = dict(self.blocks("data", "aws_iam_policy_document"))[name]
        return [statement(self.of(one)) for one in self.statements(body)]

    def statements(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Those that hold. The parser keeps apart what is dynamic: a statement has its name for a place."""
        dynamic = [block['"statement"'] for block in body.get("dynamic", [])]
        held = [block["content"][0] for block in dynamic if self.of(block["for_each"])]
        return [*body.get("statement", []), *held]

    def of(self, node: Any) -> Any:
        """A part of the module without expressions."""
        if isinstance(node, list):
            return [self.of(item) for item in node]
        if isinstance(node, dict):
            return {unquoted(key): self.of(value) for key, value in attributes(node).items()}
        if not isinstance(node, str):
            return node
        if node.startswith('"'):
            return self.text(json.loads(node))
        whole = re.fullmatch(r"\$\{(.*)\}", node, re.S)
        return Expression(whole[1] if whole else node, self).value()

    def text(self, text: str) -> str:
        return INTERPOLATION.sub(lambda match: str(Expression(match[1], self).value()), text)

    def named(self, name: str) -> Any:
        if name in CONSTANTS:
            return CONSTANTS[name]
        kind, *path = name.split(".")
        if kind == "var":
            return self.values[path[0]]
        if kind == "local":
            return self.of(self.locals[path[0]])
        if kind == "data" and path[0] == "aws_iam_policy_document":
            return self.document(path[1])
        if kind == "data":
            return self.outside[name]
        assert kind.startswith("aws_") or kind == "each", name
        return f"${{{name}}}"


COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Expression:
    """One expression, read and computed from left to right."""

    def __init__(self, text: str, module: Module) -> None:
        self.tokens = [match["token"] for match in TOKEN.finditer(text)]
        assert "".join(self.tokens).replace(" ", "") == re.sub(r"\s", "", text), f"not read: {text}"
        self.module = module

    def value(self) -> Any:
        value = self.conditional()
        assert not self.tokens, self.tokens
        return value

    def taken(self, *tokens: str) -> str | None:
        if self.tokens and self.tokens[0] in tokens:
            return self.tokens.pop(0)
        return None

    def conditional(self) -> Any:
        value = self.either()
        if not self.taken("?"):
            return value
        then = self.conditional()
        assert self.taken(":"), self.tokens
        otherwise = self.conditional()
        return then if value else otherwise

    def either(self) -> Any:
        value = self.both()
        while self.taken("||"):
            value = self.both() or value
        return value

    def both(self) -> Any:
        value = self.compared()
        while self.taken("&&"):
            value = self.compared() and value
        return value

    def compared(self) -> Any:
        value = self.single()
        if comparison := self.taken(*COMPARISONS):
            return COMPARISONS[comparison](value, self.single())
        return value

    def single(self) -> Any:
        token = self.tokens.pop(0)
        if token == "[":
            return self.items("]")
        if token == "{":
            return self.members()
        if token.startswith('"'):
            return self.module.text(json.loads(token))
        if token.lstrip("-").isdigit():
            return int(token)
        if self.taken("("):
            return FUNCTIONS[token](*self.items(")"))
        return self.module.named(token)

    def items(self, end: str) -> list[Any]:
        found = []
        while not self.taken(end):
            found.append(self.conditional())
            self.taken(",")
        return found

    def members(self) -> dict[str, Any]:
        found = {}
        while not self.taken("}"):
            name = self.tokens.pop(0)
            assert self.taken("="), self.tokens
            found[name] = self.conditional()
            self.taken(",")
        return found


def attributes(block: dict[str, Any]) -> dict[str, Any]:
    """Without what the parser notes for itself."""
    return {key: value for key, value in block.items() if not key.startswith("__")}


def unquoted(label: str) -> str:
    return label.strip('"')


def statement(body: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": body.get("effect", "Allow")}
    if "sid" in body:
        made["Sid"] = body["sid"]
    for ours, theirs in {"actions": "Action", "resources": "Resource"}.items():
        if ours in body:
            made[theirs] = body[ours]
    for principal in body.get("principals", []):
        is_anybody = principal["type"] == "*"
        made["Principal"] = "*" if is_anybody else {principal["type"]: principal["identifiers"]}
    for condition in body.get("condition", []):
        made["Condition"] = {condition["test"]: {condition["variable"]: condition["values"]}}
    return made
