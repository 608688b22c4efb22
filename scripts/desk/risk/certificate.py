"""The promotion certificate as an arming factor: the question every door asks, and its answer. Issues none.

A certificate is written by the promotion door, which this version does not have: so none is installed, none is valid,
and mainnet cannot be armed. Whoever issues them answers here; nobody else changes.
"""

import msgspec

from desk.base.paths import Home
from desk.base.reasons import Reason
from desk.config.load import Settings
from desk.config.mode import Mode, VenueEnv


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the certificate now.

    Attributes:
        required: without a valid one no LIVE entry leaves.
        valid: installed, whole, unexpired, and bound to exactly this code, configuration, key and journal.
        code: why it is not valid; None when it is.
    """

    required: bool
    valid: bool
    code: Reason | None
    detail: str


def certificate(home: Home, settings: Settings) -> Finding:
    """The certificate of this home under these settings.

    Required on mainnet always; on testnet and simulator when `arming.certificate_required` says so (design 6).
    """
    asked = settings.venue_env is VenueEnv.MAINNET or settings.config.arming.certificate_required
    return Finding(
        required=settings.mode is Mode.LIVE and asked, valid=False, code=Reason.ARM_CERTIFICATE,
        detail=f"none is installed in {home.state.name}/",
    )  # fmt: skip
