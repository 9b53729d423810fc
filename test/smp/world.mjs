// Domains with several vCPUs each, of both widths, for programs of a cluster: their frames, tables, grants and event channels. On the built package.
import { Machine } from '../../dist/machine/machine.js';
import { writeEntry } from '../../dist/memory/entry.js';
import { Hypervisor } from '../../dist/xen/hypervisor.js';
import { HYPERVISOR_event_channel_op, HYPERVISOR_vm_assist } from '../../dist/xen/numbers.js';

const P = 1n, RW = 2n, US = 4n, A = 0x20n, D = 0x40n, KERNEL = 1n << 52n;
export const READ = P | US | A, DATA = P | RW | US | A | D, TABLE = DATA;
const SHARED = 0x10, GRANT_FRAMES = 0x30, FIRST = 0x80, EACH = 0x80;
/**
 * Frames of a domain; its kernel sees frame `k` in page `k`: four tables (of 32-bit ones the root, its last level-2 table, another one, and the level-1
 * table), four that may become some, one for each vCPU's arguments, and data.
 */
export const OWNED = 96, SPARE_TABLE = 4, SPARE_TABLES = 4, ARGS = 8, DATA_FRAME = 32;
/** Pages that map nothing at first, for each vCPU 32. */
export const SPARE_PAGE = 128, PAGES_EACH = 32;
export const REFS = 16; // grants 8 and up that a domain's vCPUs use
export const BASE = 0xffffffff80000000n, COMPAT_BASE = 0xc0000000n;
const SELF = 0x7ff0;

export const entryOf = (mfn, flags) => (BigInt(mfn) << 12n) | flags;

/** Tables of a kernel: [table, slot, table, flags]. The root of a 32-bit one needs its last entry, whose table has the hypervisor's entries, too. */
const TABLES = [[0, 511, 1, TABLE], [1, 510, 2, TABLE], [2, 0, 3, TABLE]], COMPAT_TABLES = [[0, 3, 1, P], [0, 0, 2, P], [1, 0, 3, TABLE]];

/**
 * @param options - of the hypervisor; `mode`, `engine` of the machine; `fifo`: event channels of that format; `narrow`: which domains are of 32 bits, 'none',
 *   'some' (every other one, from the first) or 'all'; `privileged`: whether the first domain is
 */
export function makeWorld({ domains = 2, vcpus = 1, engine = 'auto', mode = 'functional', fifo = false, narrow = 'none', privileged = false, ...options } = {}) {
  const frames = FIRST + domains * EACH, own = 1400 + domains * 16 + domains * vcpus * 4;
  const machineOptions = { extents: [{ base: 0, bytes: (frames + own) * 4096 }], mode, paging: 'none', openBus: 0, engine, vcpus: Math.max(2, domains * vcpus) };
  const machine = Machine.create(machineOptions), xen = Hypervisor.create(machine, { frames, own: { first: frames, frames: own }, ioFrames: 0, ...options });
  const guests = Array.from({ length: domains }, (_, place) => {
    const first = FIRST + place * EACH, put = (k, slot, value) => writeEntry(machine.views, (first + k) * 4096 + slot * 8, value);
    const is32 = narrow === 'all' || (narrow === 'some' && place % 2 === 0);
    for (const [table, slot, k, flags] of is32 ? COMPAT_TABLES : TABLES) put(table, slot, entryOf(first + k, flags));
    for (let k = 0; k < OWNED; k++) put(3, k, entryOf(first + k, (k < ARGS ? READ : DATA) | (is32 ? 0n : KERNEL)));
    const domain = xen.createDomain({
      id: place + 1, is32, privileged: privileged && place === 0, p2m: [[0, first, OWNED]], maxPages: OWNED + 16, sharedInfo: SHARED + place, maxVcpus: vcpus,
      grants: { frames: [GRANT_FRAMES + place], maxFrames: 4, maxMaptrackFrames: 2 },
    });
    const cpus = Array.from({ length: vcpus }, (_unused, k) => machine.vcpus[place * vcpus + k]);
    for (const cpu of cpus) xen.startVcpu(domain, cpu, first);
    return { id: place + 1, place, is32, isPrivileged: domain.privileged, base: is32 ? COMPAT_BASE : BASE, first, level1: first + 3, level2: first + (is32 ? 1 : 2), sharedInfo: SHARED + place, grantFrame: GRANT_FRAMES + place, cpus: cpus.map(cpu => machine.vcpus.indexOf(cpu)), ports: [], links: [] };
  });
  const event = (cpu, guest, command, ...words) => {
    const at = guest.first + ARGS, data = new Uint8Array(Int32Array.from({ length: 6 }, (_, k) => words[k] ?? 0).buffer);
    machine.write(BigInt(at) * 4096n, data);
    const rc = Number(xen.hypercall(cpu, HYPERVISOR_event_channel_op, BigInt(command), guest.base + BigInt(ARGS * 4096)));
    if (rc !== 0) throw new Error(`event_channel_op ${command}: ${rc}`);
    machine.read(BigInt(at) * 4096n, data);
    return new Int32Array(data.buffer);
  };
  for (const guest of guests) {
    const [cpu] = guest.cpus.map(number => machine.vcpus[number]);
    if (fifo) for (let k = 0; k < vcpus; k++) event(cpu, guest, 11, guest.first + OWNED - 1 - k, 0, 0, k);
    if (fifo) event(cpu, guest, 12, guest.first + OWNED - 1 - vcpus, 0);
    xen.hypercall(cpu, HYPERVISOR_vm_assist, 0n, 2n);
  }
  // Each domain has three ports to each other, and to itself.
  for (const guest of guests) {
    for (const peer of guests) {
      for (let k = 0; k < 3; k++) {
        const theirs = event(machine.vcpus[peer.cpus[0]], peer, 6, SELF | (guest.id << 16))[1];
        const ours = event(machine.vcpus[guest.cpus[0]], guest, 0, peer.id, theirs)[2];
        guest.ports.push(ours);
        peer.ports.push(theirs);
        guest.links.push({ to: peer.id, local: ours, peer: theirs });
      }
    }
  }
  return { machine, xen, guests, options: machineOptions, fifo };
}

/** What the program of vCPU `k` of a guest is given. */
export function dataFor(world, guest, k, rest) {
  return { ...rest, guest, guests: world.guests, vcpu: k, fifo: world.fifo };
}
