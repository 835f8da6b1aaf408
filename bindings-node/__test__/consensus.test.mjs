// Do published answers come back through Node?

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Cancelled, Conflict, InvalidInput, NotFound, consensus } from 'quorate';
import * as direct from 'quorate/consensus';

import { fails } from './support/kb.mjs';

const c = consensus;
const N = null;
const FOUR_BY_TWELVE = [
  [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
  [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
  [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
  [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
];
const SCHULZE = new Map(
  Object.entries({ ACBED: 5, ADECB: 5, BEDAC: 8, CABED: 3, CAEBD: 7, CBADE: 2, DCEBA: 7, EBADC: 8 }).map(([o, n]) => [[...o], n]),
);
const TENNESSEE = new Map(Object.entries({ MNCK: 42, NCKM: 26, CKNM: 15, KCNM: 17 }).map(([o, n]) => [[...o], n]));

function near(value, expected, tolerance = 1e-6) {
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    assert.equal(value.length, expected.length);
    value.forEach((x, i) => near(x, expected[i], tolerance));
    return;
  }
  assert.ok(Math.abs(value - expected) <= tolerance, `${value} is not ${expected}`);
}

function columns() {
  const triples = FOUR_BY_TWELVE.flatMap((row, r) => row.flatMap((v, i) => (v === null ? [] : [[i, r, v]])));
  return [0, 1, 2].map((at) => triples.map((triple) => triple[at]));
}

test('the module and its namespace are one', () => {
  assert.equal(direct.krippendorffAlpha, c.krippendorffAlpha);
});

test('alpha, for every level and form of data', async () => {
  const levels = { nominal: 0.743421, ordinal: 0.815388, interval: 0.849107, ratio: 0.797403 };
  for (const [level, value] of Object.entries(levels)) {
    near((await c.krippendorffAlpha(FOUR_BY_TWELVE, { level })).value, value);
    const typed = FOUR_BY_TWELVE.map((row) => Float64Array.from(row, (x) => x ?? NaN));
    near((await c.krippendorffAlpha(typed, { level })).value, value);
  }
  const [items, raters, values] = columns();
  const expected = 0.743421;
  near((await c.krippendorffAlpha(items, raters, values)).value, expected);
  near((await c.krippendorffAlpha({ items, raters, values })).value, expected);
  const worker = raters.map((r) => `w${r}`);
  near((await c.krippendorffAlpha({ task: Int32Array.from(items), worker, label: values.map((v) => `l${v}`) })).value, expected);
  near((await c.krippendorffAlpha(items.map((item, i) => ({ item, rater: worker[i], value: values[i] })))).value, expected);
  near((await c.krippendorffAlpha(items, worker, BigInt64Array.from(values, BigInt))).value, expected);
  const first = await c.krippendorffAlpha(FOUR_BY_TWELVE, { bootstrap: 500, seed: 7 });
  assert.deepEqual(await c.krippendorffAlpha(FOUR_BY_TWELVE, { bootstrap: 500, seed: 7 }), first);
  assert.ok(first.low < first.value && first.value < first.high);
  const flat = await c.krippendorffAlpha([[1, 1], [1, 1]]);
  assert.equal(flat.value, null);
  assert.match(flat.undefined, /\S/);
});

test('chance-corrected coefficients', async () => {
  near((await c.gwetAc(FOUR_BY_TWELVE)).value, 0.77544, 1e-5);
  near((await c.gwetAc(FOUR_BY_TWELVE, { weights: 'quadratic' })).value, 0.914, 5e-4);
  near((await c.fleissKappa(FOUR_BY_TWELVE)).value, 0.76117, 1e-5);
  near((await c.brennanPrediger(FOUR_BY_TWELVE)).value, 0.77273, 1e-5);
  const copy = FOUR_BY_TWELVE.map((row) => [...row]);
  copy[1][11] = null;
  copy[2][11] = 3;
  near((await c.congerKappa(copy)).value, 0.76282, 1e-5);
  for (const method of [c.lightKappa, c.percentAgreement]) {
    const { value } = await method(FOUR_BY_TWELVE);
    assert.ok(value > 0 && value < 1);
  }
  assert.equal((await c.scottPi(FOUR_BY_TWELVE.slice(0, 2))).method, 'scott_pi');
  const counts = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
  ];
  near((await c.fleissKappa({ counts })).value, 0.20993, 1e-5);
  const table = [[0, 4, 1], [0, 8, 0], [0, 1, 5]];
  const pairs = table.flatMap((row, i) => row.flatMap((n, j) => Array.from({ length: n }, () => [i, j])));
  const [a, b] = [pairs.map((p) => p[0]), pairs.map((p) => p[1])];
  near((await c.cohenKappa(a, b)).value, 0.4842, 1e-4);
  near((await c.cohenKappa(a, b, { weights: 'linear' })).value, 0.4701, 1e-4);
  near((await c.cohenKappa(a, b, 'linear')).value, 0.4701, 1e-4);
  // Three columns are ratings, as everywhere else.
  const [items, raters] = [[...a, ...b].map((_, i) => i % a.length), [...a.map(() => 'a'), ...b.map(() => 'b')]];
  near((await c.cohenKappa(items, raters, [...a, ...b])).value, 0.4842, 1e-4);
  const own = [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]];
  near((await c.cohenKappa(a, b, { weights: own })).value, 0.4701, 1e-4);
  assert.equal((await c.cohenKappa(['a', 'a', 'b', 'b'], ['a', 'a', 'b', 'a'])).value, 0.5);
});

test('concordance and correlation', async () => {
  near((await c.kendallW([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]])).value, 0.161905);
  const rows = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]];
  const shrout = [0, 1, 2, 3].map((rater) => rows.map((row) => row[rater]));
  const published = { '1,1': 0.17, '2,1': 0.29, '3,1': 0.71, '1,k': 0.44, '2,k': 0.62, '3,k': 0.91 };
  for (const [form, value] of Object.entries(published)) near((await c.icc(shrout, { form })).value, value, 0.005);
});

