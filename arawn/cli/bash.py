"""The completion script of bash, which works without the bash-completion package.

Bash cuts words at ":" and "=" (COMP_WORDBREAKS), and both are inside ours: ``ollama/llama3:8b``, ``--backend=groq``. So
the script puts the words together again, and takes off its answers what stands before the cut.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from arawn.cli import tree
from arawn.cli.shells import fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arawn.cli.tree import Command, Option, Place

_FILES = "compopt -o default 2>/dev/null"
_REDIRECTION = r"[\<\>]*"


def script(root: Command) -> str:
    """Return the script."""
    values = tree.values(root)
    return fill(
        _SCRIPT,
        "bash",
        takers=[f'{"|".join((*values, _REDIRECTION))}) option="$word" ;;'],
        steps=[f'{"|".join(map(quote, tree.steps(root)))}) path="${{path:+$path }}$word" ;;'],
        values=_value_cases(values),
        shared=[_offer(root.shared)],
        options=_option_cases(root),
        places=_place_cases(root),
    )


def _value_cases(values: dict[str, Place]) -> Iterator[str]:
    """Write one case for all flags whose values come from the same source."""
    flags: dict[str, list[str]] = {_FILES: [_REDIRECTION]}
    for flag, place in values.items():
        flags.setdefault(_source(place), []).append(flag)
    return (f"{'|'.join(flags[source])}) {source} ;;" for source in flags if source)


def _option_cases(root: Command) -> Iterator[str]:
    for command in root.walk():
        if own := command.own(root):
            yield f'"{command.line}") {_offer(own)} ;;'


def _place_cases(root: Command) -> Iterator[str]:
    for command in root.walk():
        for number, place in command.numbered:
            if source := _source(place):
                at = f'"{command.line}:"*' if place.many else f'"{command.line}:{number}"'
                yield f"{at}) {source} ;;"


def _source(place: Place) -> str:
    if place.choices:
        return f"_arawn_offer {' '.join(map(quote, place.choices))}"
    if place.kind == tree.FILES:
        return _FILES
    return f"_arawn_ask {place.kind}" if place.kind else ""


def _offer(options: Iterable[Option]) -> str:
    return f"_arawn_offer {' '.join(flag for option in options for flag in option.flags)}"


_SCRIPT = r"""@HEADER@

# Offer the words that begin as what was typed does, without what bash keeps in front of it.
_arawn_offer() {
  local word
  for word; do
    if [[ -n $word && $word == "$cur"* ]]; then
      word="$head$word"
      COMPREPLY+=("${word#"$kept"}")
    fi
  done
}

# Offer names from the configuration. Nothing else starts arawn.
_arawn_ask() {
  local name
  while IFS= read -r name; do
    _arawn_offer "$name"
  done <<<"$(arawn __complete "$1" "$cur" "${words[@]:1}" 2>/dev/null)"
}

# Put together what bash cut, up to the cursor: the words, then cur, and as kept what bash keeps in front of an answer.
_arawn_read() {
  local rest="${COMP_LINE:0:COMP_POINT}" space word before="" last=-1 i
  for ((i = 0; i <= COMP_CWORD; i++)); do
    space="${rest%%[![:space:]]*}"
    rest="${rest#"$space"}"
    word="${COMP_WORDS[i]}"
    if ((i == COMP_CWORD)); then word="$rest"; fi
    if [[ $last == -1 || -n $space || $word == [\<\>]* || $before == [\<\>]* ]]; then
      kept=""
      last=$((last + 1))
      words[last]="$word"
    else
      kept="${words[last]}"
      words[last]="$kept$word"
    fi
    before="$word"
    rest="${rest#"$word"}"
  done
  cur="${words[last]}"
  if [[ $word == [:=@]* ]]; then kept="$cur"; fi
  unset "words[last]"
}

_arawn() {
  local words=() cur="" kept="" head="" path="" place=0 option="" options=yes word
  COMPREPLY=()
  _arawn_read
  for word in "${words[@]:1}"; do
    if [[ -n $option ]]; then
      option=""
      continue
    fi
    case "$word" in
      @TAKERS@
      --) options="" ;;
      -?*) ;;
      *)
        case "$place:$path $word" in
          @STEPS@
          *) place=$((place + 1)) ;;
        esac
        ;;
    esac
  done
  if [[ -z $option && -n $options && $cur == --*=* ]]; then
    option="${cur%%=*}"
    head="$option="
    cur="${cur#*=}"
  fi
  if [[ $cur == [\"\']* ]]; then
    cur="${cur:1}"
    head=""
    kept=""
  fi
  if [[ -n $option ]]; then
    case "$option" in
      @VALUES@
    esac
  elif [[ -n $options && $cur == -* ]]; then
    @SHARED@
    case "$path" in
      @OPTIONS@
    esac
  else
    case "$path:$place" in
      @PLACES@
    esac
  fi
}

complete -F _arawn arawn
"""
