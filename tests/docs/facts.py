"""Compares docs/ with the program and its source: messages, metrics, flags, fields of the API, names of files, width of lines.

Headings of docs/troubleshooting.md quote messages, with what differs in braces; each must stand in a string of the source, outside of
tests. Knows where each kind of fact is stated, once; runs nothing.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LINE = 130
problems: list[str] = []


def expect(holds: bool, what: str) -> None:
    if not holds:
        problems.append(what)


def blank(text: str) -> str:
    """The text with everything in braces taken out, spaces made one."""
    text = text.replace("{{", "\x01").replace("}}", "\x02")
    text = re.sub(r"\{[^{}]*\}", "{}", text)
    return re.sub(r"\s+", " ", text.replace("\x01", "{").replace("\x02", "}"))


def strings() -> str:
    """All string literals of the source outside of tests, one a line."""
    found = []
    for path in sorted([*ROOT.glob("src/**/*.rs"), *ROOT.glob("crates/*/src/**/*.rs")]):
        if "tests" in path.stem:
            continue
        text = path.read_text().split("#[cfg(test)]\nmod tests {")[0]
        for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', text, re.S):
            literal = re.sub(r"\\\n\s*", "", literal).replace('\\"', '"').replace("\\n", " ")
            found.append(blank(literal))
    return "\n".join(found)


def messages() -> int:
    source = strings()
    headings = re.findall(r"^### (`+) ?(.*?) ?\1$", (DOCS / "troubleshooting.md").read_text(), re.M)
    quoted = [message for _, message in headings]
    for message in quoted:
        expect(blank(message) in source, f"troubleshooting.md: no message of the program: {message}")
    return len(quoted)


def metrics() -> int:
    declared = re.search(r"^metrics! \{(.*?)^\}", (ROOT / "src/metrics/mod.rs").read_text(), re.S | re.M)
    names = set(re.findall(r"^\s+pub (\w+): (?:Int|Gauge|Histogram)\w*", declared[1], re.M))
    page = (DOCS / "operations.md").read_text()
    tables = page[page.index("## Metrics") : page.index("### Under vLLM's names")]
    first_cells = re.findall(r"^\| (`.*?) \|", tables, re.M)
    told = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    expect(told == names, f"operations.md: metrics {sorted(told ^ names)} are told or there, not both")
    everywhere = "\n".join(path.read_text() for path in [*DOCS.glob("*.md"), *DOCS.glob("operations/*.yml")])
    for name in set(re.findall(r"\bcoconut_((?!client)[a-z_]+)", everywhere)):
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        expect(base in names or name.endswith("_"), f"docs name the metric coconut_{name}, which is not there")
    return len(names)


def flags() -> int:
    # Those of `--help-all`; `--help` leaves some out.
    there = set()
    for name in ("serve", "flags", "compute"):
        text = (ROOT / f"src/cli/{name}.rs").read_text().split("#[cfg(test)]")[0]
        declared = re.findall(r"#\[arg\((.*?)\)\]\s*(?:pub(?:\(\w+\))? )?(\w+):", text, re.S)
        there |= {f"--{field.replace('_', '-')}" for settings, field in declared if re.search(r"\blong\b", settings)}
    rows = [line for line in (DOCS / "serving.md").read_text().splitlines() if line.startswith("| `--")]
    told = {flag for row in rows for flag in re.findall(r"`(--[a-z-]+)`", row.split(" | ")[0])}
    expect(told == there, f"serving.md: flags {sorted(told ^ there)} are told or there, not both")
    return len(there)


def fields() -> int:
    schemas = json.loads((ROOT / "openapi/openapi.json").read_text())["components"]["schemas"]
    page = (DOCS / "api.md").read_text()
    words = set(re.findall(r"[`\"](\w+)[`\"]", page))
    count = 0
    for name in ("ReasonRequest", "ScoreRequest", "InterventionBody", "InsideBody", "ActionBody", "TurnBody", "ObservationBody"):
        for field in properties(schemas[name]):
            count += 1
            expect(field in words, f"api.md does not tell of the field `{field}` of {name}")
    for name in ("OpName", "FeedbackName", "Include", "PlaceName"):
        for value in values(schemas[name]):
            count += 1
            expect(value in words, f"api.md does not tell of `{value}` of {name}")
    for event in schemas["ReasonEvent"]["oneOf"]:
        (name,) = event["properties"]["event"]["enum"]
        count += 1
        expect(name in words, f"api.md does not tell of the event `{name}`")
    return count


def properties(schema: dict) -> list[str]:
    """The fields of an object, its own: those of another that it has too are told there."""
    return list(schema.get("properties", {})) + [field for part in schema.get("allOf", []) for field in properties(part)]


def values(schema: dict) -> list[str]:
    """What an enumeration allows, however the document writes it."""
    return schema.get("enum", []) + [one for part in schema.get("oneOf", []) for one in values(part)]


def links() -> int:
    """Every relative link of a page leads to a file; `page.md#heading` to a heading."""
    count = 0
    for page in DOCS.glob("*.md"):
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            count += 1
            path, _, heading = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            expect(file.exists(), f"{page.name}: leads to {target}, which is not there")
            if heading and file.suffix == ".md" and file.exists():
                expect(heading in headings(file), f"{page.name}: {target} is no heading")
    return count


def headings(page: Path) -> set[str]:
    """The anchors that mdBook and forges give to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def names() -> int:
    """Files and folders of the checkout that pages name."""
    count = 0
    for page in DOCS.glob("*.md"):
        text = re.sub(r"\[[^\]]*\]\([^)]*\)", "", page.read_text())
        for path in re.findall(r"\b((?:models|benches|docker|docs|tests|evals)/[\w./*-]+\w)", text):
            count += 1
            expect(any(ROOT.glob(path)), f"{page.name}: names {path}, which is not there")
    return count


def style() -> int:
    """Width of lines, but for tables, headings, marks and blocks; no long dashes."""
    pages = sorted(DOCS.glob("*.md"))
    for page in pages:
        is_block = False
        for number, line in enumerate(page.read_text().splitlines(), 1):
            is_block ^= line.startswith("```")
            is_free = is_block or line.startswith(("|", "#", "<!--", "    "))
            expect(is_free or len(line) <= LINE, f"{page.name}:{number}: {len(line)} characters")
            expect("\u2014" not in line and "\u2013" not in line, f"{page.name}:{number}: a long dash")
    return len(pages)


def main() -> int:
    for check in (messages, metrics, flags, fields, links, names, style):
        print(f"{check.__name__}: {check()}")
    for problem in problems:
        print(f"FAILED {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
