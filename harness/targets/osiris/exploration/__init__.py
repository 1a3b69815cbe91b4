"""Pipelines of Osiris that nobody wrote: drawn by hypothesis, and made smaller step by step."""

from harness.targets.osiris.exploration.case_text import case_text
from harness.targets.osiris.exploration.draw import draw_sketches
from harness.targets.osiris.exploration.sketch import OsirisSketch

__all__ = ["OsirisSketch", "case_text", "draw_sketches"]
