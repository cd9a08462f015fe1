#!/bin/sh
# Deploys to one cluster or many: a thin front of `telemetry deploy`, with its commands and options.
#   scripts/deploy-cross-cluster.sh deploy-all --edge-context gpu-1 --edge-context gpu-2 --central-context main \
#     --redis-host redis.internal --redis-password - --db-password - --dry-run
# A password that stands in the arguments goes into the environment, as all users of a machine can read the arguments of processes.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

moved=
count=$#
while [ "$count" -gt 0 ]; do
  word=$1 name='' value=''
  shift
  count=$((count - 1))
  case $word in
    --redis-password=* | --redis-password) name=TELEMETRY_DEPLOY_REDIS_PASSWORD ;;
    --db-password=* | --db-password) name=TELEMETRY_DEPLOY_DB_PASSWORD ;;
    --sentinel-password=* | --sentinel-password) name=TELEMETRY_DEPLOY_SENTINEL_PASSWORD ;;
  esac
  if [ -z "$name" ]; then
    set -- "$@" "$word"
    continue
  fi
  case $word in
    *=*) value=${word#*=} ;;
    *) [ "$count" -gt 0 ] || { echo "$word needs a value: - asks for it, @FILE reads it" >&2; exit 2; }
       value=$1; shift; count=$((count - 1)) ;;
  esac
  case $value in
    - | @*) set -- "$@" "${word%%=*}" "$value" ;;
    *) export "$name=$value"; unset "${name}_FILE"; moved=yes ;;
  esac
done
# Begins again without them: a shell keeps its arguments for as long as it runs.
if [ -n "$moved" ]; then exec "$0" "$@"; fi

if [ -x "$here/.venv/bin/telemetry" ]; then exec "$here/.venv/bin/telemetry" deploy "$@"; fi
command -v telemetry >/dev/null || { echo "there is no telemetry command: run make once, or install the wheel with the extra deploy" >&2; exit 1; }
exec telemetry deploy "$@"
