// SPDX-License-Identifier: MIT
/*
 * Faults made common, by name, rate and seed.
 *
 * Terms. A site asks, each time it is passed, whether its fault is to happen; one in RATE does, as
 * this CPU's generator says. What one CPU decides follows from the seed and from what it asked
 * before, so a run repeats as far as its schedule does.
 * Why. A missing page, a full batch or a slow CPU at the wrong moment is where mistakes live, and
 * all of them are rare.
 * Rules: none; no fault but the harmful one takes anything from a rule.
 * Locks: none. Sites in any context but NMI; settings from the boot CPU or the console.
 * See also: <inject.h> for the names, tests/test_inject.c.
 */
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <inject.h>
#include <irqflags.h>
#include <percpu.h>
#include <printk.h>
#include <string.h>
#include <thread.h>
#include <time.h>

#ifdef GRACE_DEBUG

#define DEFAULT_SEED 1
#define MAX_US 100000u /* longer, and watchdogs speak */
#define WORD_MAX 32

static const struct {
	const char *word, *what;
	enum inject_kind kind;
} faults[NR_INJECT] = {
#define INJECT_ENTRY(name, word, kind, what) { word, what, INJECT_##kind },
	INJECT_TABLE(INJECT_ENTRY)
#undef INJECT_ENTRY
};

u32 inject_mask;
static struct inject_settings now;
static unsigned int pauses[NR_INJECT]; /* atomic */
static u64 seeding; /* counts settings: each CPU seeds its generator anew when it has changed */

/* This CPU, irqs off. */
struct inject_cpu {
	u64 rng, seeding;
	u64 asked[NR_INJECT], hit[NR_INJECT];
};
static DEFINE_PER_CPU(struct inject_cpu, inject_cpu);

/* ---- The sites ------------------------------------------------------------------------------- */

static u64 draw(struct inject_cpu *c)
{
	if (unlikely(c->seeding != READ_ONCE(seeding))) {
		c->seeding = READ_ONCE(seeding);
		c->rng = READ_ONCE(now.seed) + (smp_processor_id() + 1) * 0x9e3779b97f4a7c15ULL;
		c->rng += !c->rng;
		(void)rand_next(&c->rng); /* small seeds differ little in the first draw */
	}
	return rand_next(&c->rng) >> 32;
}

/* A handler's allocation is not the interrupted thread's. */
static bool bearable(enum inject what)
{
	return faults[what].kind != INJECT_ALLOC || (current->bears_faults && !in_interrupt());
}

/* True if it is to happen; *length is a number to choose its length by. */
static bool happens(enum inject what, u64 *length)
{
	u32 rate = READ_ONCE(now.rate[what]);

	if (!rate || READ_ONCE(pauses[what]) || !bearable(what))
		return false;
	/* irqs off: the generator and the counts stay this CPU's. */
	bool on = arch_irq_save();
	struct inject_cpu *c = this_cpu_ptr(&inject_cpu);
	bool hit = draw(c) % rate == 0;

	*length = hit ? draw(c) : 0;
	c->asked[what]++;
	c->hit[what] += hit;
	local_irq_restore(on);
	return hit;
}

bool inject_hit(enum inject what)
{
	u64 unused;

	return happens(what, &unused);
}

void inject_spin(enum inject what)
{
	u32 us = READ_ONCE(now.us[what]);
	u64 length;

	if (!happens(what, &length))
		return;
	u64 start = arch_cycles();
	u64 cycles = length % (ns_to_cycles((us ? us : INJECT_US) * NSEC_PER_USEC) + 1);

	while (arch_cycles() - start < cycles)
		cpu_relax();
}

void inject_allow(bool on)
{
	current->bears_faults = on;
}

void inject_pause(enum inject what)
{
	fetch_add(&pauses[what], 1);
}

void inject_resume(enum inject what)
{
	fetch_add(&pauses[what], -1);
}

/* ---- Settings -------------------------------------------------------------------------------- */

void inject_get(struct inject_settings *s)
{
	*s = now;
}

void inject_set(const struct inject_settings *s)
{
	u32 mask = 0;

	for (unsigned int i = 0; i < NR_INJECT; i++)
		if (s->rate[i])
			mask |= (u32)BIT(i);
	now = *s;
	WRITE_ONCE(seeding, seeding + 1);
	WRITE_ONCE(inject_mask, mask);
}

void inject_count(enum inject what, u64 *asked, u64 *hit)
{
	unsigned int cpu;

	*asked = 0;
	*hit = 0;
	for_each_possible_cpu(cpu) {
		*asked += READ_ONCE(per_cpu(inject_cpu, cpu).asked[what]);
		*hit += READ_ONCE(per_cpu(inject_cpu, cpu).hit[what]);
	}
}

static int refuse(const char *word, const char *why)
{
	char names[160];
	int n = 0;

	names[0] = 0;
	for (unsigned int i = 0; i < NR_INJECT && n < (int)sizeof(names); i++)
		n += snprintf(names + n, sizeof(names) - (size_t)n, " %s", faults[i].word);
	print_line("fault: \"%s\": %s; accepted are NAME:RATE, NAME:RATE:MICROSECONDS and seed:N",
		   word, why);
	print_line("fault: names are:%s; all stands for every harmless one", names);
	return -EINVAL;
}

