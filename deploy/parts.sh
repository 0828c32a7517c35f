# shellcheck shell=bash disable=SC2154  # read by provision.sh, which has the configuration and the means
# What there is to provision, part by part. Each part may be run again.

provision_all() {
    [[ $DRY_RUN ]] || command -v "$TIPOFF" >/dev/null || fail "$TIPOFF: no such command; build it first (make run), or set TIPOFF"
    check_project
    apis
    accounts
    registry
    firestore
    bigquery
    topics
    services
    subscriptions
    scheduler
    build_rights
    alerts
}

# A mistyped number would make addresses of nobody's services.
check_project() {
    local number
    number=$(found_by gcloud projects describe "$PROJECT" '--format=value(projectNumber)')
    [[ $DRY_RUN || $number == "$PROJECT_NUMBER" ]] || fail "PROJECT_NUMBER: $PROJECT has number $number, not $PROJECT_NUMBER"
}

apis() {
    run gcloud services enable run.googleapis.com pubsub.googleapis.com bigquery.googleapis.com bigquerystorage.googleapis.com \
        firestore.googleapis.com cloudscheduler.googleapis.com cloudbuild.googleapis.com artifactregistry.googleapis.com \
        iam.googleapis.com iamcredentials.googleapis.com logging.googleapis.com monitoring.googleapis.com
    # Pub/Sub's own account is made with its first use; the rights below need it now.
    run gcloud beta services identity create --service=pubsub.googleapis.com
}

# --- accounts: the table in deploy/README.md says who may do what, and why ------------------------------------

ACCOUNT_NAMES=(coordinator worker push scheduler operator build)

what_for() { # ACCOUNT
    case $1 in
        coordinator | worker) echo "Tipoff: runs the $1" ;;
        push) echo 'Tipoff: signs the pushes of Pub/Sub' ;;
        scheduler) echo 'Tipoff: signs the calls of Cloud Scheduler' ;;
        operator) echo 'Tipoff: what people act as' ;;
        build) echo 'Tipoff: builds and deploys' ;;
    esac
}

on_project() { # MEMBER ROLE [CONDITION]
    run gcloud projects add-iam-policy-binding "$PROJECT" --member="$1" --role="$2" --condition="${3:-None}"
}

on_account() { # ACCOUNT MEMBER ROLE
    run gcloud iam service-accounts add-iam-policy-binding "$(account "$1")" --member="$2" --role="$3"
}

of_this_database() {
    echo "title=tipoff-ledger,expression=resource.name==\"projects/$PROJECT/databases/$FIRESTORE_DATABASE\""
}

accounts() {
    local name
    for name in "${ACCOUNT_NAMES[@]}"; do
        ensure gcloud iam service-accounts describe "$(account "$name")" --or \
            gcloud iam service-accounts create "tipoff-$name" --display-name="$(what_for "$name")"
    done
    on_project "$(member coordinator)" roles/datastore.user "$(of_this_database)"
    on_project "$(member coordinator)" roles/bigquery.jobUser
    on_account operator "$OPERATORS" roles/iam.serviceAccountOpenIdTokenCreator
    # Needed in projects made before April 2021 only (Pub/Sub, "Authentication for push subscriptions").
    on_account push "$(pubsub_agent)" roles/iam.serviceAccountTokenCreator
}

# --- stores ---------------------------------------------------------------------------------------------------

registry() {
    ensure gcloud artifacts repositories describe "$REPOSITORY" --location="$REGION" --or \
        gcloud artifacts repositories create "$REPOSITORY" --location="$REGION" --repository-format=docker \
        --description="Tipoff: images of both services"
}

# Prints "collection-group field ttl" for every line of the index file.
field_overrides() {
    "$PYTHON" -c 'import json, sys
for one in json.load(open(sys.argv[1]))["fieldOverrides"]:
    print(one["collectionGroup"], one["fieldPath"], one.get("ttl", False))' "$HERE/firestore.indexes.json"
}

