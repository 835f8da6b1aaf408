// Which view is shown, for whom?

import { agents, list } from './agents.js';
import { call, login } from './api.js';
import { ask, resume } from './ask.js';
import { attempt, element, problem, value } from './dom.js';
import { panel } from './panel.js';
import { listRuns, runs } from './runs.js';
import { search } from './search.js';
import { openWorkflows, workflows } from './workflows.js';

const VIEWS = ['search', 'ask', 'panel', 'workflows', 'agents', 'runs'];

/** Where each view begins. */
const FIRST: Record<string, string> = { search: 'query', ask: 'ask-question', panel: 'panel-question', workflows: 'workflow', agents: 'agents-query', runs: 'runs-status' };

const ways = {
  ask: (run: string) => {
    location.hash = '#ask';
    void resume(run);
  },
  workflow: (run: string) => {
    pending = run;
    location.hash = '#workflows';
  },
};
let pending: string | undefined;

function chosen(id: string): void {
  element<HTMLInputElement>('ask-agent').value = id;
  location.hash = '#ask';
}

/** Shows the view that the address names. */
function route(): void {
  const name = location.hash.slice(1);
  const view = VIEWS.includes(name) ? name : 'search';
  problem(null);
  for (const one of VIEWS) {
    element(one).hidden = one !== view;
    const link = document.querySelector(`nav a[href="#${one}"]`)!;
    if (one === view) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${view} · quorate explorer`;
  element(FIRST[view]!).focus({ preventScroll: true });
  const run = pending;
  pending = undefined;
  if (view === 'workflows') void attempt(() => openWorkflows(run));
  if (view === 'agents') void attempt(() => list(chosen));
  if (view === 'runs') void attempt(() => listRuns(ways));
}

async function health(): Promise<void> {
  try {
    const { role, version, login: how } = await call<{ role: string; version: string; login: string }>('/v1/health');
    element('status').textContent = `quorate ${version}, ${role}`;
    document.body.dataset['login'] = how;
    if (how === 'token') await call('/v1/session').catch(() => document.body.classList.add('logged-out'));
  } catch {
    element('status').textContent = 'the gateway does not answer';
  }
}

search();
ask();
panel();
workflows();
agents(chosen);
runs(ways);

element('login-form').addEventListener('submit', (event) => {
  event.preventDefault();
  void attempt(async () => {
    await login(value('token'));
    element<HTMLInputElement>('token').value = '';
    route();
  });
});
element('logout').addEventListener('click', () => {
  void attempt(async () => {
    await call('/v1/session', undefined, 'DELETE');
    document.body.classList.add('logged-out');
  });
});
for (const id of ['tenant', 'user']) element(id).addEventListener('change', route);
element('passage-close').addEventListener('click', () => element<HTMLDialogElement>('passage').close());

// A number goes to a view, a slash to where it begins, as long as nobody writes.
document.addEventListener('keydown', (event) => {
  const writes = event.target instanceof HTMLElement && event.target.matches('input, textarea, select');
  if (writes || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const view = VIEWS[Number(event.key) - 1];
  if (view) location.hash = `#${view}`;
  else if (event.key === '/') {
    event.preventDefault();
    element(FIRST[VIEWS.find((one) => !element(one).hidden)!]!).focus();
  }
});
window.addEventListener('hashchange', route);

await health();
route();
