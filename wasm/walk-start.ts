// Where the walk in progress begins: scratch of one instance, as in src/mmu/translate.ts. A walk runs to its end before the next begins.

export namespace WalkStart {
  export let level: i32 = 0;
  /** Physical address of the first table. */
  export let table: u64 = 0;
  /** Rights accumulated so far. */
  export let acc: i32 = 0;
}
