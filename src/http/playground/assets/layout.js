// A layered drawing of a directed graph: arrows go down, few of them cross. Knows sizes and arrows, draws nothing.
//
// Layers by longest way, long arrows through a bend in every layer between, orders by the mean of the neighbours (Sugiyama's
// method), places by least squares within the order.

const NODE = { width: 84, gap: 14 };
const BEND = { width: 10, gap: 10 };
const LAYER = 78;
const APART = 36;
const SWEEPS = 24;

// Where each node's middle is, the points that each arrow passes, and how large all of it is. Parts that no arrow joins stand
// side by side, the one with the first node of all on the left.
export function layered(nodeCount, edges) {
  const drawing = { nodes: [], ways: [], width: -APART, height: 0 };
  for (const part of parts(nodeCount, edges)) {
    const inside = edges.map((edge, at) => ({ edge, at })).filter(({ edge }) => part.includes(edge[0]));
    const plan = connected(
      part.length,
      inside.map(({ edge }) => edge.map((node) => part.indexOf(node))),
    );
    const moved = ({ x, y }) => ({ x: x + drawing.width + APART, y });
    part.forEach((node, at) => {
      drawing.nodes[node] = moved(plan.nodes[at]);
    });
    inside.forEach(({ at }, index) => {
      drawing.ways[at] = plan.ways[index].map(moved);
    });
    drawing.width += APART + plan.width;
    drawing.height = Math.max(drawing.height, plan.height);
  }
  return drawing;
}

// Nodes that arrows join, whichever way they point.
function parts(nodeCount, edges) {
  const part = Array.from({ length: nodeCount }, (_, node) => node);
  for (const [from, to] of edges) {
    const [kept, gone] = [Math.min(part[from], part[to]), Math.max(part[from], part[to])];
    part.forEach((of, node) => {
      if (of === gone) part[node] = kept;
    });
  }
  return [...new Set(part)].map((of) => part.flatMap((other, node) => (other === of ? [node] : [])));
}

function connected(nodeCount, edges) {
  const forward = withoutCircles(nodeCount, edges);
  const layerOf = longestWays(nodeCount, forward);
  const { layers, chains, links } = bent(nodeCount, edges, layerOf);
  untangle(layers, links);
  const x = placed(layers, links, nodeCount);
  const left = Math.min(...x.map((at, index) => at - sizeOf(index, nodeCount).width / 2));
  const right = Math.max(...x.map((at, index) => at + sizeOf(index, nodeCount).width / 2));
  const depth = new Map(layers.flatMap((layer, at) => layer.map((index) => [index, at])));
  const point = (index) => ({ x: x[index] - left, y: depth.get(index) * LAYER });
  return {
    nodes: Array.from({ length: nodeCount }, (_, index) => point(index)),
    ways: chains.map((chain) => chain.map(point)),
    width: right - left,
    height: (layers.length - 1) * LAYER,
  };
}

const sizeOf = (index, nodeCount) => (index < nodeCount ? NODE : BEND);

// All arrows but those that close a circle.
function withoutCircles(nodeCount, edges) {
  const state = new Array(nodeCount).fill('new');
  const kept = [];
  const visit = (node) => {
    state[node] = 'open';
    for (const edge of edges.filter(([from]) => from === node)) {
      if (state[edge[1]] === 'open') continue;
      kept.push(edge);
      if (state[edge[1]] === 'new') visit(edge[1]);
    }
    state[node] = 'done';
  };
  for (let node = 0; node < nodeCount; node += 1) if (state[node] === 'new') visit(node);
  return kept;
}

function longestWays(nodeCount, edges) {
  const layer = new Array(nodeCount).fill(0);
  for (let round = 0, moved = true; moved && round <= nodeCount; round += 1) {
    moved = false;
    for (const [from, to] of edges) {
      if (layer[to] > layer[from]) continue;
      layer[to] = layer[from] + 1;
      moved = true;
    }
  }
  return layer;
}

