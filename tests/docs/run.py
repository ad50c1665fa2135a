"""Runs the `sh` blocks of docs/*.md, in order, each page in an empty folder of its own.

    ```sh                     is run by bash; it must end with 0
    ```console                is only shown
    <!-- expect: TEXT -->     below a block: what it says must contain TEXT; may stand several times
    <!-- exit: 1 -->          below a block: it must end with this
    <!-- server -->           below a block: it starts a server, which runs until the page's end, and must then end with 0

The folder has links to the checkout's own folders, so that paths are those from the top of a checkout. `coconut` is the
program under test. Every address `127.0.0.1:8080` and up to 8089 becomes a free port, the same one within a page.
Knows nothing of what the blocks do.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# Pages that their own tests run.
ELSEWHERE = {"clients", "SUMMARY"}
LINKED = ["benches", "clients", "docker", "docs", "evals", "models", "tests"]
LONGEST = 900
FENCE = re.compile(r"^```(\w*)\s*$")
MARK = re.compile(r"^<!-- (expect|exit|server)(?:: (.*?))? -->$")
ADDRESS = re.compile(r"127\.0\.0\.1:(808\d)")


@dataclass
class Block:
    line: int
    text: str
    expect: list[str] = field(default_factory=list)
    exit: int = 0
    server: bool = False


def blocks(page: Path) -> list[Block]:
    """The `sh` blocks of a page with their marks."""
    found: list[Block] = []
    kind, start, lines, last = None, 0, [], None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if kind is None and fence:
            kind, start, lines = fence[1], number, []
        elif kind is not None and line == "```":
            last = Block(start, "\n".join(lines) + "\n") if kind == "sh" else None
            if last:
                found.append(last)
            kind = None
        elif kind is not None:
            lines.append(line)
        elif mark := MARK.match(line):
            if last is None:
                raise SystemExit(f"{page}:{number}: a mark that belongs to no `sh` block")
            match mark[1]:
                case "expect":
                    last.expect.append(mark[2])
                case "exit":
                    last.exit = int(mark[2])
                case "server":
                    last.server = True
        elif line.startswith("<!--"):
            raise SystemExit(f"{page}:{number}: not a mark: {line}")
        elif line.strip():
            last = None
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Page:
    """A page in its folder, with the servers that it started."""

    def __init__(self, path: Path, folder: Path, program: Path):
        self.path, self.folder = path, folder
        self.ports: dict[str, int] = {}
        self.servers: list[subprocess.Popen] = []
        bin_folder = folder / ".bin"
        bin_folder.mkdir()
        (bin_folder / "coconut").symlink_to(program)
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name)
        self.environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
        for name in [name for name in self.environment if name.startswith("COCONUT")]:
            del self.environment[name]

    def address(self, match: re.Match) -> str:
        return f"127.0.0.1:{self.ports.setdefault(match[1], free_port())}"

    def run(self, block: Block) -> str | None:
        """Why it failed."""
        script = ADDRESS.sub(self.address, block.text)
        if block.server:
            return self.serve(block, script)
        command = ["bash", "-euo", "pipefail", "-c", script]
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            return f"did not end within {LONGEST} s"
        if done.returncode != block.exit:
            return f"ended with {done.returncode}, not {block.exit}:\n{done.stdout[-1500:]}"
        missing = [text for text in block.expect if text not in done.stdout]
        return f"does not say {missing}:\n{done.stdout[-1500:]}" if missing else None

    def serve(self, block: Block, script: str) -> str | None:
        # The page means the usual address where it names none.
        port = ADDRESS.search(block.text) or ADDRESS.search("127.0.0.1:8080")
        address = self.address(port)
        environment = {**self.environment, "COCONUT_LISTEN": address, "COCONUT_DRAIN_DELAY": "0"}
        log = self.folder / f"server-{block.line}.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                ["bash", "-c", f"exec {script}"], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT)
        self.servers.append(server)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if server.poll() is not None:
                return f"the server ended with {server.returncode}:\n{log.read_text()[-1500:]}"
            try:
                with urllib.request.urlopen(f"http://{address}/health/ready", timeout=5):
                    return None
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        return f"the server is not ready:\n{log.read_text()[-1500:]}"

    def close(self) -> str | None:
        ends = []
        for server in self.servers:
            server.send_signal(signal.SIGTERM)
        for server in self.servers:
            try:
                ends.append(server.wait(60))
            except subprocess.TimeoutExpired:
                server.kill()
                ends.append(server.wait())
        return f"servers ended with {ends}" if any(ends) else None


def main() -> int:
    program = Path(os.environ.get("COCONUT", "target/release/coconut")).resolve()
    wanted = sys.argv[1:]
    pages = sorted(path for path in DOCS.glob("*.md") if path.stem not in ELSEWHERE)
    if unknown := set(wanted) - {page.stem for page in pages}:
        print(f"no such pages: {unknown}", file=sys.stderr)
        return 2
    failed = 0
    for path in (page for page in pages if not wanted or page.stem in wanted):
        todo = blocks(path)
        started, failures = time.monotonic(), []
        with tempfile.TemporaryDirectory() as folder:
            page = Page(path, Path(folder), program)
            try:
                for block in todo:
                    if reason := page.run(block):
                        failures.append(f"docs/{path.name}:{block.line} {reason}")
            finally:
                if reason := page.close():
                    failures.append(f"docs/{path.name} {reason}")
        for failure in failures:
            print(f"FAILED {failure}")
        state = "FAILED" if failures else "ok"
        print(f"{state}: docs/{path.name}, {len(todo)} blocks, {time.monotonic() - started:.0f} s", flush=True)
        failed += bool(failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
