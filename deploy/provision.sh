#!/usr/bin/env bash
# Create in a Google Cloud project everything that Tipoff runs on, or take it all away again.
#
#   deploy/provision.sh deploy/config.env              create what is missing, bring the rest up to date
#   deploy/provision.sh deploy/config.env --dry-run    print the commands and run none
#   deploy/provision.sh deploy/config.env --destroy PROJECT    delete everything, the data too
#
# Running it again creates nothing twice: a create is preceded by a look (`look || create`), everything else sets a
# value that may be set again. It stops at the first command that fails; run it again after mending the cause.
# deploy/README.md says who may do what and why the numbers are what they are.
set -euo pipefail

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
PYTHON="${PYTHON:-python3}"
TIPOFF="${TIPOFF:-$HERE/../.venv/bin/tipoff}"
PIN="${PIN:-$HERE/pin.sh}"

WORKER=tipoff-worker
COORDINATOR=tipoff-coordinator
START_JOB=tipoff-start
EVENING_JOB=tipoff-start-evening
SWEEP_JOB=tipoff-sweep
GRADE_JOB=tipoff-grade
CHANNEL_NAME="Tipoff on call"
# On everything that can bear a label: what is made here, and so may be deleted here.
OURS=managed-by=tipoff
# In the description of what can bear none: accounts, jobs, log metrics.
MARK='managed-by: tipoff'

REQUIRED=(
    PROJECT PROJECT_NUMBER REGION BIGQUERY_LOCATION DATASET STAGING_DATASET FIRESTORE_LOCATION FIRESTORE_DATABASE
    REQUESTS_TOPIC OUTCOMES_TOPIC FINISHED_TOPIC REPOSITORY IMAGE_TAG MODEL OPERATORS VIEWERS ALERT_EMAIL
)

# What a failing command says where the cause may pass by itself: an API that was just enabled, an account or a right that
# was just made is unknown to some of Google's machines for a minute or more. The last two are bq's, which tells no codes.
MAY_PASS='(^|[^0-9])(403|404)([^0-9]|$)|PERMISSION_DENIED|NOT_FOUND|[Dd]oes not exist|[Nn]ot found|SERVICE_DISABLED|Access Denied|has not been used'
PATIENCE_SECONDS=300
# Monitoring may not know a log metric for ten minutes after it was made (Cloud Logging, "Log-based metrics").
METRIC_PATIENCE_SECONDS=900
WAIT_SECONDS="${PROVISION_WAIT_SECONDS:-15}"

fail() {
    printf 'provision: %s\n' "$@" >&2
    exit 2
}

# --- how commands are run -------------------------------------------------------------------------------------

# One command, quoted so that a shell reads it back as it is.
quoted() {
    local word line=''
    for word in "$@"; do
        if [[ $word =~ ^[A-Za-z0-9_./:=@%+,^\;-]+$ && $word != *';'* ]]; then
            line+="$word "
        else
            line+="'${word//\'/\'\\\'\'}' "
        fi
    done
    printf '%s' "${line% }"
}

# Every gcloud command names its project, whatever the machine's default is, and asks nothing back.
completed() {
    COMPLETED=("$@")
    if [[ $1 == gcloud ]]; then COMPLETED+=(--project="$PROJECT" --quiet); fi
}

run() {
    completed "$@"
    if [[ $DRY_RUN ]]; then
        quoted "${COMPLETED[@]}"
        echo
    else
        echo "+ $(quoted "${COMPLETED[@]}")" >&2
        patiently "${COMPLETED[@]}"
    fi
}

# A command again and again while what it fails of may pass, PATIENCE_SECONDS long. What it says goes to standard error:
# gcloud tells a failure there, bq on standard output, in lines of 80 characters.
patiently() {
    local said waited=0
    until said=$("$@" 2>&1); do
        printf '%s\n' "$said" >&2
        [[ ${said//$'\n'/ } =~ $MAY_PASS ]] && ((waited < PATIENCE_SECONDS)) || return 1
        echo "# that may pass: trying again for $((PATIENCE_SECONDS - waited)) s" >&2
        sleep "$WAIT_SECONDS"
        waited=$((waited + (WAIT_SECONDS > 0 ? WAIT_SECONDS : 15)))
    done
    [[ ! $said ]] || printf '%s\n' "$said" >&2
}

# ensure LOOK... --or CREATE... [--then UPDATE...]: create what is not there; bring up to date what is.
ensure() {
    local -a look=() create=() update=()
    local into=look word
    for word in "$@"; do
        case $into:$word in
            *:--or) into=create ;;
            *:--then) into=update ;;
            look:*) look+=("$word") ;;
            create:*) create+=("$word") ;;
            update:*) update+=("$word") ;;
        esac
    done
    if finds "${look[@]}"; then
        if ((${#update[@]})); then run "${update[@]}"; fi
        [[ $DRY_RUN ]] || return 0
        echo "# or, where that look finds nothing:"
    fi
    run "${create[@]}"
}

# remove LOOK... --and DELETE...: delete what is there.
remove() {
    local -a look=() delete=()
    local into=look word
    for word in "$@"; do
        case $into:$word in
            look:--and) into=delete ;;
            look:*) look+=("$word") ;;
            *) delete+=("$word") ;;
        esac
    done
    if finds "${look[@]}"; then run "${delete[@]}"; fi
}

