"""CONTROL_EDITED: an operator's hand in a control file, named once per content. Pure.

Our writers keep a `_digest` of the rest of the file; an absent or different one means somebody else wrote it. The next
writer that sees it journals the event, then rewrites the file with its digest.
"""

from desk.base.reasons import Reason
from desk.journal import check
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold
from desk.state import registry, store
from desk.state.store import Doc


def events_of(fold: Fold, key: str, doc: Doc | None) -> list[NewEvent]:
    """The event and its WARN alert for an edited file; [] for one of ours, or one whose content is known already."""
    if doc is None or not store.was_edited(doc):
        return []
    file, digest = registry.row(key).file, store.digest_of(doc)
    alert = check.alert(Reason.CONTROL_EDITED, f"state/{file} was edited by hand", f"{file}:{digest}")
    if alert.data["fingerprint"] in fold.portfolio.alerts:
        return []
    data = {"file": file, "digest": digest}
    return [NewEvent(event=Event.CONTROL_EDITED, data=data, reason_codes=(str(Reason.CONTROL_EDITED),)), alert]
