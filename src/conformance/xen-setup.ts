/** The machine, hypervisor and domain 0 that the header and first rows of a Xen transcript describe. */
import { InputError } from '../errors.ts';
import { Machine } from '../machine/machine.ts';
import type { EngineChoice } from '../machine/options.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import type { Domain } from '../xen/domain.ts';
import type { FrameSource } from '../xen/frame-source.ts';
import type { XenSlot } from '../xen/settings.ts';
import { Hypervisor } from '../xen/hypervisor.ts';
import type { Recording, Row } from './recording.ts';
import { entries, frame, hex, integer, object, runs, type Place } from './xen-field.ts';

const FRAME_BYTES = 4096;
const OWN_FIRST = 2 ** 28; // beyond what any guest of these recordings may map
const OWN_FRAMES = 2048;
const DOM0_VCPUS = 1;
const M2P_SLOT = 256;
const UPCALL_MASK = 1; //     offset of evtchn_upcall_mask in a vcpu_info
const VCPU_INFO_BYTES = 64;
const VCPU_INFOS = 32;

/** Hands out the frames that the recording says were handed out. */
class HintedFrames implements FrameSource {
  private readonly hinted: number[] = [];
  /** ... next for the status of grants. */
  status: number[] = [];

  /** The frames of the next call that hands any out. */
  hint(frames: readonly number[]): void {
    this.hinted.splice(0, Infinity, ...frames);
  }

  allocate(): number {
    return this.hinted.shift() ?? -1;
  }

  allocateShared(_domid: number, use: 'grant' | 'status'): number {
    return (use === 'status' ? this.status.shift() : undefined) ?? -1;
  }

  release(): void {
    // Which frames come back, and when, the recording says.
  }
}

/** Where a transcript begins. */
export interface XenSetup {
  readonly machine: Machine;
  readonly cpu: Vcpu;
  readonly xen: Hypervisor;
  readonly source: HintedFrames;
  readonly domain0: Domain;
  readonly is32: boolean;
  /** Calls are preempted, as the recorded ones were not. */
  readonly preempts: boolean;
  readonly sharedInfo: number;
  readonly arena: { readonly va: bigint; readonly pages: number };
}

export interface XenSetupOptions {
  readonly engine: EngineChoice;
  /** Preempt calls after so many entries; 0: never. */
  readonly preempt?: number;
}

/** Build it. @throws InputError - header or rows are not of the format */
export function setUp(recording: Recording, rows: Recording['rows'], { engine, preempt }: XenSetupOptions): XenSetup {
  const { header, file } = recording, at: Place = { file, line: 1 };
  const arch = header['arch'];
  if (arch !== 'pv64' && arch !== 'pv32') throw new InputError(file, 'line 1', 'pv64 or pv32 in "arch"', JSON.stringify(arch));
  const is32 = arch === 'pv32', frames = frame(at, header, 'machine_frames');
  const machine = Machine.create({
    extents: [
      { base: 0, bytes: frames * FRAME_BYTES },
      { base: OWN_FIRST * FRAME_BYTES, bytes: OWN_FRAMES * FRAME_BYTES },
    ],
    physicalAddressBits: 42, mode: 'functional', paging: 'none', openBus: 0, features: { amd: true }, engine,
  });
  const slots = rows.filter(({ row }) => row['op'] === 'xen_slots').flatMap(({ line, row }) => entries({ file, line }, row));
  const source = new HintedFrames();
  const first = slots[0]?.[1] ?? 0n, firstFrame = Number((first >> 12n) & 0xff_ffff_ffffn);
  // Recordings are of calls that were not preempted: what the real Xen loses only then is not to be lost where `preempt` asks for it.
  const xen = Hypervisor.create(machine, {
    frames, source, budget: preempt || Infinity, leakPreemptedTables: false, pv32: is32, checkEachCopy: !is32, own: { first: OWN_FIRST, frames: OWN_FRAMES },
    ...(is32 ? { compatSlots: slots.map(xenSlot), m2pCompat: firstFrame } : { xenSlots: slots.map(xenSlot) }),
    ...(!is32 && slots[0]?.[0] === M2P_SLOT ? { m2pLevel3: firstFrame } : {}),
  });
  for (const { line, row } of rows) if (row['op'] === 'frame') fill(machine, { file, line }, row);
  const sharedInfo = frame(at, header, 'shared_info'), arena = object(at, header, 'arena');
  const domain0 = xen.createDomain({
    id: integer(at, header, 'domid'), privileged: header['privileged'] === true, is32, p2m: runs(at, header, 'p2m'), sharedInfo,
    iomem: [[0, OWN_FIRST - 1]], maxVcpus: DOM0_VCPUS, ...(is32 ? { compatStart: Number(hex(at, header, 'm2p')) } : {}),
  });
  for (let k = 0; k < VCPU_INFOS; k++) machine.write(BigInt(sharedInfo * FRAME_BYTES + k * VCPU_INFO_BYTES + UPCALL_MASK), Uint8Array.of(1));
  const cpu = machine.vcpus[0];
  xen.startVcpu(domain0, cpu, frame(at, header, 'cr3'));
  return { machine, cpu, xen, source, domain0, is32, preempts: Boolean(preempt), sharedInfo, arena: { va: hex(at, arena, 'va'), pages: integer(at, arena, 'pages') } };
}

const xenSlot = ([slot, value]: readonly [number, bigint]): XenSlot => [slot, Number(value & 0xffffffffn) | 0, Number(value >> 32n) | 0];

/** Initial contents of a page-table frame. */
function fill(machine: Machine, at: Place, row: Row): void {
  const table = new BigUint64Array(FRAME_BYTES / 8);
  for (const [index, value] of entries(at, row)) table[index] = value;
  machine.write(BigInt(frame(at, row, 'mfn') * FRAME_BYTES), new Uint8Array(table.buffer));
}