test('Dawid and Skene on the anaesthetists', async () => {
  const file = new URL('../../consensus/tests/fixtures/dawid_skene_anaesthetist.csv', import.meta.url);
  const [, ...rows] = readFileSync(file, 'utf8').trim().split(/\r?\n/).filter((l) => !l.startsWith('#')).map((l) => l.split(','));
  const raters = rows.map(([, worker]) => (['w2', 'w3'].includes(worker) ? 'w1' : worker));
  const [items, values] = [rows.map((row) => Number(row[0])), rows.map((row) => Number(row[2]))];
  const truth = await c.dawidSkene(items, raters, values, { duplicates: 'keep' });
  near(truth.logLikelihood.slice(0, 3), [-205.091138, -194.550952, -193.159445], 1e-5);
  near(truth.logLikelihood.at(-1), -192.890881, 1e-5);
  assert.equal(truth.converged, true);
  near(truth.classShares, [0.399555, 0.421983, 0.111795, 0.066667], 1e-3);
  assert.equal(truth.labels[7], 1);
  near(truth.probabilities[7][1], 0.981, 2e-3);
  const matrix = truth.confusion[truth.raters[0]];
  assert.equal(matrix.length, 4);
  for (const row of matrix) near(row.reduce((x, y) => x + y), 1);
  assert.equal(truth.probabilityArray.length, 45 * 4);
});

