"""What does noise on thoughts do? Sixteen samples a question at several strengths: vote, agreement, pass@k.

pass@k is the chance that at least one of k samples is right, estimated without bias from all sixteen.
"""

import math

from asking import arguments, ask, each, questions, table

SAMPLES = 16
SIGMAS = [0.0, 0.2, 0.6, 1.4, 2.0]


def pass_at(k, right, count):
    """1 - C(count - right, k) / C(count, k)"""
    return 1.0 - math.comb(count - right, k) / math.comb(count, k)


def main():
    options = arguments(__doc__.splitlines()[0]).parse_args()
    rows = questions(options)
    lines = []
    for sigma in SIGMAS:

        def asked(row, sigma=sigma):
            return ask(options.url, "/v1/reason", question=row["question"], n=SAMPLES, latent_noise={"sigma": sigma},
                       seed=options.seed)

        replies = each(rows, asked)
        right = [sum(choice["answer"] == row["answer"] for choice in reply["choices"])
                 for reply, row in zip(replies, rows)]
        votes = [reply["vote"]["answer"] == row["answer"] for reply, row in zip(replies, rows)]
        percent = lambda values: f"{100 * sum(values) / len(rows):.1f}"
        lines.append([sigma, percent(votes), percent([reply["vote"]["agreement"] for reply in replies]),
                      *(percent([pass_at(k, one, SAMPLES) for one in right]) for k in (1, 4, 16))])
    print(f"{len(rows)} questions, {SAMPLES} samples each, per cent")
    table(["sigma", "vote", "agreement", "pass@1", "pass@4", "pass@16"], lines)


if __name__ == "__main__":
    main()
