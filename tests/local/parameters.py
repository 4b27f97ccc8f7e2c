"""`make docs`: docs/parameters.md, from template.yaml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from template import ROOT, read_template

PAGE = ROOT / "docs" / "parameters.md"

HEAD = """# Parameters

What `sam deploy --guided` asks for. This page is made from `template.yaml` by `make docs`.
"""


def allowed(parameter: dict[str, Any]) -> str:
    """What a value must be, in words that a person can check."""
    if values := parameter.get("AllowedValues"):
        return ", ".join(f"`{value}`" for value in values)
    if "MinValue" in parameter:
        return f"{parameter['MinValue']} to {parameter['MaxValue']}"
    if "AllowedPattern" in parameter:
        return str(parameter["ConstraintDescription"]).replace("|", "\\|")
    return f"{parameter['MinLength']} to {parameter['MaxLength']} characters"


def row(name: str, parameter: dict[str, Any]) -> str:
    default = f"`{parameter['Default']}`" if parameter["Default"] != "" else "empty"
    return f"| `{name}` | {parameter['Description']} | {allowed(parameter)} | {default} |"


def page(template: dict[str, Any]) -> str:
    """The whole page, in the order and under the headings that the console shows."""
    parts = [HEAD]
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    for group in groups:
        parts.append(f"\n## {group['Label']['default']}\n")
        parts.append("\n| parameter | meaning | allowed | default |\n|---|---|---|---|\n")
        parts += [f"{row(name, template['Parameters'][name])}\n" for name in group["Parameters"]]
    return "".join(parts)


def main(page_file: Path) -> None:
    page_file.write_text(page(read_template()))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE)
