# SPDX-License-Identifier: MIT
"""LANE=time of make bench: wall time of what waits for nobody, on one CPU.

By KVM where that is hardware: a probe at the start times a loop of two instructions, and an
interpreter takes more than PROBE_LIMIT cycles a turn. Otherwise by TCG, where a nanosecond says how
fast the emulator is, and the last column whether time follows instructions. Nothing is held.
"""
import bench_rows
import bench_run
import qemu
import test
from bench_run import OUT, Failed, run, save, say, show

RUNS = 5
PROBE_LIMIT = 10  # cycles a turn
MEMORY = "256M"
# Not of this lane: what is no time, and what waits.
ROWS = ("gup1", "gup512", "put", "pin512", "zap1", "zap512", "munmap1", "munmap1alone",
        "munmap1kept", "munmap512", "munmap4096", "mapunmap", "fault", "zero", "page", "tablefree")


def command(arch, accel, name):
    cpu = "host" if accel == "kvm" else bench_run.CPU.get(arch, "")
    w = {**bench_run.BOX, "accel": accel, "arch": arch, "cpus": 1, "mem": MEMORY, "cpu": cpu}
    return qemu.command(qemu.from_environment(**w, append=f'run="bench {name};poweroff"'))


def commands(arch):
    return [command(arch, "tcg", "time")]


def is_hardware(probe):
    """Whether the loop of the probe, (cycles, turns), ran on a processor."""
    return probe[0] <= PROBE_LIMIT * probe[1]


def choose(arch, measure_probe):
    """(accelerator, why): KVM only where it is there, boots the kernel and is hardware."""
    try:
        qemu.check_kvm(arch)
        probe = measure_probe()
    except qemu.BadRequest as error:
        return "tcg", str(error)
    except Failed as error:
        return "tcg", f"ACCEL=kvm does not run the probe: {error}"
    cycles = f"{probe[0] / probe[1]:.1f} cycles a turn of two instructions"
    if is_hardware(probe):
        return "kvm", f"ACCEL=kvm is hardware: {cycles}"
    return "tcg", f"ACCEL=kvm is a software hypervisor: {cycles}, {PROBE_LIMIT} at most; not used"


def measure_probe(arch):
    return run(command(arch, "kvm", "probe"), 1, "probe", f"{OUT}/{arch}-probe.log")["probe"]


def nanoseconds(figures):
    """{row: ns an operation} of one run."""
    ticks, ns = figures["ticks"]
    return {name: total / ops * ns / ticks for name, (total, ops) in figures.items()
            if name in ROWS}


def least(runs):
    """{row: (least, how much more the worst run's is)} of several."""
    return {name: (min(r[name] for r in runs),
                   max(r[name] for r in runs) / min(r[name] for r in runs) - 1)
            for name in ROWS}


HEAD = ("row", "ns", "worst run", "instructions", "ns an instruction", "operation")


def table_cells(cost, instructions):
    texts = {row.name: row.text for row in bench_rows.ROWS}
    lines = [HEAD]
    for name, (ns, more) in cost.items():
        count = instructions.get(name)
        lines.append((name, show(ns), f"+{more * 100:.0f} %", show(count),
                      f"{ns / count:.2f}" if count else "-", texts.get(name, "")))
    return lines


def measure(arch):
    accel, why = choose(arch, lambda: measure_probe(arch))
    runs = [nanoseconds(run(command(arch, accel, "time"), 1, "time", f"{OUT}/{arch}-time.log"))
            for _ in range(RUNS)]
    counts = run(bench_run.counted(arch, "insn", 1, MEMORY), 1, "insn", f"{OUT}/{arch}-insn.log")
    return accel, why, least(runs), bench_rows.per_op(counts)


def lane(ports):
    result = {}
    for arch in ports:
        accel, why, cost, instructions = measure(arch)
        result[arch] = {"accel": accel, "ns": cost}
        say(f"\n{arch}: {why}")
        say(f"{arch}: wall time by {accel}, least of {RUNS} runs of 15 turns\n" + bench_run.plain(
            table_cells(cost, instructions)))
    save(f"{OUT}/time.json", result)
    say(f"\n{OUT}/time.json")
    if test.asked("ACCEPT"):
        say("LANE=time: time is the host's: nothing is accepted")
    return 0


def check(ports):
    say("LANE=time: time is the host's: nothing is held")
    return lane(ports)
