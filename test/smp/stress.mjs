/**
 * Random calls of many vCPUs for as long as wanted: npm run stress -- SECONDS [--workers N] [--seed S] [--only beside,turn,again,killed]
 *
 *   beside  vCPUs in worker threads, domains of both widths that do all to each other; audits on the way and after each round
 *   turn    the same programs in one thread, twice from each seed: the same bytes
 *   again   parallel runs that are recorded, and replayed to the same bytes
 *   killed  a thread is ended at any moment: the others go on, or are told why the machine is broken; none waits for ever
 *
 * Prints what was done, the invalidations of other vCPUs by cause (of `beside`), and what was found; exit status 1 if anything was. What a round does follows from its seed, but for what threads do to each other.
 */
import { parseArgs } from 'node:util';
import { Cluster, runInTurn } from '../../dist/smp/index.js';
import { random, run } from './guest-program.mjs';
import { dataFor, makeWorld } from './world.mjs';

const PROGRAM = new URL('./guest-program.mjs', import.meta.url), PARTS = ['beside', 'turn', 'again', 'killed'];
const USAGE = `npm run stress -- SECONDS [--workers 2..16] [--seed S] [--only ${PARTS.join()}]`;
const { seconds, workers, seed: firstSeed, parts } = options();
const NARROW = ['none', 'some', 'some', 'all']; // which domains are of 32 bits

