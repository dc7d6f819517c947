#!/bin/sh
# A whole bot in sh, with curl and jq, one job at a time:
#
#     JOBSITE_URL=http://127.0.0.1:8000 JOBSITE_TOKEN=jsb_… client/examples/bot.sh
#
# It takes the kinds of the conformance suite. Put your own into KINDS and `handle`.
KINDS='["conformance.echo", "conformance.fail", "conformance.sleep"]'
# Seconds that a job may go on after SIGTERM.
GRACE=3

# The handler: the job on standard input, the result on standard output. It runs in a process of its own, which is killed
# when the lease is lost. With another exit code than 0 the job fails, and standard output is the error; 2: for good.
handle() {
    job=$(cat)
    payload=$(printf '%s' "$job" | jq -c .payload)
    case $(printf '%s' "$job" | jq -r .kind) in
    conformance.echo) printf '%s' "$payload" ;;
    conformance.fail)
        printf '%s' "$payload" | jq -r .error
        if [ "$(printf '%s' "$payload" | jq .retry)" = false ]; then return 2; else return 1; fi
        ;;
    conformance.sleep)
        lease=$(printf '%s' "$job" | jq -r '"\(.id) \(.attempt)"')
        file=$(printf '%s' "$payload" | jq -r .file)
        left=$(printf '%s' "$payload" | jq '.seconds * 10 | floor')
        echo "begin $lease" >>"$file"
        while [ "$left" -gt 0 ]; do
            sleep 0.1
            echo "work $lease" >>"$file"
            left=$((left - 1))
        done
        printf '%s' "$payload" | jq -c '{slept: .seconds}'
        ;;
    esac
}

instance="$(uname -n)-$$-$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
identity=$(uname -n)
dir=$(mktemp -d)
answer=$dir/answer head=$dir/head
# In a file, and not in an argument: arguments are seen by everybody on this machine.
printf 'Authorization: Bearer %s\nContent-Type: application/json\n' "$JOBSITE_TOKEN" >"$dir/headers"
stopping='' lease='' job_pid='' curl_pid='' code=000
trap 'kill $job_pid 2>/dev/null; rm -rf "$dir"' EXIT
trap 'stopping=yes; kill $curl_pid 2>/dev/null' TERM INT

log() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

# One try. Sets `code`, 000 where no answer came. curl runs beside the shell, which can so act on a signal at once.
# call PATH BODY [TIME-OUT]
call() {
    : >"$answer"
    : >"$head"
    printf '%s' "$2" >"$dir/body"
    curl -s -o "$answer" -D "$head" -w '%{http_code}' --max-time "${3:-10}" \
        -H "@$dir/headers" -H "Bot-Instance: $instance" --data-binary "@$dir/body" \
        "$JOBSITE_URL/api/v1/$1" >"$dir/code" 2>/dev/null &
    curl_pid=$!
    # A signal ends `wait` early.
    while kill -0 "$curl_pid" 2>/dev/null; do wait "$curl_pid"; done
    code=$(cat "$dir/code")
    case $code in
    401) log "The token is refused."; exit 77 ;;
    esac
}

field() { jq -r "$1" "$answer" 2>/dev/null; }

# What `Retry-After` asks for, and up to a second more: not all bots come back at once.
pause_for() {
    asked=$(tr -d '\r' <"$head" | sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]*\)$/\1/p')
    jitter=$(od -An -N1 -tu1 /dev/urandom | tr -d ' ')
    awk "BEGIN { n = (\"$asked\" == \"\") ? $1 * (0.5 + $jitter / 512) : $asked + $jitter / 256; printf \"%.2f\", n }"
}

nap() {
    sleep "$1" &
    wait $!
}

# Repeat a call until it is answered, from 0.5 s doubling to 15 s, with the same body. For what may be repeated alone.
# until_answered PATH BODY TRIES
until_answered() {
    pause=0.5 tries=$3
    while call "$1" "$2"; do
        case $code in
        000 | 408 | 429 | 5*) ;;
        *) return 0 ;;
        esac
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        log "$1: no answer ($code), will try again"
        nap "$(pause_for "$pause")"
        pause=$(awk "BEGIN { p = $pause * 2; print (p > 15) ? 15 : p }")
    done
}

# An answer of any call may ask for a restart.
obey() {
    if [ "$code" = 409 ] && [ "$(field .code)" = instance_replaced ]; then
        log "A newer process has taken over."
        exit 76
    fi
    [ "$(field .restart)" != true ] || { log "An operator asked for a restart."; restart=yes; stopping=yes; }
}

goodbye() {
    [ -z "$job_pid" ] || kill "$job_pid" 2>/dev/null
    until_answered goodbye "{\"instance\": \"$instance\"}" 3
    log "Goodbye."
    [ -z "$restart" ] || exit 75
    exit 0
}

