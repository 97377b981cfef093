// SPDX-License-Identifier: MIT
/*
 * The end of a page's references, and the poison that shows who writes or walks after it.
 *
 * Terms. The reference count says who may touch the frame; the map count, how many entries lead to
 * it; the pin count, how many of the references belong to devices. At the last reference the other
 * two must be zero: an entry or a device that outlives the frame is the mistake this kernel is
 * about.
 * Why poison. A stale TLB entry writes into a frame that is somebody else's by now, and a stale
 * walker reads it as a table: filled with a pattern that is no entry on any port, the frame tells
 * of both.
 * Rules: U3. Contexts: any, irqs in any state. See also: <page.h>, tests/test_page.c.
 */
#include <page.h>

__noinline void page_release_checked(struct page *head)
{
	if (unlikely(atomic_read(&head->mapcount) != 0))
		oracle_report(ORACLE_COUNTS, RULE_FLUSH_BEFORE_FREE, head,
			      "page %#llx lost its last reference while mapped %d times",
			      (unsigned long long)page_to_phys(head),
			      atomic_read(&head->mapcount));
	if (unlikely(atomic_read(&head->pincount) != 0))
		oracle_report(ORACLE_COUNTS, RULE_REF_NOT_ZERO, head,
			      "page %#llx lost its last reference while pinned %d times",
			      (unsigned long long)page_to_phys(head),
			      atomic_read(&head->pincount));
	free_pages(head, head->order);
}

__noinline bool try_get_refs_head(struct page *p, s64 refs)
{
	struct page *head = page_head(p);

	if (head == p || !atomic64_add_not_zero(&head->counts, refs))
		return false;
	/* A head that has a reference stays one; what it was before may have been another's. */
	if (likely(page_head(p) == head))
		return true;
	put_refs(head, refs);
	return false;
}

__noreturn void page_count_broken(const struct page *p, int count)
{
	oracle_report(ORACLE_COUNTS, RULE_REF_NOT_ZERO, p, "page %#llx: a reference %s at count %d",
		      (unsigned long long)page_to_phys(p), count < 0 ? "was dropped" : "was taken",
		      count);
}

void page_poison(struct page *p)
{
	u64 *word = page_to_virt(p), *end = word + PAGE_SIZE / sizeof(*word);

	for (; word < end; word += 4) {
		word[0] = PAGE_POISON;
		word[1] = PAGE_POISON;
		word[2] = PAGE_POISON;
		word[3] = PAGE_POISON;
	}
	WRITE_ONCE(p->flags, p->flags | PG_POISONED); /* read without a lock: page_head() */
}

bool page_poison_intact(const struct page *p, size_t *offset, u64 *value)
{
	const u64 *first = page_to_virt(p), *word = first;
	const u64 *end = first + PAGE_SIZE / sizeof(*word);

	for (; word < end; word += 4)
		if (((word[0] ^ PAGE_POISON) | (word[1] ^ PAGE_POISON) | (word[2] ^ PAGE_POISON) |
		     (word[3] ^ PAGE_POISON)) != 0)
			break;
	while (word < end && *word == PAGE_POISON)
		word++;
	if (word == end)
		return true;
	*offset = (size_t)((const char *)word - (const char *)first);
	*value = *word;
	return false;
}

#define OBJECT_POISON 0xf4eeb10cf4eeb10cULL

void object_poison(void *obj, size_t size)
{
	u64 *word = obj, *end = word + size / sizeof(*word);

	while (++word < end)
		*word = OBJECT_POISON;
}

const u64 *object_poison_broken(const void *obj, size_t size)
{
	const u64 *word = obj, *end = word + size / sizeof(*word);

	while (++word < end)
		if (*word != OBJECT_POISON)
			return word;
	return NULL;
}
