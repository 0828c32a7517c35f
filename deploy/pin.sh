#!/usr/bin/env bash
# Pin the steps of the builds to the digests that their tags have now, in place; commit what it changes.
#
#   deploy/pin.sh [FILE...]            ask each registry, and write the digest in the tag's place, the tag beside it
#   deploy/pin.sh --check [FILE...]    stop unless every step is pinned; asks nobody
#
# Without a FILE it is cloudbuild.yaml and deploy/images.yaml. Running it again asks for the tags' digests of then. Nothing is
# written unless every registry has answered.
set -euo pipefail

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
ACCEPT='application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json'
ACCEPT+=', application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json'
PINNED='^ +name: [^ ]+@sha256:[0-9a-f]{64}( # [^ ]+)?$'

fail() {
    printf 'pin: %s\n' "$@" >&2
    exit 1
}

# Where a registry answers: Docker's own rule, by which what has no dot or port is Docker Hub's, and localhost has no TLS.
manifest_url() { # IMAGE TAG
    local host=${1%%/*} path=${1#*/}
    if [[ $1 != */* || ! $host =~ [.:]|^localhost$ ]]; then
        host=registry-1.docker.io path=$1
        [[ $path == */* ]] || path=library/$path
    fi
    echo "$(scheme "$host")://$host/v2/$path/manifests/$2"
}

scheme() { if [[ $1 =~ ^(localhost|127\.0\.0\.1)(:|$) ]]; then echo http; else echo https; fi; }

headers_of() { # URL [--header HEADER]
    curl --silent --show-error --head --location --max-time 60 --header "Accept: $ACCEPT" "${@:2}" "$1" | tr -d '\r'
}

# A token for whoever asks, from where the registry says (RFC 6750's challenge, as registries use it).
token_for() { # CHALLENGE
    local realm service scope
    realm=$(sed -n 's/.*realm="\([^"]*\)".*/\1/p' <<<"$1")
    service=$(sed -n 's/.*service="\([^"]*\)".*/\1/p' <<<"$1")
    scope=$(sed -n 's/.*scope="\([^"]*\)".*/\1/p' <<<"$1")
    curl --silent --show-error --fail --max-time 60 --get --data-urlencode "service=$service" --data-urlencode "scope=$scope" "$realm" |
        sed -n 's/.*"\(access_\)\{0,1\}token" *: *"\([^"]*\)".*/\2/p'
}

digest_of() { # IMAGE TAG
    local url said challenge token digest
    url=$(manifest_url "$1" "$2")
    said=$(headers_of "$url")
    challenge=$(grep -i '^www-authenticate: *bearer' <<<"$said" || true)
    if [[ $challenge ]]; then
        token=$(token_for "$challenge")
        said=$(headers_of "$url" --header "Authorization: Bearer $token")
    fi
    digest=$(sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: *//p' <<<"$said")
    [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "$1:$2: its registry names no digest ($(head -1 <<<"$said"))"
    echo "$digest"
}

# "IMAGE TAG" of a step's line, pinned or not.
named_by() { # LINE
    local name=${1#*name: } tag=latest
    if [[ $name == *@sha256:* ]]; then
        [[ $name != *' # '* ]] || tag=${name##* # }
        name=${name%%@*}
    elif [[ ${name##*/} == *:* ]]; then
        tag=${name##*:} name=${name%:*}
    fi
    echo "$name $tag"
}

# A text as a regular expression of sed has it.
literally() { sed 's/[][\\.*^$|]/\\&/g'; }

CHECK=''
if [[ ${1:-} == --check ]]; then
    CHECK=1
    shift
fi
FILES=("$@")
((${#FILES[@]})) || FILES=("$HERE/../cloudbuild.yaml" "$HERE/images.yaml")

if [[ $CHECK ]]; then
    loose=$(grep -hE '^ +name: ' "${FILES[@]}" | grep -vE "$PINNED" | sort -u || true)
    [[ ! $loose ]] || fail "a step goes by a tag that somebody may move; run deploy/pin.sh and commit what it changes:" "$loose"
    exit
fi

# By sed and not by a table of names, which the bash of macOS (3.2) does not have.
PINS=''
while read -r line; do
    read -r image tag < <(named_by "$line")
    digest=$(digest_of "$image" "$tag")
    PINS+="s|^\( *\)$(literally <<<"$line")\$|\\1name: $image@$digest # $tag|"$'\n'
    echo "$image:$tag is $digest"
done < <(grep -hoE '^ +name: .*' "${FILES[@]}" | sort -u)
for file in "${FILES[@]}"; do
    pinned=$(sed "$PINS" "$file")
    printf '%s\n' "$pinned" >"$file"
done
