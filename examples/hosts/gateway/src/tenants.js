// What does a tenant have open: documents, experts, runs, workflows?

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { Model, Runtime, StateStore, workflows } from 'quorate';

import { Refused } from './errors.js';
import { TENANT } from './identity.js';
import { scripted } from './scripted.js';

/** How far a run is that is not over. */
const GOING = /** @type {const} */ (['pending', 'queued', 'running', 'waiting', 'paused', 'compensating', 'blocked']);

/** A tenant's handles. What asks experts is opened when somebody asks. */
export class Tenant {
  held = 0;
  /** @type {Promise<{ runtime: Runtime, engine: workflows.Engine, store: StateStore }> | undefined} */
  #asking;

  /** @type {import('quorate').KnowledgeBase} There once `ready` has resolved. */
  // @ts-expect-error: set by `ready`.
  kb;

  /** @param {string} name @param {Shared} shared */
  constructor(name, shared) {
    this.name = name;
    this.shared = shared;
    this.ready = shared.kb.tenant(name).then((kb) => {
      this.kb = kb;
    });
  }

  /** The runtime and the engine of workflows. */
  asking() {
    this.#asking ??= this.#open().catch((error) => {
      this.#asking = undefined;
      throw error;
    });
    return this.#asking;
  }

  async #open() {
    const { name, kb, shared } = this;
    const { settings, registry } = shared;
    const more = (await settings.extension?.({ kb, tenant: name })) ?? {};
    const store = await StateStore.open(join(settings.folder, 'state', folderOf(name)), { tenant: name });
    const model = more.model ?? (await modelOf(settings.model, kb));
    const runtime = await Runtime.open({ registry, kb, model, store, tenant: name, tools: more.tools ?? [] });
    const engine = await workflows.Engine.open(store, { runtime, tenant: name, tools: more.workflowTools ?? [] });
    if (settings.workflows !== null) await engine.load(settings.workflows);
    return { runtime, engine, store };
  }

  /** Whether something goes on that would stand still without these handles. */
  async busy() {
    if (this.held > 0) return true;
    if (!this.#asking) return false;
    const { engine } = await this.#asking;
    for (const status of GOING) if ((await engine.runs({ status })).length > 0) return true;
    return this.held > 0;
  }

  /** @param {number} seconds */
  async close(seconds) {
    const asking = this.#asking;
    this.#asking = undefined;
    if (!asking) return;
    const { engine, store } = await asking;
    await engine.close({ timeout: seconds });
    await store.close();
  }
}

/** @typedef {{ settings: import('./settings.js').Settings, kb: import('quorate').KnowledgeBase, registry: import('quorate').AgentRegistry }} Shared */

/** The tenants whose handles are open. Those unused for longest are let go of, unless a workflow of theirs goes on. */
export class Tenants {
  /** @type {Map<string, Tenant>} */
  #open = new Map();
  /** @type {Promise<void> | undefined} */
  #tidying;

  /** @param {Shared} shared */
  constructor(shared) {
    this.shared = shared;
  }

  get size() {
    return this.#open.size;
  }

  /** The tenant, which stays open until `held` is lowered. Code: `overloaded`. @param {string} name @returns {Promise<Tenant>} */
  async hold(name) {
    const { tenantsOpen } = this.shared.settings;
    // Letting go takes its time, which those who come then wait for.
    if (!this.#open.has(name) && this.#open.size >= 2 * tenantsOpen) await this.#tidy();
    let tenant = this.#open.get(name);
    if (!tenant && this.#open.size >= 2 * tenantsOpen) throw new Refused(503, 'overloaded', 'too many tenants are at work', { 'retry-after': '5' });
    tenant ??= new Tenant(name, this.shared);
    this.#open.delete(name);
    this.#open.set(name, tenant);
    // Before anything is waited for, so that it is not let go of meanwhile.
    tenant.held += 1;
    try {
      await tenant.ready;
    } catch (error) {
      tenant.held -= 1;
      if (this.#open.get(name) === tenant) this.#open.delete(name);
      throw error;
    }
    if (this.#open.size > tenantsOpen) void this.#tidy();
    return tenant;
  }

  #tidy() {
    this.#tidying ??= this.#letGo().finally(() => {
      this.#tidying = undefined;
    });
    return this.#tidying;
  }

  async #letGo() {
    for (const [name, tenant] of [...this.#open]) {
      if (this.#open.size <= this.shared.settings.tenantsOpen) break;
      if ((await tenant.busy().catch(() => true)) || tenant.held > 0) continue;
      this.#open.delete(name);
      await tenant.close(1).catch(() => {});
    }
  }

  /** Opens again what tenants had before the process ended, so that their workflows go on. */
  async recover() {
    const { folder, tenantsOpen } = this.shared.settings;
    const names = await readdir(join(folder, 'state')).catch(() => []);
    for (const name of names.map(nameOf).filter((one) => TENANT.test(one)).slice(0, tenantsOpen)) {
      const tenant = await this.hold(name);
      try {
        await tenant.asking();
      } finally {
        tenant.held -= 1;
      }
    }
  }

  /** @param {number} seconds */
  async close(seconds) {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map((one) => one.close(seconds)));
  }
}

/** Some disks do not tell `Acme` from `acme`. @param {string} name */
function folderOf(name) {
  return name.replace(/[A-Z]/g, (letter) => `=${letter.toLowerCase()}`);
}

/** @param {string} folder */
function nameOf(folder) {
  return folder.replace(/=([a-z])/g, (_, letter) => letter.toUpperCase());
}

/** @param {string} name @param {import('quorate').KnowledgeBase} kb @returns {Promise<Model>} */
async function modelOf(name, kb) {
  const [, wait] = /^scripted:(\d+)$/.exec(name) ?? [];
  if (wait !== undefined) return scripted(Number(wait));
  return name === 'extractive' ? new Model('extractive', { kb }) : Model.open(name);
}
