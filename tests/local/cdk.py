"""What `examples/cdk` synthesizes, in the words of `template.yaml`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any, Mapping

from template import ROOT

EXAMPLE = ROOT / "examples" / "cdk"
MODULES = ROOT / ".tools" / "cdk" / "node_modules"
STACKS = ROOT / "tests" / "local" / "cdk_stacks.ts"
QUIET = {"CDK_DISABLE_CLI_TELEMETRY": "true", "NO_UPDATE_NOTIFIER": "true", "NO_COLOR": "1"}

Cases = Mapping[str, Mapping[str, str]]


def workspace(folder: Path) -> Path:
    """The example as its user has it: installed, and with a zip."""
    assert MODULES.exists(), f"there is no {MODULES}: run `make tools` first"
    copied = shutil.copytree(
        EXAMPLE, folder / "cdk", ignore=shutil.ignore_patterns("node_modules", "out", "cdk.out")
    )
    (copied / "node_modules").symlink_to(MODULES)
    with zipfile.ZipFile(copied / "ecs-queue-scaler-arm64.zip", "w") as package:
        package.writestr("bootstrap", "")
    return copied


def run(folder: Path, *command: str | Path, **variables: str) -> str:
    """What the command prints; what went wrong with it fails the test."""
    environment = os.environ | QUIET | variables
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def synthesized(folder: Path) -> dict[str, Any]:
    """The template of the example's own app, by `cdk synth`."""
    run(folder, "npx", "cdk", "synth", "--quiet", "--no-notices")
    return read(folder / "cdk.out" / "ecs-queue-scaler.template.json")


def compiled_stacks(folder: Path, cases: Cases) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """A template for each set of parameters, and what the program tells beside."""
    shutil.copy(STACKS, folder / "bin" / "stacks.ts")
    run(folder, "npx", "tsc")
    (folder / "cases.json").write_text(json.dumps(cases))
    told = run(
        folder,
        "node",
        "out/bin/stacks.js",
        "ecs-queue-scaler-arm64.zip",
        "cases.json",
        CDK_OUTDIR="cases.out",
    )
    made = {name: read(folder / "cases.out" / f"{name}.template.json") for name in cases}
    return made, json.loads(told)


def read(path: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(path.read_text())
    return template


def name_of(logical_id: str, resource: dict[str, Any]) -> str:
    """The template's name of a resource: the construct's own ids are these names."""
    path = resource.get("Metadata", {}).get("aws:cdk:path", logical_id)
    return str(path.removesuffix("/Resource").split("/")[-1])


def renamed(template: dict[str, Any]) -> dict[str, Any]:
    """A synthesized template under the names of `template.yaml`."""
    names = {id: name_of(id, resource) for id, resource in template["Resources"].items()}
    assert len(set(names.values())) == len(names), names

    def of(node: Any) -> Any:
        match node:
            case {"Ref": target} if target in names:
                return {"Ref": names[target]}
            case {"Fn::GetAtt": [target, attribute]}:
                return {"Fn::GetAtt": [names[target], attribute]}
            case dict():
                return {key: of(value) for key, value in node.items()}
            case list():
                return [of(value) for value in node]
        return node

    resources = {}
    for id, resource in template["Resources"].items():
        resources[names[id]] = of(resource) | (
            {"DependsOn": [names[one] for one in resource["DependsOn"]]} if "DependsOn" in resource else {}
        )
    return {
        "Parameters": {},
        "Resources": resources,
        "Outputs": of(template.get("Outputs", {})),
    }