/* Takes the part of *s up to a separator out of it; false if it is longer than WORD_MAX - 1. */
static bool take_part(const char **s, char separator, char part[WORD_MAX])
{
	const char *end = strchr(*s, separator);
	size_t length = end ? (size_t)(end - *s) : strlen(*s);

	strlcpy(part, *s, min(length + 1, (size_t)WORD_MAX));
	*s += length + (end != NULL);
	return length < WORD_MAX;
}

static bool in_range(const char *s, u64 most, u64 *out)
{
	return parse_u64(s, out) == 0 && *out >= 1 && *out <= most;
}

/* Sets the named fault, or with "all" every harmless one. */
static int set_named(struct inject_settings *s, const char *word, const char *name, u64 rate,
		     u64 us)
{
	bool all = strcmp(name, "all") == 0, found = false;

	for (unsigned int i = 0; i < NR_INJECT; i++) {
		if (all ? faults[i].kind == INJECT_HARM : strcmp(name, faults[i].word) != 0)
			continue;
		if (us && !all && faults[i].kind != INJECT_WAIT)
			return refuse(word, "this fault is no delay and takes no MICROSECONDS");
		s->rate[i] = (u32)rate;
		s->us[i] = (u32)us;
		found = true;
	}
	return found ? 0 : refuse(word, "no fault has this name");
}

/* One word of a specification: NAME:RATE[:MICROSECONDS] or seed:N. */
static int parse_word(struct inject_settings *s, const char *word)
{
	char name[WORD_MAX], rate_text[WORD_MAX];
	const char *rest = word;
	u64 rate, us = 0;

	(void)take_part(&rest, ':', name);
	if (strcmp(name, "seed") == 0)
		return parse_u64(rest, &s->seed) == 0 ? 0 : refuse(word, "the seed is no number");
	bool timed = strchr(rest, ':') != NULL;

	(void)take_part(&rest, ':', rate_text);
	if (!in_range(rate_text, 0xffffffffULL, &rate))
		return refuse(word, "the rate is no number of 1 to 4294967295");
	if (timed && !in_range(rest, MAX_US, &us))
		return refuse(word, "the microseconds are no number of 1 to 100000");
	return set_named(s, word, name, rate, us);
}

/* Adds what spec asks for to what there is; nothing changes if any of it is refused. */
static int parse_spec(const char *spec)
{
	struct inject_settings s = now;
	char word[WORD_MAX];
	bool more;
	int err;

	if (!inject_mask)
		s.seed = DEFAULT_SEED;
	do {
		more = strchr(spec, ',') != NULL;
		if (!take_part(&spec, ',', word))
			return refuse(word, "too long");
		err = parse_word(&s, word);
		if (err)
			return err;
	} while (more);
	inject_set(&s);
	return 0;
}

/* ---- The console ----------------------------------------------------------------------------- */

static void print_fault(enum inject what)
{
	char limit[16] = "";
	u64 asked, hit;

	if (faults[what].kind == INJECT_WAIT)
		snprintf(limit, sizeof(limit), "%u us",
			 now.us[what] ? now.us[what] : INJECT_US);
	inject_count(what, &asked, &hit);
	print_line("  %-8s 1 in %-8u %9s %10llu %9llu  %s", faults[what].word, now.rate[what],
		   limit, (unsigned long long)asked, (unsigned long long)hit, faults[what].what);
}

static void print_all(void)
{
	print_line("seed %llu", (unsigned long long)now.seed);
	print_line("  name     rate              up to      asked       hit  what happens");
	for (unsigned int i = 0; i < NR_INJECT; i++) {
		if (now.rate[i])
			print_fault((enum inject)i);
		else
			print_line("  %-8s off%41s  %s", faults[i].word, "", faults[i].what);
	}
}

static int cmd_fault(int argc, char **argv)
{
	if (argc > 2)
		return -EINVAL;
	if (argc == 1)
		print_all();
	else if (strcmp(argv[1], "off") == 0)
		inject_set(&(struct inject_settings){ .seed = DEFAULT_SEED });
	else
		return parse_spec(argv[1]);
	return 0;
}

static int parse_fault(const char *value)
{
	int err = parse_spec(value);

	if (!err)
		printk("fault: %s (seed %llu)", value, (unsigned long long)now.seed);
	return err;
}

#else

static int parse_fault(const char *value)
{
	return -EPERM;
}

static int cmd_fault(int argc, char **argv)
{
	print_line("fault: this is a release build: it has no faults");
	return -EPERM;
}

#endif

CMDLINE_OPTION(fault, "fault",
	       "fault=NAME:RATE[:MICROSECONDS],...,seed:N  makes faults common (see: fault)",
	       parse_fault);
COMMAND(fault, "fault",
	"fault [NAME:RATE[:MICROSECONDS],...,seed:N | off]  faults made common: shows, adds, ends",
	cmd_fault);