say_hello() {
    # After a lost claim: a new instance, that holds nothing. What the answer had given is released.
    [ -z "$1" ] || next="$instance.$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')"
    body=$(jq -nc --arg instance "${next:-$instance}" --arg identity "$identity" --argjson kinds "$KINDS" \
        --argjson holds "${1:-null}" '{instance: $instance, identity: $identity, kinds: $kinds, holds: $holds}')
    until_answered hello "$body" 1000
    obey
    [ "$code" = 200 ] || { log "hello was refused: $(cat "$answer")"; exit 77; }
    instance=${next:-$instance}
    field '.warnings[]' | while read -r line; do log "$line"; done
}

# Seconds to the deadline by the server's clock: both moments are the server's.
lease_seconds() {
    deadline=$(printf '%s' "$1" | sed 's/\..*Z$/Z/')
    now=$(tr -d '\r' <"$head" | sed -n 's/^[Dd]ate: *//p')
    jq -n --arg at "$deadline" --arg now "$now" \
        '($at | fromdate) - ($now | strptime("%a, %d %b %Y %H:%M:%S GMT") | mktime)'
}

# A third of the lease, in whole seconds: at least 1 and at most 30.
beat_every() {
    third=$(($(lease_seconds "$1" || echo 30) / 3))
    [ "$third" -ge 1 ] || third=1
    [ "$third" -le 30 ] || third=30
    echo "$third"
}

work() {
    job=$1 job_id=$(printf '%s' "$1" | jq .id) attempt=$(printf '%s' "$1" | jq .attempt)
    log "Job $job_id, attempt $attempt: claimed."
    every=$(beat_every "$(printf '%s' "$job" | jq -r .deadline_at)")
    printf '%s' "$job" >"$dir/job"
    handle <"$dir/job" >"$dir/result" &
    job_pid=$! now=$(date +%s) lost='' until=''
    beat=$((now + every)) ask=$((now + 5))
    while kill -0 "$job_pid" 2>/dev/null; do
        nap 0.1
        now=$(date +%s)
        if [ "$now" -ge "$beat" ]; then
            beat=$((now + every))
            call "jobs/$job_id/heartbeat" "{\"attempt\": $attempt}" 5
            obey
            [ "$code" != 409 ] && [ "$code" != 404 ] || lost=yes
        fi
        if [ "$now" -ge "$ask" ]; then
            # The process's own heartbeat: has an operator released or cancelled the job?
            ask=$((now + 5))
            call heartbeat "{\"holds\": [[$job_id, $attempt]]}" 5
            obey
            [ "$(field '.lost | length')" != 1 ] || lost=yes
        fi
        [ -z "$stopping" ] || until=${until:-$((now + GRACE))}
        if [ -n "$lost" ] || [ -n "$restart" ] || [ "$now" -ge "${until:-$((now + 1))}" ]; then
            log "Job $job_id, attempt $attempt: stopped."
            kill "$job_pid" 2>/dev/null
            wait "$job_pid"
            job_pid=''
            return
        fi
    done
    wait "$job_pid"
    ended=$?
    case $ended in
    0) until_answered "jobs/$job_id/complete" "{\"attempt\": $attempt, \"result\": $(cat "$dir/result")}" 100 ;;
    *)
        [ "$ended" = 2 ] && retry=false || retry=true
        body=$(jq -nc --argjson attempt "$attempt" --argjson retry "$retry" --rawfile error "$dir/result" \
            '{attempt: $attempt, error: $error, retry: $retry}')
        until_answered "jobs/$job_id/fail" "$body" 100
        ;;
    esac
    job_pid=''
    log "Job $job_id, attempt $attempt: reported ($code)."
    obey
}

restart=''
say_hello ''
idle=0.05
while [ -z "$stopping" ]; do
    # A client time-out that is longer than `wait`.
    call claim "{\"kinds\": $KINDS, \"wait\": 20}" 30
    obey
    case $code in
    200)
        job=$(jq -c '.jobs[0] // empty' "$answer")
        if [ -n "$job" ]; then
            work "$job"
            idle=0.05
        elif [ -z "$stopping" ]; then
            nap "$(pause_for "$idle")"
            idle=$(awk "BEGIN { p = $idle * 2; print (p > 1) ? 1 : p }")
        fi
        trouble=0.5
        ;;
    000 | 500 | 502 | 504)
        [ -z "$stopping" ] || break
        # It may have given a job. One that nobody knows of is released by hello.
        nap "$(pause_for "${trouble:=0.5}")"
        trouble=$(awk "BEGIN { p = $trouble * 2; print (p > 15) ? 15 : p }")
        say_hello '[]'
        ;;
    *)
        [ "$(field .code)" != outcome_unknown ] || say_hello '[]'
        nap "$(pause_for 5)"
        ;;
    esac
done
goodbye
