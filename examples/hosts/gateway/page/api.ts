// How is the gateway asked?

import { value } from './dom.js';

/** An event of a stream. */
export interface Told {
  type: string;
  [member: string]: any;
}

function request(url: string, body: unknown, method: string | undefined, signal: AbortSignal | undefined, accept: string): Promise<Response> {
  const headers: Record<string, string> = { accept };
  if (document.body.dataset['login'] !== 'token') {
    headers['x-tenant'] = value('tenant') || 'default';
    if (value('user')) headers['x-user'] = value('user');
  }
  if (body !== undefined) headers['content-type'] = 'application/json';
  return fetch(url, { method: method ?? (body === undefined ? 'GET' : 'POST'), headers, ...(body !== undefined && { body: JSON.stringify(body) }), ...(signal && { signal }) });
}

async function refused(response: Response): Promise<Error> {
  if (response.status === 401) document.body.classList.add('logged-out');
  const said = await response.json().catch(() => ({ detail: response.statusText, code: String(response.status) }));
  return new Error(`${said.detail} (${said.code})`);
}

/** Asks, and gives the answer. */
export async function call<T>(url: string, body?: unknown, method?: string): Promise<T> {
  const response = await request(url, body, method, undefined, 'application/json');
  if (!response.ok) throw await refused(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Asks, and gives the events as they come. */
export async function* stream(url: string, body: unknown, signal: AbortSignal): AsyncGenerator<Told> {
  const response = await request(url, body, undefined, signal, 'text/event-stream');
  if (!response.ok) throw await refused(response);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value: text } = await reader.read();
      if (done) return;
      const parts = (rest + text).split('\n\n');
      rest = parts.pop()!;
      for (const part of parts) {
        const data = part.split('\n').find((line) => line.startsWith('data: '));
        if (data) yield JSON.parse(data.slice(6)) as Told;
      }
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

/** Logs in by a token; the session's cookie stands for it then. */
export async function login(token: string): Promise<void> {
  const response = await fetch('/v1/session', { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw await refused(response);
  document.body.classList.remove('logged-out');
}

/** One at a time: what begins ends what was under way. */
export class Latest {
  #under: AbortController | undefined;

  begin(): AbortSignal {
    this.#under?.abort();
    this.#under = new AbortController();
    return this.#under.signal;
  }

  stop(): void {
    this.#under?.abort();
  }
}
