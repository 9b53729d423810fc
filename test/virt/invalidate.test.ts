import { describe, expect, it } from 'vitest';
import { TwoStages, type Leaf } from './two-stages.ts';

const VA = 0x7f12_4060_0000;

/** A guest of 4-level paging, with the page at VA mapped to one frame, which can be mapped to another. */
function guest(format: 'ept' | 'npt', hostLeaf: Leaf = 1, guestLeaf: Leaf = 1) {
  const t = new TwoStages(format, 4, hostLeaf, '4-level'), first = guestLeaf === 1 ? t.guestFrame() : 0x40400000, second = guestLeaf === 1 ? t.guestFrame() : 0x40600000;
  for (let page = 0; page < (guestLeaf === 1 ? 0 : 1024); page++) t.hostMap(first + page * 4096);
  const entries = t.guestMap(VA, guestLeaf, first);
  t.enter();
  const cpu = t.machine.vcpus[0]!, at = (va = VA) => {
    const got = cpu.translate(BigInt(va), 0);
    return got.ok ? Number(got.paddr) : -1;
  };
  return { t, cpu, at, first: t.machineOf(first), second: t.machineOf(second), remap: () => { t.guestMap(VA, guestLeaf, second); return entries; } };
}

describe('a guest\'s own INVLPG', () => {
  it('is of its VPID under every EPT pointer', () => {
    const { t, cpu, at, first, second, remap } = guest('ept'), other = t.copyHostRoot();
    const under = (root: number) => cpu.guest.enter({ format: 'ept', eptp: BigInt(root | 0x1e), vpid: 7 });
    for (const root of [t.hostRoot, other]) {
      under(root);
      expect(at()).toBe(first);
    }
    remap();
    expect(at()).toBe(first); // still cached
    cpu.invlpg(BigInt(VA));
    expect(at()).toBe(second);
    under(t.hostRoot);
    expect(at()).toBe(second);
  });

  it.each(['ept', 'npt'] as const)('leaves what another %s guest has cached', format => {
    const { t, cpu, at, first, second, remap } = guest(format);
    const enter = (id: number) => cpu.guest.enter(format === 'ept' ? { format, eptp: BigInt(t.hostRoot | 0x1e), vpid: id } : { format, ncr3: BigInt(t.hostRoot), asid: id });
    for (const id of [1, 2]) {
      enter(id);
      expect(at()).toBe(first);
    }
    remap();
    cpu.invlpg(BigInt(VA));
    expect(at()).toBe(second);
    enter(1);
    expect(at()).toBe(first);
    if (format === 'ept') cpu.guest.invvpid(0, 1, BigInt(VA));
    else cpu.guest.invlpga(BigInt(VA), 1);
    expect(at()).toBe(second);
  });

  it.each(['ept', 'npt'] as const)('removes every fragment of a 2M page that %s maps by 4K pages', format => {
    const { t, cpu, at, first, second, remap } = guest(format, 1, 2);
    for (const page of [0, 1, 5, 511]) expect(at(VA + page * 4096)).toBe(t.machineOf(0x40400000 + page * 4096));
    expect(cpu.translate(BigInt(VA), 0)).toMatchObject({ ok: true, pageBytes: 4096, path: 'tlb1+' });
    remap();
    expect(at()).toBe(first);
    cpu.invlpg(BigInt(VA + 5 * 4096)); // one address of the page: the guest knows of no fragments
    for (const page of [0, 1, 5, 511]) expect(at(VA + page * 4096)).toBe(t.machineOf(0x40600000 + page * 4096));
    expect(at()).toBe(second);
  });

  it.each(['ept', 'npt'] as const)('has one entry at the size of the guest\'s 4K page where %s maps by 2M', format => {
    const { cpu, at, first } = guest(format, 2, 1);
    expect(at()).toBe(first);
    expect(cpu.translate(BigInt(VA), 0)).toMatchObject({ ok: true, pageBytes: 4096, path: 'tlb1+' });
  });
});

it('ten VPIDs use seven contexts, and none has what another left', () => {
  const { t, cpu, at, first, second, remap } = guest('ept');
  const enter = (vpid: number) => cpu.guest.enter({ format: 'ept', eptp: BigInt(t.hostRoot | 0x1e), vpid });
  for (let vpid = 1; vpid <= 7; vpid++) {
    enter(vpid);
    expect(at()).toBe(first);
  }
  remap();
  for (let vpid = 8; vpid <= 10; vpid++) { // take over the contexts of 1 to 3
    enter(vpid);
    expect(at()).toBe(second);
  }
  for (const [vpid, sees] of [[4, first], [7, first], [1, second], [2, second]] as const) {
    enter(vpid);
    expect(at()).toBe(sees);
  }
});

describe('a hypervisor\'s invalidations fail, and remove nothing,', () => {
  const { t, cpu, at, first, remap } = guest('ept'), eptp = BigInt(t.hostRoot | 0x1e);
  cpu.guest.enter({ format: 'ept', eptp, vpid: 7 });
  expect(at()).toBe(first);
  remap();

  it.each<[string, () => boolean]>([
    ['INVEPT of type 0', () => cpu.guest.invept(0, eptp)], ['of type 3', () => cpu.guest.invept(3, eptp)], ['of a memory type that there is not', () => cpu.guest.invept(1, eptp ^ 1n)],
    ['of three levels', () => cpu.guest.invept(1, eptp ^ 8n)], ['of reserved bits', () => cpu.guest.invept(1, eptp | 0x80n)], ['of an address beyond MAXPHYADDR', () => cpu.guest.invept(1, eptp | 1n << 52n)],
    ['INVVPID of type 4', () => cpu.guest.invvpid(4, 7, 0n)], ['of type 1.5', () => cpu.guest.invvpid(1.5, 7, 0n)], ['of VPID 0', () => cpu.guest.invvpid(1, 0, 0n)],
    ['of an address that is not canonical', () => cpu.guest.invvpid(0, 7, BigInt(VA) | 1n << 60n)],
  ])('%s', (_, act) => {
    expect(act()).toBe(false);
    expect(at()).toBe(first);
  });

  it('but not of an address that plays no part, or in the upper half', () => {
    expect([cpu.guest.invept(2, 0n), cpu.guest.invvpid(2, 0, 1n << 60n), cpu.guest.invvpid(0, 7, 0xffff_8000_0000_0000n)]).toEqual([true, true, true]);
  });
});
