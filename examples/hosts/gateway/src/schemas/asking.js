// What may a question to experts hold?

const text = { type: 'string', minLength: 1, maxLength: 10_000 };
const where = { anyOf: [{ type: 'string', maxLength: 10_000 }, { type: 'object' }] };
const name = { type: 'string', minLength: 1, maxLength: 128 };

export const budget = {
  type: 'object',
  additionalProperties: false,
  properties: {
    maxCost: { type: 'number', minimum: 0 },
    maxTokens: { type: 'integer', minimum: 1 },
    maxSeconds: { type: 'number', exclusiveMinimum: 0, maximum: 3600 },
    maxSteps: { type: 'integer', minimum: 1, maximum: 1000 },
    maxToolCalls: { type: 'integer', minimum: 0 },
    unpriced: { type: 'string', enum: ['refuse', 'allow'] },
  },
};

const message = {
  type: 'object',
  additionalProperties: false,
  required: ['role', 'content'],
  properties: { role: { type: 'string', enum: ['user', 'assistant'] }, content: { type: 'string', maxLength: 100_000 } },
};

export const askBody = {
  type: 'object',
  additionalProperties: false,
  required: ['question'],
  properties: {
    question: text,
    agent: name,
    autonomous: { type: 'boolean' },
    conversation: { type: 'array', maxItems: 200, items: message },
    output: { type: 'object' },
    where,
    budget,
    seed: { type: 'integer', minimum: 0 },
    idempotencyKey: { type: 'string', minLength: 1, maxLength: 256 },
    stream: { type: 'boolean' },
  },
};

export const panelBody = {
  type: 'object',
  additionalProperties: false,
  required: ['question'],
  properties: {
    question: text,
    type: { type: 'string', enum: ['parallel', 'sequential', 'consensus', 'debate', 'socratic', 'delphi'] },
    members: { type: 'array', minItems: 1, maxItems: 32, items: name },
    size: { type: 'integer', minimum: 1, maximum: 16 },
    rounds: { type: 'integer', minimum: 1, maximum: 16 },
    options: { type: 'array', minItems: 2, maxItems: 32, items: { type: 'string', minLength: 1, maxLength: 1000 } },
    scale: { type: 'array', minItems: 2, maxItems: 2, items: { type: 'number' } },
    quorum: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
    anonymous: { type: 'boolean' },
    weights: { type: 'string', enum: ['declared', 'calibrated', 'confidence'] },
    where,
    budget,
    seed: { type: 'integer', minimum: 0 },
    title: { type: 'string', maxLength: 1000 },
    stream: { type: 'boolean' },
  },
};

export const ask = { body: askBody };
export const panel = { body: panelBody };

const id = { type: 'object', properties: { id: { type: 'string', minLength: 1, maxLength: 200 } } };

export const runs = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { status: { type: 'string', maxLength: 40 }, limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 } },
  },
};

export const run = { params: id };

export const events = {
  params: id,
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { after: { type: 'integer', minimum: 0, default: 0 }, limit: { type: 'integer', minimum: 1, maximum: 1000, default: 1000 } },
  },
};

const decision = {
  anyOf: [
    { type: 'string', enum: ['approve', 'deny'] },
    { type: 'object', additionalProperties: false, required: ['arguments'], properties: { arguments: { type: 'object' } } },
  ],
};

export const resume = {
  params: id,
  body: {
    type: ['object', 'null'],
    additionalProperties: false,
    properties: { decisions: { type: 'object', maxProperties: 64, additionalProperties: decision }, stream: { type: 'boolean' } },
  },
};
