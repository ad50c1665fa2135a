// Questions about who is what, read as graphs: "Every X is a Y" is an arrow. Knows sentences and arrows; what a model makes
// of them it is told as tokens with probabilities.

const ARROW = /^(?:every\s+)?(\w+)\s+is\s+an?\s+(\w+)$/i;
const ASKED = /\bis\s+(\w+)\s+an?\s+(\w+)\s+or\s+(?:an?\s+)?(\w+)\s*\?\s*$/i;

// More than these are no picture any more.
const MOST_NODES = 80;

// The graph of a question, or null where it is none.
export function graphOf(question) {
  const asked = ASKED.exec(question);
  if (!asked) return null;
  const names = [];
  const node = (name) => {
    if (!names.includes(name)) names.push(name);
    return names.indexOf(name);
  };
  const seen = new Set();
  const edges = [];
  for (const sentence of question.slice(0, asked.index).split(/[.\n]+/)) {
    const arrow = ARROW.exec(sentence.trim());
    if (!arrow) continue;
    const edge = [node(arrow[1]), node(arrow[2])];
    if (seen.has(edge.join()) || edge[0] === edge[1]) continue;
    seen.add(edge.join());
    edges.push(edge);
  }
  const [root, ...candidates] = asked.slice(1).map((name) => names.indexOf(name));
  if (edges.length < 2 || names.length > MOST_NODES || root < 0) return null;
  return { names, edges, root, candidates: candidates.filter((candidate) => candidate >= 0) };
}

// The nodes that exactly `hops` arrows lead to, from the start; the same node may be in several.
export function frontier(graph, hops) {
  let nodes = new Set([graph.root]);
  for (let hop = 0; hop < hops; hop += 1) {
    nodes = new Set(graph.edges.filter(([from]) => nodes.has(from)).map(([, to]) => to));
  }
  return nodes;
}

// What follows from the sentences: the only candidate that arrows lead to, or null.
export function truth(graph) {
  const reached = new Set([graph.root]);
  for (let before = 0; before !== reached.size;) {
    before = reached.size;
    for (const [from, to] of graph.edges) if (reached.has(from)) reached.add(to);
  }
  const right = graph.candidates.filter((candidate) => reached.has(candidate));
  return right.length === 1 ? right[0] : null;
}

// Whether an answer names the start and what follows, and not the other candidate.
export function isRight(graph, answer) {
  const right = truth(graph);
  if (right === null) return null;
  const words = answer.split(/\W+/);
  const says = (at) => words.includes(graph.names[at]);
  return says(graph.root) && says(right) && !graph.candidates.some((other) => other !== right && says(other));
}

// The probability of each node's word in one thought, as far as its tokens were told.
export function probabilities(graph, thought) {
  const shares = graph.names.map(() => 0);
  for (const { token, probability } of thought?.top_tokens ?? []) {
    const at = graph.names.indexOf(token.trim());
    if (at >= 0) shares[at] += probability;
  }
  return shares;
}
