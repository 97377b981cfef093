// SPDX-License-Identifier: MIT
/*
 * Reading device trees, on ports that have them: a small tree built here, the same cut short at
 * every length and with bytes changed, and the machine's own.
 *
 * A tree comes from outside; whatever is wrong with it, reading ends, and nothing outside it is
 * read.
 */
#include "../testlib.h"

#include <boot.h>
#include <fdt.h>

/* ---- A tree ------------------------------------------------------------------------------ */

#define HEADER 40
#define RESERVED 32 /* one entry and the end */
#define BLOB_MAX 1024

static u8 blob[BLOB_MAX] __aligned(8);
static u32 at, blob_size;
static char strings[128];
static u32 strings_len;

static void cell(u32 value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		blob[at++] = (u8)(value >> shift);
}

static void pad(void)
{
	while (at % 4)
		blob[at++] = 0;
}

static void begin(const char *name)
{
	cell(1);
	memcpy(blob + at, name, strlen(name) + 1);
	at += strlen(name) + 1;
	pad();
}

static void end(void)
{
	cell(2);
}

static u32 string(const char *s)
{
	for (u32 i = 0; i < strings_len; i += strlen(strings + i) + 1)
		if (strcmp(strings + i, s) == 0)
			return i;
	memcpy(strings + strings_len, s, strlen(s) + 1);
	strings_len += strlen(s) + 1;
	return strings_len - strlen(s) - 1;
}

static void prop(const char *name, const void *value, u32 len)
{
	cell(3);
	cell(len);
	cell(string(name));
	memcpy(blob + at, value, len);
	at += len;
	pad();
}

static void prop_cells(const char *name, const u32 *cells, u32 n)
{
	cell(3);
	cell(4 * n);
	cell(string(name));
	for (u32 i = 0; i < n; i++)
		cell(cells[i]);
}

#define PROP_CELLS(name, ...)                                                                      \
	do {                                                                                       \
		const u32 prop_c[] = { __VA_ARGS__ };                                              \
		prop_cells(name, prop_c, ARRAY_SIZE(prop_c));                                      \
	} while (0)
#define PROP_TEXT(name, text) prop(name, text, sizeof(text))

static void build_nodes(void)
{
	begin("");
	PROP_CELLS("#address-cells", 2);
	PROP_CELLS("#size-cells", 2);
	begin("aliases");
	PROP_TEXT("serial0", "/soc/uart@1000");
	end();
	begin("memory@80000000");
	PROP_CELLS("reg", 0, 0x80000000, 0, 0x8000000, 1, 0, 0, 0x1000);
	end();
	cell(4); /* NOP */
	begin("soc");
	PROP_CELLS("#address-cells", 1);
	PROP_CELLS("#size-cells", 1);
	PROP_CELLS("ranges", 0x1000, 2, 0x40000000, 0x10000);
	begin("uart@1000");
	PROP_TEXT("compatible", "first,uart\0ns16550a");
	PROP_CELLS("reg", 0x1800, 0x100);
	PROP_CELLS("phandle", 7);
	PROP_CELLS("reg-shift", 2);
	end();
	begin("timer@2000");
	PROP_TEXT("compatible", "some,timer");
	PROP_TEXT("status", "disabled");
	end();
	end();
	end();
	cell(9);
}

static void set_cell(u32 offset, u32 value)
{
	u32 keep = at;

	at = offset;
	cell(value);
	at = keep;
}

static void build(void)
{
	memset(blob, 0, sizeof(blob));
	strings_len = 0;
	at = HEADER + RESERVED;
	build_nodes();
	u32 struct_size = at - HEADER - RESERVED, strings_off = at;

	memcpy(blob + at, strings, strings_len);
	at += strings_len;
	blob_size = at;
	const u32 header[] = { 0xd00dfeed, blob_size, HEADER + RESERVED, strings_off, HEADER,
			       17, 16, 0, strings_len, struct_size };

	for (u32 i = 0; i < ARRAY_SIZE(header); i++)
		set_cell(4 * i, header[i]);
	set_cell(HEADER + 4, 0x90000000); /* reserved: 64-bit address, 64-bit size */
	set_cell(HEADER + 12, 0x2000);
}

static bool open_built(struct fdt *f)
{
	const char *why = NULL;

	build();
	int err = fdt_open(f, blob, blob_size, &why);

	if (!EXPECT_EQ(err, 0))
		test_note("%s", why ? why : "no reason given");
	return err == 0;
}

