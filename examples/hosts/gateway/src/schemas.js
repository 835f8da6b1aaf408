// What may a request hold?

const text = { type: 'string', minLength: 1, maxLength: 10_000 };
const where = { anyOf: [{ type: 'string', maxLength: 10_000 }, { type: 'object' }] };
const id = { type: 'string', minLength: 1, maxLength: 1024 };

const document = {
  type: 'object',
  additionalProperties: false,
  required: ['id', 'text'],
  properties: {
    id,
    text: { type: 'string' },
    title: { type: 'string' },
    source: { type: 'string' },
    metadata: { type: 'object' },
  },
};

const batch = {
  type: 'object',
  additionalProperties: false,
  required: ['documents'],
  properties: {
    documents: { type: 'array', minItems: 1, maxItems: 100_000, items: document },
    onConflict: { type: 'string', enum: ['error', 'replace'], default: 'error' },
  },
};

export const write = { body: batch };

export const byId = { params: { type: 'object', properties: { id } } };

export const byFilter = {
  querystring: { type: 'object', required: ['where'], properties: { where: text } },
};

const searched = {
  type: 'object',
  additionalProperties: false,
  required: ['q'],
  properties: {
    q: text,
    k: { type: 'integer', minimum: 1, maximum: 1000, default: 10 },
    mode: { type: 'string', enum: ['hybrid', 'dense', 'lexical'], default: 'hybrid' },
    where: { type: 'string', maxLength: 10_000 },
    fusion: { type: 'string', enum: ['convex', 'rrf', 'dbsf'], default: 'convex' },
    alpha: { type: 'number', minimum: 0, maximum: 1, default: 0.5 },
    rerank: { type: 'string', enum: ['none', 'mmr', 'late'], default: 'none' },
    groupBy: { type: 'string', enum: ['none', 'doc'], default: 'none' },
    explain: { type: 'boolean', default: false },
  },
};

export const search = { querystring: searched };
export const searchBody = { body: searched };

export const list = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: {
      where: { type: 'string', maxLength: 10_000 },
      sort: { type: 'string', maxLength: 200 },
      limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
      after: { type: 'string', maxLength: 4096 },
    },
  },
};

export const agents = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { where: { type: 'string', maxLength: 10_000 }, q: { type: 'string', maxLength: 10_000 }, k: { type: 'integer', minimum: 1, maximum: 100, default: 20 } },
  },
};

export const context = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['question'],
    properties: {
      question: text,
      maxTokens: { type: 'integer', minimum: 1, maximum: 100_000, default: 2000 },
      where,
    },
  },
};

const constraints = {
  question: text,
  require: { type: 'array', maxItems: 64, items: { type: 'string' } },
  maxCost: { type: 'number', minimum: 0 },
  language: { type: 'string' },
};

export const match = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['question'],
    properties: {
      ...constraints,
      k: { type: 'integer', minimum: 1, maximum: 100, default: 5 },
      abstain: { type: 'boolean', default: false },
    },
  },
};

export const panel = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['question'],
    properties: {
      ...constraints,
      size: { type: 'integer', minimum: 1, maximum: 16, default: 5 },
      diversity: { type: 'number', minimum: 0, maximum: 1, default: 0.3 },
    },
  },
};

export const consensus = {
  body: {
    type: 'object',
    additionalProperties: false,
    properties: {
      ballots: { type: 'array', minItems: 1, maxItems: 1000, items: { type: 'object' } },
      options: { type: 'array', items: { type: 'string' } },
      votes: {
        type: 'array',
        minItems: 1,
        maxItems: 100_000,
        items: {
          type: 'object',
          required: ['item', 'rater', 'label'],
          properties: { item: { type: 'string' }, rater: { type: 'string' }, label: { type: 'string' } },
        },
      },
      method: { type: 'string', enum: ['majorityVote', 'dawidSkene', 'oneCoin', 'glad', 'mace', 'wawa'], default: 'dawidSkene' },
    },
    oneOf: [{ required: ['ballots'] }, { required: ['votes'] }],
  },
};
