#!/usr/bin/env python3
"""One small tokenizer of each kind that has a token for what it does not know, and one without: pip install tokenizers==0.23.3

    python3 tests/data/unknown/make.py        writes *.json and expected.json (ids and unknown pieces) beside itself
"""

import json
import pathlib

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).parent
TEXTS = ["Tom has 3 apples.", "tom has apples", "", "  tom\n", "Zoë and tom", "<unk> tom", "ħ ħ ħ", "tomtom has 日本 apples"]


def word_level():
    words = ["<unk>", "tom", "has", "apples", "and", "."]
    made = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")])
    return made


def word_piece():
    pieces = ["[PAD]", "<unk>", "[CLS]", "[SEP]", "tom", "##tom", "has", "apple", "##s", "and", "."]
    made = Tokenizer(models.WordPiece({piece: id for id, piece in enumerate(pieces)}, unk_token="<unk>", max_input_chars_per_word=40))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    made.decoder = decoders.WordPiece()
    return made


def unigram():
    pieces = [("<s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁tom", -3.0), ("tom", -4.0), ("▁has", -3.0), ("▁apples", -3.5), (".", -3.0)]
    made = Tokenizer(models.Unigram(pieces, unk_id=1, byte_fallback=False))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return made


def pairs(**options):
    letters = ["<unk>", "t", "o", "m", "h", "a", "s", "p", "l", "e", ".", "▁"]
    merged = ["to", "tom", "▁tom"]
    made = Tokenizer(models.BPE(
        {token: id for id, token in enumerate(letters + merged)}, [("t", "o"), ("to", "m"), ("▁", "tom")], unk_token="<unk>", **options
    ))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return made


def bytes_only():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: id for id, letter in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def without_asides():
    """Takes away whatever is between two marks, however far they are apart."""
    made = word_level()
    made.normalizer = normalizers.Replace(Regex("\\[[^\\]]*\\]"), "")
    return made


KINDS = {
    "word-level": word_level(),
    "word-piece": word_piece(),
    "unigram": unigram(),
    "bpe-unk": pairs(),
    "bpe-fused": pairs(fuse_unk=True),
    "byte-level": bytes_only(),
    "replacing": without_asides(),
}

expected = {}
for name, made in KINDS.items():
    if "<unk>" in made.get_vocab():
        made.add_special_tokens(["<unk>"])
    made.save(str(HERE / f"{name}.json"), pretty=False)
    cases = []
    for text in TEXTS:
        encoding = made.encode(text)
        unknown = [
            text[start:end] for token, (start, end) in zip(encoding.tokens, encoding.offsets)
            if token == "<unk>" and text[start:end] != "<unk>"
        ] if name != "unigram" else [
            text[start:end] for id, (start, end) in zip(encoding.ids, encoding.offsets) if id == 1 and text[start:end] != "<unk>"
        ]
        cases.append({"text": text, "ids": encoding.ids, "unknown": unknown})
    expected[name] = cases
(HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
