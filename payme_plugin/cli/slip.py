"""``payme slip``: check a template before any sale, and show what it prints for a made-up payment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import slips
from payme_plugin.cli.command import Group
from payme_plugin.cli.options import GlobalOptions, pass_options
from payme_plugin.cli.output import ExitCode, UsageFault, echo, echo_document, echo_lines, fault, render
from payme_plugin.locale import message, template_fault

if TYPE_CHECKING:
    from slips import FilledSlip, TemplateFault

_WIDTH = 32

_file = click.argument("file", type=click.Path(path_type=Path))

slip = Group("slip")


@slip.command()
@_file
@pass_options
def check(options: GlobalOptions, file: Path) -> int:
    """Check the template in FILE; print every fault with its line and column."""
    faults: tuple[TemplateFault, ...] = ()
    warnings: list[str] = []
    try:
        nodes = slips.SlipRenderer().load(file).nodes
        unused = (message("slips.nothing_printed", operation=each) for each in slips.OPERATIONS if not nodes[each])
        warnings = [render(warning) for warning in unused]
    except slips.TemplateError as error:
        faults = error.faults
    except slips.SlipError as error:
        raise UsageFault(str(error)) from error
    for found in faults:
        fault(message("slips.in_file", file=file, fault=template_fault(found)))
    for warning in warnings:
        fault(message("slips.warning", file=file, warning=warning))
    if options.json:
        documents = [_document(found) for found in faults]
        echo_document({"file": str(file), "ok": not faults, "faults": documents, "warnings": warnings})
    elif not faults:
        echo(message("slips.ok", file=file))
    return ExitCode.USAGE if faults else ExitCode.DONE


@slip.command()
@_file
@click.option("--operation", type=click.Choice(slips.OPERATIONS), default=slips.OPERATIONS[0], show_default=True)
@click.option(
    "--width", type=click.IntRange(slips.MIN_WIDTH, slips.MAX_WIDTH), default=_WIDTH, show_default=True, metavar="N"
)
@click.option("--encoding", metavar="NAME")
@click.option("--png", type=click.Path(path_type=Path), metavar="OUT")
@pass_options
def preview(
    options: GlobalOptions, file: Path, operation: str, width: int, encoding: str | None, png: Path | None
) -> None:
    """Show what the template in FILE prints for a made-up payment, as lines or as an image."""
    if encoding is not None and not slips.is_slip_encoding(encoding):
        raise click.BadParameter(render(message("slips.not_a_code_page", value=encoding)), param_hint="--encoding")
    renderer = slips.SlipRenderer(encoding=encoding)
    data = slips.sample_data(operation)
    try:
        template = renderer.load(file)
        made, filled = renderer.render(template, data, width), renderer.fill(template, data)
    except slips.TemplateError as error:
        texts = [message("slips.in_file", file=file, fault=template_fault(found)) for found in error.faults]
        raise UsageFault("\n".join(map(render, texts))) from error
    except slips.SlipError as error:
        raise UsageFault(str(error)) from error
    if png is not None:
        _draw(filled, width, encoding, file, png)
    if options.json:
        document = {"file": str(file), "operation": operation, "width": width, "lines": list(made.lines)}
        echo_document({**document, "xml": made.xml, "png": None if png is None else str(png)})
    elif png is None:
        echo_lines("\n".join(made.lines))
    else:
        echo(str(png))


def _document(found: TemplateFault) -> dict[str, object]:
    text = message(f"slips.fault.{found.key}", **found.values)
    place = {"line": found.line, "column": found.column}
    return {**place, "reason": render(text), "nearest": found.nearest, "message": render(template_fault(found))}


def _draw(filled: FilledSlip, width: int, encoding: str | None, template: Path, out: Path) -> None:
    """Write the image of a slip into a file."""
    try:
        from slips.image import draw  # noqa: PLC0415 - it needs the extra "preview"

        image = draw(filled, width, None if encoding is None else slips.Alphabet(encoding))
    except ImportError as error:
        library = (error.name or "").replace("PIL", "Pillow")
        raise UsageFault(message("slips.library_missing", library=library)) from error
    except slips.SlipError as error:
        raise UsageFault(message("slips.in_file", file=template, fault=error)) from error
    try:
        if out.exists() and out.samefile(template):
            raise UsageFault(message("slips.image_is_template", path=out))
        out.write_bytes(image)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageFault(message("slips.image_unwritable", path=out, reason=reason)) from error
