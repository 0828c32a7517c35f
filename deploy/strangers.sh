#!/usr/bin/env bash
# Stop unless Cloud Run refuses whoever brings no token, and whoever brings one that he wrote himself (F6).
#
#   deploy/strangers.sh [--internal] URL AUDIENCE CALLER PATH...
#
# The forged token says what CALLER's would and carries, in place of a signature, what Cloud Run leaves of one that it has
# checked: a service behind TIPOFF_AUTH=cloud-run believes it. So only Cloud Run can refuse it, and only by its IAM check.
# --internal is for a service without ingress from outside, of which strangers are told that there is none (404).
# A right that was taken away holds for some minutes, so it asks again before it gives up.
set -euo pipefail

REFUSALS='401|403'
if [[ ${1:-} == --internal ]]; then
    REFUSALS+='|404'
    shift
fi
(($# >= 4)) || {
    echo "strangers: URL, AUDIENCE, CALLER and at least one PATH are needed" >&2
    exit 2
}
URL=$1 AUDIENCE=$2 CALLER=$3
shift 3

segment() { printf '%s' "$1" | base64 | tr '+/' '-_' | tr -d '=\n'; }

forged_token() {
    local now claims
    now=$(date +%s)
    claims="{\"iss\":\"https://accounts.google.com\",\"aud\":\"$AUDIENCE\",\"email\":\"$CALLER\",\"email_verified\":true"
    claims+=",\"iat\":$((now - 5)),\"exp\":$((now + 3600))}"
    echo "$(segment '{"alg":"RS256","kid":"forged","typ":"JWT"}').$(segment "$claims").SIGNATURE_REMOVED_BY_GOOGLE"
}

# The status of a call with these headers; 000 where nobody answers, which is no refusal.
status_of() { # ADDRESS [--header HEADER]
    curl --silent --output /dev/null --write-out '%{http_code}' --max-time 60 "${@:2}" "$1" || true
}

expect_refusal() { # WHO ADDRESS [--header HEADER]
    local status attempt
    for ((attempt = 1; attempt <= 20; attempt++)); do
        status=$(status_of "${@:2}")
        [[ $status =~ ^($REFUSALS)$ ]] && return
        [[ $attempt == 20 ]] || sleep "${STRANGERS_WAIT_SECONDS:-15}"
    done
    echo "strangers: $2 answered $status to $1, where Cloud Run should have refused; see \"What must not be changed\" in deploy/README.md" >&2
    exit 1
}

forged=$(forged_token)
for path in "$@"; do
    expect_refusal 'a call without a token' "$URL$path"
    expect_refusal 'a forged token' "$URL$path" --header "Authorization: Bearer $forged"
done
