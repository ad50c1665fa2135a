"""Does a thought mean something by itself? The k-th thought of one question is fed in another question with the same facts.

Pairs: both questions have the same graph, and ask about another entity. If the first thought says who is asked about, then
copying it makes the model answer about the other one. Counted is how often the answer's node belongs to either of them.
"""

from asking import arguments, ask, children, each, hops, questions, table


def pairs(rows):
    """Questions with a second entity in their graph that leads to the wrong candidate and not to the right one."""
    for row in rows:
        parents_only = {parent for parent, _ in row["edges"]} - {child for _, child in row["edges"]}
        for other in sorted(parents_only - {row["root"]}):
            leads_to = hops(children(row), other)
            if row["neg_target"] in leads_to and row["target"] not in leads_to:
                names = row["idx_to_symbol"]
                facts = row["question"].rsplit("Is ", 1)[0]
                a, b = names[row["target"]], names[row["neg_target"]]
                yield row, f"{facts}Is {names[other]} a {b} or {a}?"
                break


def main():
    options = arguments(__doc__.splitlines()[0]).parse_args()
    found = list(pairs(questions(options)))
    if not found:
        raise SystemExit("no question has a second entity that leads to the other candidate")
    lines = []
    for step in [None, 1, 2, 3, 4, 5, 6]:

        def asked(pair, step=step):
            row, donor = pair
            copied = [] if step is None else [{"step": step, "op": "copy", "from": {"question": donor, "step": step}}]
            return ask(options.url, "/v1/reason", question=row["question"], interventions=copied)["answer"]

        said = each(found, asked)
        node = lambda row, which: f" {row['idx_to_symbol'][row[which]]}."
        counts = [sum(answer.endswith(node(row, which)) for answer, (row, _) in zip(said, found))
                  for which in ("target", "neg_target")]
        lines.append(["none" if step is None else step, *(f"{100 * count / len(found):.0f}" for count in counts)])
    print(f"{len(found)} pairs; answers in per cent that name the candidate of")
    table(["thought copied", "its own entity", "the other entity"], lines)


if __name__ == "__main__":
    main()
