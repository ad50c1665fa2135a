// The graph of a question, drawn once and filled for the chosen thought: what the head reads, and what is true. Knows graphs
// and probabilities, not where they come from.

import { $, announce, count, h, percent, svg, table } from './dom.js';
import { layered } from './layout.js';
import { frontier, probabilities, truth } from './question.js';

const [WIDTH, HEIGHT, MARGIN] = [84, 38, 26];
const PLAY_MS = 1100;

// `choose(step)` is called when the user scrubs or plays.
export function graphPanel(choose) {
  const state = { graph: null, drawing: null, thoughts: [], step: 1, offset: -1, playing: null };

  function show(graph) {
    stop();
    const same = JSON.stringify(graph) === JSON.stringify(state.graph);
    $('graph').hidden = !graph;
    if (same) return;
    Object.assign(state, { graph, drawing: graph && drawn(graph), thoughts: [] });
    if (!graph) return;
    $('picture').replaceChildren(state.drawing.picture);
    // On narrow screens the start is what is seen first.
    $('picture').scrollLeft = state.drawing.start * $('picture').scrollWidth - $('picture').clientWidth / 2;
    fill();
  }

  function setThoughts(thoughts) {
    state.thoughts = thoughts;
    const scrub = $('scrub');
    scrub.max = Math.max(1, thoughts.length);
    scrub.disabled = thoughts.length < 2;
    $('play').setAttribute('aria-disabled', thoughts.length < 2);
    if (!state.graph) return;
    const words = thoughts.flatMap((thought) => thought.top_tokens ?? []).map(({ token }) => token.trim());
    $('graph').hidden = thoughts.length > 0 && !words.some((word) => state.graph.names.includes(word));
    fill();
    if (thoughts.length) tabulate(state);
  }

  function select(step, offset = state.offset) {
    Object.assign(state, { step, offset });
    $('scrub').value = step;
    $('scrub-value').textContent = step;
    fill();
  }

  function fill() {
    const { graph, drawing, thoughts, step, offset } = state;
    if (!graph) return;
    const thought = thoughts[step - 1];
    const shares = probabilities(graph, thought);
    const hops = step + offset;
    const ring = frontier(graph, hops);
    const before = hops > 0 ? frontier(graph, hops - 1) : new Set();
    drawing.nodes.forEach((node, at) => {
      node.group.classList.toggle('ring', ring.has(at));
      node.bar.style.setProperty('--share', shares[at]);
      node.share.textContent = thought && shares[at] >= 0.005 ? percent(shares[at]) : '';
      node.group.classList.toggle('read', node.share.textContent !== '');
    });
    drawing.edges.forEach((path, at) => path.classList.toggle('lit', before.has(graph.edges[at][0])));
    tell(graph, thought, shares, ring, hops);
  }

  function tell(graph, thought, shares, ring, hops) {
    const sum = (wanted) => shares.reduce((total, share, at) => total + (wanted(at) ? share : 0), 0);
    const [on, off] = [sum((at) => ring.has(at)), sum((at) => !ring.has(at))];
    const line = (name, share) =>
      h(
        'div',
        {},
        h('dt', {}, name),
        h('dd', { class: 'gauge', size: { '--share': share } }, thought ? percent(share) : '–'),
      );
    $('mass').replaceChildren(
      line('Read on the ring', on),
      line('Read elsewhere in the graph', off),
      line('Read on other words', thought ? Math.max(0, 1 - on - off) : 0),
    );
    const names = [...ring].map((at) => graph.names[at]);
    const far = `exactly ${count(hops, 'arrow')} from ${graph.names[graph.root]}`;
    $('ring-says').textContent = names.length
      ? `Ring: ${names.join(', ')}: ${count(names.length, 'node')}, ${far}.`
      : `No node is ${far}.`;
  }

  function stop() {
    clearInterval(state.playing);
    state.playing = null;
    $('play').textContent = 'Play';
  }

  // From the first thought, or on from the chosen one, to the last.
  function play() {
    const last = state.thoughts.length;
    if (state.playing) return stop();
    if (last < 2) return announce('Ask first: there is nothing to play yet.');
    choose(state.step >= last ? 1 : state.step);
    $('play').textContent = 'Pause';
    state.playing = setInterval(() => {
      choose(state.step + 1);
      if (state.step >= last) stop();
    }, PLAY_MS);
  }

  $('play').addEventListener('click', play);
  $('scrub').addEventListener('input', () => {
    stop();
    choose(Number($('scrub').value));
  });
  return { show, setThoughts, select };
}

