"""The completion scripts: Typer's for PowerShell, and its others with what they need to be right.

bash breaks words at colons and at signs: the script puts them together again, and takes off what the line already has.
fish would start arawn twice at each Tab, once to know whether to offer files: here it does so once.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from typer import _completion_shared as typers  # its public module shows this function only to itself

Shell: TypeAlias = Literal["bash", "zsh", "fish", "powershell"]

COMPLETE_VARIABLE = "_ARAWN_COMPLETE"
"""The environment variable by which a script asks for what may come next."""

_BASH = """\
_arawn_completion() {
    local IFS=$'\\n' rest=$COMP_LINE word current=''
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i > 0)) && [[ -n $word && $rest == "$word"* ]]; then
            words[${#words[@]}-1]+=$word
        else
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("$word")
        fi
        rest=${rest#"$word"}
    done
    current=${words[${#words[@]}-1]}
    COMPREPLY=( $( env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) \\
                   _ARAWN_COMPLETE=complete_bash "$1" ) )
    if [[ $current == -*=* ]]; then
        word=${current%%=*}=
        current=${current#*=}
        if [[ $COMP_WORDBREAKS != *=* ]]; then
            [[ $current == [\\"\\']* ]] || COMPREPLY=( "${COMPREPLY[@]/#/$word}" )
            return 0
        fi
    fi
    word=$current
    if [[ $COMP_WORDBREAKS == *:* ]]; then
        word=${word##*:}
    fi
    if [[ $COMP_WORDBREAKS == *@* && $word == *@* ]]; then
        word=@${word##*@}
    fi
    COMPREPLY=( "${COMPREPLY[@]#"${current%"$word"}"}" )
    return 0
}

complete -o default -F _arawn_completion arawn
"""

_ZSH_FIRST_TAB = """
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _arawn_completion "$@"
fi
"""
"""Completes also at the first Tab, at which zsh loads the file and does no more."""

_FISH = """\
function __arawn_complete
    set -l found (env _ARAWN_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \\
        _TYPER_COMPLETE_ARGS=(commandline -cp) arawn)
    if test -n "$found"
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command arawn --no-files --arguments '(__arawn_complete)'
"""


FILES: dict[Shell, str] = {
    "bash": "arawn.bash",
    "zsh": "_arawn",
    "fish": "arawn.fish",
    "powershell": "arawn.ps1",
}
"""What the script of a shell is called in completions/."""


def answer_shells() -> None:
    """Let Typer answer the scripts: values after ``--option=`` are offered with that, as zsh and fish need it."""
    from typer import _completion_classes as classes
    from typer._click.shell_completion import add_completion_class

    classes.completion_init()
    for shell in (classes.ZshComplete, classes.FishComplete):
        add_completion_class(type(shell.__name__, (_WithOption, shell), {}), shell.name)


class _WithOption:
    """Puts the option of ``--option=value`` before the values that are offered."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Any]:
        """Return what may come next."""
        found: list[Any] = super().get_completions(args, incomplete)  # type: ignore[misc]
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("-"):
            for item in found:
                item.value = f"{option}={item.value}"
        return found


def script(shell: Shell) -> str:
    """Return the completion script of a shell."""
    match shell:
        case "bash":
            return _BASH
        case "fish":
            return _FISH
        case "zsh":
            return _from_typer(shell) + _ZSH_FIRST_TAB
        case "powershell":
            return _from_typer(shell)


def _from_typer(shell: Shell) -> str:
    return typers.get_completion_script(prog_name="arawn", complete_var=COMPLETE_VARIABLE, shell=shell) + "\n"
