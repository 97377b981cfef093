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
 * seen with as many preemptions left. Beside that, a switch is not tried where it is known by then
 * that it would lead to nothing else: reduce.c. Both are sound beside the bound, and lose no report
 * of an oracle's and no data race, since what those know is part of the state: books.c, race.c.
 * Which accesses are points is learned: a word that one CPU alone touches cannot matter. When a new
 * one turns out to be shared, what was explored counts for nothing, and the search begins again.
 * See also: state.c (undoing, hashing), reduce.c, random.c.
 */
#include "explore.h"

#include <rcu.h>
#include <percpu.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

struct path path;
char finding_text[512], finding_rule[32];
bool found;

bool unbounded;
static bool on_explorer = true;
static sigjmp_buf check_env;

double now_seconds(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
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
	asking = false;
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
		if (M.cpu[i].state != VCPU_IDLE && M.cpu[i].state != VCPU_OFF)
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

static unsigned int drains(unsigned int cpu, struct step *steps, unsigned int n)
{
	for (unsigned int b = 0; b < M.cpu[cpu].nr_buffer; b++)
		if (order_can_drain(&M.cpu[cpu], b) && n < OPTIONS_MAX)
			steps[n++] = (struct step){ (u8)cpu, DRAIN, (u8)b, 0 };
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

/* Who goes on for free, if anybody: its steps come first. */
static unsigned int first_cpu(void)
{
	return cost_of(M.last) && vcpu_can_run(&M.cpu[M.home]) ? M.home : M.last;
}

/* Whether to run another one than this costs a preemption. */
static bool others_pay(unsigned int cpu)
{
	const struct vcpu *v = &M.cpu[cpu];

	return can_go_on(v) && (cpu == M.home || (cpu == M.last && v->in_irq));
}

/* The steps of a CPU stand together: reduce.c. */
unsigned int options(struct step *steps, unsigned int bound, bool *beyond)
{
	unsigned int n = 0, first = first_cpu();

	if (M.cpu[M.last].state == VCPU_CHOICE)
		return choices(steps);
	for (unsigned int i = 0; i < scenario->cpus; i++) {
		unsigned int cpu = i == 0 ? first : i <= first ? i - 1 : i;
		u8 cost = cost_of(cpu);

		if (cost && M.preemptions >= bound)
			*beyond |= cpu != M.last || options_of(cpu, cost, steps, n) > n;
		else
			n = options_of(cpu, cost, steps, n);
		n = drains(cpu, steps, n);
	}
	return n ? n : time_passes(steps);
}

/* Of a CPU's step, that it may take an interrupt instead; and who looks at it while it stands. */
static void touch_standing(const struct vcpu *v)
{
	unsigned int cpu = (unsigned int)(v - M.cpu);

	if (v->irqs_on || v->state == VCPU_IDLE) {
		touch_thing(THING_IPI, cpu, false);
		if (M.ticks)
			touch_thing(THING_TICKS, 0, false);
	}
	if (v->state == VCPU_USER)
		touch_thing(THING_MMU, cpu, true);
	for (unsigned int i = 0; i < v->nr_watch && !vcpu_at_point(v); i++)
		touch(v->watch[i].addr, 8, false);
}

static void touch_interrupt(const struct step *s)
{
	if (s->kind == IPI)
		touch_thing(THING_IPI, s->cpu, true);
	if (s->kind != TICK)
		return;
	touch_thing(THING_TICKS, 0, true);
	touch_thing(THING_TIME, 0, true);
}

bool take(const struct step *s)
{
	segment_begin();
	memset(&touched, 0, sizeof(touched));
	touch_standing(&M.cpu[s->cpu]);
	touch_interrupt(s);
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
	touch_standing(&M.cpu[s->cpu]);
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

/* ---- The last states of executions -------------------------------------------------------- */

#define ENDS_MAX (1UL << 20)
static u64 *ends;

/* Counts those that differ, however they were come to: with and without reduction they agree. */
static void note_end(struct result *r)
{
	u64 h = state_hash_of_end() | 1, i;

	if (!ends)
		ends = calloc(ENDS_MAX, sizeof(*ends));
	for (i = h >> 20 & (ENDS_MAX - 1); ends[i] && ends[i] != h; i = (i + 1) & (ENDS_MAX - 1))
		;
	if (ends[i] || r->ends == ENDS_MAX / 2)
		return;
	ends[i] = h;
	r->ends++;
	r->ends_sum += h;
}

/* ---- States that were seen --------------------------------------------------------------- */

#define SEEN_MIN (1UL << 12)
#define SEEN_MAX (1UL << 27)
static struct seen {
	u64 key;
	u64 after; /* what follows: reduce.c */
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
	after_clear();
}

/* Low 4 bits of a key: preemptions left, plus one. */
static struct seen *seen_slot(struct seen *table, u64 size, u64 key)
{
	u64 i = (key >> 4) * 0x9e3779b97f4a7c15ULL >> 20 & (size - 1);

	while (table[i].key && (table[i].key ^ key) >> 4)
		i = (i + 1) & (size - 1);
	return &table[i];
}

static void seen_grow(void)
{
	u64 size = seen_size * 4;
	struct seen *bigger = seen_table(size);

	for (u64 i = 0; i < seen_size; i++)
		if (seen[i].key)
			*seen_slot(bigger, size, seen[i].key) = seen[i];
	munmap(seen, seen_size * sizeof(*seen));
	seen = bigger;
	seen_size = size;
}

/* What follows, if this state was seen with as many preemptions left; else notes it, and NULL. */
static const struct after *seen_before(unsigned int left, u64 *key)
{
	*key = (state_hash() | 16) & ~15UL;
	struct seen *slot = seen_slot(seen, seen_size, *key);

	if (left > 14)
		left = 14;
	if (slot->key && (slot->key & 15) > left)
		return after_of(slot->after == AFTER_OPEN ? AFTER_ALL : (u32)slot->after);
	if (!slot->key && ++nr_seen > seen_size / 2 && seen_size < SEEN_MAX) {
		seen_grow();
		slot = seen_slot(seen, seen_size, *key);
	}
	*slot = (struct seen){ *key | (left + 1), AFTER_OPEN };
	return NULL;
}

/* ---- Depth first ------------------------------------------------------------------------- */

struct node {
	struct step steps[OPTIONS_MAX];
	u8 n, next;
	bool free;	    /* its first CPU goes on for nothing, any other does not */
	u64 key;	    /* of the state */
	struct touch came;  /* by the step that led here */
	struct touch group; /* by all steps of the CPU that is being tried */
	struct after after;
};
static struct node nodes[PATH_MAX_STEPS];
static unsigned int depth;

/* Begins a node: what may happen in the state that is. */
static void node_begin(struct node *n, unsigned int bound, struct result *r)
{
	n->n = (u8)options(n->steps, bound, &r->bounded);
	n->next = 0;
	n->free = segment_depth() && n->n && others_pay(n->steps[0].cpu);
	n->came = touched;
	memset(&n->group, 0, sizeof(n->group));
	memset(&n->after, 0, sizeof(n->after));
}

/* A step was taken, and all that follows from it is known. */
static void followed(struct node *n, const struct touch *step, const struct after *after)
{
	after_join(&n->after, after);
	touch_join(&n->after.cpu[n->steps[n->next - 1].cpu], step);
	touch_join(&n->group, step);
}

/* Nobody else could do what conflicts with a CPU's steps, or would be kept from a step by one. */
static bool nobody_minds(const struct node *n, unsigned int cpu)
{
	if (after_conflict(&n->after, cpu, &n->group) || touch_spends(&n->group))
		return false;
	for (unsigned int i = 0; i < scenario->cpus; i++) {
		const struct vcpu *v = &M.cpu[i];

		/* What a step could stop that waits for a change to be undone again. */
		for (unsigned int w = 0; i != cpu && !vcpu_at_point(v) && w < v->nr_watch; w++)
			if (touch_writes(&n->group, v->watch[w].addr))
				return false;
	}
	return true;
}

/*
 * Whether all steps of a CPU were tried, and the others need not be: reduce.c. The CPU that waits
 * for a change of memory does not count: others could make another step of its own possible.
 */
static bool enough(struct node *n)
{
	const struct step *last = &n->steps[n->next - 1];
	const struct vcpu *v = &M.cpu[last->cpu];

	if (!n->next || n->next == n->n || last->cpu == n->steps[n->next].cpu)
		return false;
	bool all = reduce_on && (vcpu_can_run(v) || v->state == VCPU_IDLE) &&
		   (unbounded || (n->free && last->cpu == n->steps[0].cpu)) &&
		   nobody_minds(n, last->cpu);

	memset(&n->group, 0, sizeof(n->group));
	return all;
}

static void keep_path(void)
{
	path.n = depth - !nodes[depth - 1].next; /* the last one of an execution has no step */
	for (unsigned int i = 0; i < path.n; i++)
		path.steps[i] = nodes[i].steps[nodes[i].next - 1];
}

/* The deepest node is done: what follows from its state goes to the one above. */
static void node_end(void)
{
	struct node *n = &nodes[--depth];

	if (!depth)
		return;
	seen_slot(seen, seen_size, n->key)->after = after_number(&n->after);
	/* What the model chooses belongs to the step that asks. */
	if (n->n && n->steps[0].kind == CHOOSE)
		touch_join(&n[-1].group, &n->group);
	followed(n - 1, &n->came, &n->after);
	segment_undo();
}

/* Goes one step on from the deepest node. False: a finding. */
static bool advance(const struct limits *l, struct result *r)
{
	struct node *n = &nodes[depth - 1], *child = &nodes[depth];
	const struct after *after;

	r->steps++;
	if (!take(&n->steps[n->next++]))
		return false;
	after = seen_before(unbounded ? 0 : l->bound - M.preemptions, &child->key);
	if (after) {
		r->cut++;
		r->executions++;
		if (M.cpu[M.last].state == VCPU_CHOICE)
			touch_join(&n->group, &after->cpu[M.last]);
		followed(n, &touched, after);
		segment_undo();
		return true;
	}
	r->states++;
	node_begin(child, l->bound, r);
	if (++depth == PATH_MAX_STEPS) {
		fprintf(stderr, "sim: an execution of more than %u steps\n", depth);
		exit(2);
	}
	if (child->n)
		return true;
	r->executions++;
	note_end(r);
	return over();
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
	if (ends)
		memset(ends, 0, ENDS_MAX * sizeof(*ends));
	depth = 1;
	node_begin(&nodes[0], l->bound, r);
	while (depth) {
		struct node *n = &nodes[depth - 1];

		if (enough(n)) {
			r->pruned += n->n - n->next;
			n->next = n->n;
		}
		if (n->next == n->n) {
			node_end();
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
		r->states = r->pruned = r->ends = r->ends_sum = 0;
		pass(l, r, end);
		if (r->found || r->exhausted || !learned || now_seconds() > end)
			break;
		r->restarts++;
	}
	unbounded = false;
	r->seconds += now_seconds() - start;
}