firestore() {
    local group path ttl
    ensure gcloud firestore databases describe --database="$FIRESTORE_DATABASE" --or \
        gcloud firestore databases create --database="$FIRESTORE_DATABASE" --location="$FIRESTORE_LOCATION" \
        --type=firestore-native
    while read -r group path ttl; do
        # Not --async: Firestore refuses a second change of a field while the first is under way.
        run gcloud firestore indexes fields update "$path" --collection-group="$group" --disable-indexes \
            --database="$FIRESTORE_DATABASE"
        if [[ $ttl == True ]]; then
            run gcloud firestore fields ttls update "$path" --collection-group="$group" --enable-ttl --async \
                --database="$FIRESTORE_DATABASE"
        fi
    done < <(field_overrides)
}

bigquery() {
    local who
    ensure bq "--project_id=$PROJECT" show --dataset "$PROJECT:$DATASET" --or \
        bq "--project_id=$PROJECT" "--location=$BIGQUERY_LOCATION" mk --dataset "$PROJECT:$DATASET"
    # `bq add-iam-policy-binding` knows tables and views only; on a dataset it is GRANT, which may be repeated.
    for who in coordinator worker build; do
        run bq "--project_id=$PROJECT" "--location=$BIGQUERY_LOCATION" query --use_legacy_sql=false \
            "GRANT \`roles/bigquery.dataEditor\` ON SCHEMA \`$PROJECT\`.\`$DATASET\` TO '$(member "$who")'"
    done
    run "$TIPOFF" schema apply --project="$PROJECT" --dataset="$DATASET" --location="$BIGQUERY_LOCATION"
}

# --- messages -------------------------------------------------------------------------------------------------

on_topic() { # TOPIC MEMBER ROLE
    run gcloud pubsub topics add-iam-policy-binding "$1" --member="$2" --role="$3"
}

topics() {
    local topic
    for topic in "$REQUESTS_TOPIC" "$OUTCOMES_TOPIC" "$FINISHED_TOPIC" "$(dead_letters)"; do
        ensure gcloud pubsub topics describe "$topic" --or gcloud pubsub topics create "$topic"
    done
    for topic in "$REQUESTS_TOPIC" "$FINISHED_TOPIC"; do
        on_topic "$topic" "$(member coordinator)" roles/pubsub.publisher
        on_topic "$topic" "$(member coordinator)" roles/pubsub.viewer # /ready asks for the topic
    done
    on_topic "$OUTCOMES_TOPIC" "$(member worker)" roles/pubsub.publisher
    on_topic "$OUTCOMES_TOPIC" "$(member worker)" roles/pubsub.viewer
    on_topic "$(dead_letters)" "$(pubsub_agent)" roles/pubsub.publisher
}

# SUBSCRIPTION TOPIC URL PATH [FLAG...]: ack deadline, back-off, no expiration and 7 days, as local/emulated/provision.py has them.
subscribe() {
    local name=$1 topic=$2 service=$3 path=$4
    shift 4
    local -a flags=(
        --push-endpoint="$(url "$service")$path"
        --push-auth-service-account="$(account push)"
        --push-auth-token-audience="$(url "$service")"
        --ack-deadline=600
        --min-retry-delay=10s
        --max-retry-delay=600s
        --message-retention-duration=7d
        --expiration-period=never # the off-season is longer than the 31 days after which an idle one is deleted
        "$@"
    )
    ensure gcloud pubsub subscriptions describe "$name" --or \
        gcloud pubsub subscriptions create "$name" --topic="$topic" "${flags[@]}" --then \
        gcloud pubsub subscriptions update "$name" "${flags[@]}"
}

