"""How many thoughts does a question need? Right answers after each number of thoughts, by the hops that the answer is away.

One request a question: the server answers after every number of thoughts from one prefill (`sweep`).
"""

from collections import defaultdict

from asking import arguments, ask, each, questions, share, table

STEPS = list(range(0, 9))


def main():
    options = arguments(__doc__.splitlines()[0]).parse_args()
    rows = questions(options)

    def right(row):
        reply = ask(options.url, "/v1/reason", question=row["question"], sweep=STEPS)
        return [answer["answer"] == row["answer"] for answer in reply["answers"]]

    answers = each(rows, right)
    by_hops = defaultdict(list)
    for row, one in zip(rows, answers):
        by_hops[len(row["steps"])].append(one)

    print(f"right answers of {len(rows)} questions, per cent (95 % interval)")
    table(["thoughts", "right"], [[steps, share(one[at] for one in answers)] for at, steps in enumerate(STEPS)])
    print("\nthe same by hops from question to answer, per cent")
    head = ["hops", "questions", *(f"n={steps}" for steps in STEPS)]
    percent = lambda group, at: f"{100 * sum(one[at] for one in group) / len(group):.0f}"
    table(head, [[hops, len(group), *(percent(group, at) for at in range(len(STEPS)))]
                 for hops, group in sorted(by_hops.items())])


if __name__ == "__main__":
    main()
