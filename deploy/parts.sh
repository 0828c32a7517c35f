# shellcheck shell=bash disable=SC2154  # read by provision.sh, which has the configuration and the means
# What there is to provision, part by part. Each part may be run again.

provision_all() {
    [[ $DRY_RUN ]] || command -v "$TIPOFF" >/dev/null || fail "$TIPOFF: no such command; build it first (make run), or set TIPOFF"
    run "$PIN" --check
    check_project
    check_credentials
    apis
    accounts
    registry
    build_rights
    firestore
    bigquery
    topics
    services
    subscriptions
    scheduler
    alerts
}

# A mistyped number would make addresses of nobody's services.
check_project() {
    local number
    number=$(found_by gcloud projects describe "$PROJECT" '--format=value(projectNumber)')
    [[ $DRY_RUN || $number == "$PROJECT_NUMBER" ]] || fail "PROJECT_NUMBER: $PROJECT has number $number, not $PROJECT_NUMBER"
}

# `tipoff schema apply` calls BigQuery by Google's client, which does not use gcloud's own login.
check_credentials() {
    finds gcloud auth application-default print-access-token ||
        fail "there are no Application Default Credentials, which tipoff schema apply needs; make them with: gcloud auth application-default login"
}

apis() {
    run gcloud services enable run.googleapis.com pubsub.googleapis.com bigquery.googleapis.com bigquerystorage.googleapis.com \
        firestore.googleapis.com cloudscheduler.googleapis.com cloudbuild.googleapis.com artifactregistry.googleapis.com \
        iam.googleapis.com iamcredentials.googleapis.com logging.googleapis.com monitoring.googleapis.com storage.googleapis.com
    # Pub/Sub's own account is made with its first use; the rights below need it now.
    run gcloud beta services identity create --service=pubsub.googleapis.com
}

# --- accounts: the table in deploy/README.md says who may do what, and why ------------------------------------

ACCOUNT_NAMES=(coordinator worker push scheduler operator viewer build)

what_for() { # ACCOUNT
    case $1 in
        coordinator | worker) echo "Tipoff: runs the $1" ;;
        push) echo 'Tipoff: signs the pushes of Pub/Sub' ;;
        scheduler) echo 'Tipoff: signs the calls of Cloud Scheduler' ;;
        operator) echo 'Tipoff: what people act as' ;;
        viewer) echo 'Tipoff: what people look as' ;;
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
        make account "$(account "$name")" \
            gcloud iam service-accounts create "tipoff-$name" --display-name="$(what_for "$name")" --description="$MARK"
    done
    on_project "$(member coordinator)" roles/datastore.user "$(of_this_database)"
    on_project "$(member coordinator)" roles/bigquery.jobUser
    # gcloud asks for an access token of the account before it asks for an identity token, so the right to the latter alone
    # (serviceAccountOpenIdTokenCreator) gives nobody one. The accounts may do no more than call the coordinator.
    on_account operator "$OPERATORS" roles/iam.serviceAccountTokenCreator
    on_account viewer "$VIEWERS" roles/iam.serviceAccountTokenCreator
    # Needed in projects made before April 2021 only (Pub/Sub, "Authentication for push subscriptions").
    on_account push "$(pubsub_agent)" roles/iam.serviceAccountTokenCreator
}

# --- stores ---------------------------------------------------------------------------------------------------

registry() {
    make repository "$REPOSITORY" \
        gcloud artifacts repositories create "$REPOSITORY" --location="$REGION" --repository-format=docker \
        --description="Tipoff: images of both services" --labels="$OURS"
    if is_ours repository "$REPOSITORY"; then
        run gcloud artifacts repositories set-cleanup-policies "$REPOSITORY" --location="$REGION" --policy="$HERE/cleanup.json" --no-dry-run
    fi
}

