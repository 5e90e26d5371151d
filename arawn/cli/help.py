"""The help: Typer's rich panels on a terminal, and the same as plain text elsewhere; examples come last."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    Context: TypeAlias = Any  # the base class of typer.Context, which has no public name

EVERY_COMMAND = "Options of every command"
"""The help panel of what all commands take."""
_ARGUMENTS = "Arguments"
_OPTIONS = "Options"
WIDTH = 80
"""Columns of help that is not shown on a terminal, and the most on one."""
EXIT_CODES = """\
Exit codes:
  0 done · 1 a bug · 2 usage · 3 configuration · 4 authentication
  5 unreachable · 6 rate limit or quota · 7 backend failed · 8 refused
  9 budget · 10 incomplete · 11 not saved · 124 timeout
  130, 143, 129, 141 ended by a signal

"""


def examples(*lines: str) -> str:
    """Return lines as the examples at the end of a command's help."""
    return "\n".join(["Examples:", *(f"  {line}" for line in lines)])


class Helped:
    """The help of a command; mixed into Typer's classes."""

    epilog: str | None
    rich_markup_mode: Any

    def format_help(self, ctx: Context, formatter: Any) -> None:
        """Write or print the help."""
        self.rich_markup_mode = "rich" if os.isatty(1) else None
        if self.rich_markup_mode:
            _prepare_rich(self, ctx)
        super().format_help(ctx, formatter)  # type: ignore[misc]

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return the words of the usage line; what is required stands there as it is, without braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]  # type: ignore[misc]

    def get_help_option(self, ctx: Context) -> Any:
        """Return the option that shows this help."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help, option.rich_help_panel = "show this help", EVERY_COMMAND
        return option

    def format_options(self, ctx: Context, formatter: Any) -> None:
        """Write arguments and options in the sections that are panels on a terminal."""
        for title, params in _sections(self.get_params(ctx)):  # type: ignore[attr-defined]
            records = [record for param in params if (record := param.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Context, formatter: Any) -> None:
        """Write the examples, a line each."""
        if self.epilog:
            formatter.write_paragraph()
            for line in self.epilog.splitlines():
                formatter.write(f"{line}\n")


def _sections(params: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yield parameters by panel: arguments, options, named panels as they come, those of every command last."""
    found: dict[str, list[Any]] = {_ARGUMENTS: [], _OPTIONS: []}
    for param in params:
        usual = _ARGUMENTS if isinstance(param, TyperArgument) else _OPTIONS
        found.setdefault(param.rich_help_panel or usual, []).append(param)
    found[EVERY_COMMAND] = found.pop(EVERY_COMMAND, [])
    yield from found.items()


def print_panel(options: Any, ctx: Context, epilog: str) -> None:
    """Print the options of every command as Typer prints a panel, and what comes last."""
    from typer import rich_utils

    _escape(options)
    console = rich_utils._get_rich_console()  # noqa: SLF001 -- Typer prints options before commands, and has no choice
    rich_utils._print_options_panel(  # noqa: SLF001
        name=EVERY_COMMAND, params=options, ctx=ctx, markup_mode="rich", console=console
    )
    console.print(f"\n{epilog}\n", markup=False)


def _prepare_rich(command: Any, ctx: Context) -> None:
    """Set Typer's panels to arawn's looks, and keep brackets in texts from being read as markup."""
    from rich.markup import escape
    from typer import rich_utils

    _escape(command.get_params(ctx))
    rich_utils.STYLE_OPTIONS_PANEL_BORDER = rich_utils.STYLE_COMMANDS_PANEL_BORDER = "dim"
    rich_utils.STYLE_OPTION = rich_utils.STYLE_SWITCH = "bold magenta"
    rich_utils.STYLE_COMMANDS_TABLE_FIRST_COLUMN = "bold magenta"
    rich_utils.STYLE_TYPES = "dim"
    rich_utils.STYLE_USAGE = "bold"
    rich_utils.STYLE_HELPTEXT = ""
    rich_utils.MAX_WIDTH = min(WIDTH, os.get_terminal_size(1).columns or WIDTH)
    for text in ("help", "epilog"):
        setattr(command, text, escape(getattr(command, text) or ""))


def _escape(params: Sequence[Any]) -> None:
    from rich.markup import escape

    for param in params:
        if getattr(param, "help", None):
            param.help = escape(param.help)