test('every method finds the plain truth', async () => {
  const answers = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`q${i}`, i % 3 ? 'yes' : 'no']));
  const rows = Object.entries(answers).flatMap(([item, answer], i) =>
    [0, 1, 2, 3, 4].map((n) => {
      const wrong = answer === 'yes' ? 'no' : 'yes';
      return { item, rater: `good${n}`, value: (i * 7 + n * 13) % 10 ? answer : wrong };
    }),
  );
  for (const name of ['majorityVote', 'dawidSkene', 'oneCoin', 'glad', 'mace', 'kos', 'wawa', 'zeroBasedSkill', 'mMsr']) {
    const truth = await c[name](rows);
    assert.deepEqual(truth.labels, answers, name);
    assert.deepEqual(Object.keys(truth.skills).sort(), ['good0', 'good1', 'good2', 'good3', 'good4']);
    assert.ok(truth.probabilities.q1.yes > 0.5, name);
  }
  const hard = await c.glad(rows);
  assert.ok(Object.values(hard.difficulty).every((x) => x > 0));
});

test('gold and weights, by object, Map and pairs', async () => {
  const data = [['q', 'q', 'q'], ['a', 'b', 'c'], [1, 2, 2]];
  for (const weights of [{ a: 5 }, new Map([['a', 5]]), [['a', 5]]]) {
    assert.deepEqual((await c.majorityVote(...data, { weights })).labels, { q: 1 });
  }
  assert.deepEqual((await c.dawidSkene(...data, { gold: { q: 1 } })).labels, { q: 1 });
  // Raters of a matrix are numbers, keys of an object are text.
  assert.deepEqual((await c.majorityVote([[1], [2], [2]], { weights: { 0: 5 } })).labels, { 0: 1 });
  await assert.rejects(c.majorityVote(...data, { weights: { z: 2 } }), fails(NotFound, 'unknown_id'));
});

test('whole numbers beyond 2^53 keep apart', async () => {
  const big = 2n ** 53n;
  const truth = await c.majorityVote([big, big + 1n], ['a', 'a'], [1, 2]);
  assert.deepEqual(truth.items, [big, big + 1n]);
  assert.deepEqual(truth.labels, { [String(big)]: 1, [String(big + 1n)]: 2 });
  await assert.rejects(c.majorityVote([2 ** 53 + 2, 1], ['a', 'a'], [1, 2]), fails(InvalidInput, 'invalid_argument', /BigInt/));
});

test('pools and scores answer at once', () => {
  const p = [0.9, 0.7, 0.6];
  near(c.linearPool(p), 0.733333);
  near(c.logPool(p), 0.75951);
  near(c.extremizedPool(p), 0.946596);
  near(c.extremizedPool(Float32Array.from(p), null, { a: 2.5 }), 0.946596);
  near(c.extremizedPool(p, { a: 1 }), 0.75951);
  const rows = [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]];
  const pooled = c.linearPool(rows, [1, 1, 2]);
  assert.ok(pooled instanceof Float64Array);
  near(pooled, [0.7, 0.3]);
  near(c.linearPool(rows.map((row) => Float64Array.from(row)), { weights: [1, 1, 2] }), [0.7, 0.3]);
  near(c.brierScore([0.9, 0.2], [true, false]), 0.025);
  near(c.brierScore([[0.9, 0.1], [0.2, 0.8]], [0, 1]), 0.05);
  near(c.logScore([0.5, 0.5], [1, 0]), Math.log(2));
  const order = c.orderEffect([0.579153, 0.41088, 0.004136, 0.005831], [0.283951, 0.201449, 0.213567, 0.301033]);
  near(order.q, 0);
  assert.ok(order.effect > 0.4 && order.z === null);
  const good = [[8, 10, 12], [18, 20, 22], [28, 30, 32], [38, 40, 42]];
  const sure = [[1, 1.1, 1.2], [2, 2.1, 2.2], [3, 3.1, 3.2], [4, 4.1, 4.2]];
  assert.ok(c.cookeWeights([good, sure], [9, 21, 29, 41]).weights[0] > 0.999);
});