# KIND NAME: sets LOOK and DELETE, its commands, and SAYS, the flag by which a look tells who made it: a label, or where
# Google has none, the description.
named() {
    local group place='' says=labels.managed-by
    case $1 in
        repository) group='artifacts repositories' place=--location=$REGION ;;
        topic) group='pubsub topics' ;;
        subscription) group='pubsub subscriptions' ;;
        service) group='run services' place=--region=$REGION says=metadata.labels.managed-by ;;
        bucket) group='storage buckets' ;;
        account) group='iam service-accounts' says=description ;;
        job) group='scheduler jobs' place=--location=$REGION says=description ;;
        metric) group='logging metrics' says=description ;;
        dataset)
            LOOK=(bq "--project_id=$PROJECT" show --format=prettyjson --dataset "$PROJECT:$2") SAYS='' # it tells anyway
            DELETE=(bq "--project_id=$PROJECT" rm --recursive --force --dataset "$PROJECT:$2")
            return
            ;;
    esac
    # shellcheck disable=SC2206  # the words of a group are words
    LOOK=(gcloud $group describe "$2" ${place:+"$place"}) DELETE=(gcloud $group delete "$2" ${place:+"$place"})
    [[ $1 != bucket ]] || DELETE=(gcloud storage rm "$2" --recursive)
    SAYS="--format=value($says)"
}

# KIND NAME CREATE... [--then UPDATE...]: as `ensure` has it.
make() {
    named "$1" "$2"
    ensure "${LOOK[@]}" --or "${@:3}"
}

# Whether this script made what bears a name; in a dry run it did. What says so is given when a thing is made and never
# after, so that what was there before does not become ours.
is_ours() { # KIND NAME
    local label
    named "$1" "$2"
    label=$(found_by "${LOOK[@]}" ${SAYS:+"$SAYS"})
    [[ $DRY_RUN || $label == tipoff || $label == *"$MARK"* || $label == *'"managed-by": "tipoff"'* ]]
}

# Stop where something of another's bears a name whose definition would be replaced.
refuse_anothers() { # KIND NAME
    named "$1" "$2"
    if [[ ! $DRY_RUN ]] && finds "${LOOK[@]}" && ! is_ours "$1" "$2"; then
        fail "$2 is there and was not made here (it does not say $MARK); delete it if it is yours, and run this again"
    fi
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
    local one
    for one in "$DATASET" "$STAGING_DATASET"; do
        make dataset "$one" \
            bq "--project_id=$PROJECT" "--location=$BIGQUERY_LOCATION" mk --dataset --label="${OURS/=/:}" "$PROJECT:$one"
    done
    on_dataset "$DATASET" coordinator roles/bigquery.dataEditor
    on_dataset "$DATASET" build roles/bigquery.dataEditor
    on_dataset "$STAGING_DATASET" worker roles/bigquery.dataEditor
    on_dataset "$STAGING_DATASET" coordinator roles/bigquery.dataViewer
    on_dataset "$STAGING_DATASET" build roles/bigquery.dataEditor
    run "$TIPOFF" schema apply --project="$PROJECT" --dataset="$DATASET" --staging-dataset="$STAGING_DATASET" --location="$BIGQUERY_LOCATION"
}

# `bq add-iam-policy-binding` knows tables and views only; on a dataset it is GRANT, which may be repeated.
on_dataset() { # DATASET ACCOUNT ROLE
    run bq "--project_id=$PROJECT" "--location=$BIGQUERY_LOCATION" query --use_legacy_sql=false \
        "GRANT \`$3\` ON SCHEMA \`$PROJECT\`.\`$1\` TO '$(member "$2")'"
}

# --- messages -------------------------------------------------------------------------------------------------

on_topic() { # TOPIC MEMBER ROLE
    run gcloud pubsub topics add-iam-policy-binding "$1" --member="$2" --role="$3"
}

