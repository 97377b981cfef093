# SPDX-License-Identifier: MIT
"""A counterexample of the explorer as columns of CPUs, time going down, and as a drawing.

Each row is a step: the function, what it reads or changes, by the name that the source has for it,
and the rules that the source names there. Frames have names of their own: T1 is a table, P1 another
page, whatever becomes of the frame later. A row with a star is what the kernel says of itself.
A step is shown if the word that it touches matters here: two CPUs touch it, and one changes it.
Where that is more than a screen, the steps of the scheduler and of locks go first.
"""
import functools
import os
import re
import subprocess
import textwrap

import dwarf

SCREEN = 40 # rows; some take two lines
PAGE_SHIFT = 12
OPS = ["", "reads", "writes", "changes", "fence", "MMU", "irqs on"]
READ, WRITE, CHANGE, CALL = 1, 2, 3, 5
# What the kernel says of itself (include/trace.h), as far as it makes a counterexample clearer.
EVENTS = {"CLEAR": "clears the entry of {1}: {0}", "UNHOOK": "unhooks {0:T}", "HOOK": "hooks {0:T}",
          "FREE": "frees {0}", "ALLOC": "gets {0}", "ROOT_LOAD": "loads root {0:T}",
          "LAZY": "is lazy", "FALLBACK": "no memory for a batch",
          "ROLLOVER": "new generation of tags", "WALK_BEGIN": "walks {1}", "WALK_END": "has walked",
          "FLUSH_BEGIN": "flushes", "GP_BEGIN": "a grace period begins",
          "GP_END": "the grace period ends", "EXP_BEGIN": "an expedited grace period begins",
          "EXP_END": "the expedited grace period ends", "WAIT_TABLE": "hands {0:T} to RCU",
          "CALL_RCU": "queues a callback", "CALLBACK": "a callback runs",
          "CPU_STATE": "CPU {0} {1}", "TRANSLATED": "its TLB translates {1}",
          "UNMAPPED": "its MMU has nothing for {1}: a fault",
          "ABSENCE": "its TLB holds that nothing is at {1}: a fault"}
AT_FIRST = ("WALK_BEGIN", "TRANSLATED", "UNMAPPED", "ABSENCE") # the address is the first argument
FRAMES = ("CLEAR", "UNHOOK", "HOOK", "FREE", "ALLOC", "ROOT_LOAD", "WAIT_TABLE")
# How much a step says, least first: what is left out when the screen is full.
DULL, OTHER, SUBJECT, ALWAYS = range(4)
SUBJECTS = ("mm/", "tests/sim/", "kernel/rcu")
LOCKS = re.compile(r"(?:lock|ptl|waiters|rq|preempt_count)\b[\w.\[\]]*$|\.(?:next|owner)$")


def parse(lines, result):
    """What the program printed: "name value" to result; the steps of a replay to its "trace"."""
    result["trace"], result["percpu"] = [], {}
    for line in lines:
        word, _, rest = line.partition(" ")
        words = rest.split()
        if word == "step":
            result["trace"].append({"cpu": int(words[2]), "kind": words[3], "arg": int(words[4]),
                                    "op": int(words[6]), "pc": words[8], "events": []})
        elif word == "percpu":
            offset = int(words[1], 16)
            result["percpu"][int(words[0])] = offset - (offset >> 63 << 64)
        elif word == "touch" and result["trace"]:
            result["trace"][-1].update(addr=int(words[0], 16), size=int(words[1]), owner=words[2:])
        elif word == "became" and result["trace"]:
            result["trace"][-1].update(old=words[0], new=words[1])
        elif word == "event" and result["trace"]:
            result["trace"][-1]["events"].append((int(words[0]), words[1],
                                                  *(int(w, 16) for w in words[2:])))
        else:
            result[word] = rest


# ---- Places in the source --------------------------------------------------------------------

def resolve(program, addresses):
    """For each address the inline chain of (function, file, line), innermost first."""
    text = subprocess.run(["addr2line", "-a", "-f", "-i", "-e", program, *addresses],
                          capture_output=True, text=True, check=True).stdout.splitlines()
    chains, chain = [], None
    for i, line in enumerate(text):
        if re.match(r"0x[0-9a-f]+$", line):
            chain = []
            chains.append(chain)
        elif chain is not None and (text[i - 1].startswith("0x") or ":" in text[i - 1]):
            place = re.sub(r" \(discriminator.*", "", text[i + 1]) if i + 1 < len(text) else "?:0"
            name, _, number = place.rpartition(":")
            chain.append((line, os.path.relpath(name) if name.startswith("/") else name,
                          int(number) if number.isdigit() else 0))
    return chains


