"""What is to be done, from what the stick says, what the box keeps, and whether it is a sensor already. Pure.

    box        kept       stick              ->
    no sensor  nothing    none                  NothingToSetUpError
               nothing    unused                ACCEPT
               nothing    used                  StickUsedError
               pending    none or used          RESUME
               pending    unused                ACCEPT: the newer stick corrects the earlier one
               spent      none or used          StickUsedError: it was reset, another token is needed
               spent      unused                ACCEPT, from the same collector only
    a sensor   pending    any                   FINISH: it enrolled, and the power went before the token was wiped
               otherwise  unused, its own       FINISH: as before, of the stick
               otherwise  unused, another       EnrolledAlreadyError
               otherwise  none or used          NOTHING
    one whose certificate has ended: as no sensor, but
               otherwise  none or used          NOTHING: it renews by itself, or by the rows above

Rules of this file: a stick never makes a sensor another one's: a box that has a certificate, in date or not, takes only
a stick with the pin it was enrolled under, and none while the certificate is good. That takes `vedette reset`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from appliance.setup.errors import BelongsElsewhereError, EnrolledAlreadyError, NothingToSetUpError, StickUsedError
from appliance.wire.setup_file import Setup


class Step(Enum):
    """What is first."""

    ACCEPT = "accept"
    RESUME = "resume"
    FINISH = "finish"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known. `sensor_id`: of a certificate in good standing; `has_certificate`: there is one at all, which was
    issued under `ca_pin` (empty: nobody knows).
    """

    stick: Setup | None
    kept: Setup | None
    sensor_id: str
    has_certificate: bool
    ca_pin: str


def decide(now: Situation) -> Step:
    """The first step.

    Raises:
        NothingToSetUpError, StickUsedError, EnrolledAlreadyError, BelongsElsewhereError: there is none.
    """
    stick, kept = now.stick, now.kept
    unused = stick is not None and stick.token is not None
    pending = kept is not None and kept.token is not None
    if now.sensor_id:
        if pending or (stick is not None and unused and kept is not None and stick.token_id == kept.token_id):
            return Step.FINISH
        if unused:
            raise EnrolledAlreadyError(
                f"this box is enrolled already, as {now.sensor_id}; the stick's token was not used",
                advice="use the stick in another box, or reset this one first: vedette reset",
            )
        return Step.NOTHING
    if stick is not None and unused:
        if now.has_certificate and stick.ca_pin != now.ca_pin:
            raise BelongsElsewhereError(
                "this box was enrolled with another collector than the stick's",
                advice="if it is to change hands, reset it first: vedette reset",
            )
        return Step.ACCEPT
    if pending:
        return Step.RESUME
    if now.has_certificate:
        return Step.NOTHING
    spent = stick or kept
    if spent is None:
        raise NothingToSetUpError(
            "no stick came, and none was taken in before", advice="name the mounted stick: vedette setup --from DIR"
        )
    used = spent.used
    by = f" by {used.sensor_id} at {used.at}" if used is not None and used.sensor_id else ""
    raise StickUsedError(
        f"{'the stick' if stick else 'the stick of before'} was used{by}; a token enrolls one box, once",
        advice="ask the provider for a new file: vedette-collector token new --stick",
    )
