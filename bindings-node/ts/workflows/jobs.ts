// What is somebody trying to get done, and which workflow does it?

import type * as Native from '../../native.js';
import { now, options as checked, parse, settle } from '../call.js';
import { invalid } from '../errors.js';
import { native } from '../native.js';
import { MADE } from './queue.js';

/** How far a story has come. */
export type StoryStatus = 'open' | 'measuring' | 'achieved' | 'abandoned';

/** By what a story is measured. */
export interface JobOutcome {
  /** What is measured, such as `days_to_answer`; unique within the story. */
  metric: string;
  /** What it says, for people. */
  description?: string | null;
  /** In what it is counted. */
  unit?: string | null;
  /** What it was before. */
  baseline?: number | null;
  /** What is to be reached. */
  target?: number | null;
  /** Which way is better. Default: from the baseline to the target, and up where there is no baseline. */
  better?: 'higher' | 'lower' | null;
}

/** What a story says. */
export interface JobStoryInput {
  /** What people read. Default: the beginning of the motivation. */
  title?: string | null;
  /** When it is wanted. */
  situation: string;
  /** What is wanted. */
  motivation: string;
  /** What it is wanted for. */
  expectedOutcome: string;
  /** The field that it belongs to. */
  domain?: string | null;
  /** The higher goes first. Default 1. */
  priority?: number | null;
  /** By what it is measured: metrics, or what is known of them. */
  outcomes?: readonly (string | JobOutcome)[] | null;
  /** Who wants it. */
  role?: string | null;
  /** How far it has come. */
  status?: StoryStatus | null;
}

const MEMBERS = ['title', 'situation', 'motivation', 'expectedOutcome', 'domain', 'priority', 'outcomes', 'role', 'status'];

/** A job to be done: a situation, what somebody wants in it, and what for. */
export class JobStory {
  declare readonly title: string;
  declare readonly situation: string;
  declare readonly motivation: string;
  declare readonly expectedOutcome: string;
  declare readonly domain: string | null;
  declare readonly priority: number;
  declare readonly outcomes: readonly JobOutcome[];
  declare readonly role: string;
  declare readonly status: StoryStatus;

  /** Codes: `invalid_argument`, `too_large`, `not_finite`, `invalid_text`. */
  constructor(story: JobStoryInput) {
    Object.assign(this, parse(now(() => native.checkStory(checked(story, MEMBERS)))));
  }

  /**
   * Reads the sentence form, in English: `When ..., I want to ..., so I can ...`, also in other orders, and with who wants it before: `As a
   * nurse, ...`. Codes: `story_syntax` names every part that is missing; `too_large`.
   */
  static parse(sentence: string): JobStory {
    return storyOf(parse(now(() => native.parseStory(sentence))));
  }
}

function storyOf(members: object): JobStory {
  return Object.assign(Object.create(JobStory.prototype) as JobStory, members);
}

/** A value of the input that a story does not give. */
export interface Unfilled {
  /** Where, as expressions name it: `input.device`. */
  path: string;
  /** What the schema says of it. */
  description: string;
  /** The JSON type; empty where any is possible. */
  type: string;
  /** Whether the workflow does not start without it. */
  required: boolean;
}

/** A template that was compared with a story. */
export interface TemplateCandidate {
  template: string;
  title: string;
  /** Probability, 0 to 1, that it does the job. */
  confidence: number;
  score: number;
  meaning: number;
  /** The words of the story that it has, each with its weight. */
  words: [string, number][];
  nearest: [string, number] | null;
  topic: [string, number] | null;
}

/** Where a draft comes from; `String(...)` of it says it to people. */
export interface DraftExplanation {
  /** Whether the template was named, instead of chosen. */
  named: boolean;
  /** From which confidence on a template is taken that was not named. */
  bound: number;
  /** The templates that were compared, the likeliest first. */
  candidates: TemplateCandidate[];
  /** What the story gave: where, what, by which part, in which words. */
  filled: { path: string; value: any; part: string; words: string }[];
  /** What the customization changed. */
  customized: string[];
  toString(): string;
}

/** How a draft is made. */
export interface GenerateOptions {
  /** A template by its id, or the last part of it; or the domain from which one is chosen. */
  type?: string | null;
  /** What is laid over the workflow, as an overlay's `patch`. */
  customization?: Readonly<Record<string, unknown>> | null;
}

