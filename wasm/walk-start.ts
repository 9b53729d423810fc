// Where the walk in progress begins: scratch of one instance, as in src/mmu/translate.ts. Read before the first entry is, and what a stage leaves
// to the next is written when all entries are read: in between a device may make another vCPU walk.

export namespace WalkStart {
  export let level: i32 = 0;
  /** Physical address of the first table. */
  export let table: u64 = 0;
  /** Rights accumulated so far. */
  export let acc: i32 = 0;
  /** PTE_A if every entry read had it: nothing to mark but D. 0 where findLeaf() did not look. */
  export let marked: i32 = 0;
}