topics() {
    local topic
    for topic in "$REQUESTS_TOPIC" "$OUTCOMES_TOPIC" "$FINISHED_TOPIC" "$(dead_letters)"; do
        make topic "$topic" gcloud pubsub topics create "$topic" --labels="$OURS"
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
    make subscription "$name" \
        gcloud pubsub subscriptions create "$name" --topic="$topic" --labels="$OURS" "${flags[@]}" --then \
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
    by_digest "$name"
    local -a flags=(
        --region="$REGION" --service-account="$(account "$runs_as")" --update-env-vars="$environment" --invoker-iam-check
        --timeout=900 --concurrency=8 --cpu-boost --cpu-throttling
        "$@"
    )
    make service "$name" \
        gcloud run deploy "$name" --image="$DIGEST" --no-allow-unauthenticated --labels="$OURS" "${flags[@]}" --then \
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

# The digest of an image's tag: what was looked at is what runs, whoever moves the tag.
by_digest() { # SERVICE
    local digest
    digest=$(found_by gcloud artifacts docker images describe "$(image "$1")" '--format=value(image_summary.digest)')
    [[ $DRY_RUN ]] && digest=sha256:FOUND
    [[ $digest == sha256:* ]] || fail "IMAGE_TAG: the registry names no digest of $(image "$1")"
    DIGEST="$(image "$1")" DIGEST="${DIGEST%:*}@$digest"
}

may_call() { # SERVICE ACCOUNT
    run gcloud run services add-iam-policy-binding "$1" --region="$REGION" --member="$(member "$2")" --role=roles/run.invoker
}

environment_of_both() { # SERVICE
    # Cloud Run asks every caller (--no-allow-unauthenticated) and removes the signature from the token it has checked.
    echo "TIPOFF_AUTH=cloud-run,TIPOFF_PROJECT=$PROJECT,TIPOFF_LOCATION=$BIGQUERY_LOCATION,TIPOFF_DATASET=$DATASET,TIPOFF_STAGING_DATASET=$STAGING_DATASET,TIPOFF_OUTCOMES_TOPIC=$OUTCOMES_TOPIC,TIPOFF_AUDIENCE=$(url "$1"),TIPOFF_PUSH_CALLERS=$(account push)"
}

# The setting that names the model, and the right to read it.
model_of_worker() {
    if [[ $MODEL == simulated ]]; then echo ',TIPOFF_ALLOW_SIMULATED_MODEL=true'; else echo ",TIPOFF_MODEL=$MODEL"; fi
}

may_read_model() {
    local bucket=${MODEL#gs://}
    [[ $MODEL == simulated ]] || run gcloud storage buckets add-iam-policy-binding "gs://${bucket%%/*}" --member="$(member worker)" \
        --role=roles/storage.objectViewer --condition=None
}

services() {
    local name
    may_read_model
    for name in "$WORKER" "$COORDINATOR"; do
        ensure gcloud artifacts docker images describe "$(image "$name")" --or \
            gcloud builds submit "$HERE/.." --config="$HERE/images.yaml" --gcs-source-staging-dir="$(build_bucket)/source" \
            --service-account="projects/$PROJECT/serviceAccounts/$(account build)" \
            --substitutions="_REGION=$REGION,_REPOSITORY=$REPOSITORY,_TAG=$IMAGE_TAG"
    done
    # Its only callers are subscriptions of this project, which count as internal. Nobody outside can ask its /ready, so Cloud
    # Run does before a revision counts as deployed: one without dataset, topic or rights takes no traffic.
    service "$WORKER" worker "$(environment_of_both "$WORKER")$(model_of_worker)" \
        --startup-probe=httpGet.path=/ready,httpGet.port=8080,timeoutSeconds=10,periodSeconds=10,failureThreshold=24 \
        --ingress=internal --min-instances=0 --max-instances=6 --cpu=1 --memory=1Gi
    service "$COORDINATOR" coordinator \
        "$(environment_of_both "$COORDINATOR"),TIPOFF_FIRESTORE_DATABASE=$FIRESTORE_DATABASE,TIPOFF_REQUESTS_TOPIC=$REQUESTS_TOPIC,TIPOFF_FINISHED_TOPIC=$FINISHED_TOPIC,TIPOFF_SCHEDULER_CALLERS=$(account scheduler),TIPOFF_ADMIN_CALLERS=$(account operator),TIPOFF_VIEWER_CALLERS=$(account viewer)" \
        --ingress=all --min-instances=0 --max-instances=4 --cpu=1 --memory=2Gi
    for name in "$WORKER" "$COORDINATOR"; do close_to_strangers "$name"; done
    may_call "$WORKER" push
    for name in push scheduler operator viewer build; do may_call "$COORDINATOR" "$name"; done
    for name in "$WORKER" "$COORDINATOR"; do
        run gcloud run services add-iam-policy-binding "$name" --region="$REGION" --member="$(member build)" --role=roles/run.developer
    done
    run "$HERE/strangers.sh" --internal "$(url "$WORKER")" "$(url "$WORKER")" "$(account push)" /ready /predict
    run "$HERE/strangers.sh" "$(url "$COORDINATOR")" "$(url "$COORDINATOR")" "$(account operator)" /ready /batches
}

# What the first build needs, so before it; newer projects give the default build account nothing.
build_rights() {
    local name
    on_project "$(member build)" roles/logging.logWriter
    on_project "$(member build)" roles/bigquery.jobUser
    if [[ $DRY_RUN ]] || ! finds gcloud storage buckets describe "$(build_bucket)"; then
        run gcloud storage buckets create "$(build_bucket)" --location="$REGION" --uniform-bucket-level-access --public-access-prevention \
            --soft-delete-duration=0s --lifecycle-file="$HERE/sources.json"
        run gcloud storage buckets update "$(build_bucket)" --update-labels="$OURS" # which create does not take
    fi
    run gcloud storage buckets add-iam-policy-binding "$(build_bucket)" --member="$(member build)" --role=roles/storage.objectViewer
    run gcloud artifacts repositories add-iam-policy-binding "$REPOSITORY" --location="$REGION" --member="$(member build)" \
        --role=roles/artifactregistry.writer
    for name in worker coordinator; do on_account "$name" "$(member build)" roles/iam.serviceAccountUser; done
    on_account build "$(member build)" roles/iam.serviceAccountTokenCreator # the smoke test signs its call, as the operators do
}

# --- alerts ---------------------------------------------------------------------------------------------------

# LABELS GROUP [DISPLAY_NAME]: the ids, which are Monitoring's own, of what bears our label and that name.
labelled() {
    # shellcheck disable=SC2086  # the words of a group are words
    found_by gcloud $2 list "--filter=$1.managed-by=tipoff${3:+ AND displayName=\"$3\"}" '--format=value(name)'
}

channels() { labelled userLabels 'beta monitoring channels' "$@"; }
dashboards() { labelled labels 'monitoring dashboards'; }
policies() { labelled userLabels 'alpha monitoring policies' "$@"; }

display_name() {
    "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["displayName"])' "$1"
}

# The flag that gives a policy: its file, or where that names an objective, which bears the project in its name, its text.
policy_of() { # FILE
    local text
    text=$(tr -d '\n' <"$1")
    if [[ $text != *projects/PROJECT/* ]]; then echo "--policy-from-file=$1"; else echo "--policy=${text//projects\/PROJECT\//projects/$PROJECT/}"; fi
}

# gcloud has no command for objectives: they are made by Monitoring's own API.
monitoring() { # ensure|remove PATH [FILE]
    local call="$HERE/monitoring.sh" parent=${2%/*} id=serviceLevelObjectiveId
    [[ $parent != services ]] || id=serviceId
    case $1 in
        ensure) ensure "$call" "$PROJECT" GET "$2" --or "$call" "$PROJECT" POST "$parent?$id=${2##*/}" "$3" --then \
            "$call" "$PROJECT" PATCH "$2" "$3" ;;
        remove) remove "$call" "$PROJECT" GET "$2" --and "$call" "$PROJECT" DELETE "$2" ;;
    esac
}

objective() { echo "services/tipoff/serviceLevelObjectives/$(basename "$1" .json)"; } # FILE

alerts() {
    local file name board etag channel policy PATIENCE_SECONDS=$METRIC_PATIENCE_SECONDS
    for file in "$HERE"/metrics/*.json; do
        name=$(basename "$file" .json)
        refuse_anothers metric "$name"
        make metric "$name" gcloud logging metrics create "$name" --config-from-file="$file" --then \
            gcloud logging metrics update "$name" --config-from-file="$file"
    done
    monitoring ensure services/tipoff "$HERE/slo_service.json"
    for file in "$HERE"/slos/*.json; do monitoring ensure "$(objective "$file")" "$file"; done
    board=$(dashboards)
    if [[ $board ]]; then
        # An update must bear the tag of what it replaces.
        etag=$(found_by gcloud monitoring dashboards describe "$board" '--format=value(etag)')
        run gcloud monitoring dashboards update "$board" --config="{\"etag\": \"$etag\",$(tr -d '\n' <"$HERE/dashboard.json" | cut -c 2-)"
    fi
    if [[ ! $board || $DRY_RUN ]]; then
        run gcloud monitoring dashboards create --config-from-file="$HERE/dashboard.json"
    fi
    channel=$(channels "$CHANNEL_NAME")
    if [[ $channel ]]; then
        run gcloud beta monitoring channels update "$channel" --update-channel-labels=email_address="$ALERT_EMAIL"
    fi
    if [[ ! $channel || $DRY_RUN ]]; then
        run gcloud beta monitoring channels create --display-name="$CHANNEL_NAME" --type=email --user-labels="$OURS" \
            --channel-labels=email_address="$ALERT_EMAIL"
        channel=$(channels "$CHANNEL_NAME")
    fi
    for file in "$HERE"/alerts/*.json; do
        policy=$(policies "$(display_name "$file")")
        if [[ $policy ]]; then
            run gcloud alpha monitoring policies update "$policy" "$(policy_of "$file")" --set-notification-channels="$channel"
        fi
        if [[ ! $policy || $DRY_RUN ]]; then
            run gcloud alpha monitoring policies create "$(policy_of "$file")" --notification-channels="$channel"
        fi
    done
}

# --- away with it ---------------------------------------------------------------------------------------------

# In the reverse order. The project's APIs stay on: others may use them.
destroy_all() {
    # shellcheck disable=SC2034  # provision.sh reads it; what is there can be deleted at once
    PATIENCE_SECONDS=0
    check_project
    destroy_alerts
    destroy_callers
    destroy_stores
    destroy_accounts
}

destroy_alerts() {
    local file found
    for found in $(policies); do run gcloud alpha monitoring policies delete "$found"; done
    for file in "$HERE"/slos/*.json; do monitoring remove "$(objective "$file")"; done
    monitoring remove services/tipoff
    for found in $(dashboards); do run gcloud monitoring dashboards delete "$found"; done
    for found in $(channels); do run gcloud beta monitoring channels delete "$found"; done
    for file in "$HERE"/metrics/*.json; do remove_ours metric "$(basename "$file" .json)"; done
}

destroy_callers() {
    local name
    for name in "$START_JOB" "$EVENING_JOB" "$SWEEP_JOB" "$GRADE_JOB"; do remove_ours job "$name"; done
    for name in "$REQUESTS_TOPIC" "$OUTCOMES_TOPIC" "$(dead_letters)"; do remove_ours subscription "$name"; done
    for name in "$COORDINATOR" "$WORKER"; do remove_ours service "$name"; done
    for name in "$REQUESTS_TOPIC" "$OUTCOMES_TOPIC" "$FINISHED_TOPIC" "$(dead_letters)"; do remove_ours topic "$name"; done
}

# Delete what is there and says that it is ours; whatever else is there is another's.
remove_ours() { # KIND NAME
    if is_ours "$1" "$2" 2>/dev/null; then
        remove "${LOOK[@]}" --and "${DELETE[@]}"
    else
        echo "# left as it is: $2 is absent or was not made here (it does not say $MARK); delete it yourself if it is yours" >&2
    fi
}

destroy_stores() {
    remove_ours dataset "$STAGING_DATASET"
    remove_ours dataset "$DATASET"
    remove gcloud firestore databases describe --database="$FIRESTORE_DATABASE" --and \
        gcloud firestore databases delete --database="$FIRESTORE_DATABASE"
    remove_ours repository "$REPOSITORY"
    remove_ours bucket "$(build_bucket)"
}

off_project() { # ACCOUNT ROLE [CONDITION]: only while the account is there to have the right
    remove gcloud iam service-accounts describe "$(account "$1")" --and \
        gcloud projects remove-iam-policy-binding "$PROJECT" --member="$(member "$1")" --role="$2" --condition="${3:-None}"
}

destroy_accounts() {
    local name role
    off_project coordinator roles/datastore.user "$(of_this_database)"
    off_project coordinator roles/bigquery.jobUser
    for role in roles/logging.logWriter roles/bigquery.jobUser; do off_project build "$role"; done
    for name in "${ACCOUNT_NAMES[@]}"; do remove_ours account "$(account "$name")"; done
}
