/** What a thread of a cluster does: it plays one vCPU, program after program. */
import { HDR_VCPU_BASE } from '../layout/header.ts';
import type { MachineOptions } from '../machine/options.ts';
import { Control } from './control.ts';
import { contextOf, load, Steps, type Context, type Outcome, type Program, type ProgramRef } from './program.ts';
import { Recording } from './recording.ts';
import { Recorder, Replayer } from './turns.ts';

/** Plain data, with shared memory in it. */
export interface Orders {
  readonly memory: WebAssembly.Memory;
  readonly options: MachineOptions;
  readonly number: number;
  readonly control: Int32Array;
  readonly program: ProgramRef;
  /** Threads that begin together; 0: this one begins at once. */
  readonly together: number;
  readonly recording?: { readonly words: Int32Array; readonly again: boolean; readonly patience: number };
}

/** Where orders come from and outcomes go to: the port of a worker, of Node or of a browser. */
export interface Port {
  receive(take: (orders: Orders) => void): void;
  send(outcome: Outcome): void;
}

export function servePort(port: Port): void {
  port.receive(orders => {
    perform(orders).then(outcome => port.send(outcome), (error: unknown) => port.send({ how: 'failed', error: String(error) }));
  });
}

/** No lock: the end of a program, in a recording. */
const END = 0;

async function perform(orders: Orders): Promise<Outcome> {
  const program = await load(orders.program), context = contextOf(orders.memory, orders.options, orders.number, orders.program.data);
  const control = new Control(orders.control), { machine } = context;
  machine.play(context.cpu);
  try {
    takeTurns(orders, context, control);
    if (orders.together > 0) control.meet(orders.together);
    return inTurns(orders, program, context, control);
  } finally {
    machine.views.locks.turns = undefined;
    control.setPlace(orders.number, 0);
    machine.rest();
  }
}

/** What others ask for after the end, they do themselves. */
function inTurns({ number }: Orders, program: Program, context: Context, control: Control): Outcome {
  const { machine, cpu } = context, { locks } = machine.views, look = (): void => {
    locks.turns?.place();
    machine.look(cpu);
  };
  const outcome = play(new Steps(program, context), number, control, look);
  look();
  locks.turns?.await(END);
  locks.turns?.taken(END);
  return outcome;
}

function takeTurns({ recording, number }: Orders, { machine, cpu }: Context, control: Control): void {
  if (recording === undefined) return;
  const { locks, w } = machine.views, log = new Recording(recording.words);
  locks.turns = recording.again ? new Replayer(log, number, recording.patience, () => machine.shootdowns.look(cpu.block >>> 2, true)) : new Recorder(log, control, number, w[HDR_VCPU_BASE >>> 2]);
  locks.turns.place();
}

function play(steps: Steps, number: number, control: Control, look: () => void): Outcome {
  while (steps.outcome === undefined) {
    look();
    control.beat(number);
    if (control.isStopping(number)) steps.stop();
    else steps.next();
  }
  return steps.outcome;
}
