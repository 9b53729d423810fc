/** What a hypervisor may choose about its shadows. No choice changes what the guest sees. */
import { ConfigError } from '../../errors.ts';

export interface ShadowPolicy {
  /** Entries that are not present in a guest's page table get a magic entry, by which their faults are told without a walk. Default true. */
  readonly fastPath: boolean;
  /** Page tables that the guest may write without being stopped, at most, until something flushes. 0: every write is emulated. Default 3. */
  readonly outOfSync: number;
  /** Stop shadowing tables that are written as if they were none any more. Default true. */
  readonly unshadow: boolean;
  /** Writes emulated to a table, with no access through it between, after which it is no longer shadowed. Default 32. */
  readonly flood: number;
  /** With CR0.WP = 0, a supervisor's write to a read-only page: its user page becomes a writable supervisor page (`flip`), or each is emulated. Default `flip`. */
  readonly wp: 'flip' | 'emulate';
  /** Map 2 MiB at once where the guest has a page that large and the machine frames are in order. Default true. */
  readonly superpages: boolean;
  /** Look where a page was mapped writable last before looking everywhere. Default true. */
  readonly guess: boolean;
}

const DEFAULTS: ShadowPolicy = { fastPath: true, outOfSync: 3, unshadow: true, flood: 32, wp: 'flip', superpages: true, guess: true };
const MOST = 1024;

/** The policy with its defaults. @throws ConfigError naming the field */
export function checkPolicy(policy: Partial<ShadowPolicy>): ShadowPolicy {
  if (typeof policy !== 'object' || policy === null) throw new ConfigError('policy', 'an object', policy);
  for (const key of Object.keys(policy)) if (!Object.hasOwn(DEFAULTS, key)) throw new ConfigError(`policy.${key}`, `one of ${Object.keys(DEFAULTS).join(', ')}`, key);
  const all = { ...DEFAULTS, ...policy };
  for (const key of ['fastPath', 'unshadow', 'superpages', 'guess'] as const) if (typeof all[key] !== 'boolean') throw new ConfigError(`policy.${key}`, 'true or false', all[key]);
  if (!Number.isInteger(all.outOfSync) || all.outOfSync < 0 || all.outOfSync > MOST) throw new ConfigError('policy.outOfSync', `an integer from 0 to ${MOST}`, all.outOfSync);
  if (!Number.isInteger(all.flood) || all.flood < 1 || all.flood > MOST) throw new ConfigError('policy.flood', `an integer from 1 to ${MOST}`, all.flood);
  if (all.wp !== 'flip' && all.wp !== 'emulate') throw new ConfigError('policy.wp', 'flip or emulate', all.wp);
  return all;
}
