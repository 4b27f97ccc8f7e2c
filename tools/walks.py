#!/usr/bin/env python3
"""How far three values walk through the code: functions and files from where each comes in to where it
goes out. The fewer, the sooner a reader has followed it.

    walks.py            the figures of each walk
    walks.py --steps    and its functions
    walks.py --check    the figures, after this script has shown that it can fail

The walks are in walks.txt, a step a line, `path: function` or `path: Type::function`. A step is every
function that the value goes into, or comes out of, in whatever it is carried by. One that only looks at
it (to decide something else) is none, nor is the arithmetic of decision/src/units.rs, nor a closure, nor
what only sends a call. A value that comes back to a function makes it a step again, which is counted
once.

Two neighbours have to be linked in the source: one of them calls the other, or passes it on by name.
`< Name` at the end of a line is for what no call shows: both have to name what is handed over.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WALKS = Path(__file__).resolve().with_suffix(".txt")

# Comments, and texts in quotes; a lifetime is neither.
NO_CODE = re.compile(
    r"//[^\n]*|/\*.*?\*/|r(#*)\".*?\"\1|\"(?:\\.|[^\"\\])*\"|'(?:\\.[^']*|[^'\\])'", re.DOTALL
)
IMPL = re.compile(r"^impl\b(?:<[^{]*?>)?\s+(?:[^{]*?\bfor\s+)?(?:[\w:]*::)?(\w+)", re.MULTILINE)
FUNCTION = re.compile(r"\bfn\s+(\w+)")


class Wrong(Exception):
    """Why a list and the source do not fit."""


def blank(match: re.Match) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def block(code: str, start: int) -> int:
    """Where what begins at `start` ends: after its braces, or at its semicolon."""
    depth = 0
    for at in range(start, len(code)):
        if code[at] in "([{":
            depth += 1
        elif code[at] in ")]}":
            depth -= 1
            if depth == 0 and code[at] == "}":
                return at + 1
        elif code[at] == ";" and depth == 0:
            return at
    return len(code)


def functions(source: str) -> dict[str, str]:
    """Signature and body of each function, by its name and by `Type::name`. Tests are left out."""
    code = NO_CODE.sub(blank, source)
    for test in reversed(list(re.finditer(r"#\[cfg\(test\)\]", code))):
        code = code[: test.start()] + code[block(code, test.end()) :]
    impls = [(m.start(), block(code, m.start()), m.group(1)) for m in IMPL.finditer(code)]
    found: dict[str, str] = {}
    for match in FUNCTION.finditer(code):
        owner = next((name for a, b, name in impls if a < match.start() < b), None)
        name = f"{owner}::{match.group(1)}" if owner else match.group(1)
        # `Self` is named by the type that it stands for.
        found[name] = f"{owner or ''} {code[match.start() : block(code, match.start())]}"
    return found


def calls(text: str, name: str) -> bool:
    name = name.rsplit("::", 1)[-1]
    # What is shown calls `fmt` by another name.
    names = "fmt|to_string" if name == "fmt" else name
    text = FUNCTION.sub("", text)
    passed_on = rf"[(,]\s*(?:\w+::)*(?:{names})\s*\)"
    return re.search(rf"\b(?:{names})\s*(?:::<[^>]*>\s*)?\(|{passed_on}", text) is not None


def read(text: str) -> dict[str, list[tuple[str, str, str]]]:
    """The steps of each walk: file, function, and what it was handed."""
    walks: dict[str, list[tuple[str, str, str]]] = {}
    steps: list[tuple[str, str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("== "):
            steps = walks.setdefault(line[3:], [])
        elif line and not line.startswith("#"):
            match = re.fullmatch(r"(\S+\.rs): ([\w:]+)(?:\s+< (\w+))?", line)
            if not match:
                raise Wrong(f"line {number} is no step: {line}")
            steps.append((match[1], match[2], match[3] or ""))
    if not all(walks.values()) or not walks:
        raise Wrong("a walk has no steps")
    return walks


def check(name: str, steps: list[tuple[str, str, str]], sources: dict[str, str]) -> None:
    before = ""
    texts = []
    for path, function, _ in steps:
        if path not in sources:
            raise Wrong(f"{name}: there is no {path}")
        text = functions(sources[path]).get(function)
        if text is None:
            raise Wrong(f"{name}: {path} has no function {function}")
        texts.append(text)
    for index in range(1, len(steps)):
        (_, before, _), (path, after, handed) = steps[index - 1], steps[index]
        one, other = texts[index - 1], texts[index]
        if handed:
            if not all(re.search(rf"\b{handed}\b", text) for text in (one, other)):
                raise Wrong(f"{name}: {before} and {after} ({path}) do not both name {handed}")
        elif not calls(one, after) and not calls(other, before):
            raise Wrong(f"{name}: neither of {before} and {after} ({path}) calls the other")


def show_that_it_can_fail() -> None:
    source = """
        fn first(depth: u64) -> Seen { let text = "third()"; second(depth) } // third()
        fn second(depth: u64) -> Seen { Seen }
        fn third(seen: &Seen) {}
        #[cfg(test)]
        mod tests { fn fourth() { third() } }
    """
    good = "== x\na.rs: first\na.rs: second\na.rs: third < Seen\n"
    check("x", read(good)["x"], {"a.rs": source})
    for bad in [
        good.replace("a.rs: first", "b.rs: first"),
        good.replace("second", "secund"),
        good.replace("a.rs: second\n", "").replace(" < Seen", ""),
        good.replace("Seen", "Plan"),
        good + "a.rs: fourth\n",
        good + "third\n",
        "== x\n",
    ]:
        try:
            check("x", read(bad)["x"], {"a.rs": source})
        except Wrong:
            continue
        sys.exit(f"walks.py takes what is wrong:\n{bad}")


def main() -> None:
    if "--check" in sys.argv:
        show_that_it_can_fail()
    try:
        walks = read(WALKS.read_text())
        paths = {path for steps in walks.values() for path, _, _ in steps}
        sources = {path: (ROOT / path).read_text() for path in paths if (ROOT / path).exists()}
        for name, steps in walks.items():
            check(name, steps, sources)
    except Wrong as wrong:
        sys.exit(f"{WALKS.name}: {wrong}")
    for name, steps in walks.items():
        every = dict.fromkeys((path, function) for path, function, _ in steps)
        files = {path for path, _ in every}
        print(f"{name}: {len(every)} functions in {len(files)} files")
        for path, function in every if "--steps" in sys.argv else []:
            print(f"  {path}: {function}")


if __name__ == "__main__":
    main()
