"""The report in a real browser, answers to SQL and files on the command line: their figures are the database's."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest
from playwright.async_api import Browser, Error, Request, async_playwright

from corun.v1 import core_pb2 as core
from corun.v1 import validator_service_pb2 as pb
from tests.e2e.command import corun
from tests.e2e.tiny_models import isolated_environment
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
    """A folder with a database of 120 validations and two comparisons."""
    folder = tmp_path_factory.mktemp("report")
    random_source = random.Random(7)
    async with serving(folder / "corun.duckdb") as validator:
        executions = [validated(number, random_source) for number in range(120)]
        await validator.RecordExecutions(pb.RecordExecutionsRequest(executions=executions, validate=True))
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


def _note_url(seen: list[str], request: Request) -> None:
    seen.append(request.url)


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
        assert await page.locator("svg").count() == 6
        assert await page.locator("svg .point").count() == 6 * 120
        assert await page.title() == "corun: how good the predictions were"
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert [url for url in requested if not url.startswith("file:")] == []
        assert problems == []
        await page.close()


def test_answers_to_sql_are_a_table_csv_json_or_a_file(folder: Path, environment: dict[str, str]) -> None:
    statement = "SELECT platform, count(*) AS n FROM executions GROUP BY ALL ORDER BY n"
    table = corun("sql", statement, environment=environment, folder=folder)
    assert (table.code, table.err) == (0, "")
    assert "webgpu" in table.out
    assert "2 rows" in table.out
    csv = corun("sql", statement, "--format", "csv", environment=environment, folder=folder)
    assert csv.out == "platform,n\nwebgpu,40\nwasm,80\n"
    document = corun("sql", statement, "--json", environment=environment, folder=folder).document
    assert document["rows"] == [{"platform": "webgpu", "n": 40}, {"platform": "wasm", "n": 80}]
    arguments = ("sql", statement, "--format", "parquet", "--output", "answer.parquet")
    assert corun(*arguments, environment=environment, folder=folder).code == 0
    assert pyarrow.parquet.read_table(folder / "answer.parquet").column("n").to_pylist() == [40, 80]
    hostile = corun("sql", "SELECT model_configs FROM executions LIMIT 1", environment=environment, folder=folder)
    assert "\x1b" not in hostile.out


def test_sql_that_is_refused_is_one_line_or_one_document(folder: Path, environment: dict[str, str]) -> None:
    ended = corun("sql", "DROP TABLE executions", environment=environment, folder=folder)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert "DROP" in ended.err
    failed = corun("sql", "SELECT nothing", "--json", environment=environment, folder=folder)
    assert json.loads(failed.out)["error"]["reason"] == "INVALID_FIELD"
    unformatted = corun("export", "table.xlsx", environment=environment, folder=folder)
    assert (unformatted.code, "--format" in unformatted.err) == (2, True)
    unknown = corun("export", "t.csv", "--table", "nothing", environment=environment, folder=folder)
    assert (unknown.code, (folder / "t.csv").exists()) == (2, False)


def test_metrics_draw_a_picture_and_tables_are_exported(folder: Path, environment: dict[str, str]) -> None:
    drawn = corun("metrics", "--plot", "metrics.png", environment=environment, folder=folder)
    assert (drawn.code, drawn.err) == (0, "")
    assert (folder / "metrics.png").read_bytes().startswith(b"\x89PNG")
    assert corun("export", "table.parquet", environment=environment, folder=folder).code == 0
    assert pyarrow.parquet.read_table(folder / "table.parquet").num_rows == 120
    document = corun("metrics", "--json", environment=environment, folder=folder).document
    assert document["storage"]["row_counts"]["executions"] == 120
    assert document["storage"]["degraded"] is False
