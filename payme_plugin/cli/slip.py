"""``payme slip``: a template checked before any sale, and what it prints for a made-up payment."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from payme_plugin.cli.command import Group
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, UsageFault, echo_document, fault
from payme_plugin.cli.params import TEMPLATE
from slips import (
    MAX_WIDTH,
    MIN_WIDTH,
    OPERATIONS,
    Alphabet,
    SlipError,
    SlipRenderer,
    Template,
    TemplateError,
    is_slip_encoding,
    sample_data,
)

if TYPE_CHECKING:
    from slips import FilledSlip, TemplateFault

__all__ = ["slip"]

_WIDTH = 32

_file = click.argument("file", type=TEMPLATE)


slip = Group("slip")


@slip.command()
@_file
@pass_options
def check(options: GlobalOptions, file: Path) -> int:
    """Check the template in FILE; print every fault with its line and column.

    Exit code: 0 it can be used, 2 it can't.
    """
    faults: tuple[TemplateFault, ...] = ()
    warnings: list[str] = []
    try:
        warnings = _warnings(SlipRenderer().load(file))
    except TemplateError as error:
        faults = error.faults
    except SlipError as error:
        raise UsageFault(str(error)) from error
    for found in faults:
        fault(f"{file}: {found}")
    for warning in warnings:
        fault(f"warning: {file}: {warning}")
    if options.json:
        found_faults = [{**asdict(found), "message": str(found)} for found in faults]
        document = {"file": str(file), "ok": not faults, "faults": found_faults}
        echo_document({**document, "warnings": warnings})
    elif not faults:
        click.echo(f"{file}: ok")
    return int(ExitCode.USAGE if faults else ExitCode.DONE)


@slip.command()
@_file
@click.option("--operation", type=click.Choice(OPERATIONS), default=OPERATIONS[0], show_default=True)
@click.option(
    "--width",
    type=click.IntRange(MIN_WIDTH, MAX_WIDTH),
    default=_WIDTH,
    show_default=True,
    metavar="N",
)
@click.option("--encoding", metavar="NAME")
@click.option("--png", type=click.Path(path_type=Path), metavar="OUT")
@pass_options
def preview(
    options: GlobalOptions, file: Path, operation: str, width: int, encoding: str | None, png: Path | None
) -> int:
    """Show what the template in FILE prints for a made-up payment.

    The text is what the till prints, line by line. The picture has the bold and large letters and the codes too, as a
    printer shows them that can.

    Exit code: 0 shown, 2 usage, or the template can't be used, or the picture can't be drawn.
    """
    if encoding is not None and not is_slip_encoding(encoding):
        raise UsageFault(f'--encoding is "{encoding}": allowed is a single-byte code page such as cp866, or utf-8')
    renderer = SlipRenderer(encoding=encoding)
    data = sample_data(operation)
    try:
        template = renderer.load(file)
        made, filled = renderer.render(template, data, width), renderer.fill(template, data)
    except SlipError as error:
        raise UsageFault(str(error)) from error
    if png is not None:
        _draw(filled, width, encoding, file, png)
    if options.json:
        document = {"file": str(file), "operation": operation, "width": width, "lines": list(made.lines)}
        echo_document({**document, "xml": made.xml, "png": None if png is None else str(png)})
    else:
        click.echo("\n".join(made.lines) if png is None else str(png))
    return int(ExitCode.DONE)


def _warnings(template: Template) -> list[str]:
    return [
        f"nothing is printed for the operation {operation!r}; the till then prints the shipped template"
        for operation in OPERATIONS
        if not template.nodes[operation]
    ]


def _draw(filled: FilledSlip, width: int, encoding: str | None, template: Path, out: Path) -> None:
    """Write the image of a slip into a file."""
    try:
        from slips.image import draw  # noqa: PLC0415 - it needs the extra "preview"

        image = draw(filled, width, None if encoding is None else Alphabet(encoding))
    except ImportError as error:
        library = (error.name or "").replace("PIL", "Pillow")
        packages = "pip install 'payme-plugin[preview]', or the packages python3-pil and python3-segno"
        raise UsageFault(f"the image can't be drawn without {library}: {packages}") from error
    except SlipError as error:
        raise UsageFault(f"{template}: {error}") from error
    try:
        if out.exists() and out.samefile(template):
            raise UsageFault(f"--png is {out}: that is the template itself")
        out.write_bytes(image)
    except (OSError, ValueError) as error:
        raise UsageFault(f"--png is {out}: {getattr(error, 'strerror', None) or error}") from error