def own_function(chain):
    """The place to show: the innermost that is not of a header or of the model."""
    for place in chain:
        if not place[1].startswith(("include/", "arch/sim/")):
            return place
    return chain[-1] if chain else ("?", "", 0)


def rules_at(place, rules):
    """The ids that the source names at a place: in the lines around, or by the table."""
    function, name, number = place
    ids = [i for i, r in rules.items() if r["where"].startswith(function + "() ")]
    if os.path.exists(name) and number:
        with open(name, encoding="utf-8") as source:
            near = "".join(source.readlines()[max(0, number - 7):number])
        for group in re.findall(r"\[([A-Z]\d+(?:, [A-Z]\d+)*)\]", near):
            ids += group.split(", ")
    return sorted(set(ids))


# ---- Names of what is touched ----------------------------------------------------------------

@functools.lru_cache(None)
def debug_information(program):
    return dwarf.Program(program)


@functools.lru_cache(None)
def layout():
    """The addresses of <layout.h> by name."""
    with open("arch/sim/include/layout.h", encoding="utf-8") as source:
        return {name: int(value, 16) for name, value in
                re.findall(r"#define (\w+) (0x[0-9a-f]+)UL?", source.read())}


@functools.lru_cache(None)
def per_cpu_section(program):
    """From where to where the image's per-CPU variables are: those of CPU 0."""
    symbols = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    return [int(re.search(rf"([0-9a-f]+) . percpu_{end}$", symbols, re.M)[1], 16)
            for end in ("start", "end")]


class Names:
    """What stands at the addresses of one counterexample."""

    def __init__(self, program, result):
        self.program, self.result = program, result
        self.frames, self.count, self.objects = {}, {"T": 0, "P": 0}, {}
        self.tables = set(self.frames_of_tables(result["trace"]))

    @staticmethod
    def frames_of_tables(trace):
        """Frames that are a table at any time."""
        for step in trace:
            if step.get("owner", [""])[0] == "table":
                yield (step["addr"] - layout()["DIRECT_MAP"]) >> PAGE_SHIFT
            for value in (step.get("old", ""), step.get("new", "")):
                if value.startswith("table:"):
                    yield int(value[6:], 16)
            for _, name, a, _ in step["events"]:
                if name in FRAMES and ":T" in EVENTS[name]:
                    yield a >> PAGE_SHIFT

    def frame(self, number):
        """The name of a frame, whatever it is just now."""
        if number not in self.frames:
            kind = "T" if number in self.tables else "P"
            self.count[kind] += 1
            self.frames[number] = f"{kind}{self.count[kind]}"
        return self.frames[number]

    def variable(self, address, size):
        """A variable of the kernel: of the image, or of one CPU."""
        info = debug_information(self.program)
        start, end = per_cpu_section(self.program)
        for cpu, offset in self.result["percpu"].items():
            if start <= address - offset < end:
                return f"{info.variable(address - offset, size)} of CPU {cpu}"
        return info.variable(address, size)

    def slab(self, cache, object_size, address, size):
        info = debug_information(self.program)
        base = address - (address & 0xfff) % object_size
        same = sum(known == cache for known, _ in self.objects)
        number = self.objects.setdefault((cache, base), 1 + same)
        kind = info.structs.get(cache)
        what = f"{cache} {number}"
        return what + (info.member(kind, address - base, size) if kind else "")

    def place(self, address, size, owner=("data",)):
        at = layout()
        frame, offset = divmod(address - at["DIRECT_MAP"], 1 << PAGE_SHIFT)
        if owner[0] == "table":
            return f"{self.frame(frame)}[{offset // 8}]"
        if owner[0] == "slab":
            return self.slab(owner[1], int(owner[2]), address, size)
        start, end = per_cpu_section(self.program)
        per_cpu = any(start <= address - o < end for o in self.result["percpu"].values())
        if owner[0] == "page" and not per_cpu:
            return f"{self.frame(frame)} at {offset:#x}"
        if at["VMEMMAP"] <= address < at["SIM_STACKS"]:
            info = debug_information(self.program)
            kind = info.structs["page"]
            frame, offset = divmod(address - at["VMEMMAP"], info.size(kind))
            table = owner[-1] == "table"
            return self.frame(frame) + \
                info.member(kind, offset, size, ("ptl", "pt_") if table else ())
        return self.variable(address, size) or f"memory at {address:#x}"

    def value(self, text, address=0):
        """A word, or what an entry is."""
        kind, _, rest = text.partition(":")
        if kind in ("page", "table"):
            number, _, right = rest.partition(":")
            return self.frame(int(number, 16)) + (" " + right if right else "")
        if not text.startswith("0x"):
            return text
        number, at = int(text, 16), layout()
        if at["VMEMMAP"] <= number < at["SIM_STACKS"]:
            return self.place(number, 8)
        if at["DIRECT_MAP"] <= number < at["SIM_DATA"] + (1 << 21):
            name = self.variable(number, 8)
            return f"&{name}" if name else "a pointer"
        return str(number) if number < 1 << 16 else f"{number:#x}"

    def event(self, name, a, b):
        if name == "CPU_STATE":
            return EVENTS[name].format(a, "is up" if b else "is down")
        if name in FRAMES:
            a = self.frame(a >> PAGE_SHIFT)
        return EVENTS[name].replace(":T", "").format(a, f"{a if name in AT_FIRST else b:#x}")

    def message(self):
        """The finding's text with names for its addresses."""
        def code(found):
            function, name, _ = own_function(resolve(self.program, [found[1]])[0])
            return f"{function}() in {name}"
        def data(found):
            return f"nothing orders {self.place(int(found[1], 16), 8)}"
        def frame(found):
            return found[1] + " " + self.frame(int(found[2], 16))
        text = re.sub(r"code (0x[0-9a-f]+)", code, self.result["message"])
        text = re.sub(r"nothing orders (0x[0-9a-f]+)", data, text)
        return re.sub(r"\b(frame|page|table) (0x[0-9a-f]+)", frame, text)


