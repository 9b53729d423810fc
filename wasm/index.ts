// The accelerator: the engine's hot path again, on the same bytes. It imports the machine's memory and owns none.
// `v` is always the byte offset of a vCPU block; addresses come as high and low words.
import { LAYOUT_VERSION } from "../src/layout/header";
import { drop, find, joined, locate, place, setOf, touch, victim } from "./array";

export { kindBits, runBatch } from "./batch";
export { countColumns, countTouches } from "./census";
export { dropEntries, validateEntries, validateTable } from "./frames";
export { dropEverything, dropNonGlobal, dropPcid, dropPcidAndGlobal, invlpg, invpcid } from "./invalidate";
export { backedPages, clearPages, comparePages, copyPages, hashPages } from "./pages";
export { readPwtBlock } from "./pwt";
export { runTouches } from "./touch-batch";
export { access, accessAnew, translate } from "./translate";
export { updateEntries, updateEntry } from "./update";

/** Whoever attaches compares this with the header's version. */
export function layoutVersion(): i32 {
  return LAYOUT_VERSION;
}

// The array alone, with the tags in two words.

export function arraySetOf(a: i32, lo: i32, hi: i32): i32 {
  return setOf(a, joined(hi, lo));
}

export function arrayFind(a: i32, set: i32, lo: i32, hi: i32, altHi: i32): i32 {
  return find(a, set, joined(hi, lo), joined(altHi, lo));
}

export function arrayLocate(a: i32, lo: i32, hi: i32, altHi: i32): i32 {
  return locate(a, joined(hi, lo), joined(altHi, lo));
}

export function arrayTouch(a: i32, i: i32): void {
  touch(a, i);
}

export function arrayVictim(a: i32, set: i32): i32 {
  return victim(a, set);
}

export function arrayPlace(a: i32, i: i32, lo: i32, hi: i32): void {
  place(a, i, joined(hi, lo));
}

export function arrayDrop(a: i32, i: i32): void {
  drop(a, i);
}
