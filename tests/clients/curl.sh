#!/usr/bin/env bash
# The examples of docs/clients.md with curl: curl.sh http://127.0.0.1:8080
set -euo pipefail
cd "$(dirname "$0")"
url=$1

question="Every rempus is a jelpus. Sam is a chorpus. Every chorpus is a yimpus. Is Sam a yimpus or jelpus?"

# ask PATH BODY WHAT: what the answer holds, by a path of Python's.
ask() {
  curl --silent --show-error --fail-with-body "$url$1" -H 'content-type: application/json' -d "$2" |
    python3 -c "import json, sys; r = json.load(sys.stdin); print($3)"
}
is() { [[ $1 == "$2" ]] || { echo "expected $2, got $1" >&2; exit 1; }; }

is "$(ask /v1/completions '{"model": "prosqa", "prompt": "'"$question"'\n"}' 'r["choices"][0]["coconut"]["answer"]')" \
  "Sam is a yimpus."
is "$(ask /v1/completions '{"prompt": "'"$question"'\n<|start-latent|>### Sam is a jelpus.", "echo": true, "logprobs": 1,
  "max_tokens": 0}' 'sum(r["choices"][0]["logprobs"]["token_logprobs"][-5:]) < -1')" True
is "$(ask /v1/chat/completions '{"messages": [{"role": "user", "content": "'"$question"'"}], "latent_steps": 2,
  "include": ["thoughts"]}' 'len(r["coconut"]["thoughts"]), r["choices"][0]["message"]["content"]')" \
  "2 ### Sam is a yimpus."
is "$(ask /v1/responses '{"input": "'"$question"'"}' 'r["output"][0]["content"][0]["text"]')" "### Sam is a yimpus."
tokens=$(ask /tokenize '{"prompt": "'"$question"'"}' 'r["tokens"]')
is "$(ask /detokenize "{\"tokens\": $tokens}" 'r["prompt"]')" "$question"
for path in /v1/models/prosqa /health /version /load /tokenizer_info; do
  curl --silent --show-error --fail "$url$path" > /dev/null
done

stream=$(curl --silent --show-error --fail "$url/v1/chat/completions" -H 'content-type: application/json' \
  -d '{"messages": [{"role": "user", "content": "'"$question"'"}], "stream": true}')
is "$(tail -n 1 <<< "$stream")" "data: [DONE]"
is "$(grep --count '^event:' <<< "$stream" || true)" 0
