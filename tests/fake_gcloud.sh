#!/usr/bin/env bash
# A stand-in for gcloud, bq, curl and tipoff on the PATH of a script: it remembers what was created, and every call.
#
# It knows no flags and checks none (gcloud's own parser does, in another test): only whether a resource is there. A look
# for what is not there, a second create and a delete of nothing fail, as with the real ones.
# FAKE_CLOUD names its folder; a resource is a file `kind__name` in it.
set -u
printf '%q ' "${0##*/}" "$@" >>"$FAKE_CLOUD/calls"
echo >>"$FAKE_CLOUD/calls"

# Trouble that a test asked for: a file in trouble says which command, what it says and how often.
for file in "$FAKE_CLOUD"/trouble/*; do
    [[ -f $file ]] || continue
    { read -r command && read -r says && read -r times; } <"$file"
    if [[ "${0##*/} $*" == *"$command"* ]] && ((times > 0)); then
        printf '%s\n%s\n%s\n' "$command" "$says" "$((times - 1))" >"$file"
        if [[ ${0##*/} == bq ]]; then fold -s -w 80 <<<"$says" | sed 's/ *$//'; else echo "$says" >&2; fi # where either tells what failed
        exit 1
    fi
done

# IAM: which permissions of iam.serviceAccounts a role holds (IAM, "Roles for service accounts authentication").
holds() { # ACCOUNT MEMBER PERMISSION
    local role
    case $3 in
        getAccessToken) set -- "$1" "$2" serviceAccountTokenCreator ;;
        getOpenIdToken) set -- "$1" "$2" serviceAccountTokenCreator serviceAccountOpenIdTokenCreator ;;
    esac
    for role in "${@:3}"; do [[ -e $FAKE_CLOUD/bindings/iam_service-accounts__${1%@*}__$2__roles_iam.$role ]] && return; done
    return 1
}
# As gcloud does: an access token of the account to be first, with which it then asks for the identity token.
if [[ "$1 $2" == 'auth print-identity-token' ]]; then
    for argument in "$@"; do [[ $argument != --impersonate-service-account=* ]] || account=${argument#*=}; done
    echo "WARNING: This command is using service account impersonation. All API calls will be executed as [$account]." >&2
    for permission in getAccessToken getOpenIdToken; do
        holds "$account" "$FAKE_CALLER" "$permission" || {
            echo "ERROR: (gcloud.auth.print-identity-token) PERMISSION_DENIED: Permission 'iam.serviceAccounts.$permission' denied" >&2
            exit 1
        }
    done
    echo "token-of-$account"
    exit
fi

# The real one knows no option with its value behind an equals sign.
if [[ ${0##*/} == curl && " $*" =~ \ --[a-z-]+= ]]; then
    echo "curl: option ${BASH_REMATCH[0]# }: is unknown" >&2
    exit 2
fi

# Monitoring's API: a service or objective is there once it was posted, under the id that its address names.
if [[ ${0##*/} == curl && ${!#} == https://monitoring.googleapis.com/* ]]; then
    path=${!#} call="$*" method=${call#*--request } path=${path#*/v3/}
    [[ $path == *\?* ]] && path=${path%%\?*}/${path##*=}
    resource=$FAKE_CLOUD/resources/monitoring__${path//[^A-Za-z0-9]/_}
    case ${method%% *} in
        POST) [[ ! -f $resource ]] && : >"$resource" ;;
        DELETE) rm "$resource" 2>/dev/null ;;
        *) [[ -f $resource ]] ;;
    esac || {
        echo 'curl: (22) The requested URL returned error: 404' >&2
        exit 22
    }
    exit
fi

# Strangers are answered by what lets them in: a file `service__whom` in openings (see provision_stand.py).
opening() { [[ -e $FAKE_CLOUD/openings/$1 ]]; }
if [[ ${0##*/} == curl ]]; then
    address=${!#} service=${address#https://} service=${service%%-[0-9]*} status=403
    for whom in allUsers allAuthenticatedUsers unchecked anybody; do opening "${service}__$whom" && status=200; done
    [[ $* == *SIGNATURE_REMOVED* ]] && opening "${service}__forged" && status=200
    echo "$status"
    exit
fi

words=() database='' group='' shown='' policy='' tag='' member='' role='' label='' format=''
for argument in "$@"; do
    case $argument in
        alpha | beta | http) ;;
        --database=*) database=${argument#*=} ;;
        --collection-group=*) group=${argument#*=} ;;
        --display-name=*) shown=${argument#*=} ;;
        --member=*) member=${argument#*=} ;;
        --role=*) role=${argument#*=} ;;
        --label=* | --labels=* | --user-labels=* | --update-labels=* | --description=*) label=${argument#*=} ;;
        --config-from-file=*/metrics/*) label=$(sed -n 's/^  "description": "\(.*\)",$/\1/p' "${argument#*=}") ;;
        --format=*) format=${argument#*=} ;;
        --filter=bindings.members=*) member=${argument##*=} ;;
        --invoker-iam-check) rm -f "$FAKE_CLOUD"/openings/*__unchecked ;;
        --filter=*displayName=*) shown=${argument#*displayName=} shown=${shown//\"/} ;;
        --policy=*) label=managed-by=tipoff shown=$(sed 's/.*"displayName": "\([^"]*\)".*/\1/' <<<"${argument%%\"documentation\"*}") ;;
        --policy-from-file=* | --config-from-file=*/dashboard.json) label=managed-by=tipoff policy=${argument#*=} ;;
        --substitutions=*) tag=${argument##*_TAG=} ;;
        --*) ;;
        *) words+=("$argument") ;;
    esac
done

kind='' verb='' name=''
for word in "${words[@]}"; do
    if [[ $verb ]]; then
        name=${name:-$word}
    elif [[ $word =~ ^(describe|create|update|delete|list|deploy|submit|enable|show|print-access-token|set-cleanup-policies|mk|rm|query|apply|get-iam-policy|.*-iam-policy-binding|.*-traffic)$ ]]; then
        verb=$word
    else
        kind+="${kind:+_}$word"
    fi
done
[[ $kind == run ]] && kind=run_services
[[ $policy ]] && shown=$(sed -n '0,/"displayName"/s/.*"displayName": "\(.*\)",/\1/p' "$policy")
[[ $kind == firestore_databases ]] && name=$database
[[ $group ]] && name=$group.$name
[[ $kind == iam_service-accounts ]] && name=${name%@*}
name=${name:-$shown}
file() { echo "$FAKE_CLOUD/resources/$1__${2//[^A-Za-z0-9]/_}"; }
resource=$(file "$kind" "$name")

case $kind:$verb in
    projects:describe) echo 123456789012 ;;
    services_identity:create) ;; # making it again is no error
    builds:submit)
        for service in tipoff-worker tipoff-coordinator; do
            : >"$(file artifacts_docker_images "us-east1-docker.pkg.dev/demo-project/tipoff/$service:$tag")"
        done
        ;;
    iam_service-accounts:add-iam-policy-binding) : >"$FAKE_CLOUD/bindings/${kind}__${name}__${member}__${role//\//_}" ;;
    storage:rm) rm "$(file storage_buckets "$name")" ;;
    artifacts_docker_images:describe) [[ -f $resource ]] && { [[ $format != *digest* ]] || echo "sha256:${name##*/}"; } ;;
    run_services:get-iam-policy) ! opening "${name}__$member" || echo roles/run.invoker ;;
    run_services:remove-iam-policy-binding) rm "$FAKE_CLOUD/openings/${name}__$member" ;;
    *:list) # by label, and by display name where one is given
        for resource in "$FAKE_CLOUD/resources/${kind}__"*; do
            found=${resource#"$FAKE_CLOUD/resources/${kind}__"}
            [[ -f $FAKE_CLOUD/labels/${resource##*/} && ($found == "${name//[^A-Za-z0-9]/_}" || ! $name) ]] && echo "$found"
        done
        true
        ;;
    *:describe | *:show)
        label=$(cat "$FAKE_CLOUD/labels/${resource##*/}" 2>/dev/null)
        case $format in
            *labels.managed-by*) echo "${label#managed-by=}" ;;
            *etag*) echo "tag-of-$name" ;;
            prettyjson) echo "{\"labels\": {\"managed-by\": \"${label#managed-by:}\"}}" ;;
            *) echo "$label" ;;
        esac
        [[ -f $resource ]]
        ;;
    storage_buckets:update) echo "$label" >"$FAKE_CLOUD/labels/${resource##*/}" ;;
    *:create | *:mk | *:deploy)
        [[ ! -f $resource ]] && : >"$resource"
        [[ ! $label ]] || echo "$label" >"$FAKE_CLOUD/labels/${resource##*/}"
        ;;
    *:delete | *:rm)
        rm -f "$FAKE_CLOUD/labels/${resource##*/}"
        rm "$resource" 2>/dev/null
        ;;
esac
