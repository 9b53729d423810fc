/**
 * A log by the dirty flags that the processor sets in the entries of a second stage: no fault at all, but every entry is looked at.
 *
 * Source: Intel SDM vol. 3C, "Accessed and Dirty Flags for EPT"; AMD APM vol. 2, "Nested Paging" (A and D of nested tables). Processors with
 *         page-modification logging write the list themselves: Xen 4.17, vmx_domain_enable_pml() (xen/arch/x86/hvm/vmx/vmcs.c).
 */
import { ConfigError } from '../errors.ts';
import { DirtyBitmap, type DirtyLog, type DirtyPages } from './dirty-log.ts';
import type { SecondStageTables } from './second-stage-tables.ts';

export class FlagLog implements DirtyLog {
  private readonly tables: SecondStageTables;
  private readonly found = new DirtyBitmap();

  /** @throws ConfigError - tables without such flags */
  constructor(tables: SecondStageTables) {
    if (!tables.accessedDirty) throw new ConfigError('tables', 'tables with accessed and dirty flags', tables.format);
    this.tables = tables;
  }

  enable(): void {
    this.found.start(this.tables.frames);
    this.collect(true);
    this.found.clear();
  }

  disable(): void {
    this.found.stop();
  }

  fault(): boolean {
    return false;
  }

  mark(gfn: number): void {
    this.found.mark(gfn);
  }

  peek(): DirtyPages {
    this.collect(false);
    return this.found.read();
  }

  clean(): DirtyPages {
    this.collect(true);
    const pages = this.found.read();
    this.found.clear();
    return pages;
  }

  /** Note the flags. @param take - and remove them, so that processors have to set them again */
  private collect(take: boolean): void {
    for (let gfn = 0; gfn < this.tables.frames; gfn++) if (this.tables.written(gfn, take)) this.found.mark(gfn);
    if (take) this.tables.flush();
  }
}
