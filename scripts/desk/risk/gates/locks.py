"""Mode, locks and arming: what the operator and the latches have said (design 6)."""

from typing import Final

from desk.base.reasons import Reason
from desk.config.schema import Job
from desk.risk import arming as arming_table
from desk.risk.arming import Action
from desk.risk.decision import Proposal, Verdict
from desk.risk.facts import Facts
from desk.risk.verdicts import allow, deny, is_exit

MODES: Final = frozenset({"PAPER", "LIVE"})
SYSTEM_MODES: Final = {
    "DEGRADE": Reason.MODE_DEGRADE, "PAUSE": Reason.MODE_PAUSE, "EXIT": Reason.MODE_EXIT,
}  # fmt: skip


def mode(proposal: Proposal, facts: Facts) -> Verdict:
    """SYSTEM_MODE is PAPER or LIVE and the folder is stamped with it. Holds for exits too."""
    if facts.mode not in MODES:
        return deny("mode", Reason.MODE_NOT_SET)
    if facts.stamp is None:
        return deny("mode", Reason.MODE_STAMP, "the journal cannot tell the folder's mode")
    if facts.stamp != facts.mode:
        stamp = facts.stamp or "not stamped yet"
        return deny("mode", Reason.MODE_STAMP, f"SYSTEM_MODE={facts.mode}, folder {stamp}", stamp=facts.stamp)
    return allow("mode", facts.mode)


def freeze(proposal: Proposal, facts: Facts) -> Verdict:
    """FREEZE_ALL: nothing is sent, exits and cancels included."""
    if facts.latches is None:
        return allow("freeze", "unknown") if is_exit(proposal) else deny("freeze", Reason.FREEZE_ALL, "cannot be read")
    kill = facts.latches.kill
    if kill.active and kill.level == "freeze_all":
        return deny("freeze", Reason.FREEZE_ALL, ", ".join(kill.reasons))
    return allow("freeze")


def kill_switch(proposal: Proposal, facts: Facts) -> Verdict:
    """Kill switch inactive, in file, journal and environment."""
    latches = facts.latches
    if latches is None:
        return deny("kill_switch", Reason.KILL_SWITCH, "cannot be read")
    if latches.kill.active:
        return deny("kill_switch", Reason.KILL_SWITCH, ", ".join(latches.kill.reasons), level=latches.kill.level)
    if latches.env_kill:
        return deny("kill_switch", Reason.KILL_ENV)
    if latches.problems:
        return deny("kill_switch", Reason.STATE_CORRUPT, "; ".join(latches.details))
    return allow("kill_switch")


def arming(proposal: Proposal, facts: Facts) -> Verdict:
    """The operator's own "send nothing" holds for exits too; the rest of arming is for LIVE entries only (P4, P10)."""
    action = Action.EXIT if is_exit(proposal) else Action.ENTRY
    unmet = arming_table.unmet(facts.arming, action, is_live=facts.is_live)
    if not unmet:
        return allow("arming", "armed" if facts.is_live else "paper needs none")
    return deny("arming", unmet[0], "; ".join(reason.meaning for reason in unmet), unmet=",".join(unmet))


def audit_writable(proposal: Proposal, facts: Facts) -> Verdict:
    """The journal takes the next group. An entry also needs the disk reserve, and room beside it: it is for exits."""
    journal = facts.journal
    if journal is None:
        return deny("audit_writable", Reason.AUDIT_UNWRITABLE, "not known")
    if journal.damaged:
        return deny("audit_writable", Reason.AUDIT_DAMAGED, journal.problem)
    if not journal.writable:
        return deny("audit_writable", Reason.AUDIT_UNWRITABLE, journal.problem)
    if not journal.reserve and not is_exit(proposal):
        return deny("audit_writable", Reason.AUDIT_RESERVE, "the disk reserve is not there")
    if not journal.roomy and not is_exit(proposal):
        return deny("audit_writable", Reason.AUDIT_RESERVE, "no space is left but the reserve, which is for exits")
    return allow("audit_writable")


def system_mode(proposal: Proposal, facts: Facts) -> Verdict:
    """System mode NORMAL by both the latched pause and a fresh system_status.json."""
    if facts.latches is None:
        return deny("system_mode", Reason.MODE_PAUSE, "pause.json cannot be read")
    pause = facts.latches.pause
    if pause.state != "NORMAL":
        return deny("system_mode", SYSTEM_MODES.get(pause.state, Reason.MODE_PAUSE), ", ".join(pause.reasons))
    if facts.limits is None or facts.limits_problem:
        return deny("system_mode", Reason.OVERLAY_CORRUPT, facts.limits_problem)
    status = facts.status
    if status is None:
        return deny("system_mode", Reason.STATUS_MISSING)
    interval_s = facts.limits.schedule.get("heartbeat", Job()).interval_s
    oldest_s = interval_s * facts.limits.health.system_status_max_intervals
    if status.written_ms - facts.now_ms > facts.error_ms(proposal.decision.venue):
        return deny("system_mode", Reason.TIME_FUTURE, "system_status.json is from the future")
    if facts.now_ms - status.written_ms > oldest_s * 1000:
        return deny("system_mode", Reason.STATUS_STALE, limit_s=oldest_s)
    if status.mode != "NORMAL":
        return deny("system_mode", SYSTEM_MODES.get(status.mode, Reason.STATUS_MISSING), ", ".join(status.reasons))
    return allow("system_mode", "NORMAL")
