// SPDX-License-Identifier: MIT
/*
 * Reading a flattened device tree: a header, a block of big-endian tokens (the structure block), a
 * block of property names (the strings block) and a list of reserved memory.
 *
 * The blob comes from outside and may be wrong or cut short. Everything that looks at it goes
 * through item_read(), which checks each offset in 64 bits against the block it lies in; nothing
 * recurses, the depth is bounded, and every call takes time linear in the size of the blob.
 *
 * Locks and contexts: none; the blob is constant. Any context.
 * See also: drivers/fdt_boot.c, Devicetree Specification 0.4 chapter 5.
 */
#include <errno.h>
#include <fdt.h>
#include <string.h>

#define FDT_MAGIC 0xd00dfeedu
#define FDT_BEGIN_NODE 1u
#define FDT_END_NODE 2u
#define FDT_PROP 3u
#define FDT_NOP 4u
#define FDT_END 9u

#define FDT_HEADER_SIZE 40u /* of version 17; version 16 ends before size_dt_struct */
#define FDT_HEADER_SIZE_V16 36u
#define FDT_MAX_DEPTH 32u
#define FDT_MAX_OFFSET 0x7fffffffu /* a node is an offset in an int */

/* Header words. */
enum {
	H_MAGIC = 0,
	H_SIZE = 1,
	H_STRUCT = 2,
	H_STRINGS = 3,
	H_RSVMAP = 4,
	H_VERSION = 5,
	H_COMPATIBLE = 6,
	H_STRINGS_SIZE = 8,
	H_STRUCT_SIZE = 9,
};

/* One token of the structure block with what belongs to it. */
struct item {
	u32 tag;
	u32 next;	  /* offset of the token behind it */
	const char *name; /* FDT_BEGIN_NODE: the node's; FDT_PROP: the property's */
	const u8 *value;
	u32 len;
};

/* fdt_open() saw that the blob and its blocks are aligned, and a property's value always is. */
u32 fdt_cell(const void *value, unsigned int n)
{
	u32 w = ((const u32 *)value)[n];

	return w << 24 | (w & 0xff00) << 8 | (w >> 8 & 0xff00) | w >> 24;
}

static u64 fdt_number(const void *value, unsigned int cells)
{
	u64 v = 0;

	for (unsigned int i = 0; i < cells; i++)
		v = v << 32 | fdt_cell(value, i);
	return v;
}

/* Length of the string at b that must end within max bytes; max if it does not. */
static u32 string_length(const u8 *b, u32 max)
{
	return (u32)strnlen((const char *)b, max);
}

/*
 * The offset behind the name at `at`, which ends with 0 and is filled up to a whole cell; 0 if it
 * does not end. A cell at a time, since half of what a tree says is names: w - 0x01010101 borrows
 * from a byte of w that is 0, and ~w leaves bytes of 0x80 and above out.
 */
static u32 name_end(const struct fdt *f, const u8 *s, u64 at)
{
	for (; at + 4 <= f->struct_size; at += 4) {
		u32 w = *(const u32 *)(s + at);

		if ((w - 0x01010101) & ~w & 0x80808080)
			return (u32)at + 4;
	}
	return 0;
}

static bool item_read_prop(const struct fdt *f, const u8 *s, u64 at, struct item *it)
{
	u32 name;

	if (at + 8 > f->struct_size)
		return false;
	it->len = fdt_cell(s + at, 0);
	name = fdt_cell(s + at, 1);
	/* fdt_open() saw that the strings block ends with 0, so a name inside it ends inside it. */
	if (at + 8 + it->len > f->struct_size || name >= f->strings_size)
		return false;
	it->value = s + at + 8;
	it->name = (const char *)f->blob + f->strings_off + name;
	it->next = (u32)ALIGN_UP(at + 8 + it->len, 4ULL);
	return true;
}

/*
 * Reads the token at pos and finds the next one. False if the token is unknown or does not fit. pos
 * is always a multiple of 4; it->next may be past the end, which the next call finds.
 */
static bool item_read(const struct fdt *f, u32 pos, struct item *it)
{
	const u8 *s = f->blob + f->struct_off;
	u64 at = (u64)pos + 4;

	if (at > f->struct_size)
		return false;
	it->tag = fdt_cell(s + pos, 0);
	it->next = (u32)at;
	switch (it->tag) {
	case FDT_BEGIN_NODE:
		it->name = (const char *)s + at;
		it->next = name_end(f, s, at);
		return it->next != 0;
	case FDT_PROP:
		return item_read_prop(f, s, at, it);
	case FDT_END_NODE:
	case FDT_NOP:
	case FDT_END:
		return true;
	}
	return false;
}

