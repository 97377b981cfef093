// SPDX-License-Identifier: MIT
/*
 * The command line of the fourth port: one scenario on one model of a machine, searched.
 *
 * Prints what was done in lines "name value", for scripts/explore.py, which makes the rest of it; a
 * finding is followed by its steps, one line each: CPU, kind, argument, access, code address.
 * Exit status: 0 nothing found and exhausted, 1 found, 2 an error, 3 nothing found and not
 * exhausted.
 */
#define _GNU_SOURCE
#include "explore.h"

#include <inject.h>
#include <oracle.h>
#include <rules.h>
#include <tlb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define X(name) extern const struct scenario scenario_##name;
#include "scenarios.h"
#undef X
static const struct scenario *const scenarios[] = {
#define X(name) &scenario_##name,
#include "scenarios.h"
#undef X
};
const struct scenario *scenario;

#define CHANCE_DEFAULT 100 /* runs by chance before each search: they know no bound */

/*
 * Data races make two to four times as many states: with as many preemptions as the rest where the
 * search with one less had no more states than this.
 */
#define RACES_STATES 20000
#define RACES_ALWAYS 2

#define OF_SCENARIO ~0u /* as it states; who judges: all, but with a rule knocked out */

static struct {
	const char *scenario, *machine, *knockout, *replay, *save;
	struct limits limits;
	unsigned int delayed; /* preemptions beside delays, at most */
	u64 random, seed, chance;
	unsigned int oracles, races;
} args = { .machine = "x86_64/ipi",
	   .delayed = OF_SCENARIO,
	   .limits = { .bound = OF_SCENARIO,
		       .delays = OF_SCENARIO,
		       .states = 1UL << 25,
		       .seconds = 60 },
	   .seed = 1,
	   .chance = OF_SCENARIO,
	   .oracles = OF_SCENARIO,
	   .races = OF_SCENARIO };

static int raced = -1; /* preemptions within which races were judged */

/* ---- Faults of the kernel under test ----------------------------------------------------- */

static void landing(void)
{
	finding("fault", "the kernel touched an address that is not there");
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	u64 sp = (u64)c->uc_mcontext.gregs[REG_RSP];

	if (sp - SIM_STACKS >= SIM_NR_STACKS * (u64)STACK_SIZE) {
		fprintf(stderr, "sim: the explorer itself faulted at %p, code %#llx\n",
			info->si_addr, (unsigned long long)c->uc_mcontext.gregs[REG_RIP]);
		abort();
	}
	c->uc_mcontext.gregs[REG_RSP] = (long long)(((sp - 512) & ~15UL) - 8);
	c->uc_mcontext.gregs[REG_RIP] = (long long)(u64)landing;
}

