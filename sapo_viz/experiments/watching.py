"""A run that is watched: its new events and its newest tokens are looked at, and what has become worse is reported.

Whoever watches calls `look` every few seconds: the command in its loop, the server in a thread of its own. Tokens are
read in a process apart, as everywhere.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException

from sapo_viz.errors import RunError, SapoVizError
from sapo_viz.experiments.alerts import Alert, Alerts
from sapo_viz.experiments.collapse import RolloutSize
from sapo_viz.rollouts.apart.asking import Given
from sapo_viz.rollouts.apart.step import reading_step
from sapo_viz.rollouts.audit.audit import audit, has_losses
from sapo_viz.rollouts.findings.judge import findings
from sapo_viz.rollouts.steps import finish
from sapo_viz.runs.folder.claims import claim_of
from sapo_viz.runs.folder.event_lines import resumed_at
from sapo_viz.runs.folder.store import RunStore

_PATIENCE = 10.0  # seconds that an address may take


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An alert goes to the address that was set and to no other: sent on, it would arrive without its text."""

    def redirect_request(self, *_args: object) -> None:
        return None


class Watched:
    """One run under watch. `alerts` are all so far, the newest last."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self.store, self.run_id = store, run_id
        self.alerts: list[Alert] = []
        self._offset = 0
        self._judged = 0  # the last step whose tokens were looked at
        self._rules = self._fresh()

    def _fresh(self) -> Alerts:
        recorded = self.store.recorded(self.run_id)
        if recorded is None:
            return Alerts()
        return Alerts(RolloutSize(*recorded.rollout_size), recorded.cap)

    def look(self) -> list[Alert]:
        """What is new since the last look.

        Raises:
            RunError: the run has gone.
        """
        events, self._offset = self.store.read_events(self.run_id, self._offset)
        found: list[Alert] = []
        for event in events:
            if resumed_at(event) is not None:  # what came after the checkpoint is done again
                self._rules, self._judged = self._fresh(), 0
            found += self._rules.add(event)
        found += self._look_at_tokens()
        self.alerts += found
        return found

    def _look_at_tokens(self) -> list[Alert]:
        steps = [step for step in self.store.snapshots(self.run_id) if step > self._judged]
        if not steps:
            return []
        found: list[Alert] = []
        for step in dict.fromkeys((steps[0], steps[-1])) if not self._judged else steps[-1:]:
            self._judged = step
            with contextlib.suppress(SapoVizError, OSError):  # deleted meanwhile, or damaged: the page says so
                found += self._judge(step)
        return found

    def _judge(self, step: int) -> list[Alert]:
        kept = self.store.step_tokens(self.run_id, step)
        files = [Given.of_path(path, path.name) for path in kept.files]
        rollouts = finish(reading_step(f"step {step}", files, kept.missing))
        recorded = self.store.recorded(self.run_id)
        claim = None if recorded is None else claim_of(recorded)
        audited = audit(rollouts, claim) if claim and has_losses(rollouts) else None
        objectives = {} if claim is None else {claim.objective.name: claim.objective}
        return self._rules.add_tokens(
            step, findings(rollouts, objectives, cap=recorded.cap if recorded else 0), audited
        )


def post(address: str, run_id: str, alerts: Sequence[Alert]) -> str:
    """Send alerts to an address that the owner has set; returns why that failed, empty if it did not."""
    body = {"run": run_id, "alerts": [alert.to_dict() for alert in alerts]}
    body["text"] = f"{run_id}: " + " ".join(alert.text for alert in alerts)  # what chat programs show
    data = json.dumps(body, ensure_ascii=False).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_PATIENCE):
            return ""
    except (OSError, ValueError, HTTPException) as error:  # the last where the answer is no HTTP
        return f"{address} did not take the alert: {error}"


def checked_address(address: str) -> str:
    """The address, if it is one that alerts can be sent to.

    Raises:
        RunError: it is none.
    """
    if not address.startswith(("http://", "https://")):
        raise RunError(f"the webhook is {address[:120]!r}; it takes an address that begins with http:// or https://.")
    return address
