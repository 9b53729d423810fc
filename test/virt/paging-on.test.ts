import { expect, it } from 'vitest';
import { TwoStages, type GuestMode } from './two-stages.ts';

const VA = 0x4030_0000, CR0 = 0x11n, PG = 1n << 31n;

it.each((['ept', 'npt'] as const).flatMap(format => (['legacy', 'pae', '4-level'] as const).map(mode => [format, mode] as const)))('%s: a guest that turns paging on (%s), and off, does not use what it had cached before', (format, mode: GuestMode) => {
  const t = new TwoStages(format, 4, 1, mode, { memory: '64M' }), cpu = t.machine.vcpus[0];
  t.hostMap(VA);
  const page = t.guestFrame();
  t.guestMap(VA, 1, page);
  t.enter();
  cpu.setCode64(false);
  for (let round = 0; round < 2; round++) {
    expect([cpu.writeCr0(CR0), cpu.translate(BigInt(VA), 0)]).toMatchObject([0, { ok: true, paddr: BigInt(t.machineOf(VA)) }]);
    expect([cpu.writeCr0(CR0 | PG), cpu.translate(BigInt(VA), 0)]).toMatchObject([0, { ok: true, paddr: BigInt(t.machineOf(page)) }]);
  }
});
