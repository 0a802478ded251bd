"""What is left of the command where ``hookspecs`` or ``slips`` is another program's: the doctor, which says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli.doctor import doctor
from payme_plugin.cli.frame import App
from payme_plugin.cli.given import global_options
from payme_plugin.cli.output import Refusal
from payme_plugin.doctor.finding import Level
from payme_plugin.doctor.installation import check_imports, look_at_packages

if TYPE_CHECKING:
    from payme_plugin.doctor.finding import Finding

__all__ = ["foreign_packages", "main"]


def foreign_packages() -> list[Finding]:
    """Return a fault for each package that is another program's; none where all are ours."""
    return [found for found in check_imports(look_at_packages()) if found.level is Level.FAULT]


class _Left(App):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Let the doctor through; of any other command say why it can't be done."""
        if args[:1] != [doctor.name]:
            raise Refusal("\n".join(f"{found.text} {found.remedy}" for found in foreign_packages()))
        return super().resolve_command(ctx, args)


@click.group(cls=_Left, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="payme-plugin", prog_name="payme", message="%(prog)s %(version)s")
@global_options
@click.pass_context
def main(context: click.Context) -> None:
    """Find out why Payme can't be used: a part of it is another program's. All else comes back when that is mended."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


main.add_command(doctor)
