#!/usr/bin/env bash
# One call of Cloud Monitoring's API, for what gcloud has no command for; fails as the API does, and says what it said.
#
#   deploy/monitoring.sh PROJECT METHOD PATH [FILE]    PATH as in services/SERVICE/serviceLevelObjectives/OBJECTIVE
set -euo pipefail

(($# >= 3)) || {
    echo "monitoring: PROJECT, METHOD and PATH are needed" >&2
    exit 2
}
PROJECT=$1 METHOD=$2 URL="https://monitoring.googleapis.com/v3/projects/$1/$3" FILE=${4:-}

token=$(gcloud auth print-access-token)
# The token goes by standard input, since whoever is on this machine may read arguments.
curl --fail-with-body --silent --show-error --max-time 60 --config - --header "X-Goog-User-Project: $PROJECT" \
    --header 'Content-Type: application/json' --request "$METHOD" ${FILE:+--data "@$FILE"} "$URL" <<<"header = \"Authorization: Bearer $token\""
