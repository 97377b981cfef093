#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make trace: a run whose events end in build/ARCH-BUILD/trace.json, for ui.perfetto.dev.

The console's `trace dump` gives every record that is left in the rings. What has a begin and an end
(walks, gathers, waits of flushes, grace periods) becomes a slice, the rest instants. Slices of one
track must not overlap, and threads are preempted in the middle of a gather: so each kind has tracks
of its own on each CPU, and one more wherever two would overlap. A slice of which one end was
overwritten is left out, and so is one whose two ends might not belong together.
"""
import json
import os
import re
import sys

import guest
import ktap
import qemu

APPEND = 'trace=8192 run="stress=2;trace dump;poweroff"'
TIME_LIMIT = 600  # seconds for the whole run
HEADER = "include/trace.h"

RECORD = re.compile(r"trace\|(\d+)\|(\d+)\|([A-Z_]+)\|(\d+)\|([0-9a-f]+)\|([0-9a-f]+)\|(\d+)")
RING = re.compile(r"trace-ring\|(\d+)\|(\d+)\|(\d+)")
END = "trace-end"
ENTRY = re.compile(r'\bX\((\w+), "([^"]*)", "([^"]*)", "([^"]*)"\)')


class Kind:
    """
    A kind of slice. key: the fields of its two events that must agree. A period's number counts
    begins and ends, so it is odd at the begin, and the end has the next one.
    """

    def __init__(self, name, key, of_cpu=True, moves=False):
        self.name, self.key, self.of_cpu = name, key, of_cpu
        self.moves = moves  # it may end on another CPU than the one that it began on


KINDS = {
    "WALK": Kind("walks", ("cpu", "thread", "mm")),
    "GATHER": Kind("gathers", ("thread", "mm"), moves=True),
    "FLUSH": Kind("flush waits", ("thread", "mm", "a", "b"), moves=True),
    "GP": Kind("grace periods", ("period",), of_cpu=False),
    "EXP": Kind("expedited grace periods", ("period",), of_cpu=False),
}


class BadTrace(Exception):
    """What was captured is not a trace, or what was made of it is not right."""


# ---- Reading -------------------------------------------------------------------------------------

def parse(lines):
    """
    (records in order of time, the time from which on every ring has all) of a dump.

    Of a ring that lost records only what came after its first one left is complete.
    """
    records, rings, ended = [], {}, False
    for line in lines:
        match = RECORD.fullmatch(line)
        ring = RING.fullmatch(line)
        if match:
            time, cpu, event, mm, a, b, thread = match.groups()
            records.append({"time": int(time), "cpu": int(cpu), "event": event, "mm": int(mm),
                            "a": int(a, 16), "b": int(b, 16), "thread": int(thread),
                            "period": (int(a, 16) + 1) // 2})
        elif ring:
            rings[int(ring[1])] = int(ring[3])
        elif line == END:
            ended = True
    if not records:
        raise BadTrace("there is no event in it")
    if not ended:
        raise BadTrace("the dump is cut: its last line is missing")
    records.sort(key=lambda r: r["time"])
    firsts = {}
    for r in records:
        firsts.setdefault(r["cpu"], r["time"])
    complete = max([firsts.get(cpu, 0) for cpu, lost in rings.items() if lost], default=0)
    return records, complete


def event_table(text):
    """{NAME: (word, what a is, what b is)} from the text of include/trace.h."""
    return {name: (word, a, b) for name, word, a, b in ENTRY.findall(text)}


# ---- Making tracks -------------------------------------------------------------------------------

def pair(records, complete):
    """(slices as (kind, begin, end), the records that are neither end of any kind)."""
    slices, others, waiting = [], [], {}
    for r in records:
        name, _, side = r["event"].rpartition("_")
        kind = KINDS.get(name)
        if kind is None or side not in ("BEGIN", "END"):
            others.append(r)
            continue
        begun = waiting.setdefault((name, *(r[field] for field in kind.key)), [])
        if side == "BEGIN":
            begun.append(r)
        elif begun:
            begin = begun.pop()
            if not kind.moves or begin["time"] >= complete:
                slices.append((name, begin, r))
    slices.sort(key=lambda s: (s[1]["time"], s[2]["time"]))
    return slices, others


def lay_out(slices):
    """Gives each slice a track (CPU or None, kind, number) in which none overlaps another."""
    ends, placed = {}, []
    for name, begin, end in slices:
        cpu = begin["cpu"] if KINDS[name].of_cpu else None
        lanes = ends.setdefault((cpu, name), [])
        free = [i for i, until in enumerate(lanes) if until <= begin["time"]]
        lane = free[0] if free else len(lanes)
        lanes[lane:lane + 1] = [end["time"]]
        placed.append(((cpu, name, lane), begin, end))
    return placed


def arguments(record, table):
    """What the UI shows of an event beside its name."""
    args = {"mm": record["mm"]} if record["mm"] else {}
    for field, what in zip("ab", table[record["event"]][1:]):
        if what:
            value = record[field]
            args[what.lstrip("#")] = value if what.startswith("#") else f"{value:#x}"
    args["thread"] = record["thread"]
    return args


def track_name(track):
    cpu, kind, lane = track
    name = KINDS[kind].name if kind else "events"
    return name + (f" ({lane + 1})" if lane else "")


def metadata(tracks, arch):
    """Names and order: a process for each CPU and one for all of them, a thread for each track."""
    events = []
    for cpu in sorted({t[0] for t in tracks}, key=process):
        name = "all CPUs" if cpu is None else f"CPU {cpu}"
        events.append({"ph": "M", "name": "process_name", "pid": process(cpu),
                       "args": {"name": f"{name} ({arch})"}})
        events.append({"ph": "M", "name": "process_sort_index", "pid": process(cpu),
                       "args": {"sort_index": process(cpu)}})
    for track, tid in tracks.items():
        for name, value in (("thread_name", {"name": track_name(track)}),
                            ("thread_sort_index", {"sort_index": tid})):
            events.append({"ph": "M", "name": name, "pid": process(track[0]), "tid": tid,
                           "args": value})
    return events


def process(cpu):
    """No process is 0: that is the idle one to a reader of traces."""
    return 1 if cpu is None else cpu + 2


def convert(lines, table, arch):
    """The trace as an object for JSON: times in microseconds from the first event on."""
    records, complete = parse(lines)
    unknown = {r["event"] for r in records} - set(table)
    if unknown:
        raise BadTrace(f"{HEADER} knows no event {', '.join(sorted(unknown))}")
    start = records[0]["time"]
    slices, others = pair(records, complete)
    drawn = [(track, begin, end) for track, begin, end in lay_out(slices)]
    drawn += [((r["cpu"], None, 0), r, None) for r in others]
    order = [None, *KINDS]
    names = sorted({track for track, _, _ in drawn},
                   key=lambda t: (process(t[0]), order.index(t[1]), t[2]))
    tracks = {track: 100 + i for i, track in enumerate(names)}
    events = []
    for track, begin, end in sorted(drawn, key=lambda d: d[1]["time"]):
        event = {"name": table[begin["event"]][0], "cat": KINDS[track[1]].name if end else "event",
                 "pid": process(track[0]), "tid": tracks[track],
                 "ts": (begin["time"] - start) / 1000, "args": arguments(begin, table)}
        if end:
            event.update(ph="X", dur=(end["time"] - begin["time"]) / 1000)
            event["args"].update(arguments(end, table))
        else:
            event.update(ph="i", s="t")
        events.append(event)
    return {"displayTimeUnit": "ns", "traceEvents": metadata(tracks, arch) + events}


# ---- Checking ------------------------------------------------------------------------------------

def faults(trace):
    """What a reader of the format would not accept, or would draw wrongly; [] if nothing."""
    found, last, named = [], {}, set()
    for e in trace["traceEvents"]:
        track = (e["pid"], e.get("tid"))
        if e["ph"] == "M":
            named.add(track)
            continue
        if track not in named or (e["pid"], None) not in named:
            found.append(f"track {track} has no name")
        since, until = last.get(track, (0, 0))
        if e["ts"] < since:
            found.append(f"track {track}: time goes back from {since} to {e['ts']}")
        if e["ph"] == "X":
            if e["dur"] < 0:
                found.append(f"track {track}: {e['name']} at {e['ts']} ends before it begins")
            # Sums of decimal fractions: less than a nanosecond is nothing.
            if e["ts"] < until - 0.0005:
                found.append(f"track {track}: {e['name']} at {e['ts']} begins inside another")
            until = e["ts"] + e["dur"]
        elif e["ph"] != "i":
            found.append(f"track {track}: phase {e['ph']}")
        last[track] = (e["ts"], until)
    return found


def summary(trace):
    """How much of what is in a trace."""
    counts = {}
    for e in trace["traceEvents"]:
        if e["ph"] == "X":
            counts[e["cat"]] = counts.get(e["cat"], 0) + 1
        elif e["ph"] == "i":
            counts["instants"] = counts.get("instants", 0) + 1
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


# ---- The run -------------------------------------------------------------------------------------

class Listener(guest.Guest):
    """Keeps the lines of the dump, which are too many for the text of an Outcome."""

    def __init__(self, *args):
        super().__init__(*args)
        self.dump = []

    def note(self, line):
        clean = ktap.clean(line)
        if clean.startswith("trace|") or clean.startswith("trace-"):
            self.dump.append(clean)
        else:
            super().note(line)


def write(trace, path):
    with open(path, "w", encoding="ascii") as out:
        json.dump(trace, out, separators=(",", ":"))
        out.write("\n")


def record(wanted, words):
    """Runs QEMU, writes the file; returns the status to end with."""
    folder = qemu.output_dir(wanted)
    path = f"{folder}/trace.json"
    listener = Listener(words, int(wanted["cpus"]), f"{folder}/trace.log", TIME_LIMIT)
    outcome = listener.run()
    status = qemu.final_status(wanted["arch"], outcome.code, outcome.said)
    if outcome.trouble or status:
        print("\n".join(outcome.tail()))
        print(f"[trace] {outcome.trouble or f'the run ended with status {status}'}",
              file=sys.stderr)
    try:
        with open(HEADER, encoding="utf-8") as header:
            trace = convert(listener.dump, event_table(header.read()), wanted["arch"])
        wrong = faults(trace)
        if wrong:
            raise BadTrace("; ".join(wrong[:5]))
    except BadTrace as error:
        print(f"[trace] no {path}: {error} (does the run end with \"trace dump\", are there "
              f"rings, are oracles on? see {folder}/trace.log)", file=sys.stderr)
        return status or 1
    write(trace, path)
    print(f"{path}: {summary(trace)}; open it at https://ui.perfetto.dev")
    return status


def main():
    try:
        wanted = qemu.from_environment()
        wanted = qemu.check({**wanted, "append": wanted["append"] or APPEND})
        if wanted["build"] == "release":
            raise qemu.BadRequest("BUILD=release keeps no trace: accepted is debug")
        words = qemu.command(wanted)
    except qemu.BadRequest as error:
        print(f"make: {error}", file=sys.stderr)
        return qemu.STATUS_USAGE
    print(qemu.show(words), flush=True)
    if os.environ.get("DRY"):
        return 0
    try:
        return record(wanted, words)
    except FileNotFoundError:
        print(f"make: {words[0]}: not found (`make doctor`)", file=sys.stderr)
        return qemu.STATUS_USAGE
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