TEST(fdt, nodes_are_found)
{
	struct fdt f;

	if (!open_built(&f))
		return;
	int root = fdt_root(&f), soc = fdt_path(&f, "/soc"), uart = fdt_path(&f, "/soc/uart@1000");

	EXPECT(root >= 0 && soc > 0 && uart > 0);
	EXPECT_EQ(fdt_path(&f, "/"), root);
	EXPECT_EQ(fdt_path(&f, "/soc/uart"), uart);
	EXPECT_EQ(fdt_path(&f, "serial0"), uart);
	EXPECT_EQ(fdt_path(&f, "/soc/nothing"), -ENOENT);
	EXPECT_EQ(fdt_path(&f, "/so"), -ENOENT);
	EXPECT_EQ(fdt_path(&f, "serial9"), -ENOENT);
	EXPECT_EQ(strcmp(fdt_name(&f, uart), "uart@1000"), 0);
	EXPECT_EQ(fdt_parent(&f, uart), soc);
	EXPECT_EQ(fdt_parent(&f, soc), root);
	EXPECT_EQ(fdt_first_child(&f, soc), uart);
	EXPECT_EQ(fdt_first_child(&f, uart), -ENOENT);
	EXPECT_EQ(fdt_next_sibling(&f, uart), fdt_path(&f, "/soc/timer"));
	EXPECT_EQ(fdt_next_sibling(&f, soc), -ENOENT);
	EXPECT_EQ(fdt_by_phandle(&f, 7), uart);
	EXPECT_EQ(fdt_by_phandle(&f, 8), -ENOENT);
	EXPECT_EQ(fdt_next_compatible(&f, -1, "ns16550a"), uart);
	EXPECT_EQ(fdt_next_compatible(&f, uart, "ns16550a"), -ENOENT);
	EXPECT_EQ(fdt_next_compatible(&f, -1, "first,uart"), uart);
	EXPECT_EQ(fdt_next_compatible(&f, -1, "ns16550"), -ENOENT);
}

TEST(fdt, properties_are_read)
{
	struct fdt f;
	u64 addr, size;
	u32 len;

	if (!open_built(&f))
		return;
	int uart = fdt_path(&f, "/soc/uart"), memory = fdt_path(&f, "/memory");

	EXPECT_EQ(fdt_u32(&f, uart, "reg-shift", 0), 2);
	EXPECT_EQ(fdt_u32(&f, uart, "reg-io-width", 9), 9);
	EXPECT(fdt_prop(&f, uart, "compatible", &len) != NULL);
	EXPECT_EQ(len, sizeof("first,uart\0ns16550a"));
	EXPECT(fdt_prop(&f, uart, "compat", NULL) == NULL);
	EXPECT_EQ(strcmp(fdt_string(&f, uart, "compatible"), "first,uart"), 0);
	EXPECT(fdt_string(&f, uart, "status") == NULL);
	EXPECT(fdt_enabled(&f, uart));
	EXPECT(!fdt_enabled(&f, fdt_path(&f, "/soc/timer")));
	EXPECT_EQ(fdt_reg(&f, memory, 0, &addr, &size), 0);
	EXPECT(addr == 0x80000000 && size == 0x8000000);
	EXPECT_EQ(fdt_reg(&f, memory, 1, &addr, &size), 0);
	EXPECT(addr == 0x100000000 && size == 0x1000);
	EXPECT_EQ(fdt_reg(&f, memory, 2, &addr, &size), -ENOENT);
	EXPECT_EQ(fdt_reg(&f, uart, 0, &addr, &size), 0); /* through ranges */
	EXPECT(addr == 0x240000800 && size == 0x100);
	EXPECT_EQ(fdt_reserved(&f, 0, &addr, &size), 0);
	EXPECT(addr == 0x90000000 && size == 0x2000);
	EXPECT_EQ(fdt_reserved(&f, 1, &addr, &size), -ENOENT);
}

/* ---- Bad ones ---------------------------------------------------------------------------- */

static void expect_refused(u32 offset, u32 value, const char *what)
{
	const char *why = NULL;
	struct fdt f;

	build();
	set_cell(offset, value);
	if (!EXPECT(fdt_open(&f, blob, blob_size, &why) == -EINVAL && why != NULL))
		test_note("%s", what);
}

