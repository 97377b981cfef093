#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make explore: searches the scenarios of tests/sim on the models of the machines.

Without arguments: every scenario on every machine with all rules on, then every rule knocked out.
With KNOCKOUT=: that rule, and its counterexample in columns of CPUs. See usage() for the rest.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

import counterexample
import golden

SIM = os.environ.get("SIM_PROGRAM") or "build/sim/sim"
REDUCED = ("adopt", "gup_two", "page_gup", "switch_flush") # checked each time: reduction()


def usage():
    return """make explore [SCENARIO=name] [MACHINE=arch/transport] [KNOCKOUT=rule] [BOUND=2]
             [DELAYS=n] [SECONDS=60] [RANDOM=runs SEED=n] [ORACLES=0|1]
             [RACES=0|all]
             [REPLAY=file [GDB=1]] [QUICK=1] [REDUCTION=1] [GOLDEN=update]"""


def option(name, default=None):
    return os.environ.get(name) or default


def listing():
    """Scenarios, machines and rules, as the program has them."""
    scenarios, machines, rules = {}, [], {}
    for line in subprocess.run([SIM, "--list"], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        word, rest = line.split(" ", 1)
        if word == "scenario":
            name, _, bound, needs, what = rest.split(" ", 4)
            scenarios[name] = {"bound": bound, "needs": needs, "what": what,
                               "rules": rules_named(name)}
        elif word == "machine":
            machines.append(rest)
        elif word == "rule":
            ident, name, where = rest.split(" ", 2)
            rules[ident] = {"name": name, "where": where}
    return scenarios, machines, rules


def rules_named(scenario):
    """The ids behind "Rules:" in a scenario's header."""
    with open(f"tests/sim/{scenario}.c", encoding="utf-8") as source:
        found = re.search(r"Rules: ([^.]*)\.", source.read())
    return re.findall(r"[A-Z]\d+", found[1]) if found else []


def fits(scenario, machine):
    """arm64 has tags in any case; on the others they are an extension."""
    return scenario["needs"] != "untagged" or not machine.startswith("arm64/")


def run_sim(scenario, machine, rule=None, bound=None, seconds="600", delays=None,
            states="33554432", extra=()):
    """
    One search. A dictionary of what it printed; trace is its steps.

    Bound and delays are the scenario's own unless they are given.
    """
    command = [SIM, "--scenario", scenario, "--machine", machine, "--seconds", seconds,
               "--states", states, *extra]
    if bound:
        command += ["--bound", bound]
    if delays:
        command += ["--delays", delays]
    if rule:
        command += ["--knockout", rule]
    done = subprocess.run(command, capture_output=True, text=True)
    result = {"status": done.returncode, "command": command, "error": done.stderr.strip(),
              "scenario": scenario, "machine": machine, "rule": rule}
    counterexample.parse(done.stdout.splitlines(), result)
    return result


# ---- Verdicts --------------------------------------------------------------------------------

def verdict(result):
    if result["status"] == 1:
        return f"found by {result['finding']}, bound {result.get('bound', '-')}"
    if result["status"] == 0:
        return f"nothing, exhausted at bound {result['bound']}" + \
            (f", {result['delayed']} with delays" if "delayed" in result else "") + \
            ("" if result.get("bounded") == "1" else " (no schedule is beyond it)")
    if result["status"] == 3:
        return "nothing, not exhausted"
    return "ERROR " + result["error"][:60]


def oracle_of(result):
    """Which oracle of the kernel's named which rule; what it came to where none did."""
    said = re.match(r"the (\w+): ", result.get("message", ""))
    if result["status"] == 1 and (said or result["finding"] == "locks"):
        return f"{said[1] if said else 'locks'} names {result['finding']}, " \
               f"bound {result.get('bound', '-')}"
    if result["status"] == 1:
        return f"none before harm ({result['finding']}, bound {result.get('bound', '-')})"
    return verdict(result)


def figures(result):
    seconds = float(result.get("seconds", 0))
    count = int(result.get("executions", 0))
    return (f"{count} executions, {result.get('cut')} cut, {result.get('pruned')} switches "
            f"not tried, {result.get('states')} states, "
            f"{seconds:.2f} s, {count / seconds if seconds else 0:.0f}/s")


def knock_out(rule, scenarios, machine, limits):
    """
    The first scenario of the rule that finds it on the machine; else the weakest verdict. Found by
    what it harms; beside that, what the kernel's oracles come to in the same scenario.
    """
    worst = None
    for name in scenarios:
        result = run_sim(name, machine, rule, **limits)
        if result["status"] not in (0, 3) or worst is None or result["status"] > worst["status"]:
            worst = result
        if result["status"] == 1:
            break
    if worst["status"] != 2:
        again = run_sim(worst["scenario"], machine, rule, **limits, extra=("--oracles", "1"))
        worst["told"] = oracle_of(again)
    return worst


def both(result):
    """The verdict by harm, and that of the oracles."""
    return f"{verdict(result)}; oracles: {result.get('told', 'not asked')}"


def write_golden(rule, rules, results):
    lines = [f"{rule} {rules[rule]['name']} knocked out", ""]
    shown = None
    for result in results:
        lines.append(f"{result['machine']}: {result['scenario']}: {verdict(result)}")
        if result["status"] == 1 and (shown is None or len(result["trace"]) < len(shown["trace"])):
            shown = result
    if shown:
        lines += ["", f"{shown['scenario']} on {shown['machine']}", "",
                  *counterexample.columns(SIM, shown, rules)]
    with open(golden.path(rule), "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


# ---- What is run -----------------------------------------------------------------------------

JUDGES = """\
judges: the model, the ledger, the census, the lock checker, the counts, the tables' states and the
assertions, in every state within the bound; data races in every state within that bound of theirs,
with loads and stores in order."""


def raced(results):
    """The least bound within which races were judged; where machines differ, that of the others."""
    found = sorted({int(r.get("races", -1)) for r in results})
    return "-".join("no" if n < 0 else str(n) for n in found)


def clean_table(scenarios, machines, results):
    """
    A row for each scenario: the bound of its search, that within which races were judged, and the
    states that each machine's search has seen.
    """
    lines = [f"{'all rules on: states':22}{'bound':18}{'races':7}" +
             "".join(f"{m:>17}" for m in machines)]
    for name in scenarios:
        of = {m: r for (n, m), r in results.items() if n == name}
        bound = max((verdict(r).partition("bound ")[2].partition(" (")[0] for r in of.values()),
                    default="", key=len)
        cells = {0: lambda r: r["states"], 1: lambda r: "FOUND", 3: lambda r: "NOT EXHAUSTED"}
        lines.append(f"{name:22}{bound:18}{raced(of.values()):7}" + "".join(
            f"{cells.get(of[m]['status'], lambda r: 'ERROR')(of[m]) if m in of else '-':>17}"
            for m in machines))
    return "\n".join(lines + [JUDGES if all(r.get("oracles") == "1" for r in results.values())
                              else "judges: the model ALONE in some of them"])


def judges_asked():
    """ORACLES= and RACES= as the program has them."""
    words = ["--oracles", option("ORACLES")] if option("ORACLES") else []
    if option("RACES"):
        words += ["--races", "2" if option("RACES") == "all" else option("RACES")]
    return words


def explore_clean(scenarios, machines, limits, pool):
    """All rules on: nothing may be found, and the space within the bound is exhausted."""
    jobs = [(n, m, pool.submit(run_sim, n, m, None, **limits, extra=judges_asked()))
            for n in scenarios for m in machines if fits(scenarios[n], m)]
    bad, results = 0, {}
    for name, machine, job in jobs:
        results[name, machine] = result = job.result()
        bad += result["status"] != 0
        print(f"{name:14} {machine:16} {verdict(result)}; {figures(result)}", flush=True)
        if result["status"] == 1:
            names = counterexample.Names(SIM, result)
            print(f"  {result['finding']}: {names.message()}")
    return bad, clean_table(scenarios, machines, results)


def reduction(scenarios, machines, pool):
    """Whether all last states are reached with the reduction too; yields (name, passed, text)."""
    def search(name, machine, reduce):
        return pool.submit(run_sim, name, machine, bound="1", delays="0",
                           extra=("--chance", "0", "--reduce", reduce))
    jobs = [(f"{n}.{m}", [search(n, m, r) for r in "01"])
            for n in scenarios for m in machines if fits(scenarios[n], m)]
    for name, pair in jobs:
        without, reduced = (job.result() for job in pair)
        yield (name, without["status"] == reduced["status"] == 0 and
               without["ends"] == reduced["ends"],
               f"last states {without.get('ends')}, reduced {reduced.get('ends')}; states "
               f"{without.get('states')}, reduced {reduced.get('states')}")


def quick(pool):
    """
    What `make test` has time for; yields (name, passed, text).

    Every scenario on every machine, to a bound of one preemption (none where it states one), or of
    none beside a delay; then every counterexample that is known, where it was found; then whether
    the reduction loses a last state of some.
    """
    scenarios, machines, rules = listing()
    bounds = {n: str(min(1, int(s["bound"]) - 1)) for n, s in scenarios.items()}
    jobs = [(f"{n}.{m}", 0, pool.submit(run_sim, n, m, bound=bounds[n], extra=("--delayed", "0")))
            for n in scenarios for m in machines if fits(scenarios[n], m)]
    few = {name: scenarios[name] for name in REDUCED}
    for rule in rules:
        for machine, (name, text) in golden.verdicts(rule).items():
            if text.startswith(golden.FOUND):
                jobs.append((f"{rule}.{machine}", 1, pool.submit(run_sim, name, machine, rule)))
    for name, wanted, job in jobs:
        result = job.result()
        text = result.get("message") if result["status"] == 1 else verdict(result)
        yield name, result["status"] == wanted, f"{result['scenario']}: {text}"
    for name, passed, text in reduction(few, machines, pool):
        yield f"reduction.{name}", passed, text


def explore_rule(rule, scenarios, machines, limits):
    """One row: the rule knocked out on each machine."""
    names = [n for n in scenarios if rule in scenarios[n]["rules"]] or list(scenarios)
    before = golden.verdicts(rule)
    results = []
    for machine in machines:
        known = before.get(machine, (None, ""))
        order = sorted((n for n in names if fits(scenarios[n], machine)),
                       key=lambda n: (n != known[0], n.startswith(("table_", "rcu_two")), n))
        if order:
            results.append(knock_out(rule, order, machine, limits))
    return results


def compare(rule, results, machines):
    """Where the golden file says something else than what is so now, whichever way."""
    before = {m: said for m, said in golden.verdicts(rule).items() if m in machines}
    now = {r["machine"]: (r["scenario"], verdict(r)) for r in results}
    return [f"{rule} on {machine}: {golden.path(rule)} says "
            f"{': '.join(before.get(machine, ('nothing at all',)))}; now "
            f"{': '.join(now.get(machine, ('no scenario is for it',)))}"
            for machine in sorted(before.keys() | now.keys())
            if before.get(machine) != now.get(machine)]


def explore_rules(rules, scenarios, machines, limits, pool):
    known = {r for s in scenarios.values() for r in s["rules"]}
    jobs = {r: pool.submit(explore_rule, r, scenarios, machines, limits)
            for r in rules if r in known}
    changed = []
    for rule, job in jobs.items():
        results = job.result()
        for result in results:
            print(f"{rule:4} {result['machine']:16} {result['scenario']:14} {both(result)}",
                  flush=True)
        if option("GOLDEN") == "update":
            write_golden(rule, rules, results)
        elif not (limits["bound"] or limits["delays"]):
            changed += compare(rule, results, machines)
    for rule in rules:
        if rule not in known:
            print(f"{rule:4} no scenario is for it")
    return changed


def show(result, rules):
    print(f"{result['scenario']} on {result['machine']}: {verdict(result)}; {figures(result)}")
    if result["status"] != 1:
        return
    print("\n".join(counterexample.columns(SIM, result, rules)))
    if "told" in result:
        print(f"oracles asked (ORACLES=1): {result['told']}")
    name = f"build/sim/{result['scenario']}-{result['machine'].replace('/', '-')}"
    counterexample.svg(SIM, result, rules, name + ".svg")
    saved = f", REPLAY={name}.path" if os.path.exists(name + ".path") else ""
    print(f"drawn in {name}.svg{saved}")


def replay_options():
    """A saved path says what it is a path of; GDB=1 stops at each of its steps."""
    path = option("REPLAY")
    if not os.path.exists(path):
        sys.exit(f"REPLAY={path}: no such file; make explore KNOCKOUT=... saves build/sim/*.path")
    with open(path, encoding="utf-8") as saved:
        words = saved.readline().split()
    for name, value in zip(("SCENARIO", "MACHINE", "ORACLES", "KNOCKOUT"), words[1:]):
        os.environ[name] = option(name, value)
    if option("GDB"):
        command = [SIM, "--scenario", option("SCENARIO"), "--machine", option("MACHINE"),
                   "--oracles", option("ORACLES"), "--replay", path]
        if option("KNOCKOUT"):
            command += ["--knockout", option("KNOCKOUT")]
        gdb = ["gdb", "-q", *(["-batch"] if not sys.stdin.isatty() else []),
               "-ex", "handle SIGSEGV nostop noprint pass", "-ex", "break replay_step",
               "-ex", "run", "-ex", "backtrace 3", "--args", *command]
        try:
            os.execvp("gdb", gdb)
        except FileNotFoundError:
            sys.exit("GDB=1: gdb is not installed: apt-get install gdb")


def one(scenarios, machines, rules, limits):
    """SCENARIO= or KNOCKOUT= given: search and show."""
    rule = option("KNOCKOUT")
    ident = next((i for i, r in rules.items() if rule and rule.upper() in (i, r["name"])), rule)
    names = [option("SCENARIO")] if option("SCENARIO") else \
        [n for n in scenarios if ident in scenarios[n]["rules"]]
    found = False
    for machine in machines:
        for name in names:
            path = f"build/sim/{name}-{machine.replace('/', '-')}.path"
            extra = ["--save", path, *judges_asked()]
            if option("RANDOM"):
                extra += ["--random", option("RANDOM"), "--seed", option("SEED", "1")]
            if option("REPLAY"):
                extra = ["--oracles", option("ORACLES"), "--replay", option("REPLAY")]
            result = run_sim(name, machine, rule, **limits, extra=extra)
            if result["status"] == 2:
                sys.exit(result["error"])
            if rule and result["status"] != 2 and not option("ORACLES"):
                again = run_sim(name, machine, rule, **limits, extra=("--oracles", "1"))
                result["told"] = oracle_of(again)
            show(result, rules)
            found = found or result["status"] == 1
            if found and rule and not option("SCENARIO"):
                break
    return 0 if found == bool(rule) else 1


def main():
    if len(sys.argv) > 1:
        print(usage())
        return 0
    if option("REPLAY"):
        replay_options()
    scenarios, machines, rules = listing()
    limits = {"bound": option("BOUND"), "seconds": option("SECONDS", "600"),
              "delays": option("DELAYS")}
    if option("MACHINE"):
        machines = [m for m in machines if m.startswith(option("MACHINE"))]
    if option("SCENARIO") or option("KNOCKOUT"):
        return one(scenarios, machines, rules, limits)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        if option("QUICK"):
            bad = [f"{name}: {text}" for name, passed, text in quick(pool) if not passed]
            print("\n".join(bad + [f"explore: {len(bad)} failures"]))
            return 1 if bad else 0
        if option("REDUCTION"):
            lost = 0
            for name, passed, text in reduction(scenarios, machines, pool):
                lost += not passed
                print(f"{'same' if passed else 'DIFFER':6} {name}: {text}", flush=True)
            return 1 if lost else 0
        bad, table = explore_clean(scenarios, machines, limits, pool)
        changed = explore_rules(rules, scenarios, machines, limits, pool)
    print(table)
    for line in changed:
        print("CHANGED", line)
    print(f"explore: {bad} failures with all rules on, {len(changed)} verdicts changed")
    return 1 if bad or changed else 0


if __name__ == "__main__":
    sys.exit(main())
