/** Frames of every kind, for the tests of single rules. */
import { FRAME_REFS_MOST, PGT_COUNT_MOST, PGT_L1_TABLE, PGT_L2_TABLE, PGT_SEG_DESC, PGT_VALIDATED, PGT_WRITABLE } from '../../src/layout/frame.ts';
import { DOMAIN, FRAMES, FrameWorld, type Mode } from './world.ts';

export const L1 = 16, L1_B = 17, L2 = 18, DATA = 32, PLAIN = 33, FOREIGN = 35, FREE = 36, MANY = 37, USED_UP = 38, SEG = 39, OLD_TABLE = 40;
/** Type words of writable frames and of level-1 tables, without a count. */
export const W = PGT_WRITABLE | PGT_VALIDATED, T1 = PGT_L1_TABLE | PGT_VALIDATED;

/** All frames are the domain's, writable and without uses, but for those that have a name. */
export function populated(mode: Mode): FrameWorld {
  const x = new FrameWorld(mode);
  for (let f = 0; f < FRAMES; f++) x.setFrame(f, { owner: DOMAIN, refs: 1, type: W });
  x.setFrame(L1, { refs: 2, type: T1 | 1 });
  x.setFrame(L1_B, { refs: 2, type: T1 | 1 });
  x.setFrame(L2, { refs: 2, type: PGT_L2_TABLE | PGT_VALIDATED | 1 });
  x.setFrame(PLAIN, { type: 0 });
  x.setFrame(FOREIGN, { owner: 8 });
  x.setFrame(FREE, { refs: 0, type: 0 });
  x.setFrame(MANY, { refs: FRAME_REFS_MOST });
  x.setFrame(USED_UP, { refs: PGT_COUNT_MOST, type: W | (PGT_COUNT_MOST - 1) });
  x.setFrame(SEG, { type: PGT_SEG_DESC });
  x.setFrame(OLD_TABLE, { type: PGT_L1_TABLE });
  return x;
}