/** What is asked for; what cannot be ends the process with status 2. */
function options() {
  try {
    const { values, positionals: [time = '10', ...rest] } = parseArgs({ allowPositionals: true, options: { workers: { type: 'string', default: '4' }, seed: { type: 'string', default: '1' }, only: { type: 'string', default: PARTS.join() } } });
    const refuse = (field, expected, got) => { throw new Error(`${field}: expected ${expected}, got ${JSON.stringify(got)}`); };
    const whole = (field, text, least, most) => (/^\d+$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : refuse(field, `a whole number from ${least} to ${most}`, text));
    if (!/^\d+(\.\d+)?$/.test(time) || Number(time) === 0 || rest.length > 0) refuse('SECONDS', 'a number above 0', [time, ...rest].join(' '));
    const only = values.only.split(','), unknown = only.find(part => !PARTS.includes(part));
    if (unknown !== undefined) refuse('--only', `some of ${PARTS.join()}`, unknown);
    return { seconds: Number(time), workers: whole('--workers', values.workers, 2, 16), seed: whole('--seed', values.seed, 0, 2 ** 31 - 1), parts: only };
  } catch (error) {
    console.error(`stress: ${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

const tally = Object.fromEntries(PARTS.map(part => [part, { rounds: 0, calls: 0, seconds: 0, audits: 0, found: 0 }]));

const causes = {};

/** Invalidations that vCPUs asked of others, and those that the clock spared. */
function countCauses({ xen }) {
  for (const [cause, { sent, filtered }] of Object.entries(xen.counters().shootdowns)) {
    const row = causes[cause] ??= { sent: 0, spared: 0 };
    row.sent += sent;
    row.spared += filtered;
  }
}

/** A world of as many vCPUs as there are workers, of a kind that the seed decides: one, two or all of them of one domain in turn. */
function worldOf(seed, only = {}) {
  const r = random(seed), each = [1, 2, workers].filter(n => workers % n === 0), vcpus = each[seed % each.length];
  return makeWorld({ domains: workers / vcpus, vcpus, engine: r(2) ? 'ts' : 'wasm', mode: r(3) ? 'functional' : 'timed', fifo: r(2) === 1, ...(r(3) ? {} : { budget: 2 + r(6) }), narrow: NARROW[r(4)], privileged: r(2) === 1, ...only });
}

const dataOf = (world, rest) => world.guests.flatMap(guest => guest.cpus.map((_, k) => dataFor(world, guest, k, rest)));
const programs = (world, rest) => dataOf(world, rest).map(data => ({ module: PROGRAM, data }));

function found(part, seed, what) {
  tally[part].found++;
  console.error(`${part}, seed ${seed}: ${what}`);
}

/** Calls that were made. */
function count(part, seed, outcomes) {
  for (const outcome of outcomes) {
    if (outcome.how === 'returned' && outcome.value.wrong.length === 0) tally[part].calls += outcome.value.done;
    else if (outcome.how !== 'stopped') found(part, seed, JSON.stringify(outcome));
  }
}

function audit(part, seed, world) {
  tally[part].audits++;
  const complaints = world.xen.audit();
  if (complaints.length > 0) found(part, seed, complaints.slice(0, 3).join('; '));
}

async function withCluster(world, what) {
  const cluster = new Cluster(world.machine, { machine: world.options });
  try {
    return await what(cluster);
  } finally {
    await cluster.close();
  }
}

const later = milliseconds => new Promise(resolve => { setTimeout(resolve, milliseconds); });

const rounds = {
  async beside(seed) {
    const world = worldOf(seed);
    await withCluster(world, async cluster => {
      for (let k = 0; k < 8; k++) {
        programs(world, { seed: seed * 8 + k, steps: 4000 }).forEach((program, number) => void cluster.start(number, program));
        const all = cluster.join(120_000);
        await later(60);
        audit('beside', seed, world); // while they run
        count('beside', seed, await all);
        audit('beside', seed, world);
      }
    });
    countCauses(world);
  },

  turn(seed) {
    const bytes = [0, 1].map(() => {
      const world = worldOf(seed), each = dataOf(world, { seed, steps: 200 }).map(data => ({ run, data }));
      count('turn', seed, runInTurn(world.machine, each, { machine: world.options, seed }));
      audit('turn', seed, world);
      return world.machine.views.u8;
    });
    if (Buffer.compare(...bytes) !== 0) found('turn', seed, 'two runs differ');
  },

  async again(seed) {
    const kind = { mode: 'functional' }, world = worldOf(seed, kind), twin = worldOf(seed, kind), work = { seed, steps: 300, own: true };
    const { outcomes, recording } = await withCluster(world, cluster => cluster.record(programs(world, work)));
    count('again', seed, outcomes);
    count('again', seed, await withCluster(twin, cluster => cluster.replay(programs(twin, work), recording, 60_000)));
    audit('again', seed, world);
    if (Buffer.compare(world.machine.views.u8, twin.machine.views.u8) !== 0) found('again', seed, 'the replay differs');
  },

  async killed(seed) {
    const world = worldOf(seed), r = random(seed);
    await withCluster(world, async cluster => {
      programs(world, { seed, steps: 1e9 }).forEach((program, number) => void cluster.start(number, program));
      const victim = r(workers);
      while (cluster.beats(victim) < 20) await later(2);
      await later(r(30));
      cluster.kill(victim);
      await later(50);
      for (let number = 0; number < workers; number++) cluster.stop(number);
      const outcomes = await cluster.join(20_000), dead = outcomes[victim];
      if (dead.how !== 'died') found('killed', seed, JSON.stringify(dead));
      outcomes.forEach((outcome, number) => {
        if (number === victim || outcome.how === 'stopped' || (!dead.sound && outcome.how === 'failed' && outcome.error.startsWith('BrokenError'))) return;
        found('killed', seed, `vCPU ${number}: ${JSON.stringify(outcome)}`);
      });
      if (dead.sound) audit('killed', seed, world);
    });
  },
};

const end = performance.now() + seconds * 1000;
for (let seed = firstSeed; performance.now() < end; seed++) {
  for (const part of parts) {
    const began = performance.now();
    await rounds[part](seed);
    tally[part].rounds++;
    tally[part].seconds += (performance.now() - began) / 1000;
  }
}
console.table(Object.fromEntries(parts.map(part => {
  const row = tally[part];
  return [part, { rounds: row.rounds, seconds: Math.round(row.seconds), calls: row.calls, 'calls/s': Math.round(row.calls / row.seconds), audits: row.audits, found: row.found }];
})));
if (parts.includes('beside')) console.table(causes);
process.exitCode = Object.values(tally).some(row => row.found > 0) ? 1 : 0;
