# Completion of tallystack in bash: commands, options, events, recordings.
#
# Installed where bash-completion finds it by the command's name; without that package, source it.
# To add a command or an option: in the two lists below. tests/cli/test_manual.py holds them against
# --help.

_tallystack_commands='doctor list plot record report annotate diagnose export stat'

# Options of a command; those with a = take a value.
_tallystack_options() {
    case $1 in
    doctor) echo --csv ;;
    list) echo --csv --groups --models --simulate ;;
    record)
        echo -e= --event= -F= --frequency= -g= --group= -I= --interval= --max-size= --native -o= --output= \
            -q --quiet --simulate= --source= --watch= --within=
        ;;
    plot) echo -e= --event= -i= --input= --keep --limit= -o= --output= --size= ;;
    report) echo --by= --csv -e= --event= -g= --group= -i= --input= --limit= --sort= --tree ;;
    annotate) echo --csv -i= --input= --sort= ;;
    diagnose) echo --csv -e= --event= -i= --input= --limit= -o= --output= ;;
    export) echo -e= --format= -i= --input= -o= --output= ;;
    stat)
        echo --csv -e= --event= -g= --group= -i= --input= -I= --interval-print= --multiplex -o= \
            --output= --per-thread -r= --repeat= --simulate=
        ;;
    esac
    echo -h --help --usage --version
}

# In the functions below, which _tallystack calls: `words` are those before the one to complete,
# `typed` is that one, `fixed` the part of it that stays (an option's name, events of a list before
# the last), `current` the rest, and replies go to COMPREPLY.

_tallystack_reply() { # WORD...: those that start with `current`
    local word
    for word in "$@"; do
        [[ $word == "$current"* ]] || continue
        word=$fixed$word
        COMPREPLY+=("${word#"$broken"}")
    done
}

_tallystack_files() { # ACTION: of compgen -A
    local name
    while IFS= read -r name; do
        printf -v name %q "$name"
        name=$fixed${name/#\\~/\~}
        COMPREPLY+=("${name#"$broken"}")
    done < <(compgen -A "$1" -- "$current")
    [[ ${#COMPREPLY[@]} != 1 ]] || compopt -o filenames 2>/dev/null
}

# Recordings, and folders that may have some in them, with a / at the end.
_tallystack_recordings() {
    local name quoted
    while IFS= read -r name; do
        printf -v quoted %q "$name"
        quoted=$fixed${quoted/#\\~/\~}
        [[ -e ${name/#\~/$HOME}/session.json ]] || quoted+=/
        COMPREPLY+=("${quoted#"$broken"}")
    done < <(compgen -A directory -- "$current")
}

# A list with commas of events that are not known to be missing here.
_tallystack_events() {
    local name available rest names=() pattern=()
    fixed+=${current%"${current##*,}"}
    current=${current##*,}
    [[ $current != *::* ]] || pattern=("$current*")
    while IFS=, read -r name rest rest available rest; do
        [[ $name == name || $available == no ]] || names+=("$name")
    done < <("$tallystack" list --csv "${pattern[@]}" 2>/dev/null)
    _tallystack_reply "${names[@]}"
    compopt -o nospace 2>/dev/null
}

# The events of the recording that the line names, or of the usual one.
_tallystack_recorded_events() {
    local i recording=tallystack.rec names=() name
    for ((i = 2; i < ${#words[@]}; i++)); do
        case ${words[i]} in
        -i | --input) recording=${words[i + 1]-} ;;
        --input=*) recording=${words[i]#*=} ;;
        -i?*) recording=${words[i]#-i} ;;
        esac
    done
    while IFS=, read -r name _; do
        [[ $name == event ]] || names+=("$name")
    done < <("$tallystack" stat --csv -i "${recording/#\~/$HOME}" 2>/dev/null)
    _tallystack_reply "${names[@]}"
}

# The kind of a plot, and behind trend its recordings.
_tallystack_kinds() {
    case " ${words[*]:2} " in
    *' trend '*) _tallystack_recordings ;;
    *' functions '* | *' lines '* | *' timeline '* | *' waits '*) ;;
    *) _tallystack_reply functions lines timeline trend waits ;;
    esac
}

_tallystack_value() { # COMMAND OPTION
    case $1$2 in
    record-e | record--event | stat-e | stat--event) _tallystack_events ;;
    export-e | plot-e | plot--event | *--sort) _tallystack_recorded_events ;;
    *-i | *--input | record-o | record--output) _tallystack_recordings ;;
    *-o | *--output) _tallystack_files file ;;
    *--by) _tallystack_reply function line module thread process native ;;
    *--format) _tallystack_reply folded speedscope ;;
    *--source) _tallystack_reply auto software hardware clock ;;
    esac
}

# Index of the program to run in `words`, which is their number while it is still to come; -1 if the
# last word is an option that waits for its value.
_tallystack_program() { # COMMAND OPTIONS
    local i
    for ((i = 2; i < ${#words[@]}; i++)); do
        case ${words[i]} in
        --)
            echo $((i + 1))
            return
            ;;
        --*=*) ;;
        -*) [[ " $2 " != *" ${words[i]}= "* ]] || ((i++)) ;;
        *) case $1 in record | stat) break ;; esac ;;
        esac
    done
    ((i <= ${#words[@]})) && echo "$i" || echo -1
}

_tallystack() {
    local line=${COMP_LINE:0:COMP_POINT} words typed fixed='' current broken='' tallystack=$1
    local options program command separator part
    tallystack=${tallystack/#\~/$HOME}
    COMPREPLY=()
    # Without -r, for blanks with a \ before them.
    # shellcheck disable=SC2162
    read -a words <<<"$line"
    [[ $line != *[[:blank:]] || $line == *\\[[:blank:]] ]] || words+=('')
    typed=${words[-1]}
    unset 'words[-1]'
    # What bash takes for a word of its own, it leaves as it is.
    for separator in = :; do
        part=${typed%"${typed##*"$separator"}"}
        [[ $COMP_WORDBREAKS != *"$separator"* || ${#part} -le ${#broken} ]] || broken=$part
    done
    current=$typed
    if ((${#words[@]} == 1)); then
        # shellcheck disable=SC2086
        _tallystack_reply $_tallystack_commands -h --help --version
        return
    fi
    command=${words[1]}
    options=$(_tallystack_options "$command" | tr '\n' ' ')
    program=$(_tallystack_program "$command" "$options")
    if ((program < 0)); then
        _tallystack_value "$command" "${words[-1]}"
    elif ((program < ${#words[@]})); then
        case $command in
        record | stat) _tallystack_files file ;;
        esac
    elif [[ $typed == --*=* && ${words[-1]} != -- ]]; then
        fixed=${typed%%=*}=
        current=${typed#*=}
        _tallystack_value "$command" "${typed%%=*}"
    elif [[ $typed == -* && ${words[-1]} != -- ]]; then
        # shellcheck disable=SC2086
        _tallystack_reply $options
        # Only long options have the = in what is typed.
        for ((part = 0; part < ${#COMPREPLY[@]}; part++)); do
            [[ ${COMPREPLY[part]} == --* ]] || COMPREPLY[part]=${COMPREPLY[part]%=}
        done
        [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
    else
        case $command in
        record | stat | diagnose) _tallystack_files command ;;
        annotate) _tallystack_files file ;;
        plot) _tallystack_kinds ;;
        list) _tallystack_events ;;
        esac
    fi
}

complete -F _tallystack tallystack
