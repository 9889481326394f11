from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from corun.predictor.core.knowledge import Knowledge
from corun.predictor.core.learning import Report, examine
from corun.predictor.core.observation import GraphFeatures, Lesson, Observation
from corun.predictor.core.workload import Place, Strategy
from corun.predictor.journal import FolderHeld, Journal
from corun.predictor.lines import Entry
from corun.predictor.predictor import Predictor
from corun.predictor.versions import VersionStore
from tests.unit.predictor.simulated_machine import SimulatedMachine

Runs = Callable[..., Lesson]


def test_entries_survive_closing(tmp_path: Path, runs: Runs, bert: GraphFeatures) -> None:
    entries = [Entry(1, runs("bert", 9.5, memory_mb=30)), Entry(2, Lesson(features={"bert": bert}))]
    with Journal(tmp_path) as journal:
        for entry in entries:
            journal.append([entry])
    with Journal(tmp_path) as journal:
        assert journal.read() == entries


def test_executions_survive_closing(tmp_path: Path, place: Place) -> None:
    machine = SimulatedMachine(seed=5)
    known = Knowledge().learned([Lesson(features=machine.features())])
    plans = [machine.plan(machine.workload("bert", "vit", "vit"), strategy) for strategy in Strategy]
    report = Report(place, executions=tuple((place, machine.execute(plan, end_time=9.5)) for plan in plans))
    entries = [Entry(1, lesson) for lesson in examine(known, report).lessons]
    assert len(entries[0].lesson.experiences) == 3
    with Journal(tmp_path) as journal:
        journal.append(entries)
    with Journal(tmp_path) as journal:
        assert journal.read() == entries


def test_what_other_programs_used_survives_closing(tmp_path: Path, place: Place) -> None:
    machine = SimulatedMachine(seed=5)
    known = Knowledge().learned([Lesson(features=machine.features())])
    execution = machine.execute(machine.plan(machine.workload("bert", "vit"), Strategy.PARALLEL), end_time=9.5)
    execution = replace(execution, other_programs_cores=0.75)
    observation = Observation("bert", 1, 2, 9.5, other_programs_cores=0.25)
    report = Report(place, observations=(observation,), executions=((place, execution),))
    (lesson,) = examine(known, report).lessons
    assert lesson.experiences[0].other_programs_cores == 0.75
    with Journal(tmp_path) as journal:
        journal.append([Entry(1, lesson)])
    with Journal(tmp_path) as journal:
        assert journal.read() == [Entry(1, lesson)]


@pytest.mark.parametrize("ending", ["", ",7"])
def test_observations_of_older_journals_are_read(tmp_path: Path, place: Place, ending: str) -> None:
    line = f'{{"version":1,"platform":"wasm","engine":"chromium","observations":[["bert",1,2,9.5,null,30.0{ending}]]}}'
    (tmp_path / "lessons.jsonl").write_text(line + "\n")
    with Journal(tmp_path) as journal:
        (entry,) = journal.read()
    moment = 7 if ending else 0
    assert entry.lesson == Lesson(place, (Observation("bert", 1, 2, 9.5, None, 30.0, moment=moment),))


@pytest.mark.parametrize("others", ["-0.5", "NaN", '"much"'])
def test_an_observation_that_nobody_wrote_is_set_aside(tmp_path: Path, others: str) -> None:
    observation = f'["bert",1,2,9.5,null,30.0,7,{others}]'
    line = f'{{"version":1,"platform":"wasm","engine":"chromium","observations":[{observation}]}}'
    (tmp_path / "lessons.jsonl").write_text(line + "\n")
    with Journal(tmp_path) as journal:
        assert not [entry for entry in journal.read() if entry.lesson.observations]


def test_a_torn_last_line_is_set_aside_and_the_rest_is_kept(tmp_path: Path, runs: Runs) -> None:
    with Journal(tmp_path) as journal:
        journal.append([Entry(1, runs("a", 1.0))])
        journal.append([Entry(2, runs("b", 2.0))])
    path = tmp_path / "lessons.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-7])
    with Journal(tmp_path) as journal:
        kept = journal.read()
        journal.append([Entry(9, runs("c", 3.0))])
    assert kept[0] == Entry(1, runs("a", 1.0))
    assert (tmp_path / "lessons.jsonl.damaged-1").read_bytes() == content.splitlines(keepends=True)[1][:-7]
    with Journal(tmp_path) as journal:
        assert journal.read() == [*kept, Entry(9, runs("c", 3.0))]


@pytest.mark.parametrize("damage", [b"\x00\x00\n", b'{"version":1,"observations":[["a",1,1,NaN,null]]}\n', b"[]\n"])
def test_a_damaged_line_costs_itself_only_and_gives_a_version_of_its_own(
    tmp_path: Path, runs: Runs, damage: bytes
) -> None:
    with Journal(tmp_path) as journal:
        journal.append([Entry(1, runs("a", 1.0))])
        journal.append([Entry(3, runs("b", 2.0))])
    path = tmp_path / "lessons.jsonl"
    first, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + last)
    with Journal(tmp_path) as journal:
        assert [entry.version for entry in journal.read()] == [1, 3, 4]


def test_a_second_process_is_refused_the_folder_until_it_is_closed(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(FolderHeld, match="held by another predictor"):
        Journal(tmp_path)
    Journal(tmp_path).close()


def test_compaction_keeps_what_is_known_and_its_version(tmp_path: Path, runs: Runs, bert: GraphFeatures) -> None:
    lessons = [runs("bert", *[100.0] * 30), runs("bert", *[100.0] * 60), Lesson(features={"bert": bert})]
    knowledge = Knowledge().learned(lessons)
    with Journal(tmp_path) as journal:
        for version, lesson in enumerate(lessons, 1):
            journal.append([Entry(version, lesson)])
        journal.compact(knowledge.lessons(), 3)
        journal.append([Entry(4, runs("tiny", 7.0))])
    with Journal(tmp_path) as journal:
        entries = journal.read()
    assert [entry.version for entry in entries] == [3, 3, 4]
    assert Knowledge().learned([entry.lesson for entry in entries[:-1]]) == knowledge


def test_a_full_disk_refuses_the_lesson_and_harms_neither_the_next_nor_the_last(tmp_path: Path, runs: Runs) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(tmp_path) as journal:
        journal.append([Entry(1, runs("a", 1.0))])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                journal.append([Entry(2, runs("b", *[2.0] * 100))])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        journal.append([Entry(2, runs("c", 3.0))])
    with Journal(tmp_path) as journal:
        assert journal.read() == [Entry(1, runs("a", 1.0)), Entry(2, runs("c", 3.0))]


async def test_a_caller_that_goes_away_does_not_part_memory_from_disk(tmp_path: Path, place: Place, runs: Runs) -> None:
    with Journal(tmp_path) as journal:
        async with Predictor(journal, VersionStore(tmp_path / "versions")) as predictor:
            call = asyncio.create_task(predictor.observe(Report(place, runs("a", 1.0).observations)))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert predictor.version == "1.1"
        assert [entry.version for entry in journal.read()] == [1]
