/** A recording or a replay that is under way, until it is closed. There is one at a time in a process. */
export declare class Recording {
    #private;
    /** Ends it. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}
/**
 * Writes every request to a model or tool in this process, and its answer, to a file of JSON lines, which is begun anew. `redact`:
 * names of fields whose values are not written; keys of services never are. Codes: `duplicate_id` when one is under way, `io`.
 */
export declare function record(path: string | URL, options?: {
    redact?: readonly string[] | null;
} | null): Promise<Recording>;
/**
 * Answers every request from a file that {@link record} has written; nothing is sent. A request that is not in the file fails with
 * code `replay_mismatch` and the difference. Codes: `duplicate_id`, `not_found`, `corrupt`, `format_version`, `too_large`.
 */
export declare function replay(path: string | URL): Promise<Recording>;
