"""Builds templates: steps run for real in a sandbox, whose files become the template's."""

from harness.emulator.builds.builder import Builder
from harness.emulator.builds.programs import ProgramError, start_program
from harness.emulator.builds.recipe import Recipe, Step, StepKind, read_recipe
from harness.emulator.builds.uploads import Uploads

__all__ = [
    "Builder",
    "ProgramError",
    "Recipe",
    "Step",
    "StepKind",
    "Uploads",
    "read_recipe",
    "start_program",
]
