/** The kernel's physical memory: which frames are free, and how many use each that is not. */
import { ConfigError, invariant } from '../errors.ts';
import { ENTRIES, PAGE_BYTES, PAGE_WORDS, type Platform } from './platform.ts';

const ZEROES = new Int32Array(PAGE_WORDS);

/** Frames with reference counts. Single frames come from the bottom, runs of 512 from the top. */
export class FramePool {
  /** Frames in use. */
  used = 0;
  /** ... the most there were. */
  most = 0;
  /** Pages cleared, and copied. */
  clears = 0;
  copies = 0;
  private readonly p: Platform;
  private readonly refs: Int32Array;
  private readonly free: number[] = [];
  private bottom: number;
  private top: number;

  constructor(p: Platform) {
    this.p = p;
    this.bottom = p.first;
    this.top = p.end;
    this.refs = new Int32Array(p.end);
  }

  /** A frame with one reference, and whatever is in it. @throws ConfigError - memory is full */
  take(): number {
    const frame = this.free.pop() ?? (this.bottom < this.top ? this.bottom++ : -1);
    if (frame < 0) throw new ConfigError('memory', 'more than the guest uses', `${this.used * PAGE_BYTES} bytes`);
    this.hold(frame);
    return frame;
  }

  /** A frame of zeroes. */
  takeClear(): number {
    const frame = this.take();
    this.clears++;
    this.write(frame, ZEROES);
    return frame;
  }

  /** The first of 512 frames, aligned, with one reference each; -1: there are none. */
  takeRun(): number {
    const first = Math.floor(this.top / ENTRIES) * ENTRIES - ENTRIES;
    if (first < this.bottom) return -1;
    for (let frame = first + ENTRIES; frame < this.top; frame++) this.free.push(frame);
    this.top = first;
    for (let k = 0; k < ENTRIES; k++) this.hold(first + k);
    return first;
  }

  /** Copy a page to another. */
  copy(to: number, from: number): void {
    const at = this.p.wordOf(from);
    this.copies++;
    this.write(to, this.p.s.w.subarray(at, at + PAGE_WORDS));
  }

  /** Fill a page. */
  write(frame: number, words: Int32Array): void {
    if (this.p.writePage === undefined) this.p.s.w.set(words, this.p.wordOf(frame));
    else this.p.writePage(frame, words);
  }

  get(frame: number): void {
    invariant(this.refs[frame] > 0, `frame ${frame} is in use`);
    this.refs[frame]++;
  }

  /** Give a reference back. @returns true if it was the last, and the frame is free */
  put(frame: number): boolean {
    invariant(this.refs[frame] > 0, `frame ${frame} is in use`);
    if (--this.refs[frame] > 0) return false;
    this.used--;
    this.free.push(frame);
    return true;
  }

  count(frame: number): number { return this.refs[frame]; }

  private hold(frame: number): void {
    this.refs[frame] = 1;
    this.used++;
    if (this.used > this.most) this.most = this.used;
  }
}
