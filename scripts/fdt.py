# SPDX-License-Identifier: MIT
"""Device trees: from the flat form to nodes, and back (Devicetree Specification 0.4, chapter 5)."""
import struct

MAGIC = 0xd00dfeed
BEGIN, END, PROP, NOP, FINISH = 1, 2, 3, 4, 9
HEADER = 40
VERSION, COMPATIBLE = 17, 16


class Node:
    """A name, properties (bytes by name, in order), and nodes below."""

    def __init__(self, name, props=None, children=()):
        self.name, self.props, self.children = name, dict(props or {}), list(children)

    def child(self, name):
        """The node below whose name is this, with or without its unit address; None if none is."""
        return next((c for c in self.children if name in (c.name, c.name.split("@")[0])), None)

    def ask(self, name):
        """The node below of that name, made if there is none."""
        found = self.child(name)
        if not found:
            found = Node(name)
            self.children.append(found)
        return found


class Tree:
    """A root, the ranges of the memory reservation block, and the id of the boot CPU."""

    def __init__(self, root, reserved=(), boot_cpu=0):
        self.root, self.reserved, self.boot_cpu = root, list(reserved), boot_cpu


def cells(*numbers):
    """Numbers of 32 bits as a property holds them."""
    return struct.pack(f">{len(numbers)}I", *numbers)


def wide(*numbers):
    """Numbers of two cells each."""
    return struct.pack(f">{len(numbers)}Q", *numbers)


def text_at(blob, at):
    return blob[at:blob.index(b"\0", at)].decode()


def padded(data):
    return data + bytes(-len(data) % 4)


def read_nodes(blob, at, strings):
    """The nodes of a structure block, as one list of the roots that it has."""
    stack = [Node("")]
    while True:
        token, = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN:
            node = Node(text_at(blob, at))
            at += len(padded(node.name.encode() + b"\0"))
            stack[-1].children.append(node)
            stack.append(node)
        elif token == PROP:
            size, name = struct.unpack_from(">II", blob, at)
            stack[-1].props[text_at(blob, strings + name)] = blob[at + 8:at + 8 + size]
            at += 8 + size + -size % 4
        elif token == END and len(stack) > 1:
            stack.pop()
        elif token == FINISH and len(stack) == 1:
            return stack[0].children
        elif token != NOP:
            raise ValueError(f"the device tree has {token:#x} at {at - 4:#x}")


def read(blob):
    """The Tree of a blob; ValueError or struct.error if it is none."""
    magic, _, nodes, strings, reserved, _, _, boot_cpu = struct.unpack_from(">8I", blob)
    if magic != MAGIC:
        raise ValueError(f"no device tree: it begins with {magic:#x}")
    ranges = []
    while any(pair := struct.unpack_from(">QQ", blob, reserved)):
        ranges.append(pair)
        reserved += 16
    root, = read_nodes(blob, nodes, strings)
    return Tree(root, ranges, boot_cpu)


def write_node(node, strings):
    """A node's tokens; strings: the offset of each property's name, by name, which grows."""
    out = cells(BEGIN) + padded(node.name.encode() + b"\0")
    for name, value in node.props.items():
        offset = strings.setdefault(name, sum(len(s) + 1 for s in strings))
        out += cells(PROP, len(value), offset) + padded(value)
    return out + b"".join(write_node(child, strings) for child in node.children) + cells(END)


def write(tree):
    """The blob of a Tree."""
    names = {}
    nodes = write_node(tree.root, names) + cells(FINISH)
    strings = b"".join(name.encode() + b"\0" for name in names)
    reserved = b"".join(wide(*pair) for pair in tree.reserved) + wide(0, 0)
    nodes_at = HEADER + len(reserved)
    strings_at = nodes_at + len(nodes)
    return cells(MAGIC, strings_at + len(strings), nodes_at, strings_at, HEADER, VERSION,
                 COMPATIBLE, tree.boot_cpu, len(strings), len(nodes)) + reserved + nodes + strings
