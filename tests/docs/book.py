"""The book that `mdbook` builds: `stage FOLDER` lays its source out, `check FOLDER` follows the links of what was built.

mdBook reads one folder, and the pages of docs/ link to documents elsewhere in the checkout. Here all of them lie as in the checkout,
so that the same links work in the book and in the checkout. Knows no words of the pages.
"""

import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
# Documents beside docs/ that are chapters too, in this order; what else these link to follows them. README.md comes before all,
# since the first page is the book's door and must lie at the top.
BESIDE = {
    "Models": "models/README.md",
    "The default checkpoint": "models/prosqa/README.md",
    "A checkpoint that calls tools": "models/prosqa-react/README.md",
    "Prompts with shots": "models/prompts/README.md",
    "Python client": "clients/python/README.md",
    "lm-evaluation-harness": "evals/README.md",
    "Results": "benches/RESULTS.md",
    "Architecture": "ARCHITECTURE.md",
    "Kernels": "crates/kernels/README.md",
    "Contributing": "CONTRIBUTING.md",
    "Security": "SECURITY.md",
    "Changelog": "CHANGELOG.md",
}
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")


def stage(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "src"
    own = [f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "SUMMARY.md"]
    chapters = ["README.md", *own, *BESIDE.values()]
    for chapter in chapters:  # grows on the way
        copy(chapter, source)
        for linked in linked_files(ROOT / chapter):
            path = str(linked.relative_to(ROOT))
            if linked.suffix != ".md":
                copy(path, source)
            elif path not in chapters:
                chapters.append(path)
    titles = {path: title for title, path in BESIDE.items()}
    beside = [chapter for chapter in chapters[1:] if chapter not in own]
    lines = [f"- [{titles.get(path) or title(ROOT / path)}]({path})" for path in beside]
    guide = re.sub(r"\]\((\w[\w-]*\.md)\)", r"](docs/\1)", (ROOT / "docs/SUMMARY.md").read_text())
    guide = guide.removeprefix("# Summary\n")
    summary = f"# Summary\n\n[coconut](README.md)\n{guide}\n# Beside the guide\n\n" + "\n".join(lines) + "\n"
    (source / "SUMMARY.md").write_text(summary)
    settings = (ROOT / "book.toml").read_text()
    (folder / "book.toml").write_text(settings.replace('src = "docs"', 'src = "src"'))


def linked_files(page: Path) -> list[Path]:
    """The files of the checkout that a document links to."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
    targets = [target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]
    found = [(page.parent / target).resolve() for target in targets]
    return [file for file in found if file.is_file() and file.is_relative_to(ROOT)]


def title(page: Path) -> str:
    return re.search(r"^# (.*)$", page.read_text(), re.M)[1]


def copy(path: str, source: Path) -> None:
    (source / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / path, source / path)


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.names.add(attributes["id"])
        target = attributes.get("href") or attributes.get("src")
        if target and tag in ("a", "img", "script", "link"):
            self.targets.append(target)


def check(folder: Path) -> int:
    folder = folder.resolve()
    pages = {}
    for page in folder.rglob("*.html"):
        pages[page] = Links()
        pages[page].feed(page.read_text())
    broken, count = [], 0
    for page, links in pages.items():
        if page.name in ("404.html", "toc.html"):
            continue
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not file.is_file():
                broken.append(f"{page.relative_to(folder)}: {target}")
            elif parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].names:
                broken.append(f"{page.relative_to(folder)}: {target} (no such place)")
    for one in sorted(set(broken)):
        print(f"FAILED {one}")
    print(f"{len(pages)} pages, {count} links, {len(set(broken))} broken: {folder.name}")
    return 1 if broken else 0


def main() -> int:
    match sys.argv[1:]:
        case ["stage", folder]:
            stage(Path(folder))
            return 0
        case ["check", folder]:
            return check(Path(folder))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
