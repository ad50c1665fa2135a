"""What the scripts beside it share: a server of their own, the load generator, the machine. Standard library only."""

import atexit
import contextlib
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
COCONUT = os.environ.get("COCONUT", str(ROOT / "target/release/coconut"))
SHARED = pathlib.Path(os.environ.get("SHARED", ROOT.parent / "shared"))
READY_WITHIN = 300
STOPPED_WITHIN = 120


def knob(name, default):
    """A setting from the environment, of the default's type; a list is separated by commas."""
    text = os.environ.get(name)
    if text is None:
        return default
    if isinstance(default, list):
        kind = type(default[0])
        return [kind(part) for part in text.split(",") if part]
    return type(default)(text)


def workload(name):
    """The file with a workload's questions."""
    files = {"gsm8k": "gsm8k_test.txt", "prosqa": "prosqa_valid.json"}
    return SHARED / "data" / files[name] if name in files else pathlib.Path(name)


class Server:
    """`coconut serve` on a port of its own; a context."""

    def __init__(self, model, *flags):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log", prefix="coconut-")
        command = [COCONUT, "serve", "--model", str(model), "--listen", "127.0.0.1:0", "--log-format", "json"]
        # One line a request would be part of what is measured.
        command += ["--log-level", "warn,coconut::http::serve=info", *map(str, flags)]
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log)
        # However the script ends.
        atexit.register(self.stop)
        self.address = self._listening()
        self._ready()

    @property
    def url(self):
        return f"http://{self.address}"

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        return pathlib.Path(self.log.name).read_text()

    def _alive(self, deadline):
        if self.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the server does not start:\n{self.said()[-2000:]}")
        time.sleep(0.05)

    def _listening(self):
        deadline = time.monotonic() + READY_WITHIN
        while True:
            for line in self.said().splitlines():
                with contextlib.suppress(ValueError):
                    if (event := json.loads(line)).get("message") == "listening":
                        return event["address"]
            self._alive(deadline)

    def _ready(self):
        deadline = time.monotonic() + READY_WITHIN
        while self.get("/health/ready")[0] != 200:
            self._alive(deadline)

    def get(self, path):
        """(status, body)"""
        return fetch(self.url + path)

    def ask(self, **question):
        """The answer to a question, as JSON."""
        request = urllib.request.Request(
            self.url + "/v1/reason", json.dumps(question).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)

    def rss_mib(self):
        """Memory of the process that is in use."""
        return rss_mib(self.pid)

    def stop(self):
        """The exit code after SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def fetch(url):
    """(status, body); status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def metric(url, name):
    """The value of a metric; labels belong to its name."""
    for line in fetch(url + "/metrics")[1].splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[-1])
    raise SystemExit(f"/metrics of {url} has no {name}")


def rss_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def bench(url, data, *flags):
    """The JSON of a run of `coconut bench`."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [COCONUT, "bench", "--url", url, "--data", str(data), "--json", out.name, *map(str, flags)]
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(f"{' '.join(command)}\n{ran.stdout}{ran.stderr}")
        return json.load(open(out.name))


def on(device):
    """The flags for it; earlier servers know the CPU only."""
    return [] if device == "cpu" else ["--device", device]


def serves_dtypes():
    """Whether the server can be told the type of its weights."""
    said = subprocess.run([COCONUT, "serve", "--help"], capture_output=True, text=True, check=True)
    return "--dtype" in said.stdout


def machine():
    """One line."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, TypeError):
        cpu = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())[1]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def commit():
    """What is measured, with a word where the checkout has changes."""
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    # What these scripts write is no change to what they measure.
    changes = git("status", "--porcelain", "--", ".", ":!benches/RESULTS.md", ":!benches/curves")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+changes" if changes else "")


def command_line(script, knobs):
    """How to repeat this run: the knobs that are set, and the script."""
    return " ".join([f"{name}={os.environ[name]}" for name in knobs if name in os.environ] + [f"bash {script}"])
