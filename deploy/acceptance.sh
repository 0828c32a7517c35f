#!/usr/bin/env bash
# Prove the system that provision.sh made, by a small simulated day: tipoff acceptance with the configuration's names.
#
#   deploy/acceptance.sh deploy/config.env [OPTION OF tipoff acceptance...]
set -euo pipefail

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
TIPOFF="${TIPOFF:-$HERE/../.venv/bin/tipoff}"
[[ -f ${1:-} ]] || {
    echo "acceptance: name the configuration file that provision.sh was run with" >&2
    exit 2
}
NAMES=(PROJECT PROJECT_NUMBER REGION DATASET STAGING_DATASET BIGQUERY_LOCATION REQUESTS_TOPIC OUTCOMES_TOPIC)
unset "${NAMES[@]}" # an exported variable of that name is no answer
# shellcheck source=/dev/null  # the user's own file
source "$1"
for name in "${NAMES[@]}"; do
    [[ ${!name:-} ]] || {
        echo "acceptance: $1: $name: missing; see deploy/config.example.env" >&2
        exit 2
    }
done
shift
exec "$TIPOFF" acceptance --url="https://tipoff-coordinator-$PROJECT_NUMBER.$REGION.run.app" --project="$PROJECT" \
    --dataset="$DATASET" --staging-dataset="$STAGING_DATASET" --location="$BIGQUERY_LOCATION" \
    --requests-topic="$REQUESTS_TOPIC" --outcomes-topic="$OUTCOMES_TOPIC" --region="$REGION" \
    --impersonate="tipoff-operator@$PROJECT.iam.gserviceaccount.com" "$@"
