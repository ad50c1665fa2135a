"""When does the model know? The probability of both candidates after each number of thoughts, by `/v1/score`.

A score needs no answer to be said: it shows a belief that is not yet large enough to win.
"""

import math

from asking import arguments, ask, each, questions, sentence, table

STEPS = list(range(0, 7))


def main():
    options = arguments(__doc__.splitlines()[0]).parse_args()
    rows = questions(options)

    def scored(row):
        both = [sentence(row, "target"), sentence(row, "neg_target")]
        reply = ask(options.url, "/v1/score", question=row["question"], continuations=both, sweep=STEPS)
        found = {(score["latent_steps"], score["continuation"]): score["logprob"] for score in reply["scores"]}
        return [[found[steps, which] for which in (0, 1)] for steps in STEPS]

    scores = each(rows, scored)
    mean = lambda values: sum(values) / len(rows)
    lines = []
    for at, steps in enumerate(STEPS):
        target = [math.exp(one[at][0]) for one in scores]
        other = [math.exp(one[at][1]) for one in scores]
        ahead = [one[at][0] > one[at][1] for one in scores]
        lines.append([steps, f"{mean(target):.3f}", f"{mean(other):.3f}",
                      f"{mean([1 - a - b for a, b in zip(target, other)]):.3f}", f"{100 * mean(ahead):.0f} %"])
    print(f"mean probability over {len(rows)} questions")
    table(["thoughts", "target", "other candidate", "anything else", "target ahead"], lines)


if __name__ == "__main__":
    main()
