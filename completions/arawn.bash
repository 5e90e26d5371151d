_arawn_completion() {
    local IFS=$'\n' rest=$COMP_LINE word current=''
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
    COMPREPLY=( $( env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) \
                   _ARAWN_COMPLETE=complete_bash "$1" ) )
    if [[ $current == -*=* ]]; then
        word=${current%%=*}=
        current=${current#*=}
        if [[ $COMP_WORDBREAKS != *=* ]]; then
            [[ $current == [\"\']* ]] || COMPREPLY=( "${COMPREPLY[@]/#/$word}" )
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