subscriptions() {
    subscribe "$REQUESTS_TOPIC" "$REQUESTS_TOPIC" "$WORKER" /predict \
        --dead-letter-topic="$(dead_letters)" --dead-letter-topic-project="$PROJECT" --max-delivery-attempts=20
    # Without a dead-letter topic: an outcome that is not recorded must keep coming.
    subscribe "$OUTCOMES_TOPIC" "$OUTCOMES_TOPIC" "$COORDINATOR" /complete
    subscribe "$(dead_letters)" "$(dead_letters)" "$COORDINATOR" /dead-letter
    # Forwarding a dead letter, Pub/Sub's own account acknowledges it where it came from.
    run gcloud pubsub subscriptions add-iam-policy-binding "$REQUESTS_TOPIC" --member="$(pubsub_agent)" --role=roles/pubsub.subscriber
}

# --- services -------------------------------------------------------------------------------------------------

# SERVICE ACCOUNT ENVIRONMENT [FLAG...]. Settings are always updated, never set: what else is set stays (D3). A change of
# a running service takes no traffic until deploy/README.md's command or the next build gives it some.
service() {
    local name=$1 runs_as=$2 environment=$3
    shift 3
    local -a flags=(
        --region="$REGION" --service-account="$(account "$runs_as")" --update-env-vars="$environment" --invoker-iam-check
        --timeout=900 --concurrency=8 --cpu-boost --cpu-throttling
        "$@"
    )
    ensure gcloud run services describe "$name" --region="$REGION" --or \
        gcloud run deploy "$name" --image="$(image "$name")" --no-allow-unauthenticated "${flags[@]}" --then \
        gcloud run services update "$name" --no-traffic "${flags[@]}"
}

# Take away what lets everybody call a service: TIPOFF_AUTH=cloud-run is sound only while Cloud Run asks each caller (F6).
close_to_strangers() { # SERVICE
    local member role roles
    for member in allUsers allAuthenticatedUsers; do
        roles=$(public_roles "$1" "$member") # apart from the loop, which would take a failed look for an empty one
        for role in $roles; do
            run gcloud run services remove-iam-policy-binding "$1" --region="$REGION" --member="$member" --role="$role"
        done
    done
}

public_roles() { # SERVICE MEMBER
    found_by gcloud run services get-iam-policy "$1" --region="$REGION" '--flatten=bindings[].members' \
        "--filter=bindings.members=$2" '--format=value(bindings.role)'
}

may_call() { # SERVICE ACCOUNT
    run gcloud run services add-iam-policy-binding "$1" --region="$REGION" --member="$(member "$2")" --role=roles/run.invoker
}

environment_of_both() { # SERVICE
    # Cloud Run asks every caller (--no-allow-unauthenticated) and removes the signature from the token it has checked.
    echo "TIPOFF_AUTH=cloud-run,TIPOFF_PROJECT=$PROJECT,TIPOFF_LOCATION=$BIGQUERY_LOCATION,TIPOFF_DATASET=$DATASET,TIPOFF_OUTCOMES_TOPIC=$OUTCOMES_TOPIC,TIPOFF_AUDIENCE=$(url "$1"),TIPOFF_PUSH_CALLERS=$(account push)"
}

