/**
 * Two vCPUs in worker threads, each with a domain of its own, beside one alone: node test/smp/apart.mjs [RUNS]
 *
 * Prints calls (of test/smp/guest-program.mjs, nothing in common) a second of CPU time of a worker, medians and best of interleaved runs, and what two
 * workers do of what one does; wall time beside it, which means something on an idle machine only.
 */
import { Cluster } from '../../dist/smp/index.js';
import { dataFor, makeWorld } from './world.mjs';

const runs = Number(process.argv[2] ?? 9), module = new URL('./guest-program.mjs', import.meta.url), steps = 60_000;
const sorted = numbers => [...numbers].sort((a, b) => a - b), median = numbers => sorted(numbers)[numbers.length >> 1], rounded = number => Math.round(number / 1000) * 1000;

for (const engine of ['wasm', 'ts']) {
  const world = makeWorld({ domains: 2, vcpus: 1, engine }), cluster = new Cluster(world.machine, { machine: world.options });
  const work = async numbers => {
    const cpu = process.cpuUsage(), began = performance.now();
    const outcomes = await Promise.all(numbers.map(k => cluster.start(k, { module, data: dataFor(world, world.guests[k], 0, { seed: 1, steps, own: true }) })));
    const wall = performance.now() - began, { user, system } = process.cpuUsage(cpu), calls = outcomes.reduce((sum, { value }) => sum + value.done, 0);
    return { cpu: calls / ((user + system) / 1e6) * numbers.length, wall: calls / (wall / 1e3) };
  };
  await work([0]);
  await work([0, 1]);
  const one = [], two = [];
  for (let k = 0; k < runs; k++) {
    one.push(await work([0]));
    two.push(await work([0, 1]));
  }
  const of = (list, what, how) => how(list.map(run => run[what])), best = numbers => Math.max(...numbers);
  console.log(`${engine}: one ${rounded(of(one, 'cpu', median))} calls/s of CPU time (best ${rounded(of(one, 'cpu', best))}), two ${rounded(of(two, 'cpu', median))} (${rounded(of(two, 'cpu', best))}): `
    + `${(of(two, 'cpu', median) / of(one, 'cpu', median)).toFixed(2)} (${(of(two, 'cpu', best) / of(one, 'cpu', best)).toFixed(2)}); wall time ${(of(two, 'wall', median) / of(one, 'wall', median)).toFixed(2)}`);
  await cluster.close();
}
