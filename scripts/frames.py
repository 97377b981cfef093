#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""frames.py PROGRAM OUTPUT: which bytes of a stack frame nobody will read, at each call.

For the explorer (arch/sim/live.c), which clears them: what is left over in dead slots and in saved
registers tells states apart that are the same. Reads the disassembly of the program, and keeps to
functions that begin with a frame pointer; of what it does not understand nothing is dead.

For each call: liveness backwards over the function's blocks, by byte, from what may be read before
it is written; a slot whose address is taken may be read by anyone from there on, and all above it
up to the saved registers with it. A register that the function has saved is restored from its slot
at the end: whether that slot is wanted, the caller knows, so it is left to live.c.

Output, little endian: the numbers of sites and ranges; sites: address behind the call, first range,
number of ranges (u32 each), registers live behind the call, nothing (u8 each), the slots of the
saved registers below the frame pointer (5 * u16, 0: not saved); ranges: bytes below
the frame pointer where a dead stretch begins, its length (u16 each).
"""
import re
import struct
import subprocess
import sys

SAVED = ["rbx", "r12", "r13", "r14", "r15"]
SIZES = {}
for base in "abcd":
    SIZES.update({f"r{base}x": 8, f"e{base}x": 4, f"{base}x": 2, f"{base}l": 1, f"{base}h": 1})
for base in ("si", "di", "bp", "sp"):
    SIZES.update({"r" + base: 8, "e" + base: 4, base: 2, base + "l": 1})
for base in range(8, 16):
    SIZES.update({f"r{base}": 8, f"r{base}d": 4, f"r{base}w": 2, f"r{base}b": 1})
SUFFIX = {"b": 1, "w": 2, "l": 4, "q": 8}
WHOLE = {name: i for i, r in enumerate(SAVED) for name in
         ({r, "ebx", "bx", "bl", "bh"} if r == "rbx" else {r, r + "d", r + "w", r + "b"})}
MEMORY = re.compile(r"(?:%\ws:)?(-?0x[0-9a-f]+|-?\d+)?\((%\w+)?(?:,(%\w+),?(\d)?)?\)$")
LINE = re.compile(r"\s*([0-9a-f]+):\t(\S+)\s*([^#<]*)")
EXACT = ("mov", "cmp", "test", "add", "sub", "and", "or", "xor") # read no more than they say
DEPTH = 8192 # the deepest frame that is looked at


class NotUnderstood(Exception):
    """Nothing is said of such a function."""


def split(text):
    """Operands, at the commas outside of brackets."""
    return re.findall(r"(?:[^,(]|\([^)]*\))+", text.strip())


def functions(program):
    """The instructions of each: (address, mnemonic, operands)."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True,
                          text=True, check=True).stdout
    for part in text.split("\n\n"):
        lines = part.split("\n")
        if len(lines) < 3 or not lines[0].endswith(">:"):
            continue
        found = [m for m in map(LINE.match, lines[1:]) if m]
        if found:
            yield [(int(m[1], 16), *without_prefix(m[2], m[3])) for m in found]


def without_prefix(mnemonic, operands):
    while mnemonic in ("lock", "rep", "repz", "repnz", "notrack", "cs", "data16"):
        mnemonic, _, operands = operands.strip().partition(" ")
    return mnemonic, split(operands)


def ends(code):
    """Whether a function may come back: it has a return, or jumps to another function."""
    for _, name, ops in code:
        if name == "ret" or (name == "jmp" and not (ops[0].strip().isalnum() and
                                                    code[0][0] <= int(ops[0], 16) <= code[-1][0])):
            return True
    return False


