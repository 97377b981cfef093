// SPDX-License-Identifier: MIT
/*
 * Interrupts that nobody expects.
 *
 * Controllers begin with every line masked, so what comes without a handler is a line that firmware
 * or hardware got wrong, or a driver's mistake. Once is worth a line. A level that nobody lowers
 * comes again as soon as it is ended, and its CPU does nothing else: so a number that comes
 * SPURIOUS_STORM times within a second is masked where its line enters the controller. Nobody
 * waits for it, so nothing is lost.
 * Locks and contexts: lock, taken with irqs off; the controller's mask() is called without it.
 * See also: include/trap.h; the controllers in drivers/; tests/irq/.
 */
#include <console.h>
#include <irqflags.h>
#include <printk.h>
#include <spinlock.h>
#include <time.h>
#include <trap.h>

#define NUMBERS_MAX 8

struct spurious {
	unsigned int number;
	unsigned int recent; /* since begin */
	u64 begin;
	struct spurious_counts counts;
	bool told_storm;
};

static struct {
	spinlock_t lock;
	struct spurious numbers[NUMBERS_MAX];
	unsigned int nr;
	u64 others; /* times, of numbers that found no room */
} seen = { .lock = SPINLOCK_INIT };

/* seen.lock held. NULL if the number has not come. */
static struct spurious *find(unsigned int number)
{
	for (unsigned int i = 0; i < seen.nr; i++)
		if (seen.numbers[i].number == number)
			return &seen.numbers[i];
	return NULL;
}

/* seen.lock held. NULL if there is no room for one more. */
static struct spurious *find_or_add(unsigned int number)
{
	struct spurious *s = find(number);

	if (s || seen.nr == NUMBERS_MAX)
		return s;
	s = &seen.numbers[seen.nr++];
	s->number = number;
	return s;
}

/* seen.lock held. True if it has just become a storm. */
static bool count(struct spurious *s, u64 now)
{
	if (now - s->begin > NSEC_PER_SEC) {
		s->begin = now;
		s->recent = 0;
	}
	s->counts.came++;
	if (++s->recent < SPURIOUS_STORM)
		return false;
	s->recent = 0;
	return true;
}

/* What is to be said and done of an interrupt. */
struct verdict {
	bool first, storm, first_storm;
};

/* A machine with more numbers than there is room for is in no order: the rest is silenced too. */
static struct verdict note(unsigned int number)
{
	struct verdict v = { .storm = true };
	bool on = spin_lock_irqsave(&seen.lock);
	struct spurious *s = find_or_add(number);

	if (s) {
		v.first = s->counts.came == 0;
		v.storm = count(s, time_ns());
		v.first_storm = v.storm && !s->told_storm;
		s->told_storm |= v.storm;
	} else {
		v.first = seen.others++ == 0;
	}
	spin_unlock_irqrestore(&seen.lock, on);
	return v;
}

static void note_masked(unsigned int number)
{
	bool on = spin_lock_irqsave(&seen.lock);
	struct spurious *s = find(number);

	if (s)
		s->counts.masked++;
	spin_unlock_irqrestore(&seen.lock, on);
}

void spurious_interrupt(unsigned int number, bool (*mask)(unsigned int number))
{
	struct verdict v = note(number);
	bool masked = v.storm && mask && mask(number);

	if (masked)
		note_masked(number);
	if (v.first)
		printk("irq: interrupt %u came, and nobody expects it", number);
	if (v.first_storm)
		printk("irq: interrupt %u storms: %s", number,
		       masked ? "masked" : "no line to mask, it goes on");
}

struct spurious_counts spurious_counts(unsigned int number)
{
	bool on = spin_lock_irqsave(&seen.lock);
	const struct spurious *s = find(number);
	struct spurious_counts c = s ? s->counts : (struct spurious_counts){ 0 };

	spin_unlock_irqrestore(&seen.lock, on);
	return c;
}

/* WHY SAFE without the lock: what was added stays, and a count read too early is an older one. */
static int cmd_irq(int argc, char **argv)
{
	unsigned int nr = READ_ONCE(seen.nr);

	print_line("  unexpected  times     masked");
	for (unsigned int i = 0; i < nr; i++)
		print_line("  %10u  %-8llu  %llu", seen.numbers[i].number,
			   (unsigned long long)seen.numbers[i].counts.came,
			   (unsigned long long)seen.numbers[i].counts.masked);
	print_line("  %s  %llu", nr ? "    others" : "      none",
		   (unsigned long long)READ_ONCE(seen.others));
	return 0;
}
COMMAND(irq, "irq", "irq  interrupts that nobody expected", cmd_irq);