test('density, swarms, clusters', async () => {
  const pool = await c.densityPool([0.9, 0.7, 0.6]);
  near(pool.eigenvalues, [0.97702, 0.02298], 1e-5);
  near(pool.entropy, 0.15789, 1e-5);
  const split = await c.densityPool([0.95, 0.95, 0.05]);
  near([split.purity, split.entropy, split.jensenShannon], [0.64, 0.78735, 0.64767], 5e-3);
  near(split.factions.reduce((sum, f) => sum + f.weight, 0), 1);
  const bees = await c.honeybee([5, 4.5], 2);
  near(bees.shares, [0.8795, 0.0857], 1e-4);
  assert.equal(bees.decision, 0);
  near((await c.honeybee([5, 4.5], { sigma: 0, seed: 3 })).shares, [0.5693, 0.4161], 1e-4);
  const p = [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]];
  near((await c.swarmPool(p, { seed: 1 })).pooled, Array.from(c.linearPool(p)), 1e-4);
  near((await c.swarmPool(p, null, 'kl_from_pool')).pooled, Array.from(c.logPool(p)), 1e-4);
  const clusters = await c.semanticClusters([Float32Array.of(1, 0), [0.9, 0.1], [0, 1]], 0.8);
  assert.deepEqual(clusters.clusters, [[0, 1], [2]]);
  near(clusters.entropy, -((2 / 3) * Math.log(2 / 3) + (1 / 3) * Math.log(1 / 3)));
});

test('votes', async () => {
  assert.deepEqual((await c.schulze(SCHULZE)).ranking, [...'EACBD']);
  const kemeny = await c.kemeny(SCHULZE);
  assert.deepEqual([kemeny.orders[0], kemeny.agreement, kemeny.exact], [[...'EBADC'], 260, true]);
  const tennessee = await c.kemeny([...TENNESSEE.keys()], { weights: [...TENNESSEE.values()] });
  assert.deepEqual([tennessee.ranking, tennessee.agreement], [[...'NCKM'], 393]);
  assert.deepEqual((await c.borda(TENNESSEE)).scores, { N: 194, C: 173, M: 126, K: 107 });
  const runoff = await c.instantRunoff(TENNESSEE);
  assert.equal(runoff.winner, 'K');
  assert.equal(runoff.rounds[0].tallies.M, 42);
  for (const method of [c.copeland, c.rankedPairs, c.minimax]) assert.equal((await method(TENNESSEE)).winner, 'N');
  const tied = await c.borda([['a', 'b'], ['b', 'a']]);
  assert.equal(tied.winner, null);
  assert.deepEqual(tied.tiers, [['a', 'b']]);
  for (const pair of [['a', 'b'], new Set(['a', 'b'])]) {
    assert.deepEqual((await c.borda([[pair, 'c']])).scores, { a: 1.5, b: 1.5, c: 0 });
  }
  assert.deepEqual((await c.borda([[10, 9, 2]])).ranking, [10, 9, 2]);
});

test('strengths', async () => {
  const fit = await c.bradleyTerry([[0, 1], [0, 1], [1, 2], [2, 0]]);
  near(Object.values(fit.strengths), [0.419617624, -0.419617624, 0], 1e-8);
  const luce = await c.plackettLuce([[0, 1, 2], [3, 2, 0], [1, 3]]);
  near(Object.values(luce.strengths), [-0.443281, 0.695062, -0.670614, 0.418833], 5e-5);
  assert.deepEqual(luce.ranking, [1, 3, 0, 2]);
  const pairs = [['a', 'b'], ['a', 'b'], ['b', 'a'], ['b', 'c'], ['b', 'c'], ['c', 'b'], ['a', 'c']];
  assert.equal((await c.rankCentrality(pairs)).winner, 'a');
});

test('Delphi rounds', () => {
  const verdict = c.delphiRound([...Array(7).fill(7), ...Array(8).fill(8)]);
  near(verdict.ipras, 6.1);
  assert.deepEqual([verdict.disagreement, verdict.stop], [false, true]);
  const two = [[1, 8], [1, 8], [9, 8], [9, NaN]];
  const first = c.delphiRound(two);
  assert.deepEqual([first.stop, first.reason, first.median], [false, 'first_round', [5, 8]]);
  for (const again of [c.delphiRound(two, two), c.delphiRound(two, { previous: two }), c.delphiRound(two, two, { iqrLimit: 0.25 })]) {
    assert.deepEqual([again.stop, again.reason], [true, 'stable_dissent']);
    assert.equal(again.stability[0].stable, true);
  }
});

