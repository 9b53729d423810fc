/**
 * A machine as bytes: all of its memory but blocks of zeroes, a fingerprint of what it was made with, and which frames were handed out.
 *
 * Functions are not in it: handlers of MMIO holes are those of the machine that it is put into.
 */
import { ConfigError, InputError } from '../errors.ts';
import { LAYOUT_VERSION } from '../layout/header.ts';
import type { FrameAllocator } from '../memory/frame-allocator.ts';
import { bytesWords, readImage, wordBytes, writeImage, type ImageForm, type ImageRecord } from '../memory/image.ts';
import { fingerprint, type StatePlan } from '../memory/plan.ts';
import { WASM_PAGE_BYTES, type Views } from '../memory/views.ts';

const MACHINE = 0;
const FRAMES = 1;
const BLOCK = 2;
/** The layout's version is the image's: state of another layout means something else. */
const FORM: ImageForm = { magic: 0x736d7770, version: LAYOUT_VERSION, kinds: ['machine', 'frames', 'block'] }; // 'pwms'
const MACHINE_BYTES = 8;

/** Copy a machine out of its memory. */
export function takeSnapshot(s: Views, plan: StatePlan, frames: FrameAllocator): Uint8Array {
  s.look(); // another thread may have added to it
  const blocks = s.byteLength / WASM_PAGE_BYTES;
  const records: ImageRecord[] = [
    { kind: MACHINE, number: 0, payload: wordBytes([fingerprint(plan), blocks]) },
    { kind: FRAMES, number: 0, payload: wordBytes(frames.state()) },
  ];
  for (let number = 0; number < blocks; number++) {
    const words = s.d.subarray(number * (WASM_PAGE_BYTES / 8), (number + 1) * (WASM_PAGE_BYTES / 8));
    if (words.every(word => Object.is(word, 0))) continue;
    records.push({ kind: BLOCK, number, payload: s.u8.slice(number * WASM_PAGE_BYTES, (number + 1) * WASM_PAGE_BYTES) });
  }
  return writeImage(FORM, records);
}

/**
 * Put a snapshot into a machine's memory, which grows if it has to; what it has more is zero then.
 *
 * @throws InputError - see `readImage()`, or records that no snapshot has @throws ConfigError - a machine made with other options, or no memory
 *   to grow. Nothing is changed then
 */
export function putSnapshot(s: Views, plan: StatePlan, frames: FrameAllocator, image: Uint8Array, file: string): void {
  const [machine, allocator, ...rest] = readImage(FORM, image, file);
  if (machine?.kind !== MACHINE || machine.payload.length !== MACHINE_BYTES || allocator?.kind !== FRAMES) throw new InputError(file, 'byte 16 (record 0)', 'a machine, then its frames');
  const [print, blocks] = bytesWords(machine.payload);
  for (const { kind, number, payload, at } of rest) {
    if (kind !== BLOCK || number >= blocks || payload.length !== WASM_PAGE_BYTES) throw new InputError(file, `byte ${at} (${FORM.kinds[kind]} ${number})`, `${WASM_PAGE_BYTES} bytes of block 0 to ${blocks - 1}`, `${payload.length} bytes`);
  }
  if (print !== fingerprint(plan)) throw new ConfigError('snapshot', 'a snapshot of a machine made with the same options', `fingerprint 0x${(print >>> 0).toString(16)}`);
  s.look();
  const state = bytesWords(allocator.payload), more = blocks * WASM_PAGE_BYTES - s.byteLength;
  if (more > 0) s.grow(more);
  s.u8.fill(0);
  for (const { number, payload } of rest) s.u8.set(payload, number * WASM_PAGE_BYTES);
  s.look();
  frames.putState(state);
}
