"""What `withdraw` does to a cohort: withdraw the consents as the store does for everybody, and note it."""

from __future__ import annotations

from collections.abc import Sequence

from treue.cohorts.cohort import constant_json, each_of_cohort, note_cohort
from treue.cohorts.player import Player
from treue.cohorts.scene import Deed, Scene, Statement
from treue.model.states import Decision
from treue.model.tables import cohort
from treue.store import consents
from treue.store.inputs import ConsentInput
from treue.vocabulary.steps.withdraw.word import Withdraw


class WithdrawPlayer(Player[Withdraw]):
    """Plays `withdraw`."""

    def act(self, scene: Scene, stage: Withdraw) -> Sequence[Statement | Deed]:
        """Return what withdraws the consents of a whole cohort, as of each customer's own time."""

        def withdraw(scene: Scene) -> None:
            assert scene.connection is not None
            source = f"journey:{scene.version.name}"
            proof = {"journey": scene.version.name, "step": stage.id}
            words = [
                ConsentInput(
                    row.key,
                    stage.channel,
                    row.logical_at,
                    source=source,
                    proof=proof,
                    effective_at=row.effective_at,
                )
                for row in each_of_cohort(scene.connection)
            ]
            consents.withdraw(scene.connection, words, scene.now)

        detail = constant_json(scene, {"event": "consent.withdrawn", "channel": stage.channel})
        note = note_cohort(scene, stage, Decision.emitted, detail, cohort.c.note.is_(None))
        return [Deed("withdraw the consents", withdraw), Statement("note the withdrawal", note)]


PLAYERS = {"withdraw": WithdrawPlayer()}
