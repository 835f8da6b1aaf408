// Does work leave the JavaScript thread, stop when it is told to, report on its way, and let the process end?

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import { Cancelled, Embedder, InvalidInput } from 'quorate';

import { DOCUMENTS, fails, withKb } from './support/kb.mjs';

const WORDS = 'renal failure metformin insulin asthma steroid pump valve clearance device software trial label dose risk'.split(' ');

/** Documents of some sentences, always the same. */
function many(count, words = 60) {
  let state = 7;
  const next = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) % n;
  };
  return Array.from({ length: count }, (_, i) => ({
    id: `d${i}`,
    text: `Document ${i}. ${Array.from({ length: words }, () => WORDS[next(WORDS.length)]).join(' ')}.`,
    metadata: { number: i },
  }));
}

test('a signal stops searching, adding and embedding', () =>
  withKb(async (kb) => {
    const gone = AbortSignal.abort(new Error('my reason'));
    const isMine = (error) => fails(Cancelled, 'cancelled')(error) && error.cause.message === 'my reason';
    await assert.rejects(kb.search('x', { signal: gone }), isMine);
    await assert.rejects(kb.searchBatch(['x'], { signal: gone }), isMine);
    await assert.rejects(kb.add([{ id: 'n', text: 't' }], { signal: gone }), isMine);
    const embedder = new Embedder('builtin');
    await assert.rejects(embedder.embed(['x'], { signal: gone }), isMine);
    const reason = new Error('my reason');
    const [soon, later] = [new AbortController(), new AbortController()];
    const work = [
      kb.searchBatch(Array(3000).fill('metformin in renal failure'), { signal: soon.signal }),
      embedder.embed(many(4000).map((d) => d.text), { signal: soon.signal }),
      // In the middle of the work: the first group of documents is done, nothing is stored yet.
      kb.add(many(2000), { signal: later.signal, progress: () => later.abort(reason) }),
    ];
    soon.abort(reason);
    for (const outcome of await Promise.allSettled(work)) assert.ok(isMine(outcome.reason));
    assert.equal(await kb.count(), 3);
    // A signal that is never raised changes nothing, and no listener stays behind.
    const { signal } = new AbortController();
    const { getEventListeners } = await import('node:events');
    assert.equal((await kb.search('metformin', { signal }))[0].docId, 'metformin');
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  }));

test('progress is told, and a callback that fails stores nothing', () =>
  withKb(async (kb) => {
    const seen = [];
    const report = await kb.add(many(700), { progress: (done, total) => seen.push([done, total]) });
    assert.equal(report.added, 700);
    assert.deepEqual(seen.at(-1), [700, 700]);
    assert.ok(seen.every(([done, total], i) => total === 700 && (i === 0 || done > seen[i - 1][0])));
    const mine = new RangeError('mine');
    const progress = () => {
      throw mine;
    };
    const again = many(700).map((d) => ({ ...d, id: `x${d.id}` }));
    await assert.rejects(kb.add(again, { progress }), (error) => {
      return fails(InvalidInput, 'callback')(error) && error.cause === mine;
    });
    assert.equal(await kb.count(), 700);
  }, []));

test('documents stream in, batch by batch', () =>
  withKb(async (kb) => {
    async function* source() {
      yield* many(250);
      yield { id: 'd0', text: 'there already' };
      yield { id: 'last', text: 'the last one' };
    }
    const steps = [];
    for await (const step of kb.addStream(source(), { batchSize: 100, onError: 'skip' })) {
      steps.push(step);
      assert.equal(await kb.count(), Math.min(step.done, 250) + (step.done === 252 ? 1 : 0));
    }
    assert.deepEqual(steps.map((s) => s.done), [100, 200, 252]);
    assert.deepEqual(steps.at(-1).skipped.map(({ index, code }) => [index, code]), [[250, 'duplicate_id']]);
    for await (const step of kb.addStream([{ id: 'd0', text: 'new text' }], { upsert: true })) assert.equal(step.replaced, 1);
    await assert.rejects(kb.addStream([], { batchSize: 0 }).next(), fails(InvalidInput, 'invalid_argument', /batchSize/));
    await assert.rejects(kb.addStream(7).next(), fails(InvalidInput, 'invalid_argument'));
    // One who stops listening stops the source.
    let closed = false;
    function* endless() {
      try {
        for (let i = 0; ; i++) yield { id: `e${i}`, text: 'more' };
      } finally {
        closed = true;
      }
    }
    for await (const _ of kb.addStream(endless(), { batchSize: 10 })) break;
    assert.equal(closed, true);
  }, []));