test('minority answers', () => {
  const predictions = [[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.7, 0.3], [0.8, 0.2]];
  const sp = c.surprisinglyPopular([0, 0, 0, 1, 1], predictions);
  assert.deepEqual([sp.popular, sp.answers, sp.answer], [[0], [1], 1]);
  assert.equal(c.surprisinglyPopular(['y', 'y', 'y', 'n', 'n'], predictions, { options: ['y', 'n'] }).answer, 'n');
  const bts = c.bayesianTruthSerum(['y', 'y', 'n'], predictions.slice(0, 3), { options: ['y', 'n'] });
  near(bts.scores.reduce((a, b) => a + b), 0);
  assert.ok(bts.answers.every((answer) => ['y', 'n'].includes(answer)));
});

test('a panel is scored', async () => {
  const ballots = [
    { voter: 'ann', choice: 'treat', confidence: 0.9 },
    { voter: 'bob', choice: 'treat' },
    { voter: 'eve', position: 'wait', weight: 2, rationale: 'r1' },
  ];
  const level = await c.scorePanel(ballots);
  assert.equal(level.decision, null);
  assert.deepEqual(level.tied.sort(), ['treat', 'wait']);
  const two = await c.scorePanel(ballots.slice(0, 2));
  assert.deepEqual([two.decision, two.level, two.support], ['treat', 'unanimous', 1]);
  const three = await c.scorePanel({ a: 'x', b: 'x', c: 'y' });
  assert.equal(three.level, 'moderate');
  near(three.agreement.expected, 0.5);
  assert.equal(three.minority.minorities[0].members[0].voter, 'c');
  assert.match(three.explain(), /share 2 \/ 3/);
  near((await c.scorePanel({ a: 3, b: 4, c: 4.1 })).decision, 4);
  assert.equal((await c.scorePanel({ a: { x: 0.9, y: 0.1 }, b: { x: 0.6, y: 0.4 } })).decision, 'x');
  assert.equal((await c.scorePanel(new Map([['a', ['x', 'y']], ['b', ['x', 'y']]]))).kind, 'ranking');
  assert.equal((await c.scorePanel({ a: Float32Array.of(1, 0), b: [0.9, 0.1] })).kind, 'vector');
  assert.equal((await c.scorePanel({ a: 'strong_dose', b: 'strong_dose' })).decision, 'strong_dose');
});

test('bad data is refused with its code', async () => {
  const bad = [
    ['invalid_shape', [[1, 2], [1], [1, 2]]],
    ['invalid_shape', [[[1, 2], [1]]]],
    ['invalid_shape', [[1, 2, 3]]],
    ['invalid_argument', ['text']],
    ['invalid_argument', [5]],
    ['invalid_argument', [undefined]],
    ['invalid_argument', [{ a: [1], b: [2] }]],
    ['invalid_argument', [[1], ['a'], [null]]],
    ['invalid_argument', [[1], ['a'], [2n ** 70n]]],
    ['invalid_argument', [[1], ['a'], [{}]]],
    ['invalid_argument', ['ab', ['a', 'b'], [1, 2]]],
    ['not_finite', [[1], ['a'], [NaN]]],
    ['not_finite', [[[1, Infinity], [1, 2]]]],
    ['invalid_text', [[1], ['a'], ['\ud800']]],
    ['empty_input', [[], [], []]],
    ['empty_input', [[]]],
    ['invalid_argument', [FOUR_BY_TWELVE, { level: 'cardinal' }]],
    ['invalid_argument', [FOUR_BY_TWELVE, { levle: 'nominal' }]],
    ['invalid_argument', [FOUR_BY_TWELVE, { bootstrap: -1 }]],
    ['invalid_argument', [FOUR_BY_TWELVE, { bootstrap: 1.5 }]],
  ];
  for (const [code, args] of bad) await assert.rejects(c.krippendorffAlpha(...args), fails(InvalidInput, code), `${code} ${args}`);
  await assert.rejects(c.krippendorffAlpha([1, 1], ['a', 'a'], [1, 2]), fails(Conflict, 'duplicate_entry'));
});

