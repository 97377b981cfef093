/* SPDX-License-Identifier: MIT */
/*
 * What the files of the fourth port say to each other.
 *
 * Terms. A virtual CPU is a coroutine: it runs on the stack of the kernel thread that is current
 * there. A point is where it stops and the explorer decides what happens next; what lies between
 * two points is a segment. The arena is all memory of the kernel (layout.h); the machine is what
 * the kernel cannot see: registers, TLBs, store buffers, pending interrupts.
 */
#ifndef SIM_H
#define SIM_H

#include <layout.h>
#include <stdarg.h>
#include <types.h>

struct thread;
struct page;
struct arch_flush;

/* ---- The machine ------------------------------------------------------------------------- */

enum vcpu_state {
	VCPU_OFF,    /* not started */
	VCPU_POINT,  /* before an access that others may see; can always go on */
	VCPU_RELAX,  /* spins until something that it read changes, or an interrupt */
	VCPU_IDLE,   /* waits for an interrupt */
	VCPU_START,  /* a role at the start line, until the search begins */
	VCPU_USER,   /* user code runs: until the word it watches changes, or an interrupt */
	VCPU_CHOICE, /* the model asks which of nr_choices happens */
};

#define MAX_WATCH 8
#define MAX_HELD 24
#define MAX_BUFFER 8

struct watch {
	u64 addr, value;
};

/* A store that only its own CPU sees: order.c. */
struct buffered {
	u64 addr, other;
	u8 size, epoch;
};

struct vcpu {
	void *sp;
	struct thread *thread;
	u64 root;     /* 0: the empty one */
	u64 timer;    /* when the next tick is due */
	u32 pc, addr; /* of the access at which it stands: for the trace, no part of the state */
	u8 state, slot, tag;
	bool irqs_on, ipi, relaxed, in_irq;
	u8 op, size; /* enum op; bytes of the access */
	u8 nr_choices, nr_watch, nr_held, nr_buffer, epoch;
	struct watch watch[MAX_WATCH];
	u64 held[MAX_HELD]; /* what its TLB and walk cache may hold, sorted: mmu.c */
	struct buffered buffer[MAX_BUFFER];
};

struct machine {
	u8 last;		 /* the CPU that ran last */
	u8 home;		 /* whose thread did: interrupts elsewhere are no switch */
	u8 preemptions;		 /* spent */
	u8 ticks, delays, fails; /* left */
	u8 rounds;		 /* of ticks after the end */
	u64 now;
	struct vcpu cpu[MAX_CPUS];
};
extern struct machine M;

/* The access of a point, for the trace. */
enum op { OP_NONE, OP_READ, OP_WRITE, OP_RMW, OP_FENCE, OP_CALL, OP_IRQ };

/* What the explorer may do next. */
enum kind { RUN, IPI, TICK, DRAIN, CHOOSE };
struct step {
	u8 cpu, kind, arg, cost;
};

/* The models, by MACHINE=. */
struct model {
	const char *name, *arch_name, *unmaskable_name;
	bool unmaskable, in_order; /* stores of a CPU leave in order */
	bool leaf_spares, range_spares, broadcast, nmi;
	bool cpu_marks; /* the MMU sets accessed and dirty; else their absence is a fault */
	unsigned int tag_bits;
};
extern const struct model models[];
extern const struct model *model;
const struct model *model_find(const char *name);
void model_fill_arch(bool untagged);

/* ---- cpu.c: virtual CPUs ----------------------------------------------------------------- */

extern void *explorer_sp;
void *sim_switch(void **save, void *load, void *arg); /* switch.S */
extern bool quiet;				      /* boot and checks: no points */
extern u64 budget_us; /* callbacks that a segment may still make before it counts as hung */

static inline unsigned int sim_cpu(void)
{
	extern unsigned int sim_cpu_now;

	return sim_cpu_now;
}
/* Stops the running CPU before an access, until the explorer runs it. */
void point(enum op op, const volatile void *addr, void *pc);
/* Asks the explorer; 0 while the answer cannot be another. */
unsigned int choose(unsigned int n, void *pc);
/* Runs cpu for one segment. Explorer's stack. */
void vcpu_run(unsigned int cpu, const struct step *how);
/* Whether a CPU could run if it were asked to. */
bool vcpu_can_run(const struct vcpu *v);
bool vcpu_can_take(const struct vcpu *v);
static inline bool vcpu_at_point(const struct vcpu *v)
{
	return v->state == VCPU_POINT || v->state == VCPU_CHOICE;
}
/* Where the stack of a slot is live from; NULL: no thread has it. */
void *stack_pointer(unsigned int slot);
/* Whose stack it is. */
const struct thread *thread_of_stack(unsigned int slot);
void sim_boot(unsigned int cpus, void (*setup)(void));