// Bends get numbers behind the nodes'. A link joins neighbours of two layers, the upper one first.
function bent(nodeCount, edges, layerOf) {
  const layers = Array.from({ length: Math.max(...layerOf) + 1 }, () => []);
  layerOf.forEach((layer, node) => layers[layer].push(node));
  const links = [];
  let next = nodeCount;
  const chains = edges.map(([from, to]) => {
    const [upper, lower] = layerOf[from] < layerOf[to] ? [from, to] : [to, from];
    const chain = [upper];
    for (let layer = layerOf[upper] + 1; layer < layerOf[lower]; layer += 1) {
      layers[layer].push(next);
      chain.push(next);
      next += 1;
    }
    chain.push(lower);
    for (let at = 1; at < chain.length; at += 1) links.push([chain[at - 1], chain[at]]);
    return upper === from ? chain : chain.reverse();
  });
  return { layers, chains, links };
}

function neighbours(links, side) {
  const of = new Map();
  for (const link of links) {
    const [key, other] = side === 'above' ? [link[1], link[0]] : [link[0], link[1]];
    if (!of.has(key)) of.set(key, []);
    of.get(key).push(other);
  }
  return of;
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

// Reorders the layers in place; the order with the fewest crossings stays.
function untangle(layers, links) {
  const [above, below] = [neighbours(links, 'above'), neighbours(links, 'below')];
  let best = { crossings: Infinity };
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    const order = layers.map((_, at) => (down ? at : layers.length - 1 - at));
    for (const at of order) {
      const place = new Map(
        layers.flatMap((layer) => layer.map((index, position) => [index, position / layer.length])),
      );
      const wish = (index) => {
        const near = (down ? above : below).get(index);
        return near ? mean(near.map((other) => place.get(other))) : place.get(index);
      };
      layers[at] = layers[at]
        .map((index) => [wish(index), index])
        .sort((a, b) => a[0] - b[0])
        .map(([, index]) => index);
    }
    const crossings = crossed(layers, links);
    if (crossings < best.crossings) best = { crossings, layers: layers.map((layer) => [...layer]) };
  }
  best.layers.forEach((layer, at) => {
    layers[at] = layer;
  });
}

function crossed(layers, links) {
  const place = new Map(layers.flatMap((layer, at) => layer.map((index, position) => [index, { at, position }])));
  const ends = links.map(([from, to]) => ({
    at: place.get(from).at,
    a: place.get(from).position,
    b: place.get(to).position,
  }));
  let crossings = 0;
  for (let one = 0; one < ends.length; one += 1) {
    for (let other = one + 1; other < ends.length; other += 1) {
      const [p, q] = [ends[one], ends[other]];
      if (p.at === q.at && (p.a - q.a) * (p.b - q.b) < 0) crossings += 1;
    }
  }
  return crossings;
}

// Everything as near to its neighbours as the order and the gaps allow.
function placed(layers, links, nodeCount) {
  const near = [neighbours(links, 'above'), neighbours(links, 'below')];
  const x = [];
  for (const layer of layers)
    spread(
      layer,
      layer.map((_, at) => at * NODE.width),
      nodeCount,
      x,
    );
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      const wishes = layer.map((index) => {
        const others = near.flatMap((of) => of.get(index) ?? []);
        return others.length ? mean(others.map((other) => x[other])) : x[index];
      });
      spread(layer, wishes, nodeCount, x);
    }
  }
  return x;
}

// Least squares in a fixed order: neighbours that would overlap become one block at the mean of their wishes.
function spread(layer, wishes, nodeCount, x) {
  const offsets = [0];
  for (let at = 1; at < layer.length; at += 1) {
    const [left, right] = [sizeOf(layer[at - 1], nodeCount), sizeOf(layer[at], nodeCount)];
    offsets.push(offsets[at - 1] + (left.width + right.width) / 2 + Math.max(left.gap, right.gap));
  }
  const blocks = [];
  layer.forEach((_, at) => {
    let block = { from: at, sum: wishes[at] - offsets[at], size: 1 };
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).size > block.sum / block.size) {
      const left = blocks.pop();
      block = { from: left.from, sum: left.sum + block.sum, size: left.size + block.size };
    }
    blocks.push(block);
  });
  for (const { from, sum, size } of blocks) {
    for (let at = from; at < from + size; at += 1) x[layer[at]] = sum / size + offsets[at];
  }
}
