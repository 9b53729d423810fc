/** A cluster: the vCPUs of a machine, each played by a worker thread of its own. */
import { Worker } from 'node:worker_threads';
import { ConfigError } from '../errors.ts';
import { HDR_DATA_CACHES, HDR_FLUSH_CLOCK } from '../layout/header.ts';
import { VCPU_TIMED } from '../layout/vcpu.ts';
import type { Machine } from '../machine/machine.ts';
import type { MachineOptions } from '../machine/options.ts';
import { checkSound } from '../memory/broken.ts';
import { Control } from './control.ts';
import type { Outcome, ProgramRef } from './program.ts';
import { Recording } from './recording.ts';
import { recover } from './recovery.ts';
import type { Orders } from './serve.ts';

export interface ClusterOptions {
  /** What the machine was made with, as plain data: no handlers of MMIO holes. Default: all defaults. */
  readonly machine?: MachineOptions;
  /** Milliseconds without a step after which a thread is ended. Default: none is. */
  readonly stall?: number;
  /** Milliseconds that vCPUs may take to leave the hypervisor, when one has ended in the middle of a call, before the machine is broken. Default 2000. */
  readonly patience?: number;
}

const LOOK_MS = 20; // between two looks at who stalls

interface Hand {
  readonly worker: Worker;
  end: ((outcome: Outcome) => void) | undefined;
  beats: number;
  since: number;
}

export class Cluster {
  readonly machine: Machine;
  private readonly options: { readonly machine: MachineOptions; readonly stall: number | undefined; readonly patience: number };
  private readonly control: Control;
  private readonly hands = new Map<number, Hand>();
  private readonly runs = new Map<number, Promise<Outcome>>(); // the last of each vCPU
  private watch: ReturnType<typeof setInterval> | undefined;

  /** @throws ConfigError - the machine is not in shared memory, or has one vCPU */
  constructor(machine: Machine, { machine: options = {}, stall, patience = 2000 }: ClusterOptions = {}) {
    if (!machine.views.shared) throw new ConfigError('machine', 'a machine in shared memory', 'a plain buffer');
    if (machine.vcpus.length < 2) throw new ConfigError('machine', 'a machine with several vCPUs', machine.vcpus.length);
    this.machine = machine;
    this.options = { machine: options, stall, patience };
    this.control = new Control(machine.vcpus.length);
  }

  /**
   * Let a vCPU run a program, in a thread of its own.
   *
   * @returns what becomes of it: this never rejects @throws ConfigError - it runs one already @throws BrokenError - the machine can go on no more
   */
  start(number: number, program: ProgramRef): Promise<Outcome> {
    return this.order(number, program, 0);
  }

  private order(number: number, program: ProgramRef, together: number, recording?: Orders['recording']): Promise<Outcome> {
    this.check(number);
    const hand = this.hands.get(number) ?? this.hire(number);
    this.control.setStopping(number, false);
    const orders: Orders = {
      memory: this.machine.views.memory, options: this.options.machine, number, control: this.control.words,
      program: { ...program, module: String(program.module) }, together, ...(recording ? { recording } : {}),
    };
    hand.worker.postMessage(orders);
    hand.since = performance.now();
    const done = new Promise<Outcome>(end => { hand.end = end; });
    this.runs.set(number, done);
    if (this.options.stall !== undefined) this.watch ??= setInterval(() => this.lookForStalled(), LOOK_MS);
    return done;
  }

  private check(number: number): void {
    checkSound(this.machine.views);
    if (this.machine.vcpus[number] === undefined) throw new ConfigError('number', `a vCPU of the machine, below ${this.machine.vcpus.length}`, number);
    if (this.hands.get(number)?.end !== undefined) throw new ConfigError('number', 'a vCPU that runs no program', number);
  }

  /** Ask a vCPU to stop at its next step. */
  stop(number: number): void {
    this.control.setStopping(number, true);
  }