/* One pass over all tokens: they are well formed, nest, and end. NULL, or what is wrong. */
static const char *check_structure(const struct fdt *f)
{
	unsigned int depth = 0;
	bool root_seen = false;
	struct item it;
	u32 pos = 0;

	for (;;) {
		if (!item_read(f, pos, &it))
			return "broken structure block";
		if (it.tag == FDT_END)
			return root_seen && depth == 0 ? NULL : "structure block ends too early";
		if (it.tag == FDT_BEGIN_NODE) {
			if (depth == 0 && root_seen)
				return "two root nodes";
			root_seen = true;
			if (++depth > FDT_MAX_DEPTH)
				return "nodes nest too deeply";
		} else if (it.tag != FDT_NOP && depth == 0) {
			return "something outside the root node";
		} else if (it.tag == FDT_END_NODE) {
			depth--;
		}
		pos = it.next;
	}
}

static const char *check_header(struct fdt *f, const u8 *b, size_t max)
{
	u32 version;

	if (!IS_ALIGNED((size_t)b, 4))
		return "not aligned";
	if (max >= 4 && fdt_cell(b, H_MAGIC) != FDT_MAGIC)
		return "bad magic";
	if (max < FDT_HEADER_SIZE_V16)
		return "cut short";
	f->size = fdt_cell(b, H_SIZE);
	version = fdt_cell(b, H_VERSION);
	if (version < 16 || fdt_cell(b, H_COMPATIBLE) > 17)
		return "unknown version";
	if (f->size < (version >= 17 ? FDT_HEADER_SIZE : FDT_HEADER_SIZE_V16) || f->size > max ||
	    f->size > FDT_MAX_OFFSET)
		return "cut short";
	f->struct_off = fdt_cell(b, H_STRUCT);
	f->strings_off = fdt_cell(b, H_STRINGS);
	f->rsvmap_off = fdt_cell(b, H_RSVMAP);
	f->strings_size = fdt_cell(b, H_STRINGS_SIZE);
	if (f->struct_off > f->size || f->strings_off > f->size || f->rsvmap_off > f->size)
		return "cut short, or a block lies outside it";
	f->struct_size = version >= 17 ? fdt_cell(b, H_STRUCT_SIZE) : f->size - f->struct_off;
	if (f->struct_size > f->size - f->struct_off || f->strings_size > f->size - f->strings_off)
		return "cut short, or a block lies outside it";
	if (f->struct_off % 4 != 0 || f->rsvmap_off % 4 != 0)
		return "a block is not aligned";
	if (f->strings_size > 0 && b[f->strings_off + f->strings_size - 1] != 0)
		return "strings block without an end";
	return NULL;
}

int fdt_open(struct fdt *f, const void *blob, size_t max, const char **why)
{
	const char *wrong;

	memset(f, 0, sizeof(*f));
	f->blob = blob;
	wrong = check_header(f, blob, max);
	if (!wrong)
		wrong = check_structure(f);
	if (why)
		*why = wrong;
	return wrong ? -EINVAL : 0;
}

/* The token at pos that is not a NOP. False at the end and on anything broken. */
static bool item_skip_nops(const struct fdt *f, u32 *pos, struct item *it)
{
	while (item_read(f, *pos, it)) {
		if (it->tag != FDT_NOP)
			return it->tag != FDT_END;
		*pos = it->next;
	}
	return false;
}

/* Reads the FDT_BEGIN_NODE of node; false if node is an error number or no node. */
static bool node_begin(const struct fdt *f, int node, struct item *it)
{
	return node >= 0 && node % 4 == 0 && item_read(f, (u32)node, it) &&
	       it->tag == FDT_BEGIN_NODE;
}

int fdt_root(const struct fdt *f)
{
	struct item it;
	u32 pos = 0;

	return item_skip_nops(f, &pos, &it) && it.tag == FDT_BEGIN_NODE ? (int)pos : -ENOENT;
}

const char *fdt_name(const struct fdt *f, int node)
{
	struct item it;

	return node_begin(f, node, &it) ? it.name : "";
}

int fdt_first_child(const struct fdt *f, int node)
{
	struct item it;
	u32 pos;

	if (!node_begin(f, node, &it))
		return -ENOENT;
	for (pos = it.next; item_skip_nops(f, &pos, &it); pos = it.next) {
		if (it.tag == FDT_BEGIN_NODE)
			return (int)pos;
		if (it.tag == FDT_END_NODE)
			break;
	}
	return -ENOENT;
}