static void catch_faults(void)
{
	static char stack[65536];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction a = { .sa_sigaction = on_fault,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	sigaltstack(&alt, NULL);
	sigaction(SIGSEGV, &a, NULL);
	sigaction(SIGBUS, &a, NULL);
	sigaction(SIGILL, &a, NULL);
}

/* ---- Output ------------------------------------------------------------------------------ */

/* Runs the steps again from the beginning and prints them. */
static void replay(void)
{
	bool fine = true;

	frozen = true;
	show_begin();
	M.delays = (u8)path.delays;
	for (unsigned int i = 0; i < path.n && fine; i++) {
		replay_step(i, &path.steps[i]);
		fine = take(&path.steps[i]);
		show_touched(&path.steps[i]);
	}
	if (fine)
		fine = over();
	printf("finding %s\nmessage %s\n", fine ? "none" : finding_rule, fine ? "" : finding_text);
}

static void print_result(const struct result *r)
{
	printf("executions %llu\ncut %llu\nstates %llu\nsteps %llu\nrestarts %llu\nseconds %.3f\n",
	       (unsigned long long)r->executions, (unsigned long long)r->cut,
	       (unsigned long long)r->states, (unsigned long long)r->steps,
	       (unsigned long long)r->restarts, r->seconds);
	printf("pruned %llu\nends %llu %#llx\n", (unsigned long long)r->pruned,
	       (unsigned long long)r->ends, (unsigned long long)r->ends_sum);
	if (args.random)
		printf("chance %.3g\n", r->chance);
	printf("exhausted %d\nbounded %d\n", r->exhausted, r->bounded);
	printf("oracles %d\nraces %d\n", oracles_on, raced);
	printf("executions_per_second %.0f\nstep_ns %.0f\n",
	       r->seconds > 0 ? (double)r->executions / r->seconds : 0,
	       r->steps ? r->seconds * 1e9 / (double)r->steps : 0);
}

/* ---- Running ----------------------------------------------------------------------------- */

static int knock_out(const char *name)
{
	int r = rule_find(name);

	if (r < 0) {
		fprintf(stderr, "sim: no rule is called %s\n", name);
		return 2;
	}
	return rule_switch((enum rule)r, false);
}

static int boot(void)
{
	arena_init();
	live_init();
	frame_init();
	race_init();
	catch_faults();
	oracles_start(args.oracles);
	sim_boot(scenario->cpus, NULL);
	if (args.knockout && knock_out(args.knockout) != 0)
		return 2;
	if (args.knockout && rule_find(args.knockout) == RULE_GATHER_FREE_MASKABLE)
		table_free_mode = TABLE_FREE_GATHER;
	inject_mask = scenario->inject;
	M.ticks = (u8)scenario->ticks;
	M.fails = (u8)scenario->fails;
	quiet = false;
	state_rebase();
	return 0;
}

/* What the lock checker knew: orders that were seen in other executions. */
static void write_order(u64 from, u64 to, void *f)
{
	fprintf(f, "order %#llx %#llx\n", (unsigned long long)from, (unsigned long long)to);
}

static void write_orders(FILE *f)
{
	locks_each_order(write_order, f);
}

/* A path is its steps, and the words whose accesses are points: both depend on the program. */
static int write_steps(const char *name)
{
	FILE *f = fopen(name, "w");
	u64 addr = 0;

	if (!f) {
		perror(name);
		return 2;
	}
	fprintf(f, "of %s %s %u %s\n", scenario->name, args.machine, oracles_on,
		args.knockout ? args.knockout : "");
	while ((addr = next_conflict(addr)))
		fprintf(f, "word %#llx %u 0\n", (unsigned long long)addr, order_loads_of(addr));
	fprintf(f, "delays %u %u 0\n", path.delays, races_on);
	if (oracles_on)
		write_orders(f);
	for (unsigned int i = 0; i < path.n; i++)
		fprintf(f, "%u %u %u %u\n", path.steps[i].cpu, path.steps[i].kind,
			path.steps[i].arg, path.steps[i].cost);
	return fclose(f) ? 2 : 0;
}

static int read_steps(const char *name)
{
	FILE *f = fopen(name, "r");
	unsigned int cpu, kind, arg, cost;
	unsigned long long addr, to;
	char line[128];

	if (!f) {
		perror(name);
		return 2;
	}
	frozen = races_everywhere = true;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "word %llx %u", &addr, &cpu) == 2) {
			set_conflict(addr);
			order_set_loads_of(addr, cpu);
		} else if (sscanf(line, "delays %u %u", &path.delays, &cpu) == 2) {
			races_on = cpu;
		} else if (sscanf(line, "order %llx %llx", &addr, &to) == 2) {
			locks_order(addr, to);
		} else if (path.n < PATH_MAX_STEPS &&
			   sscanf(line, "%u %u %u %u", &cpu, &kind, &arg, &cost) == 4) {
			path.steps[path.n++] =
			    (struct step){ (u8)cpu, (u8)kind, (u8)arg, (u8)cost };
		}
	}
	fclose(f);
	return 0;
}

/* Runs by chance teach which words are shared, so that the search has to begin again less often. */
static void warm_up(const struct limits *l)
{
	struct limits chance = { .delays = l->delays };

	for (u64 i = 0; i < 20; i++) {
		struct result unused = { 0 };

		search_random(&chance, 10, args.seed + i, &unused);
	}
}

/* Without a bound on preemptions, loads and stores in order. */
static void search_by_chance(struct result *r)
{
	const struct limits in_order = { .bound = 0 };

	races_on = args.races;
	search_random(&in_order, args.chance, args.seed, r);
}

/* Whether the next search judges races: loads and stores are in order (race.c), and states few. */
static bool judge_races(const struct limits *l, const struct result *r)
{
	bool judge = !l->delays && (args.races == RACES_ALWAYS ||
				    (args.races && r->states <= RACES_STATES));

	raced = judge ? (int)l->bound : raced;
	return judge;
}

/* Bound by bound, so that a finding has the fewest delays, then the fewest preemptions. */
static void search_all(struct limits l, struct result *r)
{
	unsigned int most = args.limits.bound == BOUND_NONE ? 1 : args.limits.bound;

	for (l.delays = 0; l.delays <= args.limits.delays && !r->found; l.delays++) {
		path.delays = l.delays;
		if (l.delays)
			most = min(most, args.delayed);
		for (l.bound = 0; l.bound <= most && !r->found; l.bound++) {
			r->bounded = false;
			races_on = judge_races(&l, r);
			search(&l, r);
		}
		if (args.limits.bound == BOUND_NONE && !r->found) {
			l.bound = BOUND_NONE;
			r->bounded = false;
			races_on = judge_races(&l, r);
			search(&l, r);
			l.bound++;
		}
	}
	if (l.bound == BOUND_NONE + 1)
		printf("bound none\n");
	else
		printf("bound %u\n", r->found ? l.bound - 1 : args.limits.bound);
	printf("delays %u\n", path.delays);
	if (!r->found && path.delays && most < args.limits.bound)
		printf("delayed %u\n", most);
}