  /** Steps that a vCPU's program has done: as long as it does any it is alive. */
  beats(number: number): number {
    return this.control.beats(number);
  }

  /** What became of the last program of each vCPU, in their order. @param milliseconds - to wait for; those that go on still are `late` then */
  async join(milliseconds = Infinity): Promise<Outcome[]> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise<Outcome>(late => { if (milliseconds !== Infinity) timer = setTimeout(() => late({ how: 'late' }), milliseconds); });
    const runs = [...this.runs].sort(([a], [b]) => a - b).map(([, done]) => done);
    const outcomes = await Promise.all(runs.map(done => Promise.race([done, over])));
    clearTimeout(timer);
    return outcomes;
  }

  /**
   * Let vCPUs 0 and up run programs that begin together, and record in which order they take locks.
   *
   * Invalidations are not filtered by the clock from here on: its ticks are no part of a recording.
   *
   * @param entries - room for so many @throws ConfigError - the vCPUs share a cache, whose hits depend on who comes first
   */
  async record(programs: readonly ProgramRef[], entries = 2 ** 20): Promise<{ readonly outcomes: Outcome[]; readonly recording: Recording }> {
    const recording = Recording.create(entries);
    return { outcomes: await this.together(programs, { words: recording.words, again: false, patience: 0 }), recording };
  }

  /** Do the same again, on a machine that is as that one was. @param patience - milliseconds that a vCPU waits for its turn at most */
  async replay(programs: readonly ProgramRef[], recording: Recording, patience = 10_000): Promise<Outcome[]> {
    recording.rewind();
    return this.together(programs, { words: recording.words, again: true, patience });
  }

  private async together(programs: readonly ProgramRef[], recording: Orders['recording']): Promise<Outcome[]> {
    const { w } = this.machine.views, isTimed = w[(this.machine.vcpus[0].block + VCPU_TIMED) >>> 2] !== 0;
    if (isTimed && w[HDR_DATA_CACHES >>> 2] > 2) throw new ConfigError('machine', 'one in functional mode, or without a cache that vCPUs share', 'timed');
    programs.forEach((_, number) => this.check(number));
    w[HDR_FLUSH_CLOCK >>> 2] = 0;
    this.control.open();
    programs.forEach((program, number) => void this.order(number, program, programs.length, recording));
    return this.join();
  }

  /** End all threads, whatever they do. */
  async close(): Promise<void> {
    clearInterval(this.watch);
    this.watch = undefined;
    const hands = [...this.hands.values()];
    this.hands.clear();
    await Promise.all(hands.map(({ worker }) => worker.terminate()));
  }

  /** End the thread of a vCPU at once, as if it had died. */
  kill(number: number): void {
    void this.hands.get(number)?.worker.terminate();
  }

  private hire(number: number): Hand {
    const worker = new Worker(new URL('./vcpu-worker.js', import.meta.url));
    const hand: Hand = { worker, end: undefined, beats: 0, since: 0 };
    let why: string | undefined;
    worker.on('message', (outcome: Outcome) => this.settle(hand, outcome));
    worker.on('error', error => { why = error.message; });
    worker.on('exit', status => {
      if (this.hands.get(number) !== hand) return; // `close()`
      this.hands.delete(number);
      const broken = recover(this.machine, number, this.options.patience);
      this.settle(hand, { how: 'died', why: [why ?? `exit status ${status}`, ...(broken === undefined ? [] : [broken])].join('; '), sound: broken === undefined });
    });
    this.hands.set(number, hand);
    return hand;
  }

  private settle(hand: Hand, outcome: Outcome): void {
    this.control.release();
    hand.end?.(outcome);
    hand.end = undefined;
  }

  private lookForStalled(): void {
    const now = performance.now();
    for (const [number, hand] of this.hands) {
      const beats = this.beats(number);
      if (beats !== hand.beats || hand.end === undefined) {
        hand.beats = beats;
        hand.since = now;
      } else if (now - hand.since > this.options.stall!) this.kill(number);
    }
  }
}
