// How is a workflow drawn? As layers from top to bottom, with the ways back beside them.

import { svg } from './dom.js';

export interface Node { id: string; title: string; kind: string; within: string | null; layer: number }
export interface Edge { from: string; to: string; label: string | null; back: boolean }
export interface Graph { nodes: Node[]; edges: Edge[] }

const WIDE = 236;
const HIGH = 44;
const ROW = 24;
const GAP = 26;
const BETWEEN = 40;

interface Box { node: Node; inner: Node[]; x: number; y: number; high: number }

/** What stands for a kind of step. */
const SIGNS: Record<string, string> = {
  agent_task: '✎',
  panel_discussion: '⚖',
  human_review: '☺',
  integration: '⚙',
  conditional: '◇',
  parallel: '≡',
  wait: '◷',
  workflow: '▤',
};

/** A picture of the steps with how far each is; the table beside it says the same in words. */
export function draw({ nodes, edges }: Graph, status: ReadonlyMap<string, string>): SVGSVGElement {
  const boxes = place(nodes);
  const right = Math.max(...[...boxes.values()].map((box) => box.x + WIDE), WIDE);
  const bottom = Math.max(...[...boxes.values()].map((box) => box.y + box.high), HIGH);
  const backs = edges.filter((edge) => edge.back).length;
  const width = right + 16 + backs * 18 + (backs > 0 ? 110 : 0);
  const made = svg('svg', { viewBox: `-8 -8 ${width + 16} ${bottom + 24}`, width: width + 16, height: bottom + 24, role: 'img', 'aria-label': `Graph of ${nodes.length} steps` });
  const marker = svg('marker', { id: 'arrow', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse' }, svg('path', { d: 'M0 0 8 4 0 8z', class: 'arrow' }));
  made.append(svg('defs', {}, marker));
  let lane = 0;
  for (const edge of edges) {
    const [from, to] = [boxes.get(edge.from), boxes.get(edge.to)];
    if (!from || !to) continue;
    if (edge.back) {
      lane += 1;
      const x = right + lane * 18;
      const [y1, y2] = [from.y + from.high / 2, to.y + to.high / 2];
      made.append(svg('path', { class: 'edge back', d: `M${from.x + WIDE} ${y1}H${x}V${y2}H${to.x + WIDE + 2}`, 'marker-end': 'url(#arrow)' }));
      if (edge.label) made.append(svg('text', { class: 'edge-label', x: x + 5, y: (y1 + y2) / 2 }, edge.label));
      continue;
    }
    const [x1, y1, x2, y2] = [from.x + WIDE / 2, from.y + from.high, to.x + WIDE / 2, to.y];
    const middle = y2 - BETWEEN / 2;
    made.append(svg('path', { class: 'edge', d: `M${x1} ${y1}V${middle - 8}C${x1} ${middle + 8} ${x2} ${middle - 8} ${x2} ${y2 - 2}`, 'marker-end': 'url(#arrow)' }));
  }
  for (const box of boxes.values()) made.append(drawn(box, status));
  return made;
}

function drawn({ node, inner, x, y, high }: Box, status: ReadonlyMap<string, string>): SVGGElement {
  const group = svg('g', { class: `node ${status.get(node.id) ?? 'pending'} kind-${node.kind}`, 'data-step': node.id });
  group.append(svg('title', {}, `${node.title}: ${node.kind.replaceAll('_', ' ')}, ${status.get(node.id) ?? 'pending'}`), svg('rect', { x, y, width: WIDE, height: high, rx: 8 }));
  group.append(svg('text', { class: 'sign', x: x + 10, y: y + 27 }, SIGNS[node.kind] ?? '•'), svg('text', { x: x + 30, y: y + 27 }, fitted(node.title, 27)));
  inner.forEach((one, i) => {
    const top = y + HIGH + i * ROW;
    const row = svg('g', { class: `node inner ${status.get(one.id) ?? 'pending'}`, 'data-step': one.id }, svg('title', {}, `${one.title}: ${status.get(one.id) ?? 'pending'}`), svg('rect', { x: x + 8, y: top - 4, width: WIDE - 16, height: ROW - 4, rx: 5 }), svg('text', { class: 'sign', x: x + 14, y: top + 10 }, SIGNS[one.kind] ?? '•'), svg('text', { x: x + 30, y: top + 10 }, fitted(one.title, 27)));
    group.append(row);
  });
  return group;
}

function fitted(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function place(nodes: Node[]): Map<string, Box> {
  const boxes = new Map<string, Box>();
  const outer = nodes.filter((one) => one.within === null);
  const layers = [...new Set(outer.map((one) => one.layer))].sort((a, b) => a - b);
  const widest = Math.max(...layers.map((layer) => outer.filter((one) => one.layer === layer).length), 1);
  let y = 0;
  for (const layer of layers) {
    const row = outer.filter((one) => one.layer === layer);
    const left = ((widest - row.length) * (WIDE + GAP)) / 2;
    let highest = 0;
    row.forEach((node, i) => {
      const inner = nodes.filter((one) => one.within === node.id);
      const high = HIGH + (inner.length > 0 ? inner.length * ROW + 4 : 0);
      highest = Math.max(highest, high);
      boxes.set(node.id, { node, inner, x: left + i * (WIDE + GAP), y, high });
    });
    y += highest + BETWEEN;
  }
  return boxes;
}