TEST(fdt, bad_headers_are_refused)
{
	expect_refused(0, 0xd00dfeee, "magic");
	expect_refused(4, 0, "size 0");
	expect_refused(4, 39, "smaller than its header");
	expect_refused(4, 0xffffffff, "larger than what can be read");
	expect_refused(8, BLOB_MAX * 4, "structure outside");
	expect_refused(8, 0xfffffff0, "structure wraps");
	expect_refused(12, BLOB_MAX * 4, "strings outside");
	expect_refused(36, 0xfffffff0, "structure too long");
	expect_refused(32, 0xfffffff0, "strings too long");
	expect_refused(24, 99, "not compatible with version 17");
	expect_refused(HEADER + RESERVED, 2, "begins with an end");
	expect_refused(HEADER + RESERVED, 77, "unknown token");
	expect_refused(16, HEADER + 2, "reserved memory not aligned");
}

TEST(fdt, blob_that_is_not_aligned_is_refused)
{
	const char *why = NULL;
	struct fdt f;

	build();
	memmove(blob + 1, blob, blob_size);
	EXPECT_EQ(fdt_open(&f, blob + 1, blob_size, &why), -EINVAL);
	EXPECT(why && strcmp(why, "not aligned") == 0);
}

/* Everything a reader may ask, of a tree that may be nonsense. */
static void ask_everything(const struct fdt *f)
{
	static const char *const names[] = { "reg", "compatible", "ranges", "status", "phandle" };
	u64 addr, size;
	u32 len;
	int nodes = 0;

	for (int node = fdt_root(f); node >= 0 && nodes++ < 50; node = fdt_first_child(f, node)) {
		for (int n = node, k = 0; n >= 0 && k++ < 50; n = fdt_next_sibling(f, n)) {
			(void)fdt_name(f, n);
			(void)fdt_parent(f, n);
			(void)fdt_enabled(f, n);
			(void)fdt_reg(f, n, 0, &addr, &size);
			for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
				(void)fdt_prop(f, n, names[i], &len);
				(void)fdt_string(f, n, names[i]);
				(void)fdt_u32(f, n, names[i], 0);
			}
		}
	}
	(void)fdt_path(f, "/soc/uart@1000");
	(void)fdt_path(f, "serial0");
	(void)fdt_next_compatible(f, -1, "ns16550a");
	(void)fdt_by_phandle(f, 7);
	for (unsigned int i = 0; i < 20 && fdt_reserved(f, i, &addr, &size) == 0; i++)
		;
}

/* Behind the cut stand other bytes: a reader that goes on would take them for cells. */
TEST(fdt, cut_short_at_every_length)
{
	const char *why;
	struct fdt f;

	for (u32 n = 0; n <= blob_size; n++) {
		build();
		memset(blob + n, 0xff, sizeof(blob) - n);
		int err = fdt_open(&f, blob, n, &why);

		if (!EXPECT_EQ(err, n < blob_size ? -EINVAL : 0))
			test_note("cut to %u of %u bytes", n, blob_size);
		/* The same with a header that admits it. */
		if (n >= HEADER) {
			set_cell(4, n);
			if (fdt_open(&f, blob, n, &why) == 0)
				ask_everything(&f);
		}
	}
}

TEST(fdt, changed_bytes_do_no_harm)
{
	u64 state = 12345, opened = 0;
	const char *why;
	struct fdt f;

	for (unsigned int i = 0; i < 4000; i++) {
		build();
		for (unsigned int k = 0; k <= i % 3; k++)
			blob[HEADER + (rand_next(&state) >> 33) % (blob_size - HEADER)] =
				(u8)(rand_next(&state) >> 40);
		if (fdt_open(&f, blob, blob_size, &why) == 0) {
			opened++;
			ask_everything(&f);
		}
	}
	EXPECT(opened > 0 && opened < 4000);
}

/* ---- The machine's own ------------------------------------------------------------------- */

TEST(fdt, own_tree_agrees_with_boot)
{
	const char *why;
	struct fdt f;
	u64 addr, size;

	if (!boot.fdt) {
		test_skip("no device tree on this machine");
		return;
	}
	ASSERT_EQ(fdt_open(&f, boot.fdt, boot.fdt_size, &why), 0);
	EXPECT(fdt_path(&f, "/cpus") > 0);
	int memory = fdt_path(&f, "/memory");

	ASSERT(memory > 0);
	ASSERT_EQ(fdt_reg(&f, memory, 0, &addr, &size), 0);
	/* One node of several, maybe; and neighbours are one range. */
	bool known = false;

	for (unsigned int i = 0; i < boot.nr_mem; i++)
		known |= boot.mem[i].start < addr + size && addr < boot.mem[i].end;
	EXPECT(known);
	ask_everything(&f);
}
