"""Pictures of validation metrics, for the validator and for notebooks."""

from __future__ import annotations

from corun.charts.canvas import Chart
from corun.charts.error_rates import draw_error_rates
from corun.charts.groups import draw_hardware, draw_strategy
from corun.charts.overview import draw_overview
from corun.charts.trends import draw_trends

__all__ = ["Chart", "draw_error_rates", "draw_hardware", "draw_overview", "draw_strategy", "draw_trends"]