# ---- Rows ------------------------------------------------------------------------------------

class Row:
    def __init__(self, cpu, text, weight, ids=()):
        self.cpu, self.text, self.weight, self.ids = cpu, text, weight, list(ids)

    def shown(self):
        return self.text + (f" [{', '.join(self.ids)}]" if self.ids else "")


def contended(trace):
    """The words that more than one CPU touches, and one changes."""
    users, writers = {}, set()
    for step in trace:
        if "addr" in step:
            word = step["addr"] & ~7
            users.setdefault(word, set()).add(step["cpu"])
            if step["old"] != step["new"]:
                writers.add(word)
    return {word for word, cpus in users.items() if len(cpus) > 1 and word in writers}


def access(step, names):
    """ "reads X: V", "X: V -> W" for a step that touches memory. """
    what = names.place(step["addr"], step["size"], step["owner"])
    old, new = (names.value(step[k]) for k in ("old", "new"))
    if step["op"] == READ and step["kind"] == "run":
        return f"reads {what}: {old}"
    if old == new:
        return f"{what} stays {old}" if step["op"] == CHANGE else f"writes {what}"
    return f"{what}: {old} -> {new}"


def weigh(step, place, ids, matters, text):
    """How much a step says."""
    if "addr" not in step:
        return SUBJECT if step["op"] == CALL else DULL
    if step["addr"] & ~7 not in matters:
        return DULL
    if LOCKS.search(text.split(":")[0]) or not place[1].startswith(SUBJECTS):
        return OTHER
    return ALWAYS if ids else SUBJECT


def step_rows(step, place, rules, names, matters):
    """The rows of one step: what is done, then what the kernel says."""
    cpu, ids = step["cpu"], rules_at(place, rules)
    rows = []
    if step["kind"] in ("ipi", "tick"):
        rows.append(Row(cpu, "takes the IPI" if step["kind"] == "ipi" else "tick", ALWAYS))
    elif step["kind"] == "drain":
        rows.append(Row(cpu, "a store leaves the buffer: " + access(step, names), ALWAYS))
    elif step["kind"] == "choose":
        if step["arg"] and not step["events"]:
            rows.append(Row(cpu, f"{place[0]}(): choice {step['arg']}", ALWAYS))
    else:
        text = access(step, names) if "addr" in step else OPS[step["op"]]
        rows.append(Row(cpu, f"{place[0]}()" + (" " + text if text else ""),
                        weigh(step, place, ids, matters, text), ids))
    for who, name, a, b in step["events"]:
        if name == "LATE":
            rows.append(Row(who, f"  the load comes late: the old value of "
                                 f"{names.place(a, 8)}", ALWAYS))
        elif name == "WAITS":
            rows.append(Row(who, f"  the store waits: {names.place(a, b)}", ALWAYS))
        elif name in EVENTS:
            rows.append(Row(who, "* " + names.event(name, a, b), ALWAYS))
    return rows