# Whether a look finds something; in a dry run it is printed, and finds.
finds() {
    completed "$@"
    if [[ $DRY_RUN ]]; then
        run "$@"
    else
        "${COMPLETED[@]}" >/dev/null 2>&1
    fi
}

# The names of what a list command finds, one a line; in a dry run the list command itself, and a stand-in.
found_by() {
    completed "$@"
    if [[ $DRY_RUN ]]; then
        run "$@" >&3
        echo FOUND
    else
        "${COMPLETED[@]}"
    fi
}

# --- names that follow from the configuration -----------------------------------------------------------------

account() { echo "tipoff-$1@$PROJECT.iam.gserviceaccount.com"; }
member() { echo "serviceAccount:$(account "$1")"; }
# The address that Cloud Run gives a service before it is deployed (Cloud Run, "Deterministic URL"); it is the
# audience of callers' tokens too, as Cloud Run's own check accepts no other without configuration.
url() { echo "https://$1-$PROJECT_NUMBER.$REGION.run.app"; }
image() { echo "$REGION-docker.pkg.dev/$PROJECT/$REPOSITORY/$1:$IMAGE_TAG"; }
build_bucket() { echo "gs://$PROJECT-tipoff-build"; }
dead_letters() { echo "$REQUESTS_TOPIC-dead-letter"; }
pubsub_agent() { echo "serviceAccount:service-$PROJECT_NUMBER@gcp-sa-pubsub.iam.gserviceaccount.com"; }

# shellcheck source=deploy/parts.sh disable=SC1091  # the parts are read where the variables above are known
source "$HERE/parts.sh"
# shellcheck source=deploy/schedule.sh disable=SC1091  # as above
source "$HERE/schedule.sh"

# --- the call -------------------------------------------------------------------------------------------------

CONFIG='' DRY_RUN='' DESTROY='' CONFIRMED=''
while (($#)); do
    case $1 in
        --dry-run) DRY_RUN=1 ;;
        --destroy)
            DESTROY=1
            if [[ ${2:-} && ${2:-} != --* ]]; then
                CONFIRMED=$2
                shift
            fi
            ;;
        -h | --help)
            sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        -*) fail "no such option: $1 (see --help)" ;;
        *) CONFIG=$1 ;;
    esac
    shift
done
[[ $CONFIG ]] || fail "name a configuration file; deploy/config.example.env is the form to fill in"
[[ -f $CONFIG ]] || fail "$CONFIG: no such file; copy deploy/config.example.env and fill it in"

for name in "${REQUIRED[@]}"; do unset "$name"; done # an exported variable of that name is no answer
# shellcheck source=/dev/null  # the user's own file
source "$CONFIG"
missing=()
for name in "${REQUIRED[@]}"; do [[ ${!name:-} ]] || missing+=("$CONFIG: $name: missing; see deploy/config.example.env"); done
((${#missing[@]} == 0)) || fail "${missing[@]}"
[[ $STAGING_DATASET != "$DATASET" ]] || fail "$CONFIG: STAGING_DATASET: is DATASET; name another, so that the worker may write to no other table"
[[ $MODEL == simulated || $MODEL == gs://*/* ]] || fail "$CONFIG: MODEL: $MODEL is neither a gs:// URL of a file of tipoff train nor simulated"
[[ $FIRESTORE_DATABASE != '(default)' ]] || fail "$CONFIG: FIRESTORE_DATABASE: (default) may hold other data; name one of Tipoff's own"
if [[ $DESTROY && ! $DRY_RUN && $CONFIRMED != "$PROJECT" ]]; then
    fail "--destroy deletes predictions and ledger for good; say so with: --destroy $PROJECT"
fi

exec 3>&1 # where a dry run prints the list commands whose output is captured
if [[ $DESTROY ]]; then destroy_all; else provision_all; fi
