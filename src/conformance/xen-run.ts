/** One operation of a Xen transcript after the other, on the hypervisor. */
import { ConfigError, InputError } from '../errors.ts';
import { FAULT_NONE, faultCode, faultVector } from '../arch/fault.ts';
import type { Row } from './recording.ts';
import { bytes, frame, hex, hexes, integer, list, object, runs, type Place } from './xen-field.ts';
import { HYPERVISOR_multicall } from '../xen/numbers.ts';
import type { XenSetup } from './xen-setup.ts';

/** What differs in an operation; undefined: nothing. */
export type Outcome = { readonly expected: string; readonly got: string } | undefined;

const PAGE_BYTES = 4096;
const SHOWN_BYTES = 256;
const ENTRY_WORDS = 8; //   of a list of hypercalls: operation, result, arguments
const RESULT_WORDS = 2;

export class XenRun {
  private readonly x: XenSetup;
  private readonly file: string;
  /** Where the last multicall's list is, and its bytes. */
  private calls = { va: 0n, bytes: 0 };

  constructor(setup: XenSetup, file: string) {
    this.x = setup;
    this.file = file;
  }

  /** Apply an operation. What it asks for may not be there, after a difference: that is one too. @throws InputError - a row that is none of the format's */
  apply(line: number, row: Row): Outcome {
    try {
      return this.operate({ file: this.file, line }, row);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return { expected: 'what can be done', got: error.message };
    }
  }

  private operate(at: Place, row: Row): Outcome {
    switch (row['op']) {
      case 'write': return this.write(at, row);
      case 'read': return this.read(at, row);
      case 'hypercall': return this.hypercall(at, row);
      case 'store': return this.store(at, row);
      case 'load': return this.load(at, row);
      case 'hash': return this.hash(at, row);
      case 'hint': return this.hint(at, row);
      case 'create_domain': return this.createDomain(at, row);
      case 'page_types': return this.pageTypes(at, row);
      case 'destroy_domain': return this.destroyDomain(at, row);
      default: throw new InputError(this.file, `line ${at.line}`, 'a known operation', JSON.stringify(row['op']));
    }
  }

  /** What the hypervisor's own audit complains about. */
  audit(): string[] {
    return this.x.xen.audit();
  }

  private write(at: Place, row: Row): Outcome {
    const { xen, cpu } = this.x, data = bytes(at, row, 'bytes');
    const fault = data.length === 0 ? FAULT_NONE : xen.write(cpu, hex(at, row, 'va'), data);
    return fault === FAULT_NONE ? undefined : { expected: 'a store without fault', got: faultText(fault) };
  }

  private read(at: Place, row: Row): Outcome {
    const { xen, cpu } = this.x, va = hex(at, row, 'va'), expected = bytes(at, row, 'bytes'), got = new Uint8Array(expected.length);
    const fault = got.length === 0 ? FAULT_NONE : xen.read(cpu, va, got);
    if (this.x.preempts && fault === FAULT_NONE && this.isContinued(va, expected, got)) return this.write(at, row);
    return compare(hexText(expected), fault === FAULT_NONE ? hexText(got) : faultText(fault));
  }

  /**
   * Is `got` what was recorded but for arguments in the last multicall's list? A call of a list that is preempted leaves there what it is
   * continued with, and the recorded calls were not preempted. Source: Xen 4.17, do_multicall() (xen/common/multicall.c),
   * hypercall_create_continuation() (xen/arch/x86/hypercall.c).
   */
  private isContinued(va: bigint, expected: Uint8Array, got: Uint8Array): boolean {
    const word = this.x.is32 ? 4 : 8, first = Number(va - this.calls.va);
    const differs = expected.some((byte, k) => byte !== got[k]);
    return differs && expected.every((byte, k) => {
      const offset = first + k;
      return byte === got[k] || (offset >= 0 && offset < this.calls.bytes && offset % (ENTRY_WORDS * word) >= RESULT_WORDS * word);
    });
  }

  private hypercall(at: Place, row: Row): Outcome {
    const nr = integer(at, row, 'nr'), args = hexes(at, row, 'args');
    if (nr === HYPERVISOR_multicall) this.calls = { va: args[0] ?? 0n, bytes: Number(args[1] ?? 0n) * ENTRY_WORDS * (this.x.is32 ? 4 : 8) };
    const got = this.x.xen.hypercall(this.x.cpu, nr, ...args);
    return compare(`${integer(at, row, 'ret')}`, `${got}`);
  }

  private store(at: Place, row: Row): Outcome {
    const { xen, cpu } = this.x, size = row['size'] === undefined ? 8 : integer(at, row, 'size');
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigUint64(0, hex(at, row, 'value'), true);
    const fault = xen.write(cpu, hex(at, row, 'va'), data.subarray(0, size));
    return compare(resultText(object(at, row, 'result')), fault === FAULT_NONE ? 'ok' : `${faultText(fault)} cr2 ${hexNumber(xen.cr2(cpu))}`);
  }

