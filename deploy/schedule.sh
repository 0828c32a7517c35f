# shellcheck shell=bash disable=SC2154  # read by provision.sh, which has the configuration and the means
# What Cloud Scheduler calls, and when: the starts of a day, the sweep, the grading.

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
    refuse_anothers job "$job"
    make job "$job" \
        gcloud scheduler jobs create http "$job" --description="$MARK" --headers=Content-Type=application/json "${flags[@]}" --then \
        gcloud scheduler jobs update http "$job" --update-headers=Content-Type=application/json "${flags[@]}"
}

# A job starts one batch a date, since its name is in the batch's key; so what is known later in the day takes a second job.
scheduler() {
    call_by_the_clock "$START_JOB" /start '0 10 * * *' 960s 5
    call_by_the_clock "$EVENING_JOB" /start '0 17 * * *' 960s 5
    call_by_the_clock "$SWEEP_JOB" /sweep '*/5 * * * *' 960s 1
    call_by_the_clock "$GRADE_JOB" /grade '0 9,12 * * *' 960s 5
}
