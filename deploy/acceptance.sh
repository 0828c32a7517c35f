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
# shellcheck source=/dev/null  # the user's own file
source "$1"
shift
exec "$TIPOFF" acceptance --url="https://tipoff-coordinator-$PROJECT_NUMBER.$REGION.run.app" --project="$PROJECT" \
    --dataset="$DATASET" --staging-dataset="$STAGING_DATASET" --location="$BIGQUERY_LOCATION" \
    --impersonate="tipoff-operator@$PROJECT.iam.gserviceaccount.com" "$@"