/* A finding ends the execution: the explorer goes on on its own stack. */
__noreturn void finding(const char *rule, const char *fmt, ...) __printf(2, 3);
__noreturn void vfinding(const char *rule, const char *fmt, va_list ap);
extern char finding_text[512], finding_rule[32];
extern bool found;

/* ---- state.c: the arena, and undoing ----------------------------------------------------- */

void arena_init(void);
/* Keeps the words that [addr, addr + size) touches, before they are written. */
void note_write(u64 addr, u64 size);
void note_read(u64 addr, u64 size);
/* The same of what an oracle writes: undone, but hashed by books.c. And what it reads. */
void note_oracle(u64 addr, u64 size);
void note_oracle_read(u64 addr, u64 size);
/* A word outside of the arena is about to be written: it is undone. */
void note_beside(u64 *word);
u64 mix(u64 a, u64 b);
/* The moments of the ledger's clock that stand on a stack, marked; how many. */
unsigned int stack_moments(unsigned int slot, u64 *to, unsigned int room);
/* True if a second CPU may see it, and somebody writes it: a marked access there is a point. */
bool conflicting(u64 addr, u64 size, bool write);
/* Keeps the live part of a stack, before its thread runs. */
void note_stack(unsigned int slot, void *sp);
/* A write to the machine's memory by the model. */
static inline void sim_store(u64 addr, u64 value)
{
	note_write(addr, 8);
	*(u64 *)addr = value;
}
void segment_begin(void);
void segment_end(void);
void segment_undo(void);
unsigned int segment_depth(void);
extern bool unbounded; /* a switch costs nothing */
u64 state_hash(void);
u64 state_hash_of_end(void); /* without who ran last and what is left of the bounds */
void state_rebase(void); /* what is now is where executions begin */
extern bool learned;	 /* an address became conflicting: what was explored before is void */
extern bool frozen;	 /* a replay: nothing is learned */
/* The words that are conflicting, for a replay; makes one so. */
u64 next_conflict(u64 addr); /* the first above addr, or 0 */
void set_conflict(u64 addr);
/* Whether two CPUs use the word, and one writes. */
bool word_shared(u64 w);
/* Whether some access of such a word is plain; one is. Learned. */
bool word_may_race(u64 w);
void note_plain(u64 w);
extern u64 stack_top(unsigned int slot);

static inline unsigned int slot_of(const void *sp)
{
	return (unsigned int)(((u64)sp - SIM_STACKS) / STACK_SIZE);
}

/* ---- live.c: what of a stack will be read ------------------------------------------------ */

/* Reads what scripts/frames.py has found of the program. */
void live_init(void);
/* Clears what is dead of a stack whose thread stands in sim_switch(), its registers at sp. */
void live_clear(u64 *sp, u64 top);

/* ---- reduce.c: what a step touches ------------------------------------------------------- */

/* What the model keeps beside memory, of each CPU; the last four are one for all. */
enum thing {
	THING_IPI,
	THING_MMU,
	THING_LOG,
	THING_HELD,
	THING_INSIDE,
	THING_CLOCK,
	THING_TIME,
	THING_TICKS,
	THING_LEFT,
	NR_THINGS
};
/* In the step that goes on: a word of the arena, by its number; words; a thing. */
void touch_word(u64 w, bool write);
void touch(u64 addr, u64 size, bool write);
void touch_thing(enum thing what, unsigned int cpu, bool write);
/* Of every CPU. */
void touch_all(enum thing what, bool write);
/* The word is one that CPUs share, from now on. */
void touch_share(u64 w);

/* ---- order.c: store buffers, late loads -------------------------------------------------- */

