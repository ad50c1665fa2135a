"""Do answers hang on thoughts at all? The same questions with something else in the places of all thoughts (`feedback`).

A method whose answers stay as good with random vectors or pauses does not reason in its thoughts, whatever they look like.
`--means` adds the mean thoughts of a data set; the server then needs `--thought-means`.
"""

from asking import arguments, ask, each, questions, sentence, share, table

CONTROLS = ["hidden", "shuffle", "random", "pause", "none"]


def main():
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--means", action="store_true", help="also the mean thoughts (`--thought-means` of the server)")
    options = parser.parse_args()
    rows = questions(options)
    lines = []
    for feedback in CONTROLS + ["mean"] * options.means:

        def asked(row, feedback=feedback):
            reply = ask(options.url, "/v1/reason", question=row["question"], feedback=feedback, seed=options.seed)
            return reply["answer"]

        said = each(rows, asked)
        candidates = lambda row: {sentence(row, node).removeprefix("### ") for node in ("target", "neg_target")}
        named = [answer in candidates(row) for answer, row in zip(said, rows)]
        lines.append([feedback, share(answer == row["answer"] for answer, row in zip(said, rows)), share(named)])
    print(f"{len(rows)} questions, per cent (95 % interval); guessing between two candidates gives 50")
    table(["what is fed", "right", "names a candidate"], lines)


if __name__ == "__main__":
    main()