test('searches stream out, in order', () =>
  withKb(async (kb) => {
    const queries = ['metformin', 'ECG app', 'asthma', 'metformin'];
    const found = [];
    for await (const one of kb.searchStream(queries, { k: 1, concurrency: 2 })) found.push([one.index, one.query, one.hits[0].docId]);
    assert.deepEqual(found, [[0, 'metformin', 'metformin'], [1, 'ECG app', 'ecg'], [2, 'asthma', 'asthma'], [3, 'metformin', 'metformin']]);
    const bad = kb.searchStream(['a', 7, 'b'])[Symbol.asyncIterator]();
    await assert.rejects(async () => {
      for (;;) if ((await bad.next()).done) return;
    }, fails(InvalidInput, 'invalid_argument'));
    for await (const one of kb.tenant('acme').searchStream(['x'])) assert.deepEqual(one.hits, []);
  }));

test('the event loop turns while documents are added and a thousand searches run', async (t) =>
  withKb(async (kb) => {
    await kb.add(many(2000));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const more = many(3000).map((d) => ({ ...d, id: `more-${d.id}` }));
    delay.enable();
    const searches = Array.from({ length: 1000 }, (_, i) => kb.search(`${WORDS[i % WORDS.length]} ${i}`, { k: 10 }));
    const [report, found] = await Promise.all([kb.add(more), Promise.all(searches)]);
    delay.disable();
    assert.equal(report.added, 3000);
    assert.ok(found.every((hits) => hits.length === 10));
    const ms = (ns) => (ns / 1e6).toFixed(2);
    t.diagnostic(`event loop delay: p50 ${ms(delay.percentile(50))} ms, p99 ${ms(delay.percentile(99))} ms, max ${ms(delay.max)} ms, ${delay.count} samples`);
    // Work on this thread would let the timer of the measurement run a handful of times; its delays are the machine's business.
    assert.ok(delay.count > 50, `the loop turned ${delay.count} times`);
  }, []));

test('a search goes on while documents are added', () =>
  withKb(async (kb) => {
    const adding = kb.add(many(3000));
    let done = false;
    adding.then(() => (done = true));
    let before = 0;
    while (!done) {
      const hits = await kb.search('metformin');
      assert.ok(hits.length > 0);
      if (!done) before += 1;
    }
    assert.equal((await adding).added, 3000);
    assert.ok(before > 0, 'no search came through before the end of the ingest');
  }));

