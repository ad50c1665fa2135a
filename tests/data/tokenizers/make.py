"""Writes the tokenizers of this folder with the package `tokenizers` (0.23.3), and `expected.json`: what its `decode` makes
of ids. One tokenizer for each way of writing text that published checkpoints have.

    pip install tokenizers==0.23.3 && python make.py
"""

import json
import random
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
LINES = [
    "the cat sat on the mat, and the dog did not care.",
    "Is it true? It's what they've said: we're done!",
    "a box holds 24 pens; 3 boxes hold 72 pens.",
    "der Bär isst süße Äpfel, déjà vu",
    "日本語のテキスト と 한국어",
]
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
STRIPPED = [AddedToken("<mask>", lstrip=True, rstrip=True), AddedToken("<sep>", special=True)]


def trained(model, trainer, **parts):
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.add_tokens(STRIPPED)
    return tokenizer


def byte_level():
    """GPT-2, Llama 3, Qwen."""
    trainer = trainers.BpeTrainer(
        vocab_size=340, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"], show_progress=False
    )
    return trained(
        models.BPE(), trainer, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False), decoder=decoders.ByteLevel()
    )


def byte_fallback(decoder):
    """Llama 2, TinyLlama, Mistral; Gemma without the strip."""
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=SPECIAL + BYTES, limit_alphabet=40, show_progress=False)
    before = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer = trained(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True), trainer, normalizer=before, decoder=decoder)
    written = json.loads(tokenizer.to_str())
    # The bytes are ordinary tokens of the model, not added ones.
    written["added_tokens"] = [token for token in written["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(written))


def llama2():
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    return byte_fallback(decoders.Sequence(steps))


def gemma():
    return byte_fallback(decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]))


def stripped_at_both_ends():
    """Not published: what follows the fused text must not be given out too early."""
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Replace("  ", " "), decoders.Strip(" ", 0, 3)]
    return byte_fallback(decoders.Sequence(steps))


def replaced_by_expression():
    """Not published: a regular expression on the whole text needs all of it."""
    steps = [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Replace(Regex(" +[a-d]"), "_")]
    return byte_fallback(decoders.Sequence(steps))


def unigram():
    """T5, XLNet, ALBERT, XLM-R."""
    trainer = trainers.UnigramTrainer(vocab_size=120, unk_token="<unk>", special_tokens=SPECIAL, show_progress=False)
    space = {"replacement": "▁", "prepend_scheme": "always"}
    return trained(models.Unigram(), trainer, pre_tokenizer=pre_tokenizers.Metaspace(**space), decoder=decoders.Metaspace(**space))


def word_piece():
    """BERT."""
    trainer = trainers.WordPieceTrainer(vocab_size=140, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    return trained(
        models.WordPiece(unk_token="[UNK]"), trainer, pre_tokenizer=pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece()
    )


def word_ends():
    """GPT, XLM: the end of a word is marked."""
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False)
    return trained(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"),
        trainer,
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        decoder=decoders.BPEDecoder(suffix="</w>"),
    )


def words():
    """A word an id, without a decoder: joined by spaces."""
    trainer = trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False)
    return trained(models.WordLevel(unk_token="[UNK]"), trainer, pre_tokenizer=pre_tokenizers.Whitespace())


def letters():
    """Wav2Vec2: repeated letters count once."""
    names = ["<pad>", "|", *"abcdefgh'"]
    tokenizer = Tokenizer(models.WordLevel({name: at for at, name in enumerate(names)}, unk_token="<pad>"))
    tokenizer.decoder = decoders.CTC()
    return tokenizer


KINDS = [byte_level, llama2, gemma, stripped_at_both_ends, replaced_by_expression, unigram, word_piece, word_ends, words, letters]


def main():
    random.seed(0)
    expected = {}
    for kind in KINDS:
        tokenizer = kind()
        name = kind.__name__
        text = tokenizer.to_str(pretty=False)
        (HERE / f"{name}.json").write_text(text, encoding="utf-8")
        size = max(tokenizer.get_vocab().values()) + 1
        cases = [tokenizer.encode(line).ids for line in [*LINES, "😀😀😀😀 ok\n\n\n\nnext", " spaces  between   words "]]
        cases += [[random.randrange(size + 2) for _ in range(random.randrange(30))] for _ in range(20)]
        # Empty, or of special tokens alone: the library fails at some of these.
        cases = [ids for ids in cases if ids]
        expected[name] = [{"ids": ids, "text": tokenizer.decode(ids)} for ids in cases]
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n", encoding="utf-8")


main()
