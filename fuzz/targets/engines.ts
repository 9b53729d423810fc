/**
 * The TypeScript engine against the wasm engine: random histories of test/wasm on two equal machines, all state bytes compared at their end.
 */
import { Duel } from '../../test/wasm/engine-duel.ts';
import { SCENES } from '../../test/wasm/scenes.ts';
import { Pristine } from '../pristine.ts';
import { Finding, type Target } from '../target.ts';
import { Tape, TapeChoices } from '../tape.ts';

interface Scene {
  readonly duel: Duel;
  readonly pristine: readonly [Pristine, Pristine];
}

const PARTS = 2, BATCHES = 0.05, STREAMS = 0.5;
const names = Object.keys(SCENES), scenes = new Map<string, Scene>();
const tape = new Tape(), choices = new TapeChoices(tape);

function sceneOf(name: string): Scene {
  const known = scenes.get(name);
  if (known) return known;
  const duel = new Duel({ ...SCENES[name]!, batches: BATCHES, streams: STREAMS }, name.length);
  duel.random = choices;
  const scene: Scene = { duel, pristine: [new Pristine(duel.ts.machine.views.u8), new Pristine(duel.wasm.machine.views.u8)] };
  scenes.set(name, scene);
  return scene;
}

function same(duel: Duel): void {
  const at = duel.differences();
  if (at.length > 0) throw new Finding(`the engines leave different bytes, from ${at[0]} on`);
  const { heard } = duel.ts, other = duel.wasm.heard;
  if (heard.length !== other.length || heard.some((what, k) => what !== other[k])) throw new Finding('a device is asked other things by the other engine');
}

export const engines: Target = {
  name: 'engines', about: 'the TypeScript engine against the wasm engine, on all state bytes', headBytes: 1, recordBytes: 16, most: 512,
  run({ head, records }, notes, careful) {
    const k = head[0]! % names.length, { duel, pristine } = sceneOf(names[k]!);
    [duel.ts, duel.wasm].forEach(({ machine }, side) => pristine[side]!.restore(machine.views.u8));
    duel.rewound();
    duel.outcomes.clear();
    let operations = 0;
    records.forEach((record, n) => {
      tape.load(record);
      operations += duel.step();
      if (careful || (n + 1) % Math.ceil(512 / PARTS) === 0) same(duel);
    });
    same(duel);
    for (const outcome of duel.outcomes.keys()) notes.note(k, outcome);
    return operations;
  },
};