static int run(void)
{
	struct result r = { 0 };
	struct limits l = args.limits;

	if (args.random) {
		path.delays = l.delays;
		search_random(&l, args.random, args.seed, &r);
	} else {
		/* One CPU shares nothing. */
		if (scenario->cpus > 1) {
			warm_up(&l);
			search_by_chance(&r);
		}
		if (r.found)
			printf("bound 0\ndelays 0\n");
		else
			search_all(l, &r);
	}
	print_result(&r);
	if (r.found) {
		unsigned int found_with = path.n;

		shrink();
		printf("shrunk %u %u\n", found_with, path.n);
	}
	if (r.found && args.save && write_steps(args.save) != 0)
		return 2;
	if (r.found)
		replay();
	return r.found ? 1 : r.exhausted ? 0 : 3;
}

/* Preemptions within which a scenario is exhausted. */
static unsigned int stated_bound(const struct scenario *s)
{
	return s->bound ? s->bound : BOUND_USUAL;
}

static int list(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(scenarios); i++)
		printf("scenario %s %u %u %s %s\n", scenarios[i]->name, scenarios[i]->cpus,
		       stated_bound(scenarios[i]),
		       scenarios[i]->untagged ? "untagged" : "all", scenarios[i]->what);
	for (const struct model *m = models; m->name; m++)
		printf("machine %s\n", m->name);
	for (unsigned int i = 0; i < NR_RULES; i++)
		printf("rule %s %s %s\n", rule_table[i].id, rule_table[i].name,
		       rule_table[i].where);
	return 0;
}

/* "none": preemptions are not counted. */
static unsigned int bound_of(const char *text)
{
	u64 number = strtoull(text, NULL, 0);

	if (strcmp(text, "none") == 0)
		return BOUND_NONE;
	return (unsigned int)min(number, (u64)BOUND_MAX);
}

static bool parse(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *value = argv[i + 1];
		u64 number = strtoull(value, NULL, 0);

		if (strcmp(name, "--scenario") == 0)
			args.scenario = value;
		else if (strcmp(name, "--machine") == 0)
			args.machine = value;
		else if (strcmp(name, "--knockout") == 0)
			args.knockout = value;
		else if (strcmp(name, "--replay") == 0)
			args.replay = value;
		else if (strcmp(name, "--save") == 0)
			args.save = value;
		else if (strcmp(name, "--bound") == 0)
			args.limits.bound = bound_of(value);
		else if (strcmp(name, "--delayed") == 0)
			args.delayed = bound_of(value);
		else if (strcmp(name, "--delays") == 0)
			args.limits.delays = (unsigned int)number;
		else if (strcmp(name, "--states") == 0)
			args.limits.states = number;
		else if (strcmp(name, "--seconds") == 0)
			args.limits.seconds = number;
		else if (strcmp(name, "--oracles") == 0)
			args.oracles = number != 0;
		else if (strcmp(name, "--reduce") == 0)
			reduce_on = number;
		else if (strcmp(name, "--random") == 0)
			args.random = number;
		else if (strcmp(name, "--races") == 0)
			args.races = (unsigned int)number;
		else if (strcmp(name, "--chance") == 0)
			args.chance = number;
		else if (strcmp(name, "--seed") == 0)
			args.seed = number;
		else
			return false;
	}
	return argc % 2 == 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	if (!parse(argc, argv) || !args.scenario || !(model = model_find(args.machine))) {
		fprintf(stderr,
			"usage: sim --list | --scenario NAME [--machine ARCH/TRANSPORT] "
			"[--knockout RULE] [--bound N] [--delays N] [--delayed N] [--random RUNS] "
			"[--seed N] [--chance RUNS] [--seconds N] [--states N] [--oracles 0|1] "
			"[--races 0|1|2] [--reduce 0|1] "
			"[--save FILE] [--replay FILE]\n");
		return 2;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (strcmp(scenarios[i]->name, args.scenario) == 0)
			scenario = scenarios[i];
	if (!scenario) {
		fprintf(stderr, "sim: no scenario is called %s\n", args.scenario);
		return 2;
	}
	if (args.limits.delays == OF_SCENARIO)
		args.limits.delays = scenario->delays;
	/* What is knocked out is to be found by what it harms. */
	if (args.oracles == OF_SCENARIO)
		args.oracles = !args.knockout || scenario->oracles;
	if (args.races == OF_SCENARIO)
		args.races = !args.knockout;
	if (args.chance == OF_SCENARIO)
		args.chance = args.knockout ? 0 : CHANCE_DEFAULT;
	/* A bound that is asked for holds whatever waits, unless that has one too. */
	if (args.limits.bound == OF_SCENARIO && args.delayed == OF_SCENARIO && scenario->delayed)
		args.delayed = scenario->delayed;
	if (args.limits.bound == OF_SCENARIO)
		args.limits.bound = stated_bound(scenario);
	if (boot() != 0)
		return 2;
	if (!args.replay)
		return run();
	if (read_steps(args.replay) != 0)
		return 2;
	replay();
	return found;
}
