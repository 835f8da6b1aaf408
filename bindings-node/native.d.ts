// The native half, as TypeScript sees it. Made by scripts/build.mjs from the sources in src/; do not edit.

/** Changes of a registry, as they happen. No thread waits for them. */
export declare class AgentEvents {
  /** The next event as JSON; undefined when none will come any more. One call at a time waits. */
  next(): Promise<string | undefined>
  /** Ends the listening: who waits gets undefined. */
  close(): void
}

/** Agents, found by what they can do. */
export declare class AgentRegistry {
  /** Starts to open the registry in a file, or one in memory. Options: `path`, `model`, `catalog`. */
  static open(embedder: Embedder | undefined | null, options: unknown): AgentRegistry
  /** Resolves when the registry is open. */
  ready(): Promise<void>
  /** A handle for one tenant. */
  tenant(name: unknown): Promise<AgentRegistry>
  /** Adds an agent and gives it back whole, as JSON. */
  add(agent: unknown): Promise<string>
  /** Adds many agents at once and gives them back whole, as JSON. */
  addAll(agents: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** Replaces an agent and gives it back whole, as JSON. */
  update(agent: unknown): Promise<string>
  /** Removes an agent. */
  remove(id: unknown): Promise<void>
  /** An agent, as JSON. */
  get(id: unknown): Promise<string>
  /** The agents that match a filter, as JSON. */
  list(by: unknown): Promise<string>
  /** How many agents there are. */
  count(): Promise<number>
  /** The best agents for a question, as JSON. */
  match(question: unknown, options: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** Agents that complement each other on a question, as JSON. */
  selectPanel(question: unknown, options: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** Records how well an agent did on a question, 0 to 1. */
  recordOutcome(id: unknown, question: unknown, reward: unknown): Promise<void>
  /** Adds the agent of an A2A card and gives it back whole, as JSON. */
  importCard(card: unknown): Promise<string>
  /** The A2A card of an agent, as JSON. */
  exportCard(id: unknown): Promise<string>
  /** Adds the agents of a catalogue file; says how many there are. */
  load(path: unknown, cancel?: Cancel | undefined | null): Promise<number>
  /** Writes the agents to a catalogue file. */
  save(path: unknown): Promise<void>
  /** The questions that are stated to be nobody's. */
  outOfScope(): Promise<Array<string>>
  /** States which questions are nobody's. */
  setOutOfScope(questions: unknown, cancel?: Cancel | undefined | null): Promise<void>
  /** The numbers that turn scores into confidence, as JSON. */
  calibration(): Promise<string>
  /** Fits confidence to pairs of a question and the id of the agent that answers it, or null; the numbers as JSON. */
  calibrate(questions: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** Every version of an agent, oldest first, as JSON. */
  versions(id: unknown): Promise<string>
  /** The capabilities that agents may name, with their titles, as JSON. */
  taxonomy(): Promise<string>
  /** Changes from now on. */
  subscribe(): Promise<AgentEvents>
  /** Lets go of the file once every tenant's handle is closed too. */
  close(): Promise<void>
}

/** Stops work from outside; an AbortSignal pulls it. */
export declare class Cancel {
  /** One that is not pulled. */
  constructor()
  /** Stops the work. */
  cancel(): void
}

/** What was said before. */
export declare class Conversation {
  /** Names it. */
  get id(): string
  /** How it is kept, as JSON. */
  get options(): string
  /** Its turns, as JSON. */
  turns(): Promise<string>
  /** Adds what was said elsewhere. */
  add(messages: unknown): Promise<void>
  /** Forgets turns, or all, and says how many. */
  forget(which: unknown): Promise<number>
}

/** A model that reads a query and a passage together and scores the pair. */
export declare class CrossEncoder {
  /** Starts to open a model. */
  static open(source: unknown, options: unknown): CrossEncoder
  /** Resolves when the model is open. */
  ready(): Promise<void>
  /** The score of each passage for the query, higher for more relevant. */
  score(query: unknown, passages: unknown, cancel?: Cancel | undefined | null): Promise<Float32Array>
  /** The longest pair that is read whole, in tokens. Waits while the model is being opened. */
  get maxTokens(): number
}

/** Documents on their way into a knowledge base, copied part by part. */
export declare class Documents {
  /** None yet. `skip`: those that are no documents are reported rather than refused. */
  constructor(skip: boolean)
  /** Copies some more. */
  push(documents: unknown): void
}

/** A model that turns texts into vectors of unit length. */
export declare class Embedder {
  /** Starts to open a local model. */
  static local(source: unknown, options: unknown, cache?: EmbeddingCache | undefined | null): Embedder
  /** A model behind a service with OpenAI's interface for embeddings. */
  static remote(url: unknown, options: unknown, cache?: EmbeddingCache | undefined | null): Embedder
  /** An embedder that the host has written: `embed(reply, texts)`, called on its thread. */
  static callback(embed: unknown, options: unknown, cache?: EmbeddingCache | undefined | null): Embedder
  /** Resolves when the model is open. */
  ready(): Promise<void>
  /** Embeds documents or queries: the numbers row by row, and the length of a row. */
  embed(texts: unknown, queries: boolean, cancel?: Cancel | undefined | null): Promise<[Float32Array, number]>
  /** Embeds one query. */
  embedQuery(text: unknown): Promise<Float32Array>
  /** One vector per token: the numbers row by row, and the length of a row. */
  embedTokens(text: unknown): Promise<[Float32Array, number]>
  /** Components of a vector. Waits while the model is being opened. */
  get dim(): number
  /** The longest text that is embedded whole, in tokens. Waits while the model is being opened. */
  get maxTokens(): number
  /** Fingerprint of weights and settings. Waits while the model is being opened. */
  get id(): string
}

/** Vectors that were computed before, in a folder. */
export declare class EmbeddingCache {
  /** Starts to open the cache in a folder. */
  static open(folder: unknown, options: unknown): EmbeddingCache
  /** Resolves when the cache is open. */
  ready(): Promise<void>
  /** What the cache holds and how often it helped, as JSON. */
  stats(): Promise<string>
}

/** What an engine is made of, beside its options. */
export declare class EngineParts {
  /** None yet. */
  constructor()
  /** One tool more. */
  add(tool: WorkflowTool): void
  /** What time it is, by a clock that is moved. */
  timed(clock: ManualClock): void
  /** What time it is, by a function `now(reply)`, which has said `first`. */
  timedBy(now: unknown, first: unknown): void
}

/** What an evaluation found. */
export declare class Evaluation {
  /** All of it, as JSON. */
  found(): string
  /** Some lines that say what was found. */
  summary(): string
  /** A row for each trial and scorer, as JSON. */
  rows(): string
  /** What differs between two, as JSON. */
  compare(other: Evaluation, seed: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** The page that shows it. */
  html(): Promise<string>
  /** Writes that page. */
  write(path: unknown): Promise<void>
}

/** The events of a store. */
export declare class EventBus {
  /** The events of a store, which may be opening. */
  static of(store: StateStore): EventBus
  /** Writes an event; its number. */
  publish(subject: unknown, data: unknown, key: unknown): Promise<number>
  /** Subscribes a group. */
  subscribe(pattern: unknown, options: unknown): Promise<Line>
  /** The groups that are subscribed, as JSON. */
  subscriptions(): Promise<string>
  /** Puts events before the groups once more, from a number on or from a time; how many deliveries. */
  replay(since: unknown, time: unknown, group: unknown): Promise<number>
  /** Forgets events; how many. */
  prune(options: unknown): Promise<number>
  /** The number of the newest event. */
  last(): Promise<number>
}

/** The models that are asked when another fails. */
export declare class Fallback {
  /** None yet. */
  constructor()
  /** One more. */
  add(model: LanguageModel): void
}

/** A graph that runs. */
export declare class GraphApp {
  /** The hash of the plan. */
  get id(): string
  /** The plan, as JSON. */
  json(): string
  /** The plan in Mermaid's language. */
  mermaid(): string
  /**
   * Runs the graph; without a thread nothing is kept. `call(reply, number, index, state, context)` calls a node and answers with
   * `{result: {update, goto}}` or `{error}`; `stop(number)` says that nobody waits for that call any more. The outcome is JSON.
   */
  run(input: unknown, thread: unknown, options: unknown, call: unknown, stop: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** Goes on with a thread. The outcome is JSON. */
  resume(thread: unknown, answers: unknown, options: unknown, call: unknown, stop: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** The events of a run: of one that begins with `input`, or without it of one that goes on with `answers`. */
  flow(thread: unknown, input: unknown | undefined | null, answers: unknown, modes: unknown, options: unknown, call: unknown, stop: unknown): ModelFlow
  /** How a thread stands, as JSON. */
  state(thread: unknown, namespace: unknown, at: unknown): Promise<string>
  /** How a thread stood, the newest first, as JSON. */
  history(thread: unknown, namespace: unknown, limit: unknown | undefined | null, before: unknown): Promise<string>
  /** Writes to the state of a thread as if a node had, and gives the new checkpoint. */
  update(thread: unknown, values: unknown, asNode: unknown, at: unknown): Promise<string>
  /** Makes a checkpoint the beginning of a thread, and gives the new checkpoint. */
  fork(source: unknown, namespace: unknown, at: unknown, thread: unknown): Promise<string>
  /** Ends a thread, and says whether something was due. */
  cancel(thread: unknown): Promise<boolean>
}

/** A graph that is being put together. */
export declare class GraphBuilder {
  /** A graph without nodes, with the JSON Schema of its state. */
  constructor(schema: unknown)
  /** A graph that ships. */
  static ready(name: string, runtime: Runtime): GraphBuilder
  /** How writes to a channel are put together: by the reducer of this name, or by a function of `[old, new]`. */
  reducer(channel: string, name?: string | undefined | null, host?: unknown | undefined | null): void
  /** What refuses values of a channel: a function of `[value]`. */
  validator(channel: string, host: unknown): void
  /**
   * A node: the function with this number of whoever runs the graph. `key`: what of `[state]` a cache depends on; `on`: whether
   * `[{code, message}]` is worth another try.
   */
  node(name: string, options: unknown, index: number, key?: unknown | undefined | null, on?: unknown | undefined | null): void
  /** A graph as a node. */
  subgraph(name: string, options: unknown, other: GraphBuilder): void
  /** After one comes the other. */
  edge(source: string, target: string): void
  /** Where a function of `[state]` leads. */
  edgesIf(source: string, route: unknown, targets: unknown): void
  /** One comes when all of the others have ended. */
  join(sources: unknown, target: string): void
  /** Everything that is wrong with it, as JSON. */
  problems(): string
  /** The graph as something that runs. */
  compile(store: StateStore): GraphApp
}

/** What a node may do beside writing. */
export declare class GraphContext {
  /** What `host(reply)` answers with, `{result}` or `{error}`, the first time; what it answered, ever after. As JSON. */
  step(name: unknown, host: unknown): Promise<string>
  /** The answer to a question, as JSON. */
  ask(question: unknown): string
  /** Tells something. */
  emit(data: unknown): void
  /** Whether nobody waits any more. */
  get cancelled(): boolean
  /** The run. */
  get runId(): string
  /** The thread; empty where there is none. */
  get thread(): string
  /** The number of this try, from 1. */
  get attempt(): number
}

/** What a host adds to a question: tools, who approves, a conversation. */
export declare class Helpers {
  /** None; the runtime's are used. */
  constructor()
  /** No tools but those that are added from now on. */
  ownTools(): void
  /** One tool more. */
  add(tool: NativeTool): void
  /** Who decides about calls that wait. */
  approvedBy(decide: unknown): void
  /** By which number tools are told who asks. */
  askedBy(number: number): void
  /** The host's span that the run belongs to which goes on, as a W3C traceparent. */
  traced(parent: unknown): void
  /** The conversation that the question belongs to. */
  within(conversation: Conversation): void
}

/** The pieces that a search has found, by place from 0. */
export declare class Hits {
  /** None yet; [`Hits::push`] adds hits of other searches. */
  constructor()
  /** Adds a hit of another search. */
  push(from: Hits, i: number): void
  /** How many there are. */
  get length(): number
  /** How good it is; larger is better. */
  score(i: number): number
  /** How likely it is about the question at all, 0 to 1; null where nothing can be said. */
  relevance(i: number): number | null
  /** The cosine of the query and the piece; null in a lexical search. */
  similarity(i: number): number | null
  /** The text of the piece. */
  text(i: number): string
  /** The id of its document. */
  docId(i: number): string
  /** The id of the piece. */
  chunkId(i: number): string
  /** The title of its document. */
  title(i: number): string
  /** The source of its document. */
  source(i: number): string
  /** The metadata of its document, as JSON. */
  metadata(i: number): string
  /** The headings above it, outermost first. */
  headings(i: number): Array<string>
  /** Where it starts in the document's text, in UTF-16 units. */
  start(i: number): number
  /** Where it ends in the document's text, in UTF-16 units. */
  end(i: number): number
  /** The vector of the piece. */
  vector(i: number): Float32Array
  /** How the score came about: as JSON, and for people. */
  explain(i: number): [json: string, text: string]
}

/** Documents that are kept and found. */
export declare class KnowledgeBase {
  /** Adds or replaces documents; `progress(reply, done, total)` is called on the way. The report is JSON. */
  write(documents: Documents, replace: boolean, vectors: unknown, progress?: unknown | undefined | null, cancel?: Cancel | undefined | null): Promise<string>
  /** Adds, upserts or syncs the documents of files; `ocr(reply, png)` reads pages that are images; otherwise as `write`. */
  writeFiles(patterns: unknown, task: string, options: unknown, progress?: unknown | undefined | null, ocr?: unknown | undefined | null, cancel?: Cancel | undefined | null): Promise<string>
  /** Gives a document other metadata. */
  updateMetadata(id: unknown, metadata: unknown): Promise<void>
  /** Deletes documents by `ids`, by `where`, or `all`, and says how many. */
  delete(options: unknown): Promise<number>
  /** The best pieces for a query. `encoder` or `scorer(reply, query, hits)` reranks. */
  search(query: unknown, options: unknown, cancel?: Cancel | undefined | null, encoder?: CrossEncoder | undefined | null, scorer?: unknown | undefined | null): Promise<Hits>
  /** The best pieces for each query. */
  searchBatch(queries: unknown, options: unknown, cancel?: Cancel | undefined | null, encoder?: CrossEncoder | undefined | null, scorer?: unknown | undefined | null): Promise<Array<Hits>>
  /** The best pieces for one question in several wordings. */
  searchMany(queries: unknown, options: unknown, cancel?: Cancel | undefined | null, encoder?: CrossEncoder | undefined | null, scorer?: unknown | undefined | null): Promise<Hits>
  /** The pieces whose vectors are most similar to this one. */
  searchVector(vector: unknown, options: unknown, cancel?: Cancel | undefined | null): Promise<Hits>
  /** Cited text for a question, within a budget of tokens, as JSON. `counter` or `tokens(reply, text)` counts tokens. */
  context(question: unknown, options: unknown, cancel?: Cancel | undefined | null, encoder?: CrossEncoder | undefined | null, scorer?: unknown | undefined | null, counter?: Embedder | undefined | null, tokens?: unknown | undefined | null): Promise<string>
  /** The same of hits that were found already, the best first. */
  contextOf(hits: Hits, options: unknown, cancel?: Cancel | undefined | null, counter?: Embedder | undefined | null, tokens?: unknown | undefined | null): Promise<string>
  /** The document with this id, as JSON; with `chunks` also the vector of each. */
  get(id: unknown, chunks: unknown): Promise<string | [json: string, vectors: Array<Float32Array>]>
  /** The ids of the documents that match, oldest first. */
  ids(by: unknown, cancel?: Cancel | undefined | null): Promise<Array<string>>
  /** How many documents match. */
  count(by: unknown, cancel?: Cancel | undefined | null): Promise<number>
  /** The values of a field with the number of documents that have each, as JSON. */
  facets(field: unknown, options: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** The least and the greatest value of a field, as JSON. */
  minMax(field: unknown, options: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** A page of documents and where the next one begins, as JSON. */
  documents(options: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** What the knowledge base holds, as JSON. */
  stats(): Promise<string>
  /** The versions that `at` can show, as JSON. */
  versions(): Promise<string>
  /** The knowledge base as it was at a version. */
  at(version: unknown): Promise<KnowledgeBase>
  /** A handle that sees one tenant. */
  tenant(name: unknown): Promise<KnowledgeBase>
  /** The names of the tenants that have written something. */
  tenants(): Promise<Array<string>>
  /** Removes a tenant with all that it has. */
  dropTenant(name: unknown): Promise<void>
  /** Copies the knowledge base; `progress(reply, done, total)` is called on the way. The report is JSON. */
  backup(to: unknown, progress?: unknown | undefined | null, cancel?: Cancel | undefined | null): Promise<string>
  /** Makes a knowledge base with another embedder; otherwise as `backup`. */
  reembed(to: unknown, embedder: Embedder | undefined | null, options: unknown, progress?: unknown | undefined | null, cancel?: Cancel | undefined | null): Promise<string>
  /** Compares what is stored with its checksums. The report is JSON. */
  verify(progress?: unknown | undefined | null, cancel?: Cancel | undefined | null): Promise<string>
  /** The model that embeds. */
  embedder(): Promise<Embedder>
  /** The tenant that the handle sees. */
  get tenantName(): string | null
  /** Takes over what other processes wrote. */
  refresh(): Promise<boolean>
  /** Rewrites what many small writes have left. */
  compact(): Promise<void>
  /** Gives the writer's lock back. */
  close(): Promise<void>
}

/** A language model. */
export declare class LanguageModel {
  /** A model behind a service, or one of this machine, whose files are read before this returns. */
  static open(name: unknown, options: unknown, fallback: Fallback): LanguageModel
  /** The model whose answers are sentences of a knowledge base. */
  static extractive(kb: KnowledgeBase, options: unknown, fallback: Fallback): LanguageModel
  /** A model of tests that gives these replies in their order. */
  static script(replies: unknown, id: string | undefined | null, options: unknown, fallback: Fallback): LanguageModel
  /**
   * A model of tests that answers with a function of JavaScript, `answer(reply, request, span)`, called on its thread. `span`: the
   * number of the span that it is asked in, where somebody hears spans.
   */
  static callback(answer: unknown, id: string | undefined | null, options: unknown, fallback: Fallback): LanguageModel
  /** The whole answer, as JSON. */
  complete(request: unknown, check?: unknown | undefined | null, cancel?: Cancel | undefined | null): Promise<string>
  /** The answer piece by piece. Nothing is sent before the first piece is asked for. */
  stream(request: unknown, check?: unknown | undefined | null): ModelFlow
  /** The tokens that a request takes, as JSON. */
  countTokens(request: unknown): Promise<string>
  /** How prices and recordings name the model. */
  get id(): string
  /** What its tokens cost, as JSON. */
  get price(): string
}

/** What messages or events are taken from. */
export declare class Line {
  /** Starts to open a queue of a store, which may be opening itself. */
  static queue(store: StateStore, name: unknown, options: unknown): Line
  /** What holds for a queue, as JSON. */
  options(): Promise<string>
  /** Puts a message; what came of it, as JSON. */
  put(data: unknown, options: unknown): Promise<string>
  /** Takes at most so many, as JSON. */
  take(most: unknown): Promise<string>
  /** Says that what a lease holds is worked off. */
  ack(lease: unknown): Promise<void>
  /** Gives it back; whether it was put aside as dead. */
  nack(lease: unknown, options: unknown): Promise<boolean>
  /** Puts it aside as dead. */
  reject(lease: unknown, reason: unknown): Promise<void>
  /** Has its lease begin anew; until when it lasts. */
  renew(lease: unknown): Promise<number>
  /** What was tried too often, as JSON. */
  dead(): Promise<string>
  /** Puts dead ones back; how many. */
  replay(ids: unknown): Promise<number>
  /** Removes dead ones; how many. */
  discard(ids: unknown): Promise<number>
  /** How many stand where, as JSON. */
  stats(): Promise<string>
  /** Removes it; whether it was there. */
  delete(): Promise<boolean>
  /**
   * Works it off: `call(reply, number, message)` with the message as JSON answers with `{}` or `{error}`; `stop(number)` says that the
   * handler is to end.
   */
  work(call: unknown, stop: unknown, options: unknown): Promise<Workers>
}

/** A clock that stands still until it is moved. */
export declare class ManualClock {
  /** A clock that shows `now`. */
  constructor(now: unknown)
  /** Seconds since 1970. */
  now(): number
  /** Moves it on. */
  advance(seconds: unknown): void
}

/** The tools of a server. */
export declare class McpServer {
  /** What stands for all tools. */
  all(): NativeTool
  /** The tools that there are now. */
  tools(): Array<NativeTool>
  /** What is known of it, as JSON. */
  get state(): string
  /** Reads the list of tools again and accepts it; what has changed, as JSON. */
  refresh(cancel?: Cancel | undefined | null): Promise<string>
  /** Ends the server. */
  close(): Promise<void>
}

/** The events of one answer. No thread of the host's waits for them. */
export declare class ModelFlow {
  /** The events that have come, as JSON, at least one; undefined when none will come any more. One call at a time waits. */
  next(): Promise<string | undefined>
  /** Cancels the answer; its last event says so. */
  cancel(): void
  /** Lets go of the answer: who waits gets undefined. */
  close(): void
}

/** Something that a model may have done. */
export declare class NativeTool {
  /** The same with other functions, as `function_tool` takes them. */
  bound(call: unknown, stop: unknown): NativeTool
  /** What is known of it, as JSON. */
  get card(): string
}

/** Dawid and Skene's model, kept up to date vote by vote. */
export declare class Online {
  /** An empty model of classes. */
  constructor(arguments: unknown)
  /** Takes a vote into account. */
  add(item: unknown, rater: unknown, value: unknown): void
  /** The probability of each class for an item; null for one without votes. */
  probabilities(item: unknown): Float64Array | null
  /** The matrix true classes x given classes of a rater, row by row; null for one without votes. */
  confusion(rater: unknown): Float64Array | null
  /** How many votes there are. */
  get length(): number
  /** Fits the model anew to all votes. */
  refit(cancel?: Cancel | undefined | null): Promise<unknown>
}

/** The models of a panel that are not the runtime's. */
export declare class PanelModels {
  /** None yet. */
  constructor()
  /** Who answers for the member at this place. */
  member(at: number, model: LanguageModel): void
  /** Who answers for the member of this id. */
  named(id: unknown, model: LanguageModel): void
  /** The host's span that the panel belongs to which goes on, as a W3C traceparent. */
  traced(parent: unknown): void
  /** Who judges a debate. */
  judge(model: LanguageModel): void
  /** Who answers for the chair. */
  chair(model: LanguageModel): void
}

/** Who rated what how. */
export declare class Ratings {
  /** The ids of items, raters and categories, each as JSON. */
  ids(): Array<string>
  /** How many ratings there are. */
  get length(): number
}

/** Where a callback puts its answer. */
export declare class Reply {
  /** The answer. */
  answer(value: unknown): void
  /** The callback has failed; why is known to the caller. */
  fail(message: string): void
}

/** Experts that answer. */
export declare class Runtime {
  /** Starts to open a runtime; one without a registry, a store and a tenant of documents is open at once. */
  static open(registry: AgentRegistry | undefined | null, kb: KnowledgeBase | undefined | null, model: LanguageModel | undefined | null, store: StateStore | undefined | null, helpers: Helpers, tenant: unknown, budget: unknown): Runtime
  /** Resolves when it is open. */
  ready(): Promise<void>
  /** An answer, as JSON. */
  ask(question: unknown, options: unknown, helpers: Helpers, cancel?: Cancel | undefined | null): Promise<string>
  /** Goes on with a run. The answer is JSON. */
  resume(runId: unknown, decisions: unknown, helpers: Helpers, cancel?: Cancel | undefined | null): Promise<string>
  /** The events of a question. */
  flow(question: unknown, options: unknown, helpers: Helpers): ModelFlow
  /** The events of a run that goes on. */
  resumeFlow(runId: unknown, decisions: unknown, helpers: Helpers): ModelFlow
  /** The runs with a status, as JSON. */
  runs(status: unknown): Promise<string>
  /** What lists show of a run, as JSON. */
  run(runId: unknown): Promise<string>
  /** What a run has shown, as JSON. */
  events(runId: unknown): Promise<string>
  /** The answer of a run, as JSON. */
  answer(runId: unknown): Promise<string>
  /** Ends a run. */
  cancel(runId: unknown): Promise<void>
  /** Forgets a run that is over. */
  delete(runId: unknown): Promise<void>
  /** The messages of the first request, as JSON. */
  prompt(question: unknown, options: unknown, helpers: Helpers, cancel?: Cancel | undefined | null): Promise<string>
  /** Opens a conversation, or begins one. */
  conversation(id: unknown, options: unknown): Promise<Conversation>
  /** Keeps a fact about a user, and gives it as JSON. */
  remember(user: unknown, fact: unknown, source: unknown): Promise<string>
  /** The facts about a user that a question is about, as JSON. */
  recall(user: unknown, question: unknown, k: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** All facts about a user, as JSON. */
  facts(user: unknown): Promise<string>
  /** Forgets a fact about a user, or all, and says how many. */
  forget(user: unknown, id: unknown): Promise<number>
}

/** Steps that are all done, or all undone. */
export declare class Saga {
  /**
   * Does a step: `call(reply)` answers with `{result}` or `{error}`; `undo(reply, value)`, with the value as JSON, undoes it. What the step
   * gave, as JSON.
   */
  step(name: unknown, call: unknown, undo: unknown): Promise<string>
  /** Says that all steps are done. */
  finish(): Promise<void>
  /** Undoes everything, where that is not done yet. */
  fail(code: unknown, message: unknown): Promise<void>
  /** How far it is. */
  status(): Promise<string>
  /** Lets go of it as it is. */
  close(): void
}

/** What looks at answers, beyond what has a name. */
export declare class Scorers {
  /** None yet. */
  constructor()
  /** A model that judges. */
  judge(model: LanguageModel, options: unknown): void
  /** By which number tools are told who asks. */
  askedBy(number: number): void
  /** A function of JavaScript. */
  own(name: unknown, score: unknown): void
}

/** A recording or a replay that is under way. */
export declare class Session {
  /** Ends it. */
  close(): void
}

/** Where runs, graphs and workflows are kept. */
export declare class StateStore {
  /** Starts to open a folder, or one in memory. */
  static open(path: unknown, options: unknown): StateStore
  /** Resolves when it is open. */
  ready(): Promise<void>
  /** Lets go of it. What was given the store keeps it open until it is let go of too. */
  close(): Promise<void>
  /** Checkpoints, the newest first, as JSON. */
  list(options: unknown): Promise<string>
  /** A checkpoint with its values, as JSON, or undefined. */
  get(thread: unknown, namespace: unknown, id: unknown): Promise<string | undefined>
  /** The threads, in the order in which they were begun, as JSON. */
  threads(): Promise<string>
  /** Copies a thread, and gives how many checkpoints. */
  copy(thread: unknown, to: unknown): Promise<number>
  /** Removes a thread, and says whether it was there. */
  delete(thread: unknown): Promise<boolean>
  /** Removes older checkpoints, and says which, as JSON. */
  prune(options: unknown): Promise<string>
  /** Keeps a checkpoint of another library. */
  save(given: unknown): Promise<void>
  /** Keeps what a task of another library has written. */
  saveWrites(given: unknown): Promise<void>
  /** A checkpoint of another library with all that stands in it and beside it, as JSON: null where there is none. */
  saved(thread: unknown, namespace: unknown, id: unknown): Promise<string>
  /** The same of a list, the newest first. */
  savedList(options: unknown): Promise<string>
}

/** The stories of a store. */
export declare class Stories {
  /** The stories of a store, which may be opening. */
  static of(store: StateStore): Stories
  /** Keeps a story, as JSON. */
  add(story: unknown): Promise<string>
  /** A story, as JSON. */
  get(id: unknown): Promise<string>
  /** All stories with a status, as JSON. */
  list(status: unknown): Promise<string>
  /** Keeps a measurement; the story, as JSON. */
  outcome(id: unknown, metric: unknown, value: unknown): Promise<string>
  /** Says that nobody wants it any more, or that somebody does again; the story, as JSON. */
  abandon(id: unknown, abandoned: unknown): Promise<string>
  /** Removes a story. */
  remove(id: unknown): Promise<void>
}

/** What the calls of a tool share, in however many engines. */
export declare class ToolGuard {
  /** One of a name; `options`: `retry`, `timeout`, `breaker`, `bulkhead`. */
  constructor(name: unknown, options: unknown)
}

/** Threads that work something off. */
export declare class Workers {
  /** Has them end; whether all is settled. */
  end(stop: unknown, timeout: unknown, cancel?: Cancel | undefined | null): Promise<boolean>
  /** Has them take nothing more, and waits for nothing; whether all is settled. */
  leave(): boolean
  /** Waits until they have ended; whether they have. */
  wait(timeout: unknown, cancel?: Cancel | undefined | null): Promise<boolean>
  /** How many messages are being worked at. */
  get working(): number
  /** What went wrong last with the store: its code and message. */
  error(): Array<string> | null
}

/** Workflows that run. */
export declare class WorkflowEngine {
  /** Starts to open an engine over a store, which may be opening itself. */
  static open(store: StateStore, runtime: Runtime | undefined | null, registry: AgentRegistry | undefined | null, parts: EngineParts, options: unknown): WorkflowEngine
  /** Resolves when it is open. */
  ready(): Promise<void>
  /** Adds the workflows of a folder, or a file. */
  load(path: unknown, overlays: unknown): Promise<void>
  /** Adds a workflow, and gives what lists show of it as JSON. */
  add(workflow: unknown): Promise<string>
  /** What is wrong with what was loaded, as JSON. */
  validate(): Promise<string>
  /** The newest versions, as JSON. */
  list(): Promise<string>
  /** The versions of a workflow, as JSON. */
  versions(id: unknown): Promise<string>
  /** The form of a workflow, or those of all, as JSON. */
  rendered(id: unknown, version: unknown): Promise<string>
  /** A diagram of a workflow. */
  mermaid(id: unknown, version: unknown): Promise<string>
  /** Starts a run. */
  start(workflow: unknown, input: unknown, options: unknown): Promise<WorkflowRun>
  /** A run. */
  run(id: unknown): Promise<WorkflowRun>
  /** The runs with a status. */
  runs(status: unknown): Promise<WorkflowRun[]>
  /** The reviews that are open. */
  reviews(role: unknown, run: unknown): Promise<WorkflowReview[]>
  /** A review that is open. */
  review(id: unknown): Promise<WorkflowReview>
  /** Adds a schedule; as it is then, as JSON. */
  schedule(name: unknown, cron: unknown, workflow: unknown, input: unknown, options: unknown): Promise<string>
  /** The schedules, as JSON. */
  schedules(): Promise<string>
  /** Looks at a schedule, or pauses, resumes or removes it; as it is then, as JSON. */
  scheduleWord(name: unknown, word: string): Promise<string>
  /** When a schedule comes due next, as JSON. */
  scheduleTimes(name: unknown, many: unknown): Promise<string>
  /** The run of a due time; an empty list where there is none. */
  scheduleRun(name: unknown, due: number): Promise<WorkflowRun[]>
  /** The graph by which a workflow is carried out here. */
  graph(): GraphBuilder
  /** Adds a kind of step. */
  stepType(handler: WorkflowTool, schema: unknown): Promise<void>
  /** Goes on with runs, in the background. */
  work(options: unknown): Promise<void>
  /** Drains it; whether all was done by then. */
  drain(timeout: unknown, cancel?: Cancel | undefined | null): Promise<boolean>
  /** Drains it and ends it; whether all was done by then. */
  close(timeout: unknown, cancel?: Cancel | undefined | null): Promise<boolean>
  /** What went wrong in going on with runs, as JSON. */
  faults(): Promise<string>
}

/** A review that is open. */
export declare class WorkflowReview {
  /** What there is to know of it, as JSON. */
  get shown(): string
  /** Takes it. */
  claim(user: unknown): Promise<void>
  /** Decides it. */
  decide(option: unknown, given: unknown): Promise<void>
  /** Gives it to somebody else. */
  delegate(user: unknown, by: unknown): Promise<void>
}

/** A run of a workflow. */
export declare class WorkflowRun {
  /** Names it. */
  get id(): string
  /** How far it is. */
  status(): Promise<string>
  /** Waits until it is over, or has one of these statuses. */
  wait(timeout: unknown, until: unknown, cancel?: Cancel | undefined | null): Promise<string>
  /** What came of it, as JSON. */
  result(): Promise<string>
  /** How it ended, as JSON. */
  ending(): Promise<string>
  /** What it began with, as JSON. */
  definition(): Promise<string>
  /** Nothing more begins in it. */
  pause(): Promise<void>
  /** It goes on. */
  resume(): Promise<void>
  /** Ends it. */
  cancel(reason: unknown, compensate: unknown): Promise<void>
  /** Has steps tried now. */
  retry(step: unknown): Promise<void>
  /** Leaves a step out. */
  skip(step: unknown): Promise<void>
  /** Sends a signal. */
  signal(name: unknown, data: unknown, id: unknown): Promise<void>
  /** Its steps, as JSON. */
  steps(): Promise<string>
  /** What happened in it, as JSON. */
  journal(): Promise<string>
  /** Has it go on by another version of its workflow. */
  migrate(version: unknown): Promise<void>
  /** A new run that begins where this one came to a step. */
  fork(step: unknown): Promise<WorkflowRun>
  /** A diagram of its steps. */
  mermaid(): Promise<string>
  /** Everything that is known of it, as JSON. */
  export(): Promise<string>
  /** What happens in it from an entry on. */
  flow(from: unknown): ModelFlow
}

/** Something that a workflow may have done, or a kind of step. */
export declare class WorkflowTool {
}

/** The JSON Schema (draft 2020-12) of an agent, whose members have JavaScript's names, as JSON. */
export declare function agentSchema(): string

/** What a panel came to, as JSON. */
export declare function askPanel(experts: Runtime, question: unknown, options: unknown, models: PanelModels, cancel?: Cancel | undefined | null): Promise<string>

/** Refuses the options that a judge does not have. */
export declare function checkJudge(model: LanguageModel, options: unknown): void

/** Refuses what is said of a node and is wrong by itself. */
export declare function checkNode(options: unknown): void

/** All members of a story, checked, as JSON. */
export declare function checkStory(story: unknown): string

/** Runs a command; the Promise gives its exit code. */
export declare function commandLine(args: unknown, cancel?: Cancel | undefined | null): Promise<number>

/** Fisher's paired randomisation test, as JSON. */
export declare function compare(runA: unknown, runB: unknown, qrels: unknown, metric: unknown, seed: unknown, cancel?: Cancel | undefined | null): Promise<string>

/** Runs a method on another thread, where it may take minutes; `cancel` stops it. */
export declare function consensus(name: string, arguments: unknown, ratings?: Ratings | undefined | null, cancel?: Cancel | undefined | null): Promise<unknown>

/** Runs a method that takes well under a millisecond, at once. */
export declare function consensusNow(name: string, arguments: unknown): unknown

/** Every code as (code, class, meaning). */
export declare function errorCodes(): Array<[code: string, kind: string, meaning: string]>

/** `[metric, mean]` pairs, or with `per_query` `[query, {metric: value}]` pairs, as JSON. */
export declare function evaluate(run: unknown, qrels: unknown, metrics: unknown, perQuery: unknown, cancel?: Cancel | undefined | null): Promise<string>

/** Asks tasks several times; `progress(reply, done, total)` is called on the way. */
export declare function evaluateAgents(runtime: Runtime, tasks: unknown, options: unknown, scorers: Scorers, progress?: unknown | undefined | null, cancel?: Cancel | undefined | null): Promise<Evaluation>

/** A report that was kept. */
export declare function evaluationOf(given: unknown): Evaluation

/** A tool that asks the expert with this id. */
export declare function expertTool(runtime: Runtime, id: unknown): Promise<NativeTool>

/**
 * A tool that is a function of JavaScript: `call(reply, number, arguments, context)` with both as JSON answers with `{result}` or
 * `{error}`; `stop(number)` says that nobody waits for that call any more.
 */
export declare function functionTool(card: unknown, call: unknown, stop: unknown): NativeTool

/** The draft of a workflow for a story, as JSON. */
export declare function generate(engine: WorkflowEngine, story: unknown, kind: unknown, customization: unknown): Promise<string>

/** The tasks that ship, as JSON. */
export declare function goldenTasks(): string

/** Calls `tell(marks)` with what happens to spans from now on, as JSON. The number by which this environment takes them itself. */
export declare function hearSpans(tell: unknown, main: boolean): number

/** Ends that. */
export declare function leaveSpans(id: number): void

/**
 * Calls `listener(level, target, text, message, fields)` with each event from now on; `fields` are JSON. Whether it is so: not
 * when the process has a subscriber of tracing already.
 */
export declare function listen(listener: unknown): boolean

/** A folder in the format of BEIR, as JSON. */
export declare function loadBeir(folder: unknown, split: unknown, cancel?: Cancel | undefined | null): Promise<string>

/** The tasks of a file, as JSON. */
export declare function loadTasks(path: unknown): Promise<string>

/** The JSON Schema of a message. */
export declare function messageSchema(): string

/** Opens the knowledge base in a folder, or in memory for `null`. */
export declare function open(place: unknown, embedder: Embedder | undefined | null, options: unknown, progress?: unknown | undefined | null): Promise<KnowledgeBase>

/** Starts or reaches a server. */
export declare function openMcp(options: unknown, cancel?: Cancel | undefined | null): Promise<McpServer>

/** Opens a model as `LanguageModel.open` does, on another thread. */
export declare function openModel(name: unknown, options: unknown, fallback: Fallback): Promise<LanguageModel>

/** Begins a saga of a store, or goes on with it. */
export declare function openSaga(store: StateStore, name: unknown, options: unknown): Promise<Saga>

/** The events of a panel. */
export declare function panelFlow(experts: Runtime, question: unknown, options: unknown, models: PanelModels): ModelFlow

/** The page of a panel's answer. */
export declare function panelPage(answer: unknown): Promise<string>

/** A row for each ballot of a panel's answer and each missing one, as JSON. */
export declare function panelRows(answer: unknown): Promise<string>

/** The panels of the runtime's tenant as lists show them, as JSON. */
export declare function panelSessions(experts: Runtime): Promise<string>

/** The members of the story that a sentence tells, as JSON. */
export declare function parseStory(sentence: unknown): string

/** The names of the queues of a store. */
export declare function queueNames(store: StateStore): Promise<string[]>

/** Ratings from any of the forms that are taken. */
export declare function ratings(arguments: unknown): Ratings

/** What to tell the user of a table of ratings whose form was not given, where it may be the other way round. */
export declare function ratingsDoubt(rows: number, columns: number): string | null

/** A run in TREC's six columns, as JSON. */
export declare function readTrecRun(path: unknown, cancel?: Cancel | undefined | null): Promise<string>

/** Writes every request to a model or tool, and its answer, to a file. */
export declare function record(path: unknown, redact: unknown): Promise<Session>

/** Answers every request from a file. */
export declare function replay(path: unknown): Promise<Session>

/** Asks a recorded run again with something changed. What came of it is JSON. */
export declare function replayRun(runtime: Runtime, runId: unknown, options: unknown, model?: LanguageModel | undefined | null, cancel?: Cancel | undefined | null): Promise<string>

/** Goes on with a panel. What it came to is JSON. */
export declare function resumePanel(experts: Runtime, runId: unknown, models: PanelModels, cancel?: Cancel | undefined | null): Promise<string>

/** The events of a panel that goes on. */
export declare function resumePanelFlow(experts: Runtime, runId: unknown, models: PanelModels): ModelFlow

/** A tool that searches a knowledge base. */
export declare function searchTool(kb: KnowledgeBase): NativeTool

/** Which version of the conventions names spans and metrics, and the metrics, as JSON. */
export declare function spanMetrics(): string

/** What has happened to spans and was not told yet, as JSON, for who hears; else nothing. */
export declare function takeSpans(id: number): string | null

/** The version of the package. */
export declare function version(): string

/** The JSON Schema of a workflow file. */
export declare function workflowForm(): string

/** The workflows that ship, as JSON. */
export declare function workflowTemplates(): string

/**
 * A tool that is a function of JavaScript: `call(reply, number, arguments, context)` with both as JSON answers with `{result}` or
 * `{error}`; `stop(number)` says that nobody waits for that call any more.
 */
export declare function workflowTool(name: unknown, call: unknown, stop: unknown, idempotent: unknown, guard: ToolGuard): WorkflowTool

/** Writes that page. */
export declare function writePanelPage(answer: unknown, path: unknown): Promise<void>

/** Writes a run in TREC's six columns. */
export declare function writeTrecRun(run: unknown, path: unknown): Promise<void>
