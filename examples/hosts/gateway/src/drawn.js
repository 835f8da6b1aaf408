// Which steps of a workflow come after which?

/** @typedef {{ id: string, title: string, kind: string, within: string | null, layer: number }} Node */
/** @typedef {{ from: string, to: string, label: string | null, back: boolean }} Edge */

const KINDS = ['agent_task', 'panel_discussion', 'human_review', 'integration', 'conditional', 'parallel', 'wait', 'workflow'];

/**
 * The steps of a workflow as a graph in layers: each step stands below all that it needs; ways back are marked.
 *
 * @param {Record<string, any>} definition
 * @returns {{ nodes: Node[], edges: Edge[] }}
 */
export function drawn({ steps = {} }) {
  /** @type {Node[]} */
  const nodes = [];
  /** @type {Edge[]} */
  const edges = [];
  /** @type {Map<string, number>} */
  const layers = new Map();
  /** @param {string} id @param {Set<string>} under @returns {number} */
  const layer = (id, under = new Set()) => {
    const known = layers.get(id);
    if (known !== undefined) return known;
    if (under.has(id)) return 0;
    under.add(id);
    /** @type {string[]} */
    const needs = (steps[id]?.needs ?? []).filter((/** @type {string} */ one) => one in steps);
    const found = needs.length === 0 ? 0 : 1 + Math.max(...needs.map((one) => layer(one, under)));
    layers.set(id, found);
    return found;
  };
  for (const [id, step] of Object.entries(steps)) {
    nodes.push(nodeOf(id, step, null, layer(id)));
    for (const from of step.needs ?? []) edges.push({ from, to: id, label: null, back: false });
    for (const [label, way] of ways(step)) {
      if (way.goto in steps) edges.push({ from: id, to: way.goto, label: way.max ? `${label} (at most ${way.max})` : label, back: layer(way.goto) <= layer(id) });
    }
    for (const [inner, one] of Object.entries(step.parallel?.steps ?? {})) nodes.push(nodeOf(inner, one, id, layer(id)));
  }
  return { nodes, edges };
}

/** @param {string} id @param {any} step @param {string | null} within @param {number} layer @returns {Node} */
function nodeOf(id, step, within, layer) {
  const kind = KINDS.find((one) => one in step) ?? Object.keys(step).find((one) => !['title', 'needs', 'when', 'offline'].includes(one)) ?? 'step';
  return { id, title: step.title ?? id.replaceAll('_', ' '), kind, within, layer };
}

/** Where a step leads beside those that need it. @param {any} step @returns {[string, any][]} */
function ways(step) {
  /** @type {[string, any][]} */
  const found = Object.entries(step.routes ?? {});
  for (const branch of step.conditional ?? []) {
    const way = branch.then ?? branch.else;
    if (way?.goto) found.push([branch.when ? 'again' : 'else', way]);
  }
  return found.filter(([, way]) => way?.goto);
}