  private load(at: Place, row: Row): Outcome {
    const { xen, cpu } = this.x, size = row['size'] === undefined ? 8 : integer(at, row, 'size');
    const data = new Uint8Array(8);
    const fault = xen.read(cpu, hex(at, row, 'va'), data.subarray(0, size));
    const value = new DataView(data.buffer).getBigUint64(0, true);
    return compare(resultText(object(at, row, 'result')), fault === FAULT_NONE ? hexNumber(value) : `${faultText(fault)} cr2 ${hexNumber(xen.cr2(cpu))}`);
  }

  private hash(at: Place, row: Row): Outcome {
    const { xen, cpu, arena, sharedInfo } = this.x;
    const wrong: string[] = [], right: string[] = [], page = new Uint8Array(PAGE_BYTES);
    list(at, row, 'pages').forEach((expected, k) => {
      const va = arena.va + BigInt(k * PAGE_BYTES);
      const mapping = cpu.probe(va, 0), shared = mapping.ok && mapping.paddr === BigInt(sharedInfo * PAGE_BYTES); // is not even read
      const got = shared ? 'null' : xen.read(cpu, va, page) === FAULT_NONE ? hashOf(page) : '0x0';
      if (`${expected === null ? 'null' : hexNumber(BigInt(expected as string))}` === got) return;
      wrong.push(`${k}: ${got}`);
      right.push(`${k}: ${String(expected)}`);
    });
    return compare(right.join(' '), wrong.join(' '));
  }

  private hint(at: Place, row: Row): Outcome {
    const { xen, source, domain0 } = this.x;
    if (row['allocated'] !== undefined) source.hint(hexes(at, row, 'allocated').map(Number));
    if (row['status_frames'] !== undefined) source.status = hexes(at, row, 'status_frames').map(Number);
    if (row['grant_frames'] !== undefined) domain0.grants.add(xen.host, domain0, hexes(at, row, 'grant_frames').map(Number));
    return undefined;
  }

  private createDomain(at: Place, row: Row): Outcome {
    const { xen } = this.x;
    xen.createDomain({
      id: integer(at, row, 'domid'), privileged: row['privileged'] === true, maxPages: integer(at, row, 'max_pages'), is32: this.x.is32,
      sharedInfo: frame(at, row, 'shared_info'), p2m: runs(at, row, 'p2m'), maxVcpus: integer(at, row, 'vcpus'),
      grants: {
        frames: hexes(at, row, 'grant_frames').map(Number), maxFrames: integer(at, row, 'max_grant_frames'),
        maxMaptrackFrames: integer(at, row, 'max_maptrack_frames'),
      },
      maxEventPort: integer(at, row, 'max_evtchn_port'),
    });
    return undefined;
  }

  private pageTypes(at: Place, row: Row): Outcome {
    const mfns = hexes(at, row, 'mfns').map(Number), types = hexes(at, row, 'types').map(Number);
    const got = this.x.xen.pageTypes(integer(at, row, 'domid'), mfns);
    const text = (list: readonly number[]) => list.flatMap((type, k) => (types[k] === got[k] ? [] : [`0x${mfns[k].toString(16)}: 0x${type.toString(16)}`])).join(' ');
    return compare(text(types), text(got));
  }

  private destroyDomain(at: Place, row: Row): Outcome {
    this.x.xen.destroyDomain(integer(at, row, 'domid'));
    return undefined;
  }
}

const hexNumber = (value: bigint): string => `0x${value.toString(16)}`;
const faultText = (fault: number): string => `vector ${faultVector(fault)} error 0x${faultCode(fault).toString(16)}`;

function hexText(data: Uint8Array): string {
  return Array.from(data, b => b.toString(16).padStart(2, '0')).join('');
}

function resultText(result: Row): string {
  if (result['ok'] === true) return 'ok';
  if (result['value'] !== undefined) return hexNumber(BigInt(result['value'] as string));
  return `vector ${String(result['vector'])} error ${String(result['error'])} cr2 ${String(result['cr2'])}`;
}

function compare(expected: string, got: string): Outcome {
  return expected === got ? undefined : { expected: expected.slice(0, SHOWN_BYTES), got: got.slice(0, SHOWN_BYTES) };
}

const HASH_PRIME_LO = 0x1b3; // the prime is 2^40 + this

/** The format's hash of a page. 64-bit arithmetic in two words. */
function hashOf(page: Uint8Array<ArrayBuffer>): string {
  const words = new Uint32Array(page.buffer, page.byteOffset, PAGE_BYTES / 4);
  let hi = 0xcbf29ce4, lo = 0x84222325;
  for (let k = 0; k < words.length; k += 2) {
    lo = (lo ^ words[k]) >>> 0;
    hi = (hi ^ words[k + 1]) >>> 0;
    const low = lo * HASH_PRIME_LO;
    hi = (hi * HASH_PRIME_LO + Math.floor(low / 2 ** 32) + (lo << 8 >>> 0)) % 2 ** 32;
    lo = low % 2 ** 32;
    lo = (lo ^ hi) >>> 0;
  }
  return hexNumber((BigInt(hi) << 32n) | BigInt(lo));
}