void order_in(struct vcpu *v);	/* v runs: it sees its own stores */
void order_out(struct vcpu *v); /* v stops: nobody else does */
/* Before a marked load, which may be made to return an old value; ... */
void order_load(u64 addr, unsigned int size, bool acquires, void *pc);
/* ... a store, marked or plain; a read-modify-write, and then its store, if it stores. */
void order_store(u64 addr, unsigned int size, bool release, void *pc);
bool order_rmw(u64 addr, int order);
void order_rmw_stores(u64 addr);
void order_fence(int order);
void order_drain_all(void); /* the running CPU's stores */
/* The MMUs look at what was stored: now; behind the instruction that follows. */
void order_stored(u64 addr);
void order_stores_next(u64 addr);
/* The instruction that followed the last call is over: by what comes after it. */
void order_instruction_over(void);
bool order_can_drain(const struct vcpu *v, unsigned int i);
void order_drain(struct vcpu *v, unsigned int i); /* v does not run */
/* Whether what was loaded may be, or lead to, the address: the hardware waits for it. */
bool order_leads_to(u64 value, u64 addr);
/* Whose late loads of a word count, for a replay. */
unsigned int order_loads_of(u64 addr);
void order_set_loads_of(u64 addr, unsigned int cpus);

/* ---- race.c: data races ------------------------------------------------------------------ */

extern bool races_on, races_everywhere;
void race_init(void);
/* While races are on: what may still be found of what was done. */
u64 race_hash(void);
void race_plain(u64 addr, u64 size, bool stores, void *pc);
void race_load(u64 addr, unsigned int size, bool acquires, void *pc);
void race_store(u64 addr, unsigned int size, bool releases, void *pc);
void race_rmw(u64 addr, unsigned int size, int order, void *pc);
void race_fence(int order);
void race_start(unsigned int cpu);

/* ---- show.c: what a counterexample says of memory ---------------------------------------- */

/* While one is shown: what the kernel, or the model, says of itself between two steps. */
extern bool showing;
void sim_event(const char *name, u64 a, u64 b);

/* ---- mmu.c: TLBs ------------------------------------------------------------------------- */

#define MAX_VAS 8
extern vaddr_t sim_vas[MAX_VAS]; /* the addresses that matter; the MMUs walk for these */
extern unsigned int nr_sim_vas;
/* An entry of a table may have changed: MMUs fill from it. */
void mmu_tables_changed(u64 addr);
void mmu_refill(struct vcpu *v);
/* frame.c */
void frame_access(u64 addr, void *pc);
void frame_init(void);
u8 frame_gen(u64 pfn);
bool frame_is_free(u64 pfn);
bool mmu_may_hold_table(const struct vcpu *v, u64 pfn);

/* ---- oracle.c: the kernel's own oracles -------------------------------------------------- */

/* Before the kernel boots: whether they keep books and report. */
void oracles_start(bool on);
/* An oracle asks a function of the kernel's: its accesses are no points, and order nothing. */
extern bool asking;

/* ---- books.c: what they know --------------------------------------------------------------- */

/* While oracles are on: their books, of the state that is. */
u64 books_hash(void);
/* The orders of locks that were seen, by the places of their classes; one more, of another run. */
void locks_each_order(void (*visit)(u64 from, u64 to, void *arg), void *arg);
void locks_order(u64 from, u64 to);
/* An oracle has written of a frame. */
void books_note_frame(u64 addr);

/* ---- The scenarios: tests/sim/ ----------------------------------------------------------- */

#define MAX_ROLES 6
#define BOUND_USUAL 2
struct scenario {
	const char *name, *what;
	unsigned int cpus;
	bool untagged;		   /* for machines whose TLB has no tags */
	u32 inject;		   /* faults that may happen: BIT(INJECT_...) */
	unsigned int ticks, fails; /* at most */
	unsigned int delays;	   /* stores that wait and late loads, unless --delays says else */
	bool oracles;		   /* the kernel's own too where a rule is knocked out */
	unsigned int bound;	   /* preemptions within which it is exhausted; 0: BOUND_USUAL */
	unsigned int delayed;	   /* the same with delays; 0: as without */
	void (*setup)(void);
	struct {
		unsigned int cpu;
		void (*run)(void);
		bool user; /* lives in sim_mm */
	} roles[MAX_ROLES];
	void (*check)(void); /* when all is over; NULL: nothing to check */
};
#define SCENARIO(id) const struct scenario scenario_##id
extern const struct scenario *scenario;

#endif