test('bad numbers are refused at once', () => {
  const bad = [
    ['invalid_argument', () => c.linearPool([0.5, 1.5])],
    ['not_finite', () => c.linearPool([0.5, NaN])],
    ['invalid_argument', () => c.linearPool([0.5, 'x'])],
    ['invalid_argument', () => c.linearPool([0.5, null])],
    ['invalid_shape', () => c.linearPool([0.5, 0.5], [1])],
    ['invalid_shape', () => c.linearPool([[0.5, 0.5], [1]])],
    ['invalid_shape', () => c.orderEffect([1, 2, 3], [1, 2, 3, 4])],
    ['invalid_argument', () => c.brierScore([0.5], [0.7])],
    ['invalid_argument', () => c.surprisinglyPopular([-1], [[0.5, 0.5]])],
    ['invalid_argument', () => c.linearPool()],
  ];
  for (const [code, call] of bad) assert.throws(call, fails(InvalidInput, code), String(call));
  assert.throws(() => c.surprisinglyPopular([5], [[0.5, 0.5]]), fails(NotFound, 'unknown_id'));
});

test('bad rankings and ballots are refused', async () => {
  const bad = [
    ['invalid_argument', () => c.borda(['ab', 'ba'])],
    ['invalid_argument', () => c.borda([[1, '1']])],
    ['invalid_argument', () => c.borda([[{}]])],
    ['invalid_argument', () => c.borda('ab')],
    ['invalid_shape', () => c.borda([['a', 'b']], { weights: [1, 2] })],
    ['invalid_shape', () => c.bradleyTerry([['a']])],
    ['invalid_argument', () => c.scorePanel([{ choice: 'x' }])],
    ['invalid_argument', () => c.scorePanel([{ voter: 'a' }])],
    ['invalid_argument', () => c.scorePanel([{ voter: 'a', choice: 'x', number: 1 }])],
    ['invalid_argument', () => c.scorePanel([{ voter: 'a', chioce: 'x' }])],
    ['invalid_argument', () => c.scorePanel({ a: 'x', b: 1 })],
    ['invalid_text', () => c.scorePanel({ a: '\ud800' })],
    ['empty_input', () => c.scorePanel([])],
  ];
  for (const [code, call] of bad) await assert.rejects(call(), fails(InvalidInput, code));
  const twice = [{ voter: 'a', choice: 'x' }, { voter: 'a', choice: 'y' }];
  await assert.rejects(c.scorePanel(twice), fails(Conflict, 'duplicate_entry'));
  await assert.rejects(c.borda([['a', 'a']]), (error) => error.code !== undefined && error.code !== 'internal');
});

test('an AbortSignal stops long work', async () => {
  const table = Array.from({ length: 10 }, (_, r) => Array.from({ length: 2000 }, (_, i) => (i * 7 + r * r * i) % 5));
  const long = { bootstrap: 1_000_000 };
  await assert.rejects(c.krippendorffAlpha(table, { ...long, signal: AbortSignal.abort() }), fails(Cancelled, 'cancelled'));
  const signal = AbortSignal.timeout(200);
  await assert.rejects(c.krippendorffAlpha(table, { ...long, signal }), fails(Cancelled, 'cancelled'));
  // The work itself has ended, not only the waiting for it.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const { user, system } = process.cpuUsage(before);
  assert.ok(user + system < 500_000, `${(user + system) / 1e6} s of processor time in the second after`);
  await assert.rejects(c.scorePanel({ a: 'x' }, { signal: 3 }), fails(InvalidInput, 'invalid_argument'));
  assert.equal((await c.borda([['a', 'b']], { signal: new AbortController().signal })).winner, 'a');
});