function drawn(graph) {
  const plan = layered(graph.names.length, graph.edges);
  const [width, height] = [plan.width + 2 * MARGIN, plan.height + HEIGHT + 2 * MARGIN];
  const edges = plan.ways.map((way) => svg('path', { class: 'edge', d: curve(way) }));
  const nodes = graph.names.map((name, at) => node(graph, name, at, plan.nodes[at]));
  const picture = svg(
    'svg',
    {
      viewBox: `0 0 ${width} ${height}`,
      size: { '--whole': `${width}px` },
      role: 'img',
      'aria-label': described(graph),
    },
    svg(
      'g',
      { transform: `translate(${MARGIN} ${MARGIN + HEIGHT / 2})` },
      edges,
      nodes.map(({ group }) => group),
    ),
  );
  return { picture, nodes, edges, start: (plan.nodes[graph.root].x + MARGIN) / width };
}

function described(graph) {
  const right = truth(graph);
  const follows = right === null ? '' : ` It follows that ${graph.names[graph.root]} is a ${graph.names[right]}.`;
  return (
    `${count(graph.names.length, 'node')} and ${count(graph.edges.length, 'arrow')}, from ${graph.names[graph.root]} to ` +
    `${graph.candidates.map((at) => graph.names[at]).join(' or ')}.${follows} The table below has all of it.`
  );
}

function node(graph, name, at, { x, y }) {
  const tag = at === graph.root ? 'start' : graph.candidates.includes(at) ? 'asked for' : '';
  const outline = (cls, grow) =>
    svg('rect', {
      class: cls,
      x: -WIDTH / 2 - grow,
      y: -HEIGHT / 2 - grow,
      width: WIDTH + 2 * grow,
      height: HEIGHT + 2 * grow,
      rx: 10 + grow,
    });
  const bar = outline('fill', 0);
  const share = svg('text', { class: 'percent', y: 13 });
  const group = svg(
    'g',
    { class: `node ${tag ? 'marked' : ''}`, transform: `translate(${x} ${y})` },
    outline('halo', 4),
    outline('body', 0),
    bar,
    outline('frame', 0),
    svg('text', { class: 'word' }, name),
    share,
    tag ? svg('text', { class: 'tag', y: -HEIGHT / 2 - 8 }, tag) : null,
  );
  return { group, bar, share };
}

// From the lower edge of one node to the upper edge of the other, upright where it leaves, bends and arrives.
function curve(way) {
  const down = way[0].y < way.at(-1).y ? 1 : -1;
  const points = way.map(({ x, y }, at) => {
    if (at === 0) return { x, y: y + (down * HEIGHT) / 2 };
    if (at === way.length - 1) return { x, y: y - down * (HEIGHT / 2 + 2) };
    return { x, y };
  });
  let path = `M${points[0].x} ${points[0].y}`;
  for (let at = 1; at < points.length; at += 1) {
    const [from, to] = [points[at - 1], points[at]];
    const middle = (from.y + to.y) / 2;
    path += `C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.y}`;
  }
  const tip = points.at(-1);
  return `${path}m-3.5 ${-down * 5}L${tip.x} ${tip.y}l3.5 ${-down * 5}`;
}

function tabulate({ graph, thoughts, offset }) {
  const rings = thoughts.map((thought) => frontier(graph, thought.step + offset));
  const shares = thoughts.map((thought) => probabilities(graph, thought));
  const rows = graph.names.map((name, at) => {
    const to = graph.edges.filter(([from]) => from === at).map(([, other]) => graph.names[other]);
    return [
      name,
      to.join(', ') || '–',
      ...thoughts.map((_, step) => (rings[step].has(at) ? '◯ ' : '') + percent(shares[step][at])),
    ];
  });
  $('graph-table')
    .querySelector('.scroll')
    .replaceChildren(
      table(
        'Probability that the head reads; ◯ is a ring',
        ['Node', 'Arrows to', ...thoughts.map(({ step }) => `Thought ${step}`)],
        rows,
      ),
    );
}
