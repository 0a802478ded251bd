"""What is left of the command where ``hookspecs`` or ``slips`` is another program's: the doctor, which says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.cli.doctor import doctor
from payme_plugin.cli.frame import App, command_line
from payme_plugin.cli.output import Refusal
from payme_plugin.doctor.finding import Level
from payme_plugin.doctor.installation import check_imports, look_at_packages

if TYPE_CHECKING:
    import click

    from payme_plugin.doctor.finding import Finding

__all__ = ["foreign_packages", "main"]


def foreign_packages() -> list[Finding]:
    """Return a fault for each package that is another program's; none where all are ours."""
    return [found for found in check_imports(look_at_packages()) if found.level is Level.FAULT]


class _DoctorAlone(App):
    """The command with nothing in it but the doctor."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Let the doctor through; of any other command say why it can't be done."""
        if args[:1] != [doctor.name]:
            raise Refusal("\n".join(f"{found.text} {found.remedy}" for found in foreign_packages()))
        return super().resolve_command(ctx, args)


main = command_line(
    _DoctorAlone,
    "Find out why Payme can't be used: a part of it is another program's. All else comes back when that is mended.",
)
main.add_command(doctor)