class Function:
    """One function: what each instruction reads and writes, then what is live at each call."""

    def __init__(self, code, endless):
        self.code = code
        self.endless = endless
        self.index = {a: i for i, (a, _, _) in enumerate(code)}
        self.saves = [0] * len(SAVED)
        self.sp = [None] * len(code) # of each, before it; relative to the frame pointer
        self.base = 0
        self.follow_sp()
        self.top = -max(self.saves + [0])
        self.effects = [self.effect(i) for i in range(len(code))]

    def never_returns(self, i):
        _, name, ops = self.code[i]
        return name == "call" and ops[0].strip().isalnum() and int(ops[0], 16) in self.endless

    def next_of(self, i):
        """What may follow an instruction; a call is taken to return."""
        _, name, ops = self.code[i]
        if name in ("ret", "ud2", "hlt") or self.never_returns(i):
            return []
        out = []
        if name[0] == "j":
            if not re.match(r"[0-9a-f]+$", ops[0].strip()):
                raise NotUnderstood("a jump to nowhere known")
            to = int(ops[0], 16)
            if to in self.index:
                out.append(self.index[to])
            elif name != "jmp":
                raise NotUnderstood("a conditional jump out of the function")
        if name != "jmp" and i + 1 < len(self.code):
            out.append(i + 1)
        return out

    def follow_sp(self):
        """Where the stack pointer is at each instruction, and which registers are saved where."""
        first = next((i for i, c in enumerate(self.code[:8]) if c[1:] == ("mov", ["%rsp", "%rbp"])),
                     0)
        if self.code[0][1:] != ("push", ["%rbp"]) or any(
                c[1] in ("push", "pop", "call") or c[1][0] == "j" for c in self.code[1:first]):
            raise NotUnderstood("no frame pointer")
        self.first = first + 1
        written, work = set(), [(self.first, 0)]
        while work:
            i, sp = work.pop()
            if self.sp[i] is not None:
                if self.sp[i] != sp:
                    raise NotUnderstood("two stack pointers at one place")
                continue
            self.sp[i] = sp
            work += [(j, self.sp_after(i, sp, written)) for j in self.next_of(i)]
        known = [s for s in self.sp if s is not None]
        self.base = max([max(set(known), key=known.count)] +
                        [s for s, c in zip(self.sp, self.code) if s is not None and s < 0 and
                         c[1][0] in "cj" and c[1] != "cmp"])

    def sp_after(self, i, sp, written):
        _, name, ops = self.code[i]
        if name == "push":
            if ops[0][1:] in SAVED and ops[0] not in written and not self.saves[
                    SAVED.index(ops[0][1:])]:
                self.saves[SAVED.index(ops[0][1:])] = 8 - sp
            return sp - 8
        if name == "pop":
            return sp + 8
        if name == "leave":
            return 8
        if ops and ops[-1] == "%rsp":
            if name in ("sub", "add") and ops[0].startswith("$"):
                return sp + int(ops[0][1:], 16) * (1 if name == "add" else -1)
            found = MEMORY.match(ops[0])
            if name == "lea" and found and found[2] == "%rbp" and not found[3]:
                return int(found[1] or "0", 16)
            raise NotUnderstood("the stack pointer is computed")
        if ops and name not in ("cmp", "test"):
            written.add(ops[-1])
        return sp

    # ---- One instruction ---------------------------------------------------------------------

    def bits(self, offset, size):
        """Bytes of the frame as a mask; bit n is the byte n + 1 below the frame pointer."""
        if offset < -DEPTH:
            raise NotUnderstood("a huge frame")
        low, high = max(-offset - size, 0), max(-offset, 0)
        return (1 << high) - (1 << low)

    def from_on(self, offset):
        """All that a pointer to an object there may reach."""
        return self.bits(offset, self.top - offset) if offset < self.top else 0

    def slot(self, operand, i):
        """(offset, indexed) if the operand is in the frame."""
        found = MEMORY.match(operand)
        if not found or not {found[2], found[3]} & {"%rbp", "%rsp"}:
            return None
        offset = int(found[1] or "0", 16)
        if found[2] == "%rsp":
            offset += self.sp[i]
        elif found[2] != "%rbp":
            raise NotUnderstood("the frame pointer as an index")
        return offset, bool(found[3])

    def effect(self, i):
        """Bytes read, written, registers read, written, bytes handed out, of an instruction."""
        _, name, ops = self.code[i]
        e = {"gen": 0, "kill": 0, "use": 0, "set": 0, "out": 0}
        if self.sp[i] is None:
            return e
        if name == "call":
            if self.sp[i] < self.base:
                e["gen"] = self.bits(self.sp[i], self.base - self.sp[i])
            self.registers(e, name, ops)
        elif name == "pop":
            self.pop(e, i, ops)
        elif name == "push":
            self.operands(e, i, name, ops)
            e["kill"] = self.bits(self.sp[i] - 8, 8)
            if self.saves[WHOLE.get(ops[0][1:], 0)] == 8 - self.sp[i] and ops[0][1:] in WHOLE:
                e["use"] = 0
        else:
            self.operands(e, i, name, ops)
        return e

    def pop(self, e, i, ops):
        register = WHOLE.get(ops[0][1:])
        if register is None:
            e["gen"] = self.bits(self.sp[i], 8) if self.sp[i] < 0 else 0
            return
        e["set"] = 1 << register
        if self.saves[register] != -self.sp[i]:
            e["gen"] = self.bits(self.sp[i], 8)

    def operands(self, e, i, name, ops):
        sized = [SIZES[o[1:]] for o in ops if o[1:] in SIZES and o[0] == "%"]
        size = sized[-1] if sized else SUFFIX.get(name[-1])
        stores = name.startswith("mov") and len(ops) == 2
        for n, operand in enumerate(ops):
            slot = self.slot(operand, i)
            if slot is None:
                continue
            offset, indexed = slot
            if name == "lea" and ops[-1] == "%rsp":
                return
            if name == "lea" or indexed:
                e["gen"] |= self.from_on(offset)
                e["out"] |= self.from_on(offset)
            elif stores and n == 1 and size and "%xmm" not in ops[0]:
                e["kill"] = self.bits(offset, size)
            elif stores and n == 0 and size == 8 and ops[1][1:] in SAVED and \
                    self.saves[SAVED.index(ops[1][1:])] == -offset:
                pass # the register is restored
            else:
                e["gen"] |= self.bits(offset, 32 if not size or "xmm" in "".join(ops) else
                                      size if name.startswith(EXACT) else 8)
        self.registers(e, name, ops)

    def registers(self, e, name, ops):
        clean = len(ops) == 2 and name in ("xor", "sub", "sbb") and ops[0] == ops[1]
        moves = name.startswith(("mov", "lea")) or len(ops) == 3
        for n, operand in enumerate(ops):
            names = {WHOLE[r] for r in re.findall(r"%(\w+)", operand) if r in WHOLE}
            if not names:
                continue
            whole = operand[0] == "%" and SIZES[operand[1:]] >= 4
            if n and n == len(ops) - 1 and whole and (moves or clean):
                e["set"] = 1 << names.pop()
            elif not clean:
                for r in names:
                    e["use"] |= 1 << r

    # ---- All of them -------------------------------------------------------------------------

    def solve(self):
        """Fixpoints: live before each instruction, handed out before each."""
        n = len(self.code)
        after = [self.next_of(i) if self.sp[i] is not None else [] for i in range(n)]
        live, out = [(0, 0)] * n, [0] * n
        changed = True
        while changed:
            changed = False
            for i in range(n - 1, -1, -1):
                e = self.effects[i]
                slots, regs = 0, 0
                for j in after[i]:
                    slots, regs = slots | live[j][0], regs | live[j][1]
                new = (slots & ~e["kill"] | e["gen"], regs & ~e["set"] | e["use"])
                if new != live[i]:
                    live[i], changed = new, True
        changed = True
        while changed:
            changed = False
            for i in range(n):
                reach = out[i] | self.effects[i]["out"]
                for j in after[i]:
                    if out[j] | reach != out[j]:
                        out[j], changed = out[j] | reach, True
        if live[self.first][1]:
            raise NotUnderstood("a register is read that nobody has set")
        return live, out

    def sites(self):
        """(address behind the call, dead stretches, registers live)."""
        live, out = self.solve()
        for i, (_, name, _) in enumerate(self.code):
            if name != "call" or self.sp[i] is None or not self.next_of(i):
                continue
            frame = self.from_on(self.base)
            dead = frame & ~(live[i + 1][0] | out[i + 1] | self.effects[i]["out"])
            yield self.code[i + 1][0], stretches(dead), live[i + 1][1]


def stretches(mask):
    """(bytes below the frame pointer where it begins, length) of each run of ones."""
    out, at = [], 0
    while mask >> at:
        skip = (mask >> at & -(mask >> at)).bit_length() - 1
        run = ~(mask >> (at + skip))
        length = (run & -run).bit_length() - 1
        at += skip + length
        out.append((at, length))
    return out


def main():
    program, output = sys.argv[1:3]
    sites, ranges, skipped = [], [], 0
    all_code = list(functions(program))
    endless = {code[0][0] for code in all_code if not ends(code)}
    for code in all_code:
        try:
            function = Function(code, endless)
            found = list(function.sites())
        except NotUnderstood as why:
            skipped += 1
            if "-v" in sys.argv:
                print(hex(code[0][0]), why)
            continue
        for address, dead, live in found:
            sites.append(struct.pack("<3I2B5H", address, len(ranges), len(dead), live, 0,
                                     *function.saves))
            ranges += [struct.pack("<2H", *d) for d in dead]
    with open(output, "wb") as out:
        out.write(struct.pack("<2I", len(sites), len(ranges)) + b"".join(sites + ranges))


if __name__ == "__main__":
    main()
