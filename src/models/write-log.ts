/**
 * A log by write protection: the first write to a page faults, is noted and let through, and so once a round.
 *
 * Source: Xen 4.17, hap_enable_log_dirty(), hap_clean_dirty_bitmap() (xen/arch/x86/mm/hap/hap.c).
 */
import { ConfigError } from '../errors.ts';
import type { Vcpu } from '../machine/vcpu.ts';
import { DirtyBitmap, dirtyFrames, type DirtyLog, type DirtyPages } from './dirty-log.ts';
import { NO_FRAME, type Translation } from './translation.ts';

export class WriteLog implements DirtyLog {
  private readonly translation: Translation;
  private readonly isShared: () => boolean;
  private readonly found = new DirtyBitmap();

  /** @param isShared - does an IOMMU use the same tables? A device would be refused, and could not try again. Default: none does */
  constructor(translation: Translation, isShared: () => boolean = () => false) {
    this.translation = translation;
    this.isShared = isShared;
  }

  enable(): void {
    if (this.isShared()) throw new ConfigError('log', 'a translation that no device uses', 'one shared with an IOMMU'); // paging_log_dirty_enable(): -EINVAL
    this.found.start(this.translation.frames);
    for (let gfn = 0; gfn < this.translation.frames; gfn++) this.translation.setWritable(gfn, false);
    this.translation.flush();
  }

  disable(): void {
    if (!this.found.enabled) return;
    this.found.stop();
    for (let gfn = 0; gfn < this.translation.frames; gfn++) this.translation.setWritable(gfn, true);
  }

  fault(cpu: Vcpu, fault: number): boolean {
    const gfn = this.found.enabled ? this.translation.refusedWrite(cpu, fault) : NO_FRAME;
    if (gfn === NO_FRAME) return false;
    this.found.faults++;
    this.found.mark(gfn);
    this.translation.setWritable(gfn, true);
    return true;
  }

  mark(gfn: number): void {
    if (this.found.mark(gfn)) this.translation.setWritable(gfn, true);
  }

  peek(): DirtyPages {
    return this.found.read();
  }

  clean(): DirtyPages {
    const pages = this.found.read();
    for (const gfn of dirtyFrames(pages.bitmap)) this.translation.setWritable(gfn, false);
    this.translation.flush();
    this.found.clear();
    return pages;
  }
}
