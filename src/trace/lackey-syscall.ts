/**
 * Lines that Valgrind prints for system calls with `--trace-syscalls=yes`:
 *
 *   SYSCALL[pid,tid](nr) sys_name ( 0x.., 8192, 0x..(text) ) --> [pre-success] Success(0x..)
 *   SYSCALL[pid,tid](nr) sys_name ( ... )[sync] --> Failure(0x16)
 *   SYSCALL[pid,tid](nr) sys_name ( ... ) --> [async] ...            the result follows in a line of its own:
 *   SYSCALL[pid,tid](nr) ... [async] --> Success(0x3)
 *   SYSCALL[pid,tid](nr) sys_fork ( )   fork: process 31285 created child 31301
 *    --> [pre-success] Success(0x7a45)
 *
 * Source: output of Valgrind 3.19; Valgrind User Manual, "Core Command-line Options", `--trace-syscalls`.
 */
import type { TraceEvent } from './batch.ts';

const HEADER = /^SYSCALL\[([0-9]{1,10}),[0-9]+\]\( *([0-9]{1,5})\) +(.*)$/s;
const CALL = /^([A-Za-z_][A-Za-z0-9_]{0,62})(?:\[[^\]]*\])? ?\( ?(.*)$/s;
const ARROW = '--> ';
const OUTCOME = /^(?:\[[a-z-]+\] )?(Success|Failure)\(0x([0-9a-f]{1,16})[^)]*\) *$/;
const CHILD = /: process [0-9]+ created child ([0-9]{1,10}) *$/;
const CONTINUATION = /^ --> /;
const COMPLETION = /^\.\.\. \[async\] /;
const ARGUMENT = /^ *(-?)(0x)?([0-9a-f]{1,20})/;
const ARGUMENT_LIMIT = 15;

/** Calls that change memory, and the arguments that they must come with to be of use. */
const NEEDED: Readonly<Record<string, number>> = { mmap: 6, munmap: 2, mprotect: 3, mremap: 4, brk: 1 };
/** Arguments that Valgrind prints in hexadecimal without 0x. */
const BARE_HEX: Readonly<Record<string, number>> = { clone: 0, arch_prctl: 1 };

/**
 * The system call in a line, as an event at `at`; `nothing` for lines that only add to an earlier one.
 * A failed call results in the negative error number, as the kernel returns it; fork, vfork and clone in the child they
 * created. The result of an asynchronous call stays `undefined`: its completion is `nothing`.
 */
export function parseSyscall(line: string, at: number): TraceEvent | 'nothing' | 'malformed' {
  if (CONTINUATION.test(line)) return 'nothing';
  const header = HEADER.exec(line);
  if (header === null) return 'malformed';
  const rest = header[3];
  if (COMPLETION.test(rest)) return 'nothing';
  // Calls unknown to Valgrind are reported in prose and fail.
  if (rest.startsWith('unimplemented')) return 'nothing';
  const call = CALL.exec(rest);
  if (call === null) return 'malformed';
  const name = call[1].replace(/^sys_/, '');
  const { args, whole } = parseArguments(call[2], name);
  if (Object.hasOwn(NEEDED, name) && (!whole || args.length < NEEDED[name])) return 'malformed';
  const child = CHILD.exec(rest);
  const created = child === null ? undefined : Number(child[1]);
  const result = created === undefined ? outcome(rest, name) : BigInt(created);
  return { at, pid: Number(header[1]), nr: Number(header[2]), name, args, result, child: created };
}

function outcome(text: string, name: string): bigint | undefined {
  const match = OUTCOME.exec(text.slice(text.lastIndexOf(ARROW) + ARROW.length));
  // Valgrind prints a success for the calls that never return.
  if (match === null || name === 'exit_group' || name === 'exit') return undefined;
  const value = BigInt(`0x${match[2]}`);
  return match[1] === 'Success' ? value : -value;
}

/** Numbers up to the closing parenthesis; text that follows a number in parentheses is left out. */
function parseArguments(text: string, name: string): { args: bigint[]; whole: boolean } {
  const args: bigint[] = [];
  let rest = text;
  while (!/^ *\)/.test(rest)) {
    const match = ARGUMENT.exec(rest);
    if (match === null || args.length === ARGUMENT_LIMIT) return { args, whole: false };
    const hex = match[2] !== undefined || BARE_HEX[name] === args.length || /[a-f]/.test(match[3]);
    const value = BigInt(hex ? `0x${match[3]}` : match[3]);
    if (value >= 1n << 64n) return { args, whole: false };
    args.push(match[1] === '-' ? -value : value);
    rest = rest.slice(match[0].length);
    const quoted = /^\(.*?\)(?=,| \))/s.exec(rest);
    if (quoted !== null) rest = rest.slice(quoted[0].length);
    const comma = /^ *,/.exec(rest);
    if (comma !== null) rest = rest.slice(comma[0].length);
    else if (!/^ *\)/.test(rest)) return { args, whole: false };
  }
  return { args, whole: true };
}
