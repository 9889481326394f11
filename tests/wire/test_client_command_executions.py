"""`corun executions`, each a process, against an orchestrator that follows a script."""

from __future__ import annotations

import json

from corun.plumbing.status import make_status
from corun.v1 import orchestrator_service_pb2 as orchestrator_pb2
from tests.fakes.client_services import ExecutionEvent, ScriptedOrchestrator, completed, serving
from tests.wire.test_client_command import corun

ACCEPTED = ExecutionEvent(sequence=1, accepted=orchestrator_pb2.ExecutionAccepted(execution_id="e-1"))


async def test_kept_executions_are_listed_and_filtered_by_their_state() -> None:
    orchestrator = ScriptedOrchestrator()
    async with serving(orchestrator) as target:
        code, out, err = await corun("executions", "--state", "cancelled", "--limit", "7", "--target", target)
    assert (code, err) == (0, "")
    (request,) = orchestrator.requests
    assert (request.state, request.page_size) == (orchestrator_pb2.EXECUTION_STATE_CANCELLED, 7)
    assert all(words in out for words in ("e-1", "e-2", "cancelled", "bert-base-uncased", "ada"))


async def test_the_list_with_json_is_one_document() -> None:
    async with serving(ScriptedOrchestrator()) as target:
        code, out, _ = await corun("executions", "--target", target, "--json")
    assert code == 0
    assert [each["execution_id"] for each in json.loads(out)["executions"]] == ["e-2", "e-1"]


async def test_a_state_that_there_is_not_is_a_usage_error_that_names_those_there_are() -> None:
    code, _, err = await corun("executions", "--state", "done", "--target", "127.0.0.1:1")
    assert code == 2
    assert "--state: 'done' is not known; allowed: running, completed, failed, cancelled, interrupted" in err


async def test_watching_prints_a_line_an_event_after_the_one_that_was_seen_and_how_it_ended() -> None:
    orchestrator = ScriptedOrchestrator(events=[ACCEPTED, completed()])
    async with serving(orchestrator) as target:
        code, whole, err = await corun("executions", "watch", "e-1", "--target", target)
        _, rest, _ = await corun("executions", "watch", "e-1", "--after", "1", "--target", target)
    assert (code, err) == (0, "")
    assert [line.partition(" ")[2] for line in whole.splitlines()] == [
        "accepted; looking at models and browsers",
        "completed: parallel took 125 ms",
    ]
    assert rest.splitlines() == whole.splitlines()[1:]
    assert orchestrator.requests[1].after_sequence == 1


async def test_watching_with_json_prints_one_document_an_event() -> None:
    async with serving(ScriptedOrchestrator(events=[ACCEPTED, completed()])) as target:
        code, out, _ = await corun("executions", "watch", "e-1", "--target", target, "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [sorted({"accepted", "completed"} & event.keys()) for event in events] == [["accepted"], ["completed"]]


async def test_watching_one_that_fails_fails_with_its_reason() -> None:
    failed = ExecutionEvent(sequence=2, failed=make_status("BROWSER_LOST", "the browser was lost"))
    async with serving(ScriptedOrchestrator(events=[ACCEPTED, failed])) as target:
        code, out, err = await corun("executions", "watch", "e-1", "--target", target)
        code_with_json, documents, _ = await corun("executions", "watch", "e-1", "--target", target, "--json")
    assert (code, err) == (1, "corun: the browser was lost\n")
    assert "accepted" in out
    assert code_with_json == 1
    assert json.loads(documents.splitlines()[-1])["failed"]["message"] == "the browser was lost"


async def test_cancelling_says_how_it_ended() -> None:
    orchestrator = ScriptedOrchestrator()
    async with serving(orchestrator) as target:
        code, out, err = await corun("executions", "cancel", "e-9", "--target", target)
    assert (code, out, err) == (0, "execution e-9: cancelled\n", "")
    assert orchestrator.requests[0].execution_id == "e-9"
