// What may be said to workflows and reviews?

const name = { type: 'string', minLength: 1, maxLength: 200 };
const optional = (/** @type {object} */ properties) => ({ type: ['object', 'null'], additionalProperties: false, properties });

export const workflow = {
  params: { type: 'object', properties: { id: name } },
  querystring: { type: 'object', additionalProperties: false, properties: { version: name } },
};

export const start = {
  params: { type: 'object', properties: { id: name } },
  body: optional({
    input: {},
    id: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$' },
    version: name,
    priority: { type: 'integer', minimum: -1000, maximum: 1000 },
    dedup: name,
    deadline: { type: 'number' },
    offline: { type: 'boolean' },
  }),
};

export const runs = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { status: { type: 'string', maxLength: 40 }, limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100 } },
  },
};

const params = { type: 'object', properties: { run: name } };

export const run = { params };

export const stream = {
  params,
  querystring: { type: 'object', additionalProperties: false, properties: { after: { type: 'integer', minimum: 0, default: 0 } } },
};

export const signal = {
  params,
  body: { type: 'object', additionalProperties: false, required: ['name'], properties: { name, data: {}, id: name } },
};

export const cancel = { params, body: optional({ reason: { type: 'string', maxLength: 10_000 }, compensate: { type: 'boolean' } }) };

export const step = { params, body: optional({ step: name }) };

export const reviews = {
  querystring: { type: 'object', additionalProperties: false, properties: { role: name, run: name } },
};

export const review = { params: { type: 'object', properties: { id: name } } };

export const decide = {
  ...review,
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['option'],
    properties: { option: name, comment: { type: 'string', maxLength: 10_000 }, data: {} },
  },
};

export const delegate = {
  ...review,
  body: { type: 'object', additionalProperties: false, required: ['user'], properties: { user: { type: 'string', minLength: 1, maxLength: 256 } } },
};
