/** Domains that die, and others that come in their place. */
import type { Operation } from '../../operation.ts';
import type { World } from './world.ts';

const DOM = 3, MOST_IDS = 200;

export const DOMAIN_OPERATIONS: readonly Operation<World>[] = [
  { name: 'die', share: 1, fields: { domain: DOM, reuse: [0, 1] }, run(w, [d, reuse]) {
    const { tenants } = w, id = tenants.list[d!]!.id;
    if (w.nextId > MOST_IDS || (w.shared && d === 0)) return -1;
    try {
      tenants.replace(d!, w.nextId++, reuse === 1);
    } catch (error) {
      if ((error as Error).message !== 'no place for another domain') throw error;
      w.over = true; // its vCPU has no domain to run
      return -2;
    }
    w.mapped = w.mapped.filter(({ by }) => by !== id);
    return 0;
  } },
];
