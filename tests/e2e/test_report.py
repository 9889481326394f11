"""The report in a real browser, answers to SQL and files on the command line: their figures are the database's."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow.parquet
import pytest
from playwright.async_api import Browser, Error, Page, Request, async_playwright

from corun.v1 import core_pb2 as core
from corun.v1 import predictor_service_pb2
from corun.v1 import validator_service_pb2 as pb
from tests.e2e.command import Ended, corun
from tests.e2e.tiny_models import isolated_environment
from tests.fakes.validations import hosted_validator
from tests.validators import FIGURES, serving

HOSTILE_NAME = "<script>document.title='owned'</script>\x1b[31m"
STRATEGIES = ("PARALLEL", "SEQUENTIAL", "BATCHED")


def validated(number: int, random_source: random.Random) -> pb.ExecutionRecord:
    scale = 10 ** random_source.uniform(1, 3)
    spread = 0.5 / (1 + number / 20)  # predictions become better
    figures = {"latency_ms": scale, "throughput_items_per_second": 4000 / scale, "memory_mb": 80 + scale / 4}
    predicted = {name: value * (1 + random_source.uniform(-spread, spread)) for name, value in figures.items()}
    return pb.ExecutionRecord(
        execution_id=f"e{number}",
        workload=core.Workload(models=[core.ModelConfig(model_name=HOSTILE_NAME, batch_size=1)]),
        platform=core.PLATFORM_WASM if number % 3 else core.PLATFORM_WEBGPU,
        strategy=core.Strategy.Value(f"STRATEGY_{STRATEGIES[number % 3]}"),
        predicted=pb.RecordedPerformance(**predicted),
        measured=pb.RecordedPerformance(**figures),
    )


@pytest.fixture(scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database of 120 validations, two comparisons and two refinements."""
    folder = tmp_path_factory.mktemp("report")
    random_source = random.Random(7)
    async with serving(folder / "corun.duckdb") as validator:
        executions = [validated(number, random_source) for number in range(120)]
        await validator.RecordExecutions(pb.RecordExecutionsRequest(executions=executions[:100], validate=True))
        for number in range(2):
            refinement = pb.ModelRefinement(
                refinement_id=f"r{number}",
                platform=core.PLATFORM_WASM,
                method=predictor_service_pb2.REFINEMENT_METHOD_WINDOW,
                errors_before=pb.ErrorRates(latency=0.3),
                errors_after=pb.ErrorRates(latency=0.1 + number / 4),
                accepted=number == 0,
                record_count=60,
                reason=HOSTILE_NAME,
            )
            await validator.RecordModelRefinement(pb.RecordModelRefinementRequest(refinement=refinement))
        await validator.RecordExecutions(pb.RecordExecutionsRequest(executions=executions[100:], validate=True))
        for number, improvement in enumerate((31.5, -4.25)):
            await validator.RecordOptimizationImpact(
                pb.RecordOptimizationImpactRequest(
                    comparison_id=f"c{number}",
                    workload=core.Workload(models=[core.ModelConfig(model_name=HOSTILE_NAME, batch_size=4)]),
                    platform=core.PLATFORM_WASM,
                    recommended=core.STRATEGY_PARALLEL,
                    best=core.STRATEGY_SEQUENTIAL if number else core.STRATEGY_PARALLEL,
                    recommendation_correct=not number,
                    improvement_percent=improvement,
                    outcomes=[
                        pb.StrategyOutcome(strategy=core.STRATEGY_PARALLEL, measured=FIGURES),
                        pb.StrategyOutcome(strategy=core.STRATEGY_SEQUENTIAL, measured=FIGURES),
                    ],
                )
            )
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    return isolated_environment(folder)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    assert path, "Chromium is required"
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        await started.close()


class Run(Protocol):
    """Runs commands beside each other on the validator that holds the database."""

    async def __call__(self, *commands: tuple[str, ...]) -> list[Ended]: ...


@pytest.fixture(scope="module")
async def run(folder: Path, environment: dict[str, str]) -> AsyncIterator[Run]:
    async with hosted_validator(folder / "corun.duckdb") as target:

        async def all_of(*commands: tuple[str, ...]) -> list[Ended]:
            started = (
                asyncio.to_thread(corun, *command, "--target", target, environment=environment, folder=folder)
                for command in commands
            )
            return await asyncio.gather(*started)

        yield all_of


def _note_url(seen: list[str], request: Request) -> None:
    seen.append(request.url)


async def _assert_words_are_inside_their_charts(page: Page) -> None:
    cut = await page.evaluate(
        """() => [...document.querySelectorAll("svg text")].filter((text) => {
            const own = text.getBoundingClientRect(), around = text.ownerSVGElement.getBoundingClientRect();
            return own.left < around.left || own.right > around.right || own.bottom > around.bottom;
        }).map((text) => text.textContent)"""
    )
    assert cut == []


def _note_problem(seen: list[str], error: Error) -> None:
    seen.append(str(error))