test('the form of a table is said or doubted', async () => {
  const byRaters = [[9, 2, 5, 8], [6, 1, 3, 2]];
  const byItems = [[9, 6], [2, 1], [5, 3], [8, 2]];
  const want = (await c.krippendorffAlpha(byRaters, { level: 'interval', form: 'raters_x_items' })).value;
  const warned = [];
  const listen = (warning) => warned.push(warning);
  process.on('warning', listen);
  assert.equal((await c.krippendorffAlpha(byItems, { level: 'interval', form: 'items_x_raters' })).value, want);
  assert.equal((await c.icc(byItems, { dataForm: 'items_x_raters' })).items, 4);
  assert.equal((await c.majorityVote(byItems, { form: 'items_x_raters', weights: { 1: 2 } })).items.length, 4);
  await new Promise(setImmediate);
  assert.deepEqual(warned, []);
  await c.krippendorffAlpha(byItems);
  await new Promise(setImmediate);
  process.off('warning', listen);
  assert.equal(warned.length, 1);
  assert.equal(warned[0].code, 'QUORATE_FORM');
  assert.match(warned[0].message, /4 raters of 2 items.*items_x_raters/);
  await assert.rejects(c.icc(byItems, { dataForm: 'columns' }), fails(InvalidInput, 'invalid_argument'));
});

test('a truth as JSON has what it found', async () => {
  const truth = await c.dawidSkene([[1, 1, 2, 2], [1, 1, 2, 2], [2, 1, 2, 1]]);
  const written = JSON.parse(JSON.stringify(truth));
  assert.deepEqual(written.labels, { 0: 1, 1: 1, 2: 2, 3: 2 });
  assert.deepEqual(written.skills, truth.skills);
  assert.equal(written.confusion['2'][0].length, 2);
  assert.deepEqual(truth.toDict(), truth.toJSON());
  const big = await c.majorityVote(['q', 'q'], ['a', 'b'], [2n ** 60n, 2n ** 60n]);
  assert.equal(JSON.parse(JSON.stringify(big)).labels.q, String(2n ** 60n));
});

test('measurements may be as large as numbers are', async () => {
  for (const x of [1e16, 1e20, 1e300]) {
    for (const level of ['interval', 'ordinal', 'ratio']) {
      const small = (await c.krippendorffAlpha([[1, 0.25, 1], [1, 0.25, 0]], { level })).value;
      const large = (await c.krippendorffAlpha([[x, x / 4, x], [x, x / 4, 0]], { level })).value;
      near(large, small);
    }
    assert.ok((await c.icc([[x, 1, x], [x, 1, 0]])).value > 0);
    assert.ok((await c.kendallW([[x, 1, 2 * x], [x, 1, 0]])).value >= 0);
    // As names they would not be apart.
    await assert.rejects(c.krippendorffAlpha([[x, 1], [x, 1]]), fails(InvalidInput, 'invalid_argument'));
  }
});

test('counts have upper limits', async () => {
  const two = [['q', 'q'], ['a', 'b'], ['x', 'y']];
  await assert.rejects(c.mace(...two, { restarts: 2 ** 40 }), fails(InvalidInput, 'too_large'));
  await assert.rejects(c.zeroBasedSkill(...two, { maxIter: 2 ** 40 }), fails(InvalidInput, 'too_large'));
  await assert.rejects(c.swarmPool([0.2, 0.8], { particles: 2 ** 40 }), fails(InvalidInput, 'too_large'));
  await assert.rejects(c.kemeny([['a', 'b']], { maxOrders: 2 ** 40 }), fails(InvalidInput, 'too_large'));
});
