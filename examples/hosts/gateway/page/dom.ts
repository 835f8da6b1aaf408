// How is the page made? What comes from documents is text, and never markup.

export type Child = Node | string;

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Record<string, string> = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, given] of Object.entries(attributes)) if (given || name === 'value') made.setAttribute(name, given);
  made.append(...children);
  return made;
}

export function svg<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, string | number> = {}, ...children: Child[]): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, given] of Object.entries(attributes)) made.setAttribute(name, String(given));
  made.append(...children);
  return made;
}

export function button(label: string, press: () => unknown, attributes: Record<string, string> = {}): HTMLButtonElement {
  const made = make('button', { type: 'button', ...attributes }, label);
  made.addEventListener('click', () => void press());
  return made;
}

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

export function value(id: string): string {
  return element<HTMLInputElement>(id).value.trim();
}

export function fill(id: string, children: Child[], empty: string): void {
  element(id).replaceChildren(...(children.length > 0 ? children : [make('p', { class: 'empty' }, empty)]));
}

/** A bar that is filled to a share from 0 to 1. */
export function bar(kind: string, share: number): HTMLElement {
  const full = make('i');
  full.style.width = `${(100 * Math.min(Math.max(share, 0), 1)).toFixed(1)}%`;
  return make('div', { class: `bar ${kind}` }, full);
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

export function short(one: unknown, most = 40): string {
  const text = typeof one === 'string' ? one : (JSON.stringify(one) ?? '');
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

export function pill(status: string): HTMLElement {
  return make('span', { class: `pill ${status}` }, status.replaceAll('_', ' '));
}

export function when(seconds: number | null): string {
  return seconds === null ? '' : new Date(seconds * 1000).toLocaleString();
}

export function money(cost: number | null): string {
  return cost === null ? 'price unknown' : `$ ${cost.toFixed(4)}`;
}

/** What goes wrong is told above the view. */
export function problem(error: unknown): void {
  const shown = element('problem');
  shown.hidden = error === null;
  shown.textContent = error === null ? null : error instanceof Error ? error.message : String(error);
}

/** Runs what a person has asked for, and tells what goes wrong. */
export async function attempt(work: () => Promise<unknown>): Promise<void> {
  problem(null);
  try {
    await work();
  } catch (error) {
    if ((error as Error).name !== 'AbortError') problem(error);
  }
}

export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
