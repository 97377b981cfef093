# SPDX-License-Identifier: MIT
"""The variables of a program by address, and the members of its types: readelf's output, parsed.

A type is a number of the debug information. member() goes down to the smallest thing that stands at
an offset, so that an address has a name in the words of the source: "gp.seq", "tlb_gen.counter".
"""
import re
import subprocess

HEAD = re.compile(r" <([0-9a-f]+)><([0-9a-f]+)>: Abbrev Number: \d+ \((DW_TAG_\w+)\)")
ATTRIBUTE = re.compile(r"\s+<[0-9a-f]+>\s+(DW_AT_\w+)\s*: (.*)")
WANTED = ("DW_AT_name", "DW_AT_type", "DW_AT_byte_size", "DW_AT_data_member_location",
          "DW_AT_location", "DW_AT_upper_bound", "DW_AT_declaration", "DW_AT_specification")
SEE_THROUGH = ("typedef", "const_type", "volatile_type")
COMPOUND = ("structure_type", "union_type")
DULL = ("counter", "val") # what a type that wraps one number calls it


def reference(text):
    found = re.search(r"<0x([0-9a-f]+)>", text)
    return int(found[1], 16) if found else 0


class Program:
    """What the debug information says of variables and types."""

    def __init__(self, path):
        self.entries, self.variables, self.structs = {}, [], {}
        stack = []
        text = subprocess.run(["readelf", "--debug-dump=info", path], capture_output=True,
                              text=True, check=True).stdout
        entry = None
        for line in text.splitlines():
            head = HEAD.match(line)
            if head:
                depth, tag = int(head[1], 16), head[3][7:]
                entry = {"tag": tag, "members": []}
                del stack[depth:]
                stack += [None] * (depth - len(stack)) + [entry]
                self.entries[int(head[2], 16)] = entry
                if depth and stack[depth - 1] and tag in ("member", "subrange_type"):
                    stack[depth - 1]["members"].append(entry)
                continue
            attribute = ATTRIBUTE.match(line) if entry is not None else None
            if attribute and attribute[1] in WANTED:
                entry[attribute[1][6:]] = attribute[2].split("): ")[-1].strip()
        for number, entry in self.entries.items():
            self.note(number, entry)
        self.variables.sort()

    def note(self, number, entry):
        if entry["tag"] == "structure_type" and "name" in entry and "declaration" not in entry:
            self.structs.setdefault(entry["name"], number)
        if entry["tag"] != "variable" or "DW_OP_addr" not in entry.get("location", ""):
            return
        declared = self.entries.get(reference(entry.get("specification", "")), {})
        kind = reference(entry.get("type") or declared.get("type", ""))
        name = entry.get("name") or declared.get("name")
        at = re.search(r"DW_OP_addr: ([0-9a-f]+)", entry["location"])
        if at and name and kind:
            self.variables.append((int(at[1], 16), name, kind))

    def plain(self, kind):
        """The type without its other names."""
        while kind in self.entries and self.entries[kind]["tag"] in SEE_THROUGH:
            kind = reference(self.entries[kind].get("type", ""))
        return kind

    def size(self, kind):
        entry = self.entries.get(self.plain(kind), {})
        if entry.get("tag") == "array_type":
            return self.size(reference(entry["type"])) * self.length(entry)
        if entry.get("tag") == "pointer_type":
            return 8
        return int(entry.get("byte_size", "0"), 0)

    @staticmethod
    def length(array):
        count = 1
        for bound in array["members"]:
            last = bound.get("upper_bound", "")
            count *= int(last, 0) + 1 if last.isdigit() else 0
        return count

    def member(self, kind, offset, size, prefer=()):
        """ "a.b[1]" for what has the size at the offset of a type; "" for all of it. """
        return self.narrow(kind, offset, size, prefer)[1]

    def narrow(self, kind, offset, size, prefer):
        """(how well it fits, member()); of a union's members the one that fits best."""
        entry = self.entries.get(self.plain(kind), {"tag": ""})
        if entry["tag"] == "array_type":
            one = self.size(reference(entry["type"]))
            if not one:
                return (0, 0), ""
            fit, text = self.narrow(reference(entry["type"]), offset % one, size, prefer)
            return fit, f"[{offset // one}]" + text
        if entry["tag"] not in COMPOUND:
            wide = self.size(kind) - offset
            return (0, 2 * (wide == size) + (wide > size)), ""
        best = (-1, 0), ""
        for m in entry["members"]:
            at, wide = int(m.get("data_member_location", "0"), 0), self.size(reference(m["type"]))
            if not at <= offset < at + wide:
                continue
            fit, inner = self.narrow(reference(m["type"]), offset - at, size, prefer)
            name = m.get("name", "")
            dull = name in DULL and len(entry["members"]) == 1
            text = inner if dull else "." * bool(name) + name + inner
            fit = (max(fit[0], any(text.startswith("." + p) for p in prefer)), fit[1])
            if fit > best[0]:
                best = fit, text
        return best if best[0][0] >= 0 else ((0, 0), "")

    def variable(self, address, size):
        """The variable at an address and what of it; None outside of all."""
        best = None
        for start, name, kind in self.variables:
            if start > address:
                break
            if address < start + self.size(kind):
                best = name + self.member(kind, address - start, size)
        return best