int fdt_next_sibling(const struct fdt *f, int node)
{
	unsigned int depth = 0;
	struct item it;
	u32 pos;

	if (!node_begin(f, node, &it))
		return -ENOENT;
	for (pos = (u32)node; item_skip_nops(f, &pos, &it); pos = it.next) {
		if (it.tag == FDT_BEGIN_NODE && depth == 0 && pos != (u32)node)
			return (int)pos;
		if (it.tag == FDT_BEGIN_NODE)
			depth++;
		else if (it.tag == FDT_END_NODE && depth-- == 0)
			break; /* the parent's end */
	}
	return -ENOENT;
}

/* Is name the first n characters of path? Without @ there, it may have any unit address. */
static bool name_matches(const char *name, const char *path, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (name[i] == 0 || name[i] != path[i])
			return false;
	if (name[n] == 0)
		return true;
	for (i = 0; i < n; i++)
		if (path[i] == '@')
			return false;
	return name[n] == '@';
}

static int find_child(const struct fdt *f, int node, const char *path, size_t n)
{
	int child;

	for (child = fdt_first_child(f, node); child >= 0; child = fdt_next_sibling(f, child))
		if (name_matches(fdt_name(f, child), path, n))
			return child;
	return -ENOENT;
}

static size_t component_length(const char *path)
{
	size_t n = 0;

	while (path[n] != 0 && path[n] != '/')
		n++;
	return n;
}

static int walk_path(const struct fdt *f, int node, const char *path)
{
	while (node >= 0 && *path) {
		size_t n = component_length(path);

		if (n > 0)
			node = find_child(f, node, path, n);
		path += n;
		while (*path == '/')
			path++;
	}
	return node;
}

/* The value of the alias whose name is the first n characters of path, or NULL. */
static const char *find_alias(const struct fdt *f, const char *path, size_t n)
{
	char name[64];

	if (n == 0 || n >= sizeof(name))
		return NULL;
	memcpy(name, path, n);
	name[n] = 0;
	return fdt_string(f, walk_path(f, fdt_root(f), "aliases"), name);
}

int fdt_path(const struct fdt *f, const char *path)
{
	size_t n = component_length(path);
	const char *alias;

	if (*path == '/')
		return walk_path(f, fdt_root(f), path);
	alias = find_alias(f, path, n);
	if (!alias || *alias != '/')
		return -ENOENT;
	return walk_path(f, walk_path(f, fdt_root(f), alias), path + n);
}

static bool list_has(const u8 *list, u32 len, const char *string)
{
	while (len > 0) {
		u32 n = string_length(list, len);

		if (n == len)
			return false; /* does not end inside the property */
		if (strcmp((const char *)list, string) == 0)
			return true;
		list += n + 1;
		len -= n + 1;
	}
	return false;
}

/* The next FDT_BEGIN_NODE after prev in the whole tree; prev -1: the root. */
static int next_node(const struct fdt *f, int prev)
{
	struct item it;
	u32 pos = 0;

	if (prev >= 0) {
		if (!node_begin(f, prev, &it))
			return -ENOENT;
		pos = it.next;
	}
	for (; item_skip_nops(f, &pos, &it); pos = it.next)
		if (it.tag == FDT_BEGIN_NODE)
			return (int)pos;
	return -ENOENT;
}

bool fdt_compatible(const struct fdt *f, int node, const char *compatible)
{
	u32 len;
	const u8 *list = fdt_prop(f, node, "compatible", &len);

	return list && list_has(list, len, compatible);
}

int fdt_next_compatible(const struct fdt *f, int prev, const char *compatible)
{
	int node;

	for (node = next_node(f, prev); node >= 0; node = next_node(f, node))
		if (fdt_compatible(f, node, compatible))
			return node;
	return -ENOENT;
}

/*
 * Fills path[] with the ancestors of node, root first, and node last. Returns how many, or -ENOENT.
 * One scan from the start: the format has no way up.
 */
static int find_ancestors(const struct fdt *f, int node, int path[FDT_MAX_DEPTH])
{
	unsigned int depth = 0;
	struct item it;
	u32 pos = 0;

	for (; item_skip_nops(f, &pos, &it) && (int)pos <= node; pos = it.next) {
		if (it.tag == FDT_END_NODE && depth > 0)
			depth--;
		if (it.tag != FDT_BEGIN_NODE)
			continue;
		if (depth == FDT_MAX_DEPTH)
			return -ENOENT;
		path[depth++] = (int)pos;
		if ((int)pos == node)
			return (int)depth;
	}
	return -ENOENT;
}