async def test_the_report_shows_the_figures_of_the_database_and_asks_the_network_for_nothing(
    browser: Browser, folder: Path, environment: dict[str, str]
) -> None:
    ended = corun("report", "report.html", environment=environment, folder=folder)
    assert (ended.code, ended.err) == (0, "")
    with duckdb.connect(str(folder / "corun.duckdb"), read_only=True) as connection:
        means = connection.execute(
            "SELECT avg(latency_error), avg(throughput_error), avg(memory_error) FROM multi_model_validation_metrics"
        ).fetchall()[0]
        groups = connection.execute(
            "SELECT count(DISTINCT (platform, strategy)) FROM multi_model_validation_metrics"
        ).fetchall()[0][0]
    for width, scheme in ((1280, "light"), (390, "dark")):
        page = await browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
        )
        requested: list[str] = []
        page.on("request", partial(_note_url, requested))
        problems: list[str] = []
        page.on("pageerror", partial(_note_problem, problems))
        await page.goto((folder / "report.html").as_uri())
        assert (await page.inner_text("#validations b")) == "120"
        for figure, mean in zip(("latency", "throughput", "memory"), means, strict=True):
            assert (await page.inner_text(f"#{figure} b")) == f"{mean:.1%}"
            assert "improving" in await page.inner_text(f"#{figure}")
        assert (await page.inner_text("#accuracy b")) == "50.0%"
        assert (await page.inner_text("#improvement b")) == "+13.6 %"  # (31.5 - 4.25) / 2
        assert await page.locator("#groups tbody tr").count() == groups + 1
        assert await page.locator("#comparisons tbody tr").count() == 2
        assert await page.locator("#trends tbody tr").count() == 9  # three figures, over all and on two platforms
        refinements = page.locator("#refinements tbody tr")
        assert [await each.inner_text() for each in await refinements.locator("td:nth-child(6)").all()] == [
            "30.0% → 35.0%",
            "30.0% → 10.0%",
        ]
        assert await page.locator("svg .refined").count() == 3  # the accepted one, in the errors of each figure
        assert await page.locator("svg").count() == 6
        assert await page.locator("svg .point").count() == 6 * 120
        assert await page.title() == "corun: how good the predictions were"
        await _assert_words_are_inside_their_charts(page)
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert [url for url in requested if not url.startswith("file:")] == []
        assert problems == []
        await page.close()


async def test_answers_to_sql_are_a_table_csv_json_or_a_file(run: Run, folder: Path) -> None:
    statement = "SELECT platform, count(*) AS n FROM executions GROUP BY ALL ORDER BY n"
    table, csv, document, file, hostile = await run(
        ("sql", statement),
        ("sql", statement, "--format", "csv"),
        ("sql", statement, "--json"),
        ("sql", statement, "--format", "parquet", "--output", "answer.parquet"),
        ("sql", "SELECT model_configs FROM executions LIMIT 1"),
    )
    assert (table.code, table.err) == (0, "")
    assert "webgpu" in table.out
    assert "2 rows" in table.out
    assert csv.out == "platform,n\nwebgpu,40\nwasm,80\n"
    assert document.document["rows"] == [{"platform": "webgpu", "n": 40}, {"platform": "wasm", "n": 80}]
    assert file.code == 0
    assert pyarrow.parquet.read_table(folder / "answer.parquet").column("n").to_pylist() == [40, 80]
    assert "\x1b" not in hostile.out


async def test_sql_that_is_refused_is_one_line_or_one_document(run: Run, folder: Path) -> None:
    dropped, failed, unformatted, unknown = await run(
        ("sql", "DROP TABLE executions"),
        ("sql", "SELECT nothing", "--json"),
        ("export", "table.xlsx"),
        ("export", "t.csv", "--table", "nothing"),
    )
    assert (dropped.code, dropped.out) == (2, "")
    assert len(dropped.err.splitlines()) == 1
    assert "DROP" in dropped.err
    assert json.loads(failed.out)["error"]["reason"] == "INVALID_FIELD"
    assert (unformatted.code, "--format" in unformatted.err) == (2, True)
    assert (unknown.code, (folder / "t.csv").exists()) == (2, False)


async def test_metrics_draw_a_picture_and_tables_are_exported(run: Run, folder: Path) -> None:
    drawn, exported, metrics = await run(
        ("metrics", "--plot", "metrics.png"), ("export", "table.parquet"), ("metrics", "--json")
    )
    assert (drawn.code, drawn.err) == (0, "")
    assert "trends: latency improving (strength 0." in drawn.out
    assert (folder / "metrics.png").read_bytes().startswith(b"\x89PNG")
    assert exported.code == 0
    assert pyarrow.parquet.read_table(folder / "table.parquet").num_rows == 120
    assert metrics.document["storage"]["row_counts"]["executions"] == 120
    assert metrics.document["storage"]["degraded"] is False


async def test_a_database_that_lost_its_mark_is_reported_with_what_is_not_known(
    environment: dict[str, str], tmp_path: Path
) -> None:
    database = tmp_path / "corun.duckdb"
    async with serving(database) as validator:
        await validator.RecordExecution(pb.RecordExecutionRequest(execution=validated(1, random.Random(1))))
    database.with_name("corun.duckdb.mark").unlink()
    async with hosted_validator(database) as target:
        ended = await asyncio.to_thread(
            corun, "report", "page.html", "--target", target, environment=environment, folder=tmp_path
        )
    assert (ended.code, ended.err) == (0, "")
    assert "This record was found damaged" in (tmp_path / "page.html").read_text()
