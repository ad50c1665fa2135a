"""What transformers makes of conversations with the templates beside this file: writes expected.json.

    pip install transformers==5.24.0 jinja2
    python3 make.py
"""

import json
import pathlib

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a place, in °C & <words>",
            "parameters": {
                "type": "object",
                "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["place"],
            },
        },
    }
]
CALL = {"id": "call1", "type": "function", "function": {"name": "weather", "arguments": {"place": "Köln", "days": 2}}}
CONVERSATIONS = {
    "one message": {"messages": [{"role": "user", "content": "  Hello "}]},
    "system": {"messages": [{"role": "system", "content": "Be brief. "}, {"role": "user", "content": "## shout"}]},
    "turns": {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "a banana\n"},
            {"role": "user", "content": "And?"},
        ]
    },
    "tools": {"messages": [{"role": "user", "content": "Rain?"}], "tools": TOOLS},
    "called": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Rain?"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "name": "weather", "tool_call_id": "call1", "content": "dry"},
            {"role": "tool", "name": "weather", "tool_call_id": "call2", "content": "wet"},
        ],
        "tools": TOOLS,
    },
    "settings": {"messages": [{"role": "user", "content": "Hi"}], "settings": {"enable_thinking": False}},
    "refused": {"messages": [{"role": "nobody", "content": "Hi"}]},
}


def rendered(source, conversation):
    settings = conversation.get("settings", {})
    try:
        texts, _ = render_jinja_template(
            conversations=[conversation["messages"]],
            tools=conversation.get("tools"),
            chat_template=source,
            add_generation_prompt=True,
            **TOKENS,
            **settings,
        )
        return {"text": texts[0]}
    except Exception as error:
        return {"refused": str(error)}


cases = []
for path in sorted(HERE.glob("*.jinja")):
    source = path.read_text()
    for name, conversation in CONVERSATIONS.items():
        cases.append({"template": path.name, "name": name, **conversation, **rendered(source, conversation)})
expected = {"transformers": transformers.__version__, "tokens": TOKENS, "cases": cases}
(HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