int fdt_parent(const struct fdt *f, int node)
{
	int path[FDT_MAX_DEPTH];
	int n = find_ancestors(f, node, path);

	return n >= 2 ? path[n - 2] : -ENOENT;
}

int fdt_by_phandle(const struct fdt *f, u32 phandle)
{
	int node;

	for (node = next_node(f, -1); node >= 0; node = next_node(f, node))
		if (phandle != 0 && (fdt_u32(f, node, "phandle", 0) == phandle ||
				     fdt_u32(f, node, "linux,phandle", 0) == phandle))
			return node;
	return -ENOENT;
}

const void *fdt_prop(const struct fdt *f, int node, const char *name, u32 *len)
{
	struct item it;
	u32 pos;

	if (len)
		*len = 0;
	if (!node_begin(f, node, &it))
		return NULL;
	for (pos = it.next; item_skip_nops(f, &pos, &it) && it.tag == FDT_PROP; pos = it.next) {
		if (strcmp(it.name, name) != 0)
			continue;
		if (len)
			*len = it.len;
		return it.value;
	}
	return NULL;
}

const char *fdt_string(const struct fdt *f, int node, const char *name)
{
	u32 len;
	const u8 *value = fdt_prop(f, node, name, &len);

	return value && string_length(value, len) < len ? (const char *)value : NULL;
}

u32 fdt_u32(const struct fdt *f, int node, const char *name, u32 def)
{
	u32 len;
	const void *value = fdt_prop(f, node, name, &len);

	return value && len == 4 ? fdt_cell(value, 0) : def;
}

/* How addresses are written in the children of node. */
struct cells {
	u32 addr, size;
};

static bool read_cells(const struct fdt *f, int node, struct cells *c)
{
	c->addr = fdt_u32(f, node, "#address-cells", 2);
	c->size = fdt_u32(f, node, "#size-cells", 1);
	return c->addr >= 1 && c->addr <= 2 && c->size <= 2;
}

/*
 * Translates *addr from the bus that node makes to the bus that node is on, by its "ranges". False
 * if node says nothing of the kind: its children are not memory-mapped.
 */
static bool translate_up(const struct fdt *f, int parent, int node, u64 *addr)
{
	u32 len;
	const u8 *r = fdt_prop(f, node, "ranges", &len);
	struct cells in, out;

	if (!r || !read_cells(f, node, &in) || !read_cells(f, parent, &out))
		return false;
	if (len == 0)
		return true; /* the same addresses on both sides */
	u32 entry = 4 * (in.addr + out.addr + in.size);

	for (; len >= entry; r += entry, len -= entry) {
		u64 from = fdt_number(r, in.addr);
		u64 to = fdt_number(r + 4 * in.addr, out.addr);
		u64 size = fdt_number(r + 4 * (in.addr + out.addr), in.size);

		if (*addr >= from && *addr - from < size) {
			*addr = to + (*addr - from);
			return true;
		}
	}
	return false;
}

int fdt_reg(const struct fdt *f, int node, unsigned int n, u64 *addr, u64 *size)
{
	int path[FDT_MAX_DEPTH];
	int depth = find_ancestors(f, node, path);
	u32 len;
	const u8 *reg = fdt_prop(f, node, "reg", &len);
	struct cells c;

	if (depth < 2 || !reg || !read_cells(f, path[depth - 2], &c))
		return -ENOENT;
	u64 entry = 4 * (u64)(c.addr + c.size);

	if ((n + 1ULL) * entry > len)
		return -ENOENT;
	*addr = fdt_number(reg + n * entry, c.addr);
	*size = fdt_number(reg + n * entry + 4 * c.addr, c.size);
	/* path[0] is the root, whose children have CPU addresses already. */
	for (int i = depth - 2; i >= 1; i--)
		if (!translate_up(f, path[i - 1], path[i], addr))
			return -ENOENT;
	return 0;
}

bool fdt_enabled(const struct fdt *f, int node)
{
	u32 len;
	const char *status = fdt_prop(f, node, "status", &len);

	if (!status)
		return node >= 0;
	status = fdt_string(f, node, "status");
	return status && (strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0);
}

int fdt_reserved(const struct fdt *f, unsigned int n, u64 *addr, u64 *size)
{
	u64 at = f->rsvmap_off + 16 * (u64)n;

	if (at + 16 > f->size)
		return -ENOENT;
	*addr = fdt_number(f->blob + at, 2);
	*size = fdt_number(f->blob + at + 8, 2);
	return *addr == 0 && *size == 0 ? -ENOENT : 0;
}
