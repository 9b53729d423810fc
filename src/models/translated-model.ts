/** VP: a domain behind a translation, whose frames are numbers of its own and who never sees a machine frame. */
import type { MemoryModel } from './memory-model.ts';
import { NO_FRAME, type Translation } from './translation.ts';

export class TranslatedModel implements MemoryModel {
  readonly name = 'VP';
  readonly translation: Pick<Translation, 'frames' | 'machineFrame'>;

  /** @param translation - a second stage, or what shadows are made by: a table of machine frames */
  constructor(translation: Pick<Translation, 'frames' | 'machineFrame'>) {
    this.translation = translation;
  }

  machineFrame(gfn: number): number {
    return this.translation.machineFrame(gfn);
  }

  guestFrame(mfn: number): number {
    for (let gfn = 0; gfn < this.translation.frames; gfn++) if (this.machineFrame(gfn) === mfn) return gfn;
    return NO_FRAME;
  }

  /** Its drivers know no other. */
  deviceFrame(gfn: number): number {
    return this.machineFrame(gfn) === NO_FRAME ? NO_FRAME : gfn;
  }
}
