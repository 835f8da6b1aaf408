// Where does a citation come from?

import { call } from './api.js';
import { attempt, button, element, escaped, make, type Child } from './dom.js';

export interface Cited {
  marker: string;
  docId: string;
  title: string;
  text?: string;
  start?: number;
  end?: number;
}

/** A text whose markers open what they name. */
export function cited(text: string, citations: Cited[]): Child[] {
  const known = new Map(citations.map((one) => [one.marker, one]));
  if (known.size === 0) return [text];
  return text.split(new RegExp(`(${[...known.keys()].map(escaped).join('|')})`)).map((part) => {
    const one = known.get(part);
    return one ? button(part, () => openPassage(one), { class: 'cite', title: one.title || one.docId, 'aria-label': `Source ${part}: ${one.title || one.docId}` }) : part;
  });
}

/** A list of sources that open. */
export function sources(citations: Cited[]): HTMLElement {
  return make('ul', { class: 'cites' }, ...citations.map((one) => make('li', {}, make('b', {}, one.marker), ' ', button(one.title || one.docId, () => openPassage(one), { class: 'link' }))));
}

export function openPassage(one: Cited): Promise<void> {
  return attempt(async () => {
    const found = await call<{ id: string; title?: string; text: string; metadata?: Record<string, unknown> }>(`/v1/documents/${encodeURIComponent(one.docId)}`);
    const dialog = element<HTMLDialogElement>('passage');
    const { start = 0, end = 0 } = one;
    const whole = found.text.slice(start, end) === one.text && end > start;
    const body = whole ? [found.text.slice(0, start), make('mark', {}, found.text.slice(start, end)), found.text.slice(end)] : [found.text];
    const meta = Object.entries(found.metadata ?? {}).map(([name, said]) => make('li', {}, `${name}: ${typeof said === 'string' ? said : JSON.stringify(said)}`));
    element('passage-title').textContent = found.title || found.id;
    element('passage-body').replaceChildren(make('ul', { class: 'meta' }, make('li', {}, found.id), ...meta), make('p', { class: 'passage-text' }, ...body));
    dialog.showModal();
    dialog.querySelector('mark')?.scrollIntoView({ block: 'center' });
  });
}
