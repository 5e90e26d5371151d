# Completion of arawn for bash. Made from the command tree by `make generate`; do not edit.

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
      -b|--backend|-m|--model|--config|--env-file|-s|--session|--system|-f|--file|--fallback|--max-tokens|--temperature|--think|--timeout|--schema|-o|--output|--jobs|-n|--limit|--format|--turn|--days|--for|--allow-keyring|--by|--recent|--since|--period|--interval|--action|[\<\>]*) option="$word" ;;
      --) options="" ;;
      -?*) ;;
      *)
        case "$place:$path $word" in
          '0: chat'|'0: ask'|'0: compare'|'0: batch'|'0: sessions'|'0:sessions list'|'0:sessions show'|'0:sessions search'|'0:sessions export'|'0:sessions rename'|'0:sessions delete'|'0:sessions branch'|'0:sessions purge'|'0: config'|'0:config show'|'0:config get'|'0:config set'|'0:config unset'|'0:config edit'|'0:config path'|'0:config init'|'0:config validate'|'0:config schema'|'0:config trust'|'0: secrets'|'0:secrets set'|'0:secrets allow'|'0:secrets delete'|'0:secrets list'|'0: usage'|'0: budget'|'0:budget show'|'0:budget set'|'0:budget unset'|'0: cache'|'0:cache stats'|'0:cache clear'|'0: backends'|'0: models'|'0: embed'|'0: doctor'|'0: audit'|'0: completions') path="${path:+$path }$word" ;;
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
      [\<\>]*|--config|--env-file|-f|--file|--schema|-o|--output) compopt -o default 2>/dev/null ;;
      -b|--backend) _arawn_ask backends ;;
      -m|--model) _arawn_ask models ;;
      --think) _arawn_offer none minimal low medium high xhigh max ;;
      --format) _arawn_offer markdown md json html ;;
      --by) _arawn_offer backend model day session role ;;
      --period) _arawn_offer day month total ;;
      --action) _arawn_offer backend budget config secret trust ;;
    esac
  elif [[ -n $options && $cur == -* ]]; then
    _arawn_offer -h --help --config --env-file --no-project -q --quiet --debug
    case "$path" in
      "") _arawn_offer -b --backend -m --model -V --version ;;
      "chat") _arawn_offer -b --backend -m --model -c --continue -s --session --private --system -f --file --cache --no-cache --fallback ;;
      "ask") _arawn_offer -b --backend -m --model -f --file --system --max-tokens --temperature --think --timeout --cache --no-cache --fallback -c --continue -s --session --no-save --private --schema --json --jsonl -x --extract --no-stream -o --output --usage --strict --plain --raw --dry-run --each --jobs ;;
      "compare") _arawn_offer -f --file --system --max-tokens --temperature --think --timeout --cache --no-cache -b --backend -m --model --json ;;
      "batch") _arawn_offer -b --backend -m --model -o --output --jobs --system --max-tokens --temperature --think --timeout --cache --no-cache --fallback --json ;;
      "sessions") _arawn_offer -b --backend -m --model ;;
      "sessions list") _arawn_offer -b --backend -m --model --json -n --limit --all ;;
      "sessions show") _arawn_offer -b --backend -m --model --json ;;
      "sessions search") _arawn_offer -b --backend -m --model --json -n --limit ;;
      "sessions export") _arawn_offer -b --backend -m --model --json --format -o --output ;;
      "sessions rename") _arawn_offer -b --backend -m --model --json ;;
      "sessions delete") _arawn_offer -b --backend -m --model --json ;;
      "sessions branch") _arawn_offer -b --backend -m --model --json --turn ;;
      "sessions purge") _arawn_offer -b --backend -m --model --json --days ;;
      "config") _arawn_offer -b --backend -m --model ;;
      "config show") _arawn_offer -b --backend -m --model --origin --secrets --all --json ;;
      "config get") _arawn_offer -b --backend -m --model ;;
      "config set") _arawn_offer -b --backend -m --model ;;
      "config unset") _arawn_offer -b --backend -m --model ;;
      "config edit") _arawn_offer -b --backend -m --model ;;
      "config path") _arawn_offer -b --backend -m --model ;;
      "config init") _arawn_offer -b --backend -m --model ;;
      "config validate") _arawn_offer -b --backend -m --model ;;
      "config schema") _arawn_offer -b --backend -m --model ;;
      "config trust") _arawn_offer -b --backend -m --model --revoke --list ;;
      "secrets") _arawn_offer -b --backend -m --model ;;
      "secrets set") _arawn_offer -b --backend -m --model --for --allow-keyring ;;
      "secrets allow") _arawn_offer -b --backend -m --model --for ;;
      "secrets delete") _arawn_offer -b --backend -m --model ;;
      "secrets list") _arawn_offer -b --backend -m --model --json ;;
      "usage") _arawn_offer --by --recent --since --json --csv -b --backend -m --model ;;
      "budget") _arawn_offer -b --backend -m --model ;;
      "budget show") _arawn_offer -m --model -b --backend --json ;;
      "budget set") _arawn_offer -m --model -b --backend --period ;;
      "budget unset") _arawn_offer -m --model -b --backend ;;
      "cache") _arawn_offer -b --backend -m --model ;;
      "cache stats") _arawn_offer -b --backend -m --model --json ;;
      "cache clear") _arawn_offer -b --backend -m --model --json ;;
      "backends") _arawn_offer -b --backend -m --model --all --offline --watch --interval --json ;;
      "models") _arawn_offer -b --backend -m --model --known --json ;;
      "embed") _arawn_offer -b --backend -m --model -f --file --lines --json ;;
      "doctor") _arawn_offer -b --backend -m --model ;;
      "audit") _arawn_offer -b --backend -m --model --since --action -n --limit --json ;;
      "completions") _arawn_offer -b --backend -m --model --install ;;
    esac
  else
    case "$path:$place" in
      ":0") _arawn_offer chat ask compare batch sessions config secrets usage budget cache backends models embed doctor audit completions ;;
      "batch:0") compopt -o default 2>/dev/null ;;
      "sessions:0") _arawn_offer list show search export rename delete branch purge ;;
      "config:0") _arawn_offer show get set unset edit path init validate schema trust ;;
      "config show:0") _arawn_ask keys ;;
      "config get:0") _arawn_ask keys ;;
      "config set:0") _arawn_ask keys ;;
      "config set:1") _arawn_ask values ;;
      "config unset:0") _arawn_ask keys ;;
      "config validate:0") compopt -o default 2>/dev/null ;;
      "config trust:0") compopt -o default 2>/dev/null ;;
      "secrets:0") _arawn_offer set allow delete list ;;
      "secrets set:0") _arawn_ask secrets ;;
      "secrets allow:0") _arawn_ask secrets ;;
      "secrets delete:0") _arawn_ask secrets ;;
      "budget:0") _arawn_offer show set unset ;;
      "cache:0") _arawn_offer stats clear ;;
      "backends:0") _arawn_offer list check ;;
      "backends:1") _arawn_ask backends ;;
      "completions:0") _arawn_offer bash zsh fish powershell ;;
    esac
  fi
}

complete -F _arawn arawn
