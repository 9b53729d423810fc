/** The domains there are, by identifier: a directory of their blocks in machine memory, and an object for each that was asked for here. */
import { ConfigError } from '../errors.ts';
import {
  DOMAIN_BYTES, DOMAIN_COMPAT_START, DOMAIN_EOI_FRAME, DOMAIN_ID, DOMAIN_IS32, DOMAIN_MAX_EVENT_PORT, DOMAIN_PRIVILEGED, DOMAIN_SERIAL, DOMAIN_SHARED_INFO, DOMAIN_SHUTDOWN_CODE,
} from '../layout/domain.ts';
import { HV_DIRECTORY, HV_DOMAINS, HV_EPOCH } from '../layout/hypervisor.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { FRAME_BYTES } from '../memory/extents.ts';
import type { Views } from '../memory/views.ts';
import { Domain, NO_FRAME } from './domain.ts';
import { checkLimits, layGrants, type GrantLimits } from './grant-table.ts';
import { DOMID_FIRST_RESERVED } from './numbers.ts';
import type { OwnFrames } from './own-frames.ts';

const PAGE_SHIFT = 10; // domain identifiers in a page of the directory
const PAGES = 32;
const NO_CODE = -1;
const COMPAT_START = 0xf5800000; // HYPERVISOR_COMPAT_VIRT_START without a kernel that says otherwise
const MOST_PORT = 2 ** 31 - 1;

/** What a domain's block says from the start. */
export interface DomainForm {
  readonly id: number;
  readonly privileged: boolean;
  readonly is32: boolean;
  readonly maxPages: number;
  readonly maxVcpus: number;
  readonly grants: GrantLimits;
}

/** Lay the block of a domain. @returns word index @throws ConfigError - limits of its grant table, or there is no memory for it */
export function layDomain(own: OwnFrames, form: Pick<DomainForm, 'id' | 'privileged' | 'is32' | 'grants'>): number {
  checkLimits(form.grants);
  const at = own.need(DOMAIN_BYTES / FRAME_BYTES), { w } = own.s;
  const put = (offset: number, value: number): void => { w[at + (offset >>> 2)] = value; };
  put(DOMAIN_ID, form.id);
  put(DOMAIN_SERIAL, ++w[own.block + (HV_EPOCH >>> 2)]);
  put(DOMAIN_PRIVILEGED, form.privileged ? 1 : 0);
  put(DOMAIN_IS32, form.is32 ? 1 : 0);
  put(DOMAIN_SHARED_INFO, NO_FRAME);
  put(DOMAIN_EOI_FRAME, NO_FRAME);
  put(DOMAIN_SHUTDOWN_CODE, NO_CODE);
  put(DOMAIN_COMPAT_START, COMPAT_START);
  put(DOMAIN_MAX_EVENT_PORT, MOST_PORT);
  layGrants(w, at, form.grants);
  return at;
}

export class Domains {
  private readonly own: OwnFrames;
  private readonly s: Views;
  private readonly cpus: readonly Vcpu[];
  private readonly epochAt: number; // word index
  private known: Domain[] = []; // by identifier, as they were at:
  private epoch = -1;

  constructor(own: OwnFrames, cpus: readonly Vcpu[]) {
    this.own = own;
    this.s = own.s;
    this.cpus = cpus;
    this.epochAt = own.block + (HV_EPOCH >>> 2);
  }

  get size(): number {
    return this.s.w[this.own.block + (HV_DOMAINS >>> 2)];
  }

  get(id: number): Domain | undefined {
    if (this.epoch !== this.s.w[this.epochAt]) this.lookAgain();
    return this.known[id] ?? this.lookAt(id);
  }

  has(id: number): boolean {
    return this.blockOf(id) !== 0;
  }

  /** By identifier, from the lowest up. */
  *values(): Generator<Domain> {
    for (const id of this.keys()) yield this.get(id)!;
  }

  *keys(): Generator<number> {
    for (let id = 0, left = this.size; left > 0 && id < DOMID_FIRST_RESERVED; id++) {
      if (!this.has(id)) continue;
      yield id;
      left--;
    }
  }

  /** Make a domain, whose identifier no other has. @throws ConfigError - the form, or there is no memory for it; nothing is changed then */
  add(form: DomainForm): Domain {
    const { id } = form, { w } = this.s;
    if (!Number.isInteger(id) || id < 0 || id >= DOMID_FIRST_RESERVED) throw new ConfigError('id', `an integer from 0 to 0x${(DOMID_FIRST_RESERVED - 1).toString(16)}`, id);
    const slot = this.slot(id), page = w[slot] === 0 ? this.own.need(1) << 2 : w[slot];
    let domain;
    try {
      domain = this.make(form);
    } catch (error) {
      if (w[slot] === 0) this.own.free(page >>> 2, 1);
      throw error;
    }
    w[slot] = page;
    w[(page >>> 2) + (id & ((1 << PAGE_SHIFT) - 1))] = domain.at << 2;
    w[this.own.block + (HV_DOMAINS >>> 2)]++;
    this.known[id] = domain;
    return domain;
  }

  /** A domain is no more, and what it was known in is free. */
  delete(domain: Domain): void {
    const { w } = this.s, slot = this.slot(domain.id), rows = w[slot] >>> 2;
    w[rows + (domain.id & ((1 << PAGE_SHIFT) - 1))] = 0;
    if (w.subarray(rows, rows + (1 << PAGE_SHIFT)).every(word => word === 0)) {
      this.own.free(rows, 1);
      w[slot] = 0;
    }
    w[this.own.block + (HV_DOMAINS >>> 2)]--;
    w[this.epochAt]++;
    delete this.known[domain.id];
    domain.free();
  }

  /** Make a domain that is in no directory. */
  private make(form: DomainForm): Domain {
    const domain = this.at(layDomain(this.own, form));
    try {
      domain.maxPages = form.maxPages;
      domain.maxVcpus = form.maxVcpus;
      if (!domain.events.start()) throw new ConfigError('own.frames', 'frames for event channels', this.own.frames);
    } catch (error) {
      domain.free();
      throw error;
    }
    return domain;
  }

  /** The domain with the block at a word index. */
  at(at: number): Domain {
    return new Domain(this.own, this.cpus, at);
  }

  private lookAt(id: number): Domain | undefined {
    const at = this.blockOf(id);
    return at === 0 ? undefined : this.known[id] = this.at(at);
  }

  /** Domains have come, or gone, or have other vCPUs: keep the objects of those that are still there. */
  private lookAgain(): void {
    const { w } = this.s;
    this.known.forEach(({ at, serial }, id) => {
      if (this.blockOf(id) !== at || w[at + (DOMAIN_SERIAL >>> 2)] !== serial) delete this.known[id];
    });
    this.epoch = w[this.epochAt];
  }

  /** Word index of the word that says where the page of a domain's row is. */
  private slot(id: number): number {
    return this.own.block + (HV_DIRECTORY >>> 2) + (id >>> PAGE_SHIFT);
  }

  /** Word index of a domain's block, 0 if there is none. */
  private blockOf(id: number): number {
    const { w } = this.s;
    if (id >>> PAGE_SHIFT >= PAGES) return 0;
    const rows = w[this.slot(id)] >>> 2;
    return rows === 0 ? 0 : w[rows + (id & ((1 << PAGE_SHIFT) - 1))] >>> 2;
  }
}
