// How do messages of the host look to the native half?

import type { Message, Messages, Reply } from './models.js';

/** @internal Whether this is an answer, and no message. */
export function isReply(given: object): given is Reply {
  return 'message' in given && 'attempts' in given && 'usage' in given;
}

/** @internal A message in the neutral form. */
export function neutral(given: Exclude<Messages, string>[number]): unknown {
  if (typeof given !== 'object' || given === null) return given;
  if (isReply(given)) return given.message;
  const { toolCalls, toolCallId, ...rest } = given as Message;
  return {
    ...rest,
    ...(toolCalls !== undefined && { tool_calls: toolCalls }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
  };
}
