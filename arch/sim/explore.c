// SPDX-License-Identifier: MIT
/*
 * The systematic search: every schedule within a bound on preemptions, depth first, each state
 * once.
 *
 * Terms. A preemption is a switch away from a CPU that could have gone on; switches from one that
 * waits are free. A choice is what the model leaves open: which translation, whether a store waits,
 * whether an allocation fails; each has a bound of its own.
 * Why each state once. Two independent steps lead to the same state in either order; whatever
 * follows was explored the first time. So the search is cut where it comes to a state that it has
 * seen with as many preemptions left. That is the reduction: it needs no notion of independence,
 * and it is sound beside the bound.
 * Which accesses are points is learned: a word that one CPU alone touches cannot matter. When a new
 * one turns out to be shared, what was explored counts for nothing, and the search begins again.
 * See also: state.c (undoing, hashing), random.c.
 */
#include "explore.h"

#include <rcu.h>
#include <percpu.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

struct path path;
char finding_text[512], finding_rule[32];
bool found;

bool unbounded;
static bool on_explorer = true;
static sigjmp_buf check_env;

double now_seconds(void)
{
	struct timeval t;

	gettimeofday(&t, NULL);
	return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

/* ---- Findings ---------------------------------------------------------------------------- */

__noreturn void vfinding(const char *rule, const char *fmt, va_list ap)
{
	void *unused;

	if (!found) {
		vsnprintf(finding_text, sizeof(finding_text), fmt, ap);
		snprintf(finding_rule, sizeof(finding_rule), "%s", rule);
	}
	found = true;
	if (quiet && !on_explorer) {
		fprintf(stderr, "sim: at boot: %s: %s\n", finding_rule, finding_text);
		exit(2);
	}
	if (on_explorer)
		siglongjmp(check_env, 1);
	sim_switch(&unused, explorer_sp, NULL);
	abort();
}

__noreturn void finding(const char *rule, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfinding(rule, fmt, ap);
}

/* ---- What may happen next ---------------------------------------------------------------- */

static bool role_on(unsigned int cpu)
{
	for (unsigned int i = 0; i < MAX_ROLES && scenario->roles[i].run; i++)
		if (scenario->roles[i].cpu == cpu)
			return true;
	return false;
}

static bool all_done(void)
{
	extern u64 sim_done;
	unsigned int n = 0;

	while (n < MAX_ROLES && scenario->roles[n].run)
		n++;
	if (sim_done != (1UL << n) - 1)
		return false;
	for (unsigned int i = 0; i < scenario->cpus; i++)
		if (M.cpu[i].state != VCPU_IDLE)
			return false;
	return true;
}

static bool rcu_waits(void)
{
	bool waits = false, was = quiet;

	quiet = true;
	for (unsigned int i = 0; i < scenario->cpus; i++) {
		sim_percpu = percpu_offset[i];
		waits |= rcu_needs_cpu();
	}
	quiet = was;
	return waits;
}

/* Nobody can go on: time passes, and the timers of all CPUs come by turns. */
static unsigned int time_passes(struct step *steps)
{
	unsigned int cpus = scenario->cpus;

	if (all_done() && !rcu_waits())
		return 0;
	for (; M.rounds < 6 * cpus; M.rounds++) {
		if (!vcpu_can_take(&M.cpu[M.rounds % cpus]))
			continue;
		steps[0] = (struct step){ .cpu = (u8)(M.rounds % cpus), .kind = TICK, .arg = 1 };
		return 1;
	}
	return 0;
}

static unsigned int drains(struct step *steps, unsigned int n)
{
	for (unsigned int i = 0; i < scenario->cpus; i++)
		for (unsigned int b = 0; b < M.cpu[i].nr_buffer; b++)
			if (order_can_drain(&M.cpu[i], b) && n < OPTIONS_MAX)
				steps[n++] = (struct step){ (u8)i, DRAIN, (u8)b, 0 };
	return n;
}

static unsigned int choices(struct step *steps)
{
	const struct vcpu *v = &M.cpu[M.last];

	for (unsigned int i = 0; i < v->nr_choices; i++)
		steps[i] = (struct step){ M.last, CHOOSE, (u8)i, 0 };
	return v->nr_choices;
}

static bool can_go_on(const struct vcpu *v)
{
	return vcpu_can_run(v) || (v->ipi && vcpu_can_take(v));
}

/*
 * What it costs to run a CPU next: a preemption if another could have gone on. A handler that
 * interrupts a CPU does not make it the one that runs: who waits for its answer goes on for free.
 * Who begins is free.
 */
static u8 cost_of(unsigned int cpu)
{
	const struct vcpu *home = &M.cpu[M.home], *last = &M.cpu[M.last];

	if (unbounded || !segment_depth() || cpu == M.home || (cpu == M.last && last->in_irq))
		return 0;
	return can_go_on(home) || (last->in_irq && can_go_on(last));
}

static unsigned int options_of(unsigned int cpu, u8 cost, struct step *steps, unsigned int n)
{
	const struct vcpu *v = &M.cpu[cpu];

	if (vcpu_can_run(v))
		steps[n++] = (struct step){ (u8)cpu, RUN, 0, cost };
	if (v->ipi && vcpu_can_take(v))
		steps[n++] = (struct step){ (u8)cpu, IPI, 0, cost };
	if (M.ticks && vcpu_can_take(v) && v->state != VCPU_START && role_on(cpu))
		steps[n++] = (struct step){ (u8)cpu, TICK, 0, cost };
	return n;
}

unsigned int options(struct step *steps, unsigned int bound, bool *beyond)
{
	unsigned int n;

	if (M.cpu[M.last].state == VCPU_CHOICE)
		return choices(steps);
	n = options_of(M.last, cost_of(M.last), steps, 0);
	if (n && steps[0].cost && M.preemptions >= bound) {
		*beyond = true;
		n = 0;
	}
	for (unsigned int i = 0; i < scenario->cpus; i++) {
		u8 cost = cost_of(i);

		if (i == M.last)
			continue;
		if (cost && M.preemptions >= bound)
			*beyond = true;
		else
			n = options_of(i, cost, steps, n);
	}
	n = drains(steps, n);
	return n ? n : time_passes(steps);
}

bool take(const struct step *s)
{
	segment_begin();
	M.preemptions += s->cost;
	if (s->kind == TICK && s->arg)
		M.rounds++;
	else if (s->kind == TICK)
		M.ticks--;
	if (s->kind != DRAIN)
		M.last = s->cpu;
	if (s->kind == RUN && !M.cpu[s->cpu].in_irq)
		M.home = s->cpu;
	found = false;
	on_explorer = s->kind == DRAIN;
	extern unsigned int sim_cpu_now;

	sim_cpu_now = s->cpu;
	if (s->kind == DRAIN) {
		if (sigsetjmp(check_env, 0) == 0)
			order_drain(&M.cpu[s->cpu], s->arg);
	} else {
		vcpu_run(s->cpu, s);
	}
	on_explorer = true;
	segment_end();
	return !found;
}

static const char *state_text(const struct vcpu *v)
{
	static const char *const names[] = { "off",	    "can run",	    "spins",  "idle",
					     "not started", "in user code", "chooses" };

	return names[v->state];
}

static const char *where(void)
{
	static char text[160];
	int n = 0;

	for (unsigned int i = 0; i < scenario->cpus; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%sCPU %u %s%s", n ? ", " : "", i,
			      state_text(&M.cpu[i]), M.cpu[i].irqs_on ? "" : " (irqs off)");
	return text;
}

bool over(void)
{
	found = false;
	if (sigsetjmp(check_env, 0) != 0) {
		quiet = false;
		return false;
	}
	if (!all_done())
		finding("deadlock", "nobody can go on: %s", where());
	if (rcu_waits())
		finding("grace period", "callbacks wait for a grace period that never ends: %s",
			where());
	quiet = true;
	if (scenario->check)
		scenario->check();
	quiet = false;
	return true;
}

/* ---- States that were seen --------------------------------------------------------------- */

#define SEEN_MIN (1UL << 12)
#define SEEN_MAX (1UL << 27)
static struct seen {
	u64 key;
} * seen;
static u64 seen_size, nr_seen;

static struct seen *seen_table(u64 size)
{
	return mmap(NULL, size * sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Small at first: a table that fits the caches is several times as fast. */
static void seen_clear(void)
{
	if (seen && seen_size <= SEEN_MIN * 16) {
		memset(seen, 0, seen_size * sizeof(*seen));
	} else {
		if (seen)
			munmap(seen, seen_size * sizeof(*seen));
		seen_size = SEEN_MIN;
		seen = seen_table(seen_size);
	}
	nr_seen = 0;
}

/* Low 4 bits of a key: preemptions left, plus one. */
static u64 *seen_slot(struct seen *table, u64 size, u64 key)
{
	u64 i = (key >> 4) * 0x9e3779b97f4a7c15ULL >> 20 & (size - 1);

	while (table[i].key && (table[i].key ^ key) >> 4)
		i = (i + 1) & (size - 1);
	return &table[i].key;
}

static void seen_grow(void)
{
	u64 size = seen_size * 4;
	struct seen *bigger = seen_table(size);

	for (u64 i = 0; i < seen_size; i++)
		if (seen[i].key)
			*seen_slot(bigger, size, seen[i].key) = seen[i].key;
	munmap(seen, seen_size * sizeof(*seen));
	seen = bigger;
	seen_size = size;
}

/* True if this state was seen with as many preemptions left. */
static bool seen_before(unsigned int left)
{
	u64 key = (state_hash() | 16) & ~15UL;
	u64 *slot = seen_slot(seen, seen_size, key);

	if (left > 14)
		left = 14;
	if (*slot && (*slot & 15) > left)
		return true;
	if (!*slot && ++nr_seen > seen_size / 2 && seen_size < SEEN_MAX) {
		seen_grow();
		slot = seen_slot(seen, seen_size, key);
	}
	*slot = key | (left + 1);
	return false;
}

/* ---- Depth first ------------------------------------------------------------------------- */

struct node {
	struct step steps[OPTIONS_MAX];
	u8 n, next;
};
static struct node nodes[PATH_MAX_STEPS];
static unsigned int depth;

static void keep_path(void)
{
	path.n = depth;
	for (unsigned int i = 0; i < depth; i++)
		path.steps[i] = nodes[i].steps[nodes[i].next - 1];
}

/* Goes one step on from the deepest node. False: a finding. */
static bool advance(const struct limits *l, struct result *r)
{
	struct node *n = &nodes[depth - 1], *child = &nodes[depth];
	const struct step *s = &n->steps[n->next++];

	r->steps++;
	if (!take(s))
		return false;
	if (seen_before(unbounded ? 0 : l->bound - M.preemptions)) {
		r->cut++;
		r->executions++;
		segment_undo();
		return true;
	}
	r->states++;
	child->n = (u8)options(child->steps, l->bound, &r->bounded);
	child->next = 0;
	if (child->n) {
		if (++depth == PATH_MAX_STEPS) {
			fprintf(stderr, "sim: an execution of more than %u steps\n", depth);
			exit(2);
		}
		return true;
	}
	r->executions++;
	if (!over())
		return false;
	segment_undo();
	return true;
}

static void back_to_start(void)
{
	while (segment_depth())
		segment_undo();
}

/* All of it once; learned may be true after that. */
static void pass(const struct limits *l, struct result *r, double end)
{
	u64 since = r->executions;

	seen_clear();
	learned = false;
	depth = 1;
	nodes[0].n = (u8)options(nodes[0].steps, l->bound, &r->bounded);
	nodes[0].next = 0;
	while (depth) {
		if (nodes[depth - 1].next == nodes[depth - 1].n) {
			if (--depth)
				segment_undo();
			continue;
		}
		if (!advance(l, r)) {
			/* With what was learned since, its steps would be others: again. */
			r->found = !learned;
			keep_path();
			break;
		}
		if (learned && r->executions - since > 20000)
			break;
		if ((r->steps & 0xfff) == 0 && (nr_seen > l->states || now_seconds() > end))
			break;
	}
	r->exhausted = !depth && !learned;
	back_to_start();
}

void search(const struct limits *l, struct result *r)
{
	double start = now_seconds(), end = start + (double)l->seconds;

	M.delays = (u8)l->delays;
	unbounded = l->bound == BOUND_NONE;
	for (;;) {
		r->states = 0;
		pass(l, r, end);
		if (r->found || r->exhausted || !learned || now_seconds() > end)
			break;
		r->restarts++;
	}
	unbounded = false;
	r->seconds += now_seconds() - start;
}
