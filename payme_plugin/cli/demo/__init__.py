"""``payme demo``: a day at a till against the built-in sandbox, every step checked."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Command
from payme_plugin.cli.demo.day import Day
from payme_plugin.cli.demo.scenes import SCENES
from payme_plugin.cli.demo.stage import Stage
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, UsageFault, echo_document
from payme_plugin.sandbox import ExtraMissing, PortUnavailable

if TYPE_CHECKING:
    from payme_plugin.cli.demo.stage import Act

__all__ = ["demo"]


@click.command(cls=Command)
@pass_options
def demo(options: GlobalOptions) -> int:
    """Watch a day at a till against a local PaymeGO, in a temporary folder.

    No money moves anywhere.

    Exit code: 0 every step was right, 1 one was not, 2 usage, or a library that it needs is missing.
    """
    stage = Stage(quiet=options.json)
    stage.opening()
    with tempfile.TemporaryDirectory(prefix="payme-demo-") as folder:
        try:
            acts = _play(Path(folder), stage, quiet=options.json)
        except (ExtraMissing, PortUnavailable) as error:
            raise UsageFault(str(error)) from error
    right = all(act.right for act in acts)
    if options.json:
        echo_document({"ok": right, "acts": [act.document() for act in acts]})
    else:
        stage.ending(acts)
    return int(ExitCode.DONE if right else ExitCode.REFUSED)


def _play(folder: Path, stage: Stage, *, quiet: bool) -> list[Act]:
    with Day(folder, stage, quiet=quiet) as day:
        for number, scene in enumerate(SCENES, start=1):
            stage.act(number, scene.title, partial(scene.play, day))
        return list(stage.acts)
