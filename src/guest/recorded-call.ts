/**
 * System calls of a trace as what they came to: where the kernel put a mapping is known from its result.
 *
 * Source: Linux 5.10, include/uapi/asm-generic/mman-common.h; arguments as in mmap(2), mremap(2), brk(2), wait4(2).
 */
import type { TraceEvent } from '../trace/batch.ts';
import { PAGE_BYTES } from './platform.ts';

const MAP_SHARED = 1n; //      MAP_SHARED_VALIDATE is 3: shared too
const MAP_ANONYMOUS = 0x20n;
const PROT_MASK = 7n;
const USER_END = 2 ** 35; //   pages of the lower half
const WORD = 1n << 64n;
const INT_MASK = 0xffff_ffffn;

/** Places are page numbers unless they are called bytes. */
export type RecordedCall =
  | { readonly name: 'mmap'; readonly start: number; readonly end: number; readonly prot: number; readonly shared: boolean;
    /** Of a file: its descriptor, bytes that were asked for, first page, and whether the process had decided where. */
    readonly file: { readonly descriptor: number; readonly bytes: number; readonly offset: number; readonly placed: boolean } | undefined }
  | { readonly name: 'munmap'; readonly start: number; readonly end: number }
  | { readonly name: 'mprotect'; readonly start: number; readonly end: number; readonly prot: number }
  | { readonly name: 'mremap'; readonly from: number; readonly many: number; readonly to: number; readonly wanted: number }
  | { readonly name: 'brk'; /** Bytes. */ readonly end: number }
  | { readonly name: 'fork'; readonly child: number }
  | { readonly name: 'wait'; /** Undefined: any child. */ readonly pid: number | undefined }
  | { readonly name: 'exit' }
  | { readonly name: 'other' };

const OTHER: RecordedCall = { name: 'other' };

const page = (address: bigint): number => Number(BigInt.asUintN(64, address) / BigInt(PAGE_BYTES));
const pagesOf = (bytes: bigint): number => Math.ceil(Number(BigInt.asUintN(64, bytes)) / PAGE_BYTES);
const inside = (start: number, end: number): boolean => start >= 0 && start <= end && end <= USER_END;

/** What a recorded call did; `other`: nothing here, among it those that failed. */
export function callOf({ name, args, result, child }: TraceEvent): RecordedCall {
  if (child !== undefined) return { name: 'fork', child };
  if (name === 'exit_group' || name === 'exit') return { name: 'exit' };
  if (name === 'wait4') return { name: 'wait', pid: waitedFor(args[0] ?? WORD - 1n) };
  if (result === undefined || result < 0n) return OTHER;
  switch (name) {
    case 'mmap': return mmapOf(args, result);
    case 'munmap': case 'mprotect': {
      const start = page(args[0]), end = start + pagesOf(args[1]);
      if (!inside(start, end)) return OTHER;
      return name === 'munmap' ? { name, start, end } : { name, start, end, prot: Number(args[2] & PROT_MASK) };
    }
    case 'mremap': {
      const from = page(args[0]), many = pagesOf(args[1]), to = page(result), wanted = pagesOf(args[2]);
      return inside(from, from + many) && inside(to, to + wanted) ? { name: 'mremap', from, many, to, wanted } : OTHER;
    }
    case 'brk': return inside(0, pagesOf(result)) ? { name: 'brk', end: Number(result) } : OTHER;
    default: return OTHER;
  }
}

function mmapOf(args: readonly bigint[], result: bigint): RecordedCall {
  const [address, bytes, prot, flags, descriptor, offset] = args, start = page(result), end = start + pagesOf(bytes);
  if (!inside(start, end)) return OTHER;
  const anonymous = (flags & MAP_ANONYMOUS) !== 0n;
  const file = anonymous ? undefined : { descriptor: Number(descriptor & INT_MASK), bytes: Number(bytes), offset: page(offset), placed: address !== 0n };
  return { name: 'mmap', start, end, prot: Number(prot & PROT_MASK), shared: (flags & MAP_SHARED) !== 0n, file };
}

/** The process that wait4 waits for; undefined: any. Valgrind prints the 32 bits of a negative number without their sign. */
function waitedFor(argument: bigint): number | undefined {
  const pid = Number(BigInt.asIntN(32, argument));
  return pid > 0 ? pid : undefined;
}
