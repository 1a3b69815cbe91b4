"""Runs the steps of a build, one after the other, in the build's sandbox."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from harness.emulator.builds.programs import ProgramError, Shell
from harness.emulator.builds.recipe import Step, StepKind
from harness.emulator.builds.uploads import Uploads
from harness.emulator.isolation import GuestError, Sandbox
from harness.emulator.template_records import Image

__all__ = ["run_step"]

_PIECE_BYTES = 256 * 1024

# $1 the unpacked files, $2 the source, $3 the destination, $4 the owner, $5 permission bits.
_COPY = r"""
set -eu
files=$1 source=$2 target=$3 owner=$4 mode=$5
make_folder() {
  [ -d "$1" ] && return
  make_folder "$(dirname -- "$1")"
  mkdir -- "$1"
  chown -- "$owner" "$1"
}
case $target in /*) ;; *) target=$PWD/$target ;; esac
cd -- "$files"
shopt -s nullglob dotglob globstar
IFS=
found=()
for path in $source; do
  if [ -e "$path" ] || [ -L "$path" ]; then found+=("$path"); fi
done
if [ ${#found[@]} -eq 0 ]; then echo "no file matches '$source'" >&2; exit 1; fi
into=no
case $target in */ | */.) into=yes ;; esac
case $source in *[*?[]*) into=yes ;; esac
for path in "${found[@]}"; do
  chown -hR -- "$owner" "$path"
  if [ -n "$mode" ] && [ ! -L "$path" ]; then chmod -R -- "$mode" "$path"; fi
  if [ -d "$path" ] && [ ! -L "$path" ]; then
    make_folder "$target"
    cp -a -- "$path/." "$target/"
  elif [ $into = yes ] || [ -d "$target" ]; then
    make_folder "$target"
    cp -a -- "$path" "$target/"
  else
    make_folder "$(dirname -- "$target")"
    cp -a -- "$path" "$target"
  fi
done
"""
# $1 the folder, $2 its owner.
_WORKDIR = r"""
set -eu
[ -d "$1" ] && exit
mkdir -p -- "$1"
chown -- "$2" "$1"
"""


async def run_step(step: Step, image: Image, shell: Shell, uploads: Uploads) -> Image:
    """Does what a step says.

    Args:
        step: the step.
        image: what the steps before it made.
        shell: the build's sandbox; its user, folder and variables are the image's.
        uploads: the files of COPY steps.

    Returns:
        The image after the step; its files are in the sandbox.

    Raises:
        ProgramError: it failed.
        SandboxGoneError: the sandbox died.
    """
    if step.kind is StepKind.ENV:
        names, values = step.args[::2], step.args[1::2]
        return replace(image, envs={**image.envs, **dict(zip(names, values, strict=False))})
    if step.kind is StepKind.USER:
        await replace(shell, user=step.arg(0), workdir="/").check("true", named="USER")
        return replace(image, user=step.arg(0))
    if step.kind is StepKind.WORKDIR:
        return replace(image, workdir=await _make_workdir(step.arg(0), image, shell))
    if step.kind is StepKind.COPY:
        await _copy(step, image, shell, uploads)
        return image
    user = step.arg(1) or image.user
    workdir = image.workdir if user == image.user or image.workdir else None
    await replace(shell, user=user, workdir=workdir).check(step.arg(0))
    return image


async def _make_workdir(path: str, image: Image, shell: Shell) -> str:
    try:
        home = await _home(shell)
    except GuestError as error:
        raise ProgramError(f"failed to set the workdir: {error.message}") from error
    absolute = path if path.startswith("/") else f"{image.workdir or home}/{path}"
    root = replace(shell, user="root", workdir="/")
    await root.check(_WORKDIR, (absolute, image.user), named=f"mkdir -p {shlex.quote(absolute)}")
    return absolute


async def _home(shell: Shell) -> str:
    entry = await shell.guest.call("fs.stat", path="~", user=shell.user)
    return str(entry["entry"]["path"])


async def _copy(step: Step, image: Image, shell: Shell, uploads: Uploads) -> None:
    archive = uploads.find(step.files_hash)
    if archive is None:
        raise ProgramError(f"the files of '{step.shown()}' were not uploaded")
    inside = f"/tmp/{step.files_hash}"  # noqa: S108 - in the build's sandbox
    await _put(shell.guest, archive, f"{inside}.tar")
    owner = step.arg(2) or image.user
    root = replace(shell, user="root", workdir=image.workdir or await _home(shell))
    unpack = 'mkdir -p -- "$1" && tar -xf "$1.tar" -C "$1"'
    words = (inside, step.arg(0), step.arg(1), owner if ":" in owner else f"{owner}:", step.arg(3))
    try:
        await root.check(unpack, (inside,), named=f"tar -xf {step.files_hash}")
        await root.check(_COPY, words, named=step.shown())
    finally:
        await root.run('rm -rf -- "$1" "$1.tar"', (inside,))


async def _put(guest: Sandbox, source: Path, target: str) -> None:
    async with guest.stream("fs.write", path=target, user="root", metadata={}) as stream:
        with source.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                await stream.send(piece)
        await stream.send_eof()
        await stream.finish()