services() {
    local name
    for name in "$WORKER" "$COORDINATOR"; do
        ensure gcloud artifacts docker images describe "$(image "$name")" --or \
            gcloud builds submit "$HERE/.." --config="$HERE/images.yaml" \
            --substitutions="_REGION=$REGION,_REPOSITORY=$REPOSITORY,_TAG=$IMAGE_TAG"
    done
    # Its only callers are subscriptions of this project, which count as internal.
    service "$WORKER" worker "$(environment_of_both "$WORKER")" \
        --ingress=internal --min-instances=0 --max-instances=6 --cpu=1 --memory=1Gi
    service "$COORDINATOR" coordinator \
        "$(environment_of_both "$COORDINATOR"),TIPOFF_FIRESTORE_DATABASE=$FIRESTORE_DATABASE,TIPOFF_REQUESTS_TOPIC=$REQUESTS_TOPIC,TIPOFF_FINISHED_TOPIC=$FINISHED_TOPIC,TIPOFF_SCHEDULER_CALLERS=$(account scheduler),TIPOFF_ADMIN_CALLERS=$(account operator)" \
        --ingress=all --min-instances=0 --max-instances=4 --cpu=1 --memory=2Gi
    for name in "$WORKER" "$COORDINATOR"; do close_to_strangers "$name"; done
    may_call "$WORKER" push
    for name in push scheduler operator build; do may_call "$COORDINATOR" "$name"; done
    run "$HERE/strangers.sh" --internal "$(url "$WORKER")" "$(url "$WORKER")" "$(account push)" /ready /predict
    run "$HERE/strangers.sh" "$(url "$COORDINATOR")" "$(url "$COORDINATOR")" "$(account operator)" /ready /batches
}

# --- what calls by the clock ----------------------------------------------------------------------------------

# JOB PATH SCHEDULE DEADLINE ATTEMPTS. Scheduler's default is no retry at all; its deadline lies above the service's own
# timeout, so that the service's answer comes before Scheduler gives up and sends again (D5).
call_by_the_clock() {
    local job=$1 path=$2 schedule=$3 deadline=$4 attempts=$5
    local -a flags=(
        --location="$REGION" --schedule="$schedule" --time-zone=America/New_York
        --uri="$(url "$COORDINATOR")$path" --http-method=POST '--message-body={}'
        --oidc-service-account-email="$(account scheduler)" --oidc-token-audience="$(url "$COORDINATOR")"
        --attempt-deadline="$deadline" --max-retry-attempts="$attempts" --min-backoff=30s --max-backoff=300s
    )
    ensure gcloud scheduler jobs describe "$job" --location="$REGION" --or \
        gcloud scheduler jobs create http "$job" --headers=Content-Type=application/json "${flags[@]}" --then \
        gcloud scheduler jobs update http "$job" --update-headers=Content-Type=application/json "${flags[@]}"
}

scheduler() {
    call_by_the_clock "$START_JOB" /start '0 10 * * *' 960s 5
    call_by_the_clock "$SWEEP_JOB" /sweep '*/5 * * * *' 960s 1
    call_by_the_clock "$GRADE_JOB" /grade '0 9 * * *' 960s 5
}

build_rights() {
    local name
    on_project "$(member build)" roles/logging.logWriter
    on_project "$(member build)" roles/storage.objectViewer
    on_project "$(member build)" roles/bigquery.jobUser
    run gcloud artifacts repositories add-iam-policy-binding "$REPOSITORY" --location="$REGION" --member="$(member build)" \
        --role=roles/artifactregistry.writer
    for name in "$WORKER" "$COORDINATOR"; do
        run gcloud run services add-iam-policy-binding "$name" --region="$REGION" --member="$(member build)" --role=roles/run.developer
    done
    for name in worker coordinator; do on_account "$name" "$(member build)" roles/iam.serviceAccountUser; done
    on_account build "$(member build)" roles/iam.serviceAccountOpenIdTokenCreator # the smoke test signs its call
}

# --- alerts ---------------------------------------------------------------------------------------------------

the_channel() {
    found_by gcloud beta monitoring channels list "--filter=displayName=\"$CHANNEL_NAME\"" '--format=value(name)' \
       
}

the_policy() { # DISPLAY_NAME
    found_by gcloud alpha monitoring policies list "--filter=displayName=\"$1\"" '--format=value(name)'
}

display_name() {
    "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["displayName"])' "$1"
}

