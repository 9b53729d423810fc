// The accelerator: the engine's hot path again, on the same bytes. It imports the machine's memory and owns none.
import { LAYOUT_VERSION } from "../src/layout/header";

export { drop as arrayDrop, find as arrayFind, locate as arrayLocate, place as arrayPlace, setOf as arraySetOf, touch as arrayTouch, victim as arrayVictim } from "./array";

/** Whoever attaches compares this with the header's version. */
export function layoutVersion(): i32 {
  return LAYOUT_VERSION;
}