/** A workflow that was made for a story. It is a text and nothing else: no run was started, and no engine knows it. */
export class Draft {
  /** The id of the workflow. */
  declare readonly id: string;
  /** The workflow as YAML, with everything in it: what `engine.add` takes. */
  declare readonly workflow: string;
  /** The template that it was made from. */
  declare readonly template: string;
  /** The version of that. */
  declare readonly templateVersion: string;
  /** Probability, 0 to 1, that the template does the job. */
  declare readonly score: number;
  /** What the story gives of the input. */
  declare readonly input: Record<string, any>;
  /** The values of the input that the story does not give, the required first. */
  declare readonly unfilled: readonly Unfilled[];
  readonly #explanation: DraftExplanation;

  /** @internal */
  constructor(made: typeof MADE, text: string) {
    if (made !== MADE) throw invalid('a draft is made by the generate of an Engine');
    const { explanation, text: said, ...members } = parse<{ explanation: DraftExplanation; text: string }>(text);
    Object.assign(this, members);
    this.#explanation = Object.defineProperty(explanation, 'toString', { value: () => said });
  }

  /** Why this template, and which words gave which value. */
  explain(): DraftExplanation {
    return this.#explanation;
  }
}

/** @internal The draft of a workflow that an engine makes. */
export async function draftOf(engine: Native.WorkflowEngine, story: JobStory | JobStoryInput, options: GenerateOptions): Promise<Draft> {
  const { type, customization } = options;
  return new Draft(MADE, await settle(async () => native.generate(engine, given(story), type, customization)));
}

/** Of an instance of a class the native half sees no members. */
function given(story: unknown): unknown {
  return story instanceof JobStory ? { ...story } : story;
}

/** What was measured once. */
export interface Measurement {
  metric: string;
  value: number;
  /** When, in seconds since 1970. */
  time: number;
  /** Whether it reaches the target of the story's outcome; null where that has none. */
  reached: boolean | null;
}

/** A story as it is kept. */
export interface KeptStory {
  /** By which it is named. */
  id: string;
  /** When it was added, in seconds since 1970. */
  added: number;
  /** What it says, with its status as it is now. */
  story: JobStory;
  /** Everything that was measured, the oldest first. */
  measurements: Measurement[];
}

function keptOf(found: KeptStory): KeptStory {
  return { ...found, story: storyOf(found.story) };
}

/** The stories of a store, with all that was measured: `store.stories`. */
export class Stories {
  readonly #native: Native.Stories;

  /** @internal */
  constructor(made: typeof MADE, half: Native.StateStore) {
    if (made !== MADE) throw invalid('stories are those of a StateStore');
    this.#native = now(() => native.Stories.of(half));
  }

  /** Keeps a story under an id of its own. It is on the disk when this resolves. Codes: those of `JobStory`; `io`, `disk_full`. */
  async add(story: JobStory | JobStoryInput): Promise<KeptStory> {
    return keptOf(parse(await settle(async () => this.#native.add(given(story)))));
  }

  /** A story with all that was measured. Codes: `unknown_id`, `corrupt`, `io`. */
  async get(id: string): Promise<KeptStory> {
    return keptOf(parse(await settle(() => this.#native.get(id))));
  }

  /** All stories, the oldest first; those with a status. Codes: `invalid_argument`, `corrupt`, `io`. */
  async list(options?: { status?: StoryStatus | null } | null): Promise<KeptStory[]> {
    const { status } = checked(options, ['status']);
    return parse<KeptStory[]>(await settle(() => this.#native.list(status))).map(keptOf);
  }

  /** Keeps a measurement beside the earlier ones. Codes: `unknown_id`; `not_found` for a metric that is none of the story's; `not_finite`. */
  async outcome(id: string, metric: string, value: number): Promise<KeptStory> {
    return keptOf(parse(await settle(() => this.#native.outcome(id, metric, value))));
  }

  /** Says that nobody wants it any more, or that somebody does again. Code: `unknown_id`. */
  async abandon(id: string, abandoned: boolean = true): Promise<KeptStory> {
    return keptOf(parse(await settle(() => this.#native.abandon(id, abandoned))));
  }

  /** Removes a story and all that was measured; no file has a byte of them then. Code: `unknown_id`. */
  async remove(id: string): Promise<void> {
    await settle(() => this.#native.remove(id));
  }
}