alerts() {
    local file name channel policy
    for file in "$HERE"/metrics/*.json; do
        name=$(basename "$file" .json)
        ensure gcloud logging metrics describe "$name" --or \
            gcloud logging metrics create "$name" --config-from-file="$file" --then \
            gcloud logging metrics update "$name" --config-from-file="$file"
    done
    channel=$(the_channel)
    if [[ ! $channel || $DRY_RUN ]]; then
        run gcloud beta monitoring channels create --display-name="$CHANNEL_NAME" --type=email \
            --channel-labels=email_address="$ALERT_EMAIL"
        channel=$(the_channel)
    fi
    for file in "$HERE"/alerts/*.json; do
        policy=$(the_policy "$(display_name "$file")")
        if [[ $policy ]]; then
            run gcloud alpha monitoring policies update "$policy" --policy-from-file="$file" --set-notification-channels="$channel"
        fi
        if [[ ! $policy || $DRY_RUN ]]; then
            run gcloud alpha monitoring policies create --policy-from-file="$file" --notification-channels="$channel"
        fi
    done
}

# --- away with it ---------------------------------------------------------------------------------------------

# In the reverse order. The project's APIs stay on: others may use them.
destroy_all() {
    check_project
    destroy_alerts
    destroy_callers
    destroy_stores
    destroy_accounts
}

destroy_alerts() {
    local file name found
    for file in "$HERE"/alerts/*.json; do
        for found in $(the_policy "$(display_name "$file")"); do run gcloud alpha monitoring policies delete "$found"; done
    done
    for found in $(the_channel); do run gcloud beta monitoring channels delete "$found"; done
    for file in "$HERE"/metrics/*.json; do
        name=$(basename "$file" .json)
        remove gcloud logging metrics describe "$name" --and gcloud logging metrics delete "$name"
    done
}

destroy_callers() {
    local name
    for name in "$START_JOB" "$SWEEP_JOB" "$GRADE_JOB"; do
        remove gcloud scheduler jobs describe "$name" --location="$REGION" --and \
            gcloud scheduler jobs delete "$name" --location="$REGION"
    done
    for name in "$REQUESTS_TOPIC" "$OUTCOMES_TOPIC" "$(dead_letters)"; do
        remove gcloud pubsub subscriptions describe "$name" --and gcloud pubsub subscriptions delete "$name"
    done
    for name in "$COORDINATOR" "$WORKER"; do
        remove gcloud run services describe "$name" --region="$REGION" --and \
            gcloud run services delete "$name" --region="$REGION"
    done
    for name in "$REQUESTS_TOPIC" "$OUTCOMES_TOPIC" "$FINISHED_TOPIC" "$(dead_letters)"; do
        remove gcloud pubsub topics describe "$name" --and gcloud pubsub topics delete "$name"
    done
}

destroy_stores() {
    remove bq "--project_id=$PROJECT" show --dataset "$PROJECT:$DATASET" --and \
        bq "--project_id=$PROJECT" rm --recursive --force --dataset "$PROJECT:$DATASET"
    remove gcloud firestore databases describe --database="$FIRESTORE_DATABASE" --and \
        gcloud firestore databases delete --database="$FIRESTORE_DATABASE"
    remove gcloud artifacts repositories describe "$REPOSITORY" --location="$REGION" --and \
        gcloud artifacts repositories delete "$REPOSITORY" --location="$REGION"
}

off_project() { # ACCOUNT ROLE [CONDITION]: only while the account is there to have the right
    remove gcloud iam service-accounts describe "$(account "$1")" --and \
        gcloud projects remove-iam-policy-binding "$PROJECT" --member="$(member "$1")" --role="$2" --condition="${3:-None}"
}

destroy_accounts() {
    local name role
    off_project coordinator roles/datastore.user "$(of_this_database)"
    off_project coordinator roles/bigquery.jobUser
    for role in roles/logging.logWriter roles/storage.objectViewer roles/bigquery.jobUser; do off_project build "$role"; done
    for name in "${ACCOUNT_NAMES[@]}"; do
        remove gcloud iam service-accounts describe "$(account "$name")" --and \
            gcloud iam service-accounts delete "$(account "$name")"
    done
}
