/* SPDX-License-Identifier: MIT */
/*
 * What a scenario is made of.
 *
 * setup() runs once, on CPU 0, with nothing else to do; then each role waits at the start line on
 * its CPU, and every execution begins there. Roles are kernel code: every marked access in them and
 * in what they call is a step. When all roles have ended and nothing is left to do, check() looks.
 * A role that lives in sim_mm (user) is a kernel thread that has adopted it.
 */
#ifndef SIM_TEST_H
#define SIM_TEST_H

#include <atomic.h>
#include <errno.h>
#include <gup.h>
#include <inject.h>
#include <mm.h>
#include <irqflags.h>
#include <page.h>
#include <ptdesc.h>
#include <rcu.h>
#include <thread.h>
#include <tlb.h>

#include "../../arch/sim/sim.h"

/* The address space of the scenario, and two addresses that share no table but the root. */
extern struct mm *sim_mm;
#define VA_A 0x40000000ULL
#define VA_B 0x80000000ULL

void sim_new_mm(void);
/* Maps pages there, which user code has used; MMUs walk for them from now on. */
void sim_map(vaddr_t va, unsigned int pages);
/* The same with pages that nobody has used yet. */
void sim_map_unused(vaddr_t va, unsigned int pages);
/* MMUs walk for va too. */
void sim_watch(vaddr_t va);

/* A finding, of the rule, unless ok. */
void sim_check(bool ok, const char *rule, const char *what);

void sim_start_line(void);
/* User code runs here, and may use every translation there is, until these roles have ended. */
void sim_user(u64 roles);
/* Roles that have ended, a bit each. */
extern u64 sim_done;

/*
 * One access of user code, by whatever the TLB may hold; faults are resolved. False: no such
 * page.
 */
bool sim_load(vaddr_t va, u64 *value);
bool sim_store_user(vaddr_t va, u64 value);

/*
 * A finding, of the rule, if user code on any CPU may still reach what is not mapped at va
 * any more.
 */
void sim_unreachable(vaddr_t va, const char *rule);
/* A finding, of the rule, if user code on any CPU may still write at va. */
void sim_unwritable(vaddr_t va, const char *rule);

/* What a page says of its owner; no steps. */
void sim_cookie(struct page *page, u64 cookie);
u64 sim_cookie_of(const struct page *page);

#endif
