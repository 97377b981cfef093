# SPDX-License-Identifier: MIT
"""From what a run left behind to verdicts. A run is guilty until its plan shows otherwise."""
import configs
import guest
import ktap
import qemu

BAD_WORDS = ("PANIC: ", "RULE ", "panic while panicking")
REPORT_LINES = 80  # a broken rule: what became of the frame, and what all CPUs did


def report_lines(outcome):
    """The kernel's own report of something wrong, if it made one: its first lines."""
    lines = outcome.lines()
    for i, line in enumerate(lines):
        text = line.split("] ", 1)[-1]
        if text.startswith(BAD_WORDS[0]) or text.startswith(BAD_WORDS[2]) or \
                (text.startswith(BAD_WORDS[1]) and " broken, says the " in text):
            return lines[i:i + REPORT_LINES]
    return []


def ending_trouble(arch, outcome, expected, firmware_off=False):
    """
    Why the way the run ended is wrong, or None.

    firmware_off: the machine may be switched off in a way that has no status of its own.
    """
    if outcome.trouble:
        return outcome.trouble
    if outcome.said is None:
        return f"QEMU ended with code {outcome.code} and the kernel never said its status"
    meant = qemu.status_from_qemu(arch, outcome.code)
    if meant != outcome.said and not (firmware_off and outcome.code == 0):
        return f"the kernel said status {outcome.said}, but QEMU ended with code {outcome.code}"
    if outcome.said not in expected:
        return f"status {outcome.said}"
    return None


def explain(outcome, reason, symbols):
    """The reason with what helps to understand it: a report, where the CPUs were, or the tail."""
    lines = [reason]
    lines += [f"CPU {i} at {guest.symbolize(symbols, pc)}" for i, pc in
              enumerate(outcome.stuck_at)]
    lines += report_lines(outcome) or ["the log ends:"] + outcome.tail()
    return "\n".join(lines)


def judge_tests(row, outcome):
    """Adds the selftests' verdicts; returns what is wrong with the KTAP itself."""
    documents, errors = ktap.parse(outcome.text)
    if len(documents) != 1:
        errors.append(("more than one" if documents else "no") + " KTAP version line")
    for document in documents:
        for result in document.results:
            row.add(result.name, result.verdict, result.text)
        errors += document.errors
    return errors


def judge_race(row, outcome):
    """Adds the race's verdict; returns what is wrong if there is not exactly one."""
    verdicts = ktap.stress_verdicts(outcome.text)
    if len(verdicts) != 1:
        row.race = "none" if not verdicts else "several"
        return [f"{len(verdicts)} race verdicts where one was due"]
    row.race, text = verdicts[0]
    row.add("race", "passed" if row.race == "SUCCESS" else "failed", f"{row.race} {text}".strip())
    return []


def judge(row, arch, config, outcome, symbols):
    """Fills the row of a configuration that must work."""
    errors = []
    if config.tests:
        errors += judge_tests(row, outcome)
    tests_failed = bool(row.failed())
    if config.stress and not (tests_failed and not ktap.stress_verdicts(outcome.text)):
        errors += judge_race(row, outcome)
    elif config.stress:
        row.race = "not run"
    errors += [f"no line with {text!r}" for text in config.says if text not in outcome.text]
    expected = (1,) if row.failed() else (0,)
    ending = ending_trouble(arch, outcome, expected)
    if ending:
        errors.insert(0, ending)
    if report_lines(outcome) and not ending:
        errors.append("a report of a broken kernel in a run that ended well")
    if errors:
        row.add("run", "failed", explain(outcome, "; ".join(errors), symbols))
    elif config.keys:
        row.add("keys", "passed")


def judge_bad(row, arch, config, outcome, symbols):
    """Fills the row of a machine or command line that the kernel must refuse."""
    error = ending_trouble(arch, outcome, (configs.BAD_BOOT,), bool(config.given))
    said = [line for line in outcome.lines() if config.expect in line]
    if not error and not said:
        error = f"no line with {config.expect!r}"
    elif not error and len(said) > 1:
        error = f"{len(said)} lines with {config.expect!r} where one was due"
    if error:
        row.add(config.name, "failed", explain(outcome, error, symbols))
    else:
        row.add(config.name, "passed", said[0])


def judge_crash(row, arch, config, outcome, symbols):
    """Fills the row of a run that goes down, and says why and where, once."""
    errors = [ending_trouble(arch, outcome, (configs.PANIC,))]
    report = [line.split("] ", 1)[-1] for line in outcome.lines()]
    begins = [i for i, line in enumerate(report) if line.startswith(BAD_WORDS)]
    if len(begins) != 1:
        errors.append(f"{len(begins)} reports where one was due")
    else:
        report = report[begins[0]:]
        if not report[0].startswith(BAD_WORDS[0]) or config.says[0] not in report[0]:
            errors.append(f"no PANIC with {config.says[0]!r}")
        at = 0
        for text in config.says[1:]:
            at = next((i for i in range(at, len(report)) if text in report[i]), None)
            if at is None:
                errors.append(f"no {text!r} where it was due")
                break
    errors = [error for error in errors if error]
    if errors:
        row.add(config.name, "failed", explain(outcome, "; ".join(errors), symbols))
    else:
        row.add(config.name, "passed", report[0])


def of(config):
    """What judges a run of this configuration."""
    return judge_bad if config.expect else judge_crash if config.panics else judge
