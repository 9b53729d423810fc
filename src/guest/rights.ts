/** Bits of level-1 entries by the rights of areas, and entries of pages that are not in memory. */
import { PTE_A, PTE_D, PTE_HI_XD, PTE_P, PTE_RW, PTE_US } from '../arch/pte.ts';
import { PROT_EXEC } from './vma.ts';

const SWAPPED = 1 << 1; // R/W and G in an entry that is present, for software to use in one that is not
const HIDDEN = 1 << 8;

/** Low word's bits of a page that a process may read: young, as Linux makes them. */
export const READ_FLAGS = PTE_P | PTE_US | PTE_A;
/** ... that it may write and is about to. */
export const WRITE_FLAGS = READ_FLAGS | PTE_RW | PTE_D;

/** High word's bits. */
export const highFlags = (prot: number): number => ((prot & PROT_EXEC) !== 0 ? 0 : PTE_HI_XD);

/** Low word of the entry of a page that was swapped out; its high word is 0. Numbers of slots are below 2^20. */
export const swapEntry = (slot: number): number => (slot << 12) | SWAPPED;
export const isSwap = (lo: number): boolean => (lo & (PTE_P | HIDDEN | SWAPPED)) === SWAPPED;
export const swapSlot = (lo: number): number => lo >>> 12;

/** An entry that keeps its page but permits nothing, not even loads: not present to the processor. Linux's _PAGE_PROTNONE. */
export const hide = (lo: number): number => (lo & ~PTE_P) | HIDDEN;
export const unhide = (lo: number): number => (lo & ~HIDDEN) | PTE_P;
export const isHidden = (lo: number): boolean => (lo & (PTE_P | HIDDEN)) === HIDDEN;
/** Does an entry hold a page in memory? */
export const holdsPage = (lo: number): boolean => (lo & (PTE_P | HIDDEN)) !== 0;
