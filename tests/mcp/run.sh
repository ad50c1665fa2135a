#!/usr/bin/env bash
# Asks a real MCP server, written with the official Python SDK, over stdio and over HTTP. Needs python3 and PyPI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

env=target/mcp/env
if [ ! -x "$env/bin/python" ]; then
    python3 -m venv "$env"
fi
"$env/bin/pip" install --quiet --disable-pip-version-check 'mcp==2.3.0'

port=$("$env/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$env/bin/python" tests/mcp/server.py "$port" &
server=$!
trap 'kill "$server" 2>/dev/null' EXIT
for _ in $(seq 100); do
    if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    sleep 0.1
done

COCONUT_TEST_MCP_COMMAND="$PWD/$env/bin/python $PWD/tests/mcp/server.py" \
    COCONUT_TEST_MCP_URL="http://127.0.0.1:$port/mcp" \
    cargo test --features mcp --test it mcp:: -- --ignored --nocapture
