import { type Effect, RuntimeTool } from './tools.js';
/** Which server is asked, and which of its tools are taken. Exactly one of `command` and `url` is given. */
export interface McpOptions {
    /** The program that is the server, and its arguments; it is started as a child process, without a shell, and ends with the handle. */
    command?: readonly string[] | null;
    /** Where a server listens that speaks streamable HTTP. */
    url?: string | null;
    /** Header fields of each request over HTTP, such as `Authorization`. They show in no error. */
    headers?: Readonly<Record<string, string>> | null;
    /** Variables that the program sees beside those by which programs find their way (`PATH`, `HOME` and their like). */
    env?: Readonly<Record<string, string>> | null;
    /** The folder in which the program runs. Default: that of this process. */
    cwd?: string | null;
    /** What errors call the server. Default: the program's name, or the URL. */
    name?: string | null;
    /** Stands before the name of each tool, so that those of several servers differ. */
    prefix?: string | null;
    /** The tools that are taken, by the names that the server gives them. Default: all. */
    include?: readonly string[] | null;
    /** Tools that are not taken. */
    exclude?: readonly string[] | null;
    /** What tools do to the world, by the server's names, where the host knows better than the server's hints. */
    effects?: Readonly<Record<string, Effect>> | null;
    /** Seconds that a call may take. Default 30. */
    timeout?: number | null;
    /** Seconds until the server must have said what it is and which tools it has. Default 30. */
    startTimeout?: number | null;
    /** The most tokens of a result that the model reads; of a longer one it reads head and tail. Default 2,000. */
    maxResultTokens?: number | null;
    /** Stops the start of the server. */
    signal?: AbortSignal | null;
}
/** What has changed in a server's list of tools, by the names that models use. */
export interface McpChanges {
    /** Tools that came. */
    readonly added: readonly string[];
    /** Tools that went. */
    readonly removed: readonly string[];
    /** Tools whose description, schema or hints are others, with what differs. */
    readonly changed: Readonly<Record<string, string>>;
}
/**
 * The tools of a server; made by {@link mcpTools}.
 *
 * `tools: [handle]`: each question has the tools that the server has when it is asked. `tools: [...handle]`: those of now. Closed by
 * {@link McpTools.close}, at the end of an `await using` block, or when neither it nor one of its tools is used any more.
 */
export declare class McpTools extends RuntimeTool implements Iterable<RuntimeTool> {
    #private;
    /** What errors call the server. */
    get server(): string;
    /** The names of the tools that there are, as models use them, in the server's order. */
    get names(): string[];
    /** The tools that are refused since they are not what was accepted, with what has changed; {@link McpTools.refresh} accepts them. */
    get refused(): Record<string, string>;
    /** The tools of the server that cannot be used, with the reason. */
    get leftOut(): Record<string, string>;
    /** Whether it was closed. */
    get closed(): boolean;
    /** The tools that there are now. */
    [Symbol.iterator](): Iterator<RuntimeTool>;
    /**
     * Reads the list of tools again, and accepts it as it is; a server that has ended is started again. Gives what has changed. Codes: `closed`,
     * `tool_failed`, `tool_timeout`.
     */
    refresh(options?: {
        signal?: AbortSignal | null;
    } | null): Promise<McpChanges>;
    /** Ends the server: its process with all that it has started, or its session. Its tools fail from then on. */
    close(): Promise<void>;
    /** Closes at the end of an `await using` block. */
    [Symbol.asyncDispose](): Promise<void>;
}
/**
 * The tools of a Model Context Protocol server.
 *
 * ```js
 * const tools = await mcpTools({ command: ['node', 'server.js'] });
 * const runtime = new Runtime({ model, tools: [tools] });
 * ```
 *
 * A tool that the server does not call read-only writes, so that its calls wait for approval; `effects` says better for single tools. What a
 * server does wrong is `tool_failed`, what it does not do in time `tool_timeout`, with the server named. Codes of this call:
 * `invalid_argument`, those two, `cancelled`.
 */
export declare function mcpTools(options: McpOptions): Promise<McpTools>;