def keep(rows, least):
    """Rows that say enough; of a stretch of one CPU that says nothing, that it ran."""
    out, i = [], 0
    while i < len(rows):
        j = i
        while j < len(rows) and rows[j].cpu == rows[i].cpu:
            j += 1
        run = [r for r in rows[i:j] if r.weight >= least]
        if not run and any(r.weight > DULL for r in rows[i:j]):
            said = list(dict.fromkeys(r.text.split("(")[0] for r in rows[i:j] if r.weight > DULL))
            run = [Row(rows[i].cpu, f"... {said[0]}()" + (f" to {said[-1]}()" if said[1:] else ""),
                       ALWAYS)]
        out += run
        i = j
    return [r for n, r in enumerate(out) if not n or (r.cpu, r.shown()) !=
            (out[n - 1].cpu, out[n - 1].shown())]


def middle(rows):
    """Still more than a screen: long stretches of one CPU keep their ends."""
    most = SCREEN
    while len(rows) > SCREEN and most > 4:
        most -= 2
        out, i = [], 0
        while i < len(rows):
            j = i
            while j < len(rows) and rows[j].cpu == rows[i].cpu:
                j += 1
            run = rows[i:j]
            if len(run) > most:
                left = len(run) - most + 1
                run = run[:most // 2] + [Row(run[0].cpu, f"... {left} steps", ALWAYS)] + \
                    run[most // 2 + left:]
            out += run
            i = j
        if len(out) <= SCREEN or most <= 4:
            return out
    return rows


def rows_of(program, result, rules):
    """(rows, names), at most a screen."""
    trace, names = result["trace"], Names(program, result)
    chains = resolve(program, [s["pc"] for s in trace]) if trace else []
    matters, rows = contended(trace), []
    for step, chain in zip(trace, chains):
        rows += step_rows(step, own_function(chain), rules, names, matters)
    for least in (OTHER, SUBJECT, ALWAYS):
        kept = keep(rows, least)
        if len(kept) <= SCREEN:
            break
    return middle(kept), names


def columns(program, result, rules):
    rows, names = rows_of(program, result, rules)
    cpus = max((r.cpu for r in rows), default=0) + 1
    width = 100 // cpus if cpus > 2 else 54
    lines = ["".join(f"CPU {c}".ljust(width) for c in range(cpus)).rstrip()]
    for row in rows:
        indent = "    " if not row.text.startswith(" ") else "      "
        lines += [" " * (width * row.cpu) + part for part in textwrap.wrap(
            row.shown(), width - 2, subsequent_indent=indent, break_long_words=False)]
    lines.append(f"** {result['finding']}: {names.message()}")
    return lines


def svg(program, result, rules, path):
    """The same as a drawing."""
    (rows, names), height, width = rows_of(program, result, rules), 18, 400
    cpus = max((r.cpu for r in rows), default=0) + 1
    def escape(text):
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * cpus + 20}" '
           f'height="{height * (len(rows) + 4)}" font-family="monospace" font-size="11">']
    for cpu in range(cpus):
        out.append(f'<text x="{20 + width * cpu}" y="16" font-weight="bold">CPU {cpu}</text>')
        out.append(f'<line x1="{14 + width * cpu}" y1="22" x2="{14 + width * cpu}" '
                   f'y2="{height * (len(rows) + 2)}" stroke="#888"/>')
    for n, row in enumerate(rows):
        y = height * (n + 2)
        out.append(f'<rect x="{10 + width * row.cpu}" y="{y - 10}" width="8" height="12" '
                   'fill="#36c"/>')
        out.append(f'<text x="{24 + width * row.cpu}" y="{y}">{escape(row.shown())}</text>')
    out.append(f'<text x="20" y="{height * (len(rows) + 3)}" fill="#c00">'
               f'{escape(result["finding"])}: {escape(names.message())}</text></svg>')
    with open(path, "w", encoding="utf-8") as drawing:
        drawing.write("\n".join(out) + "\n")