test('worker threads open, search and end', () =>
  withKb(async (kb, place) => {
    const code = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { open, Embedder, consensus } = require('quorate');
      (async () => {
        const kb = await open(workerData.place, { readOnly: true });
        const hits = await Promise.all(Array.from({ length: 50 }, () => kb.search('metformin')));
        const vote = await consensus.majorityVote([[1], [2], [2]]);
        const wrong = await kb.search('x', { where: 'year >' }).catch((e) => e.code);
        parentPort.postMessage([hits.every((h) => h[0].docId === 'metformin'), vote.itemLabels[0], wrong, new Embedder('builtin').dim]);
        if (workerData.leave) kb.search('left behind');
      })();
    `;
    const dim = (await kb.stats()).dim;
    const run = (leave) =>
      new Promise((resolve, reject) => {
        const worker = new Worker(code, { eval: true, workerData: { place, leave } });
        let said;
        worker.on('message', (message) => {
          said = message;
          if (leave) worker.terminate();
        });
        worker.on('error', reject);
        worker.on('exit', () => resolve(said));
      });
    for (const said of await Promise.all([run(false), run(false), run(true), run(true)])) {
      assert.deepEqual(said, [true, 2, 'filter_syntax', dim]);
    }
    assert.equal((await kb.search('metformin'))[0].docId, 'metformin');
  }));

/** Runs a program of its own, which must end by itself. */
async function program(code, args = []) {
  const here = new URL('..', import.meta.url);
  const argv = ['--expose-gc', '--input-type=module', '-e', code, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, argv, { cwd: here, timeout: 120_000 });
  return stdout.trim();
}

test('the process ends when the work is done, with handles open and without closing', () =>
  withKb(async (_, place) => {
    const code = `
      import { AgentRegistry, Embedder, open } from 'quorate';
      const kb = await open(process.argv[1] + '-2');
      await kb.add([{ id: 'a', text: 'b' }]);
      new Embedder('builtin');
      const registry = new AgentRegistry({ catalog: null });
      await registry.list();
      console.log((await kb.search('b')).length);
    `;
    assert.equal(await program(code, [place]), '1');
    // What is pending keeps the process alive until it is done; nobody awaits it.
    const pending = `
      import { Embedder } from 'quorate';
      new Embedder('builtin').embed(['a']).then((rows) => console.log(rows.length));
    `;
    assert.equal(await program(pending), '1');
    // A process that is told to exit in the middle of work exits.
    const hasty = `
      import { open } from 'quorate';
      const kb = await open(process.argv[1] + '-3');
      kb.add(Array.from({ length: 5000 }, (_, i) => ({ id: 'd' + i, text: 'metformin '.repeat(50) }))).catch(() => {});
      setTimeout(() => { console.log('out'); process.exit(0); }, 30);
    `;
    assert.equal(await program(hasty, [place]), 'out');
  }));

test('memory does not grow with searches', async (t) => {
  // QUORATE_SEARCHES=100000 is the full measurement.
  const searches = Number(process.env.QUORATE_SEARCHES ?? 6000);
  const code = `
    import { open } from 'quorate';
    const kb = await open(process.argv[1] + '-memory');
    const words = ${JSON.stringify(WORDS)};
    await kb.add(Array.from({ length: 300 }, (_, i) => ({ id: 'd' + i, text: words[i % 15] + ' ' + words[(i * 7) % 15] + ' ' + i })));
    const round = async (n) => {
      for (let i = 0; i < n; i += 100) {
        const found = await Promise.all(Array.from({ length: 100 }, (_, j) => kb.search(words[(i + j) % 15], { k: 5 })));
        for (const hits of found) for (const hit of hits) void (hit.text + hit.docId);
      }
      gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
      gc();
      return process.memoryUsage().rss / 2 ** 20;
    };
    const total = ${searches};
    await round(total / 3);
    const before = await round(total / 3);
    const after = await round(total / 3);
    console.log(before.toFixed(1), after.toFixed(1));
  `;
  await withKb(async (_, place) => {
    const [before, after] = (await program(code, [place])).split(' ').map(Number);
    t.diagnostic(`resident after ${Math.round((searches * 2) / 3)} searches ${before} MiB, after ${searches} ${after} MiB`);
    assert.ok(after < before * 1.1 + 8, `${before} MiB became ${after} MiB`);
  }, []);
});

test('a thousand searches at once are faster than one after the other', async (t) =>
  withKb(async (kb) => {
    await kb.add(many(2000));
    const vector = await new Embedder('builtin').embedQuery('metformin in renal failure');
    const time = async (work) => {
      const start = performance.now();
      await work();
      return performance.now() - start;
    };
    const search = () => kb.searchVector(vector, { k: 10 });
    for (let i = 0; i < 200; i++) await search();
    const sequence = await time(async () => {
      for (let i = 0; i < 1000; i++) await search();
    });
    const parallel = await time(() => Promise.all(Array.from({ length: 1000 }, search)));
    t.diagnostic(`1,000 vector searches: ${sequence.toFixed(0)} ms in sequence, ${parallel.toFixed(0)} ms at once`);
    const [one] = await search();
    assert.ok((await Promise.all([search(), search()])).every(([hit]) => hit.chunkId === one.chunkId));
  }, []));
