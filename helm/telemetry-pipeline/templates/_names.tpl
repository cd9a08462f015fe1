{{/* Names and labels of all objects, and which parts this release has. */}}

{{- define "telemetry.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
The name of this cluster. Where streamers publish to a Redis that other clusters may share and nobody gave a name, it is made of what
no other cluster has, and stays what it was first. Tools that only render have no cluster to ask.
*/}}
{{- define "telemetry.clusterName" -}}
{{- if .Values.clusterName -}}
{{- .Values.clusterName -}}
{{- else if not (and (or .Values.streamer.enabled .Values.allocations.enabled) .Values.externalRedis.enabled) -}}
local
{{- else -}}
{{- $first := "" -}}
{{- $streamer := lookup "apps/v1" .Values.streamer.kind .Release.Namespace (printf "%s-streamer" (include "telemetry.fullname" .)) | default dict -}}
{{- range dig "spec" "template" "spec" "containers" list $streamer -}}
{{- range .env -}}{{- if eq .name "TELEMETRY_EDGE" -}}{{- $first = splitList "/" .value | first -}}{{- end -}}{{- end -}}
{{- end -}}
{{- if $first -}}
{{- $first -}}
{{- else -}}
{{- /* A namespace that Helm makes only now has no account yet; who makes namespaces may look at them, others might not. */ -}}
{{- $known := default (lookup "v1" "Namespace" "" "kube-system") (lookup "v1" "ServiceAccount" .Release.Namespace "default") | default dict -}}
{{- $uid := dig "metadata" "uid" "" $known -}}
edge{{- with $uid }}-{{ sha256sum . | trunc 8 }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What selects a component's pods; (list $ component). */}}
{{- define "telemetry.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* The label of what serves one of several brokers, by its name; {} without. */}}
{{- define "telemetry.broker.label" -}}
{{- with . }}telemetry/broker: {{ . }}{{ else }}{}{{ end -}}
{{- end -}}

{{/* What the collectors of one of several brokers are called, by its name. */}}
{{- define "telemetry.collector" -}}collector{{- with . -}}-{{ . }}{{- end -}}{{- end -}}

{{/* Labels of an object; (list $ component). */}}
{{- define "telemetry.labels" -}}
{{- $root := index . 0 -}}
{{- $own := dict "app.kubernetes.io/version" $root.Chart.AppVersion "app.kubernetes.io/managed-by" $root.Release.Service
      "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") -}}
{{- toYaml (merge (include "telemetry.selector" . | fromYaml) $own (include "telemetry.words" $root.Values.commonLabels | fromYaml)) -}}
{{- end -}}

{{/* Metadata of an object; (list $ component suffix). */}}
{{- define "telemetry.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "telemetry.fullname" $root }}-{{ index . 2 }}
namespace: {{ $root.Release.Namespace }}
labels: {{- include "telemetry.labels" . | nindent 2 }}
{{- with $root.Values.commonAnnotations }}
annotations: {{- include "telemetry.words" . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The path under which Flower is reached beside the API, such as /flower; nothing if there is none. */}}
{{- define "telemetry.flower.prefix" -}}
{{- with .Values.flower.urlPrefix -}}
{{- if not $.Values.flower.auth.existingSecret -}}
{{- fail "flower.urlPrefix is set: set flower.auth.existingSecret, as anybody could come in" -}}
{{- end -}}
{{- if not (regexMatch "^(/[a-zA-Z0-9._-]+)+$" .) -}}
{{- fail (printf "flower.urlPrefix is %s: it must be a path such as /flower" .) -}}
{{- end -}}
{{- if has (index (splitList "/" .) 1) (list "api" "data" "events" "gpus" "hosts" "job" "login" "logout" "owners" "page" "pipeline") -}}
{{- fail (printf "flower.urlPrefix is %s: the page has that path itself; take another, such as /flower" .) -}}
{{- end -}}
{{- if include "telemetry.has" (list $ "flower") }}{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Whether a component is in this release: "true" or nothing; (list $ component). */}}
{{- define "telemetry.has" -}}
{{- $values := (index . 0).Values -}}
{{- $component := index . 1 -}}
{{- $has := false -}}
{{- if has $component (list "api" "flower") -}}
{{- $enabled := (get $values $component).enabled | toString -}}
{{- $has = or (eq $enabled "true") (and (eq $enabled "auto") $values.collector.enabled) -}}
{{- else if eq $component "exporter" -}}
{{- $enabled := $values.exporter.enabled | toString -}}
{{- $has = and $values.metrics.enabled (or (eq $enabled "true") (and (eq $enabled "auto") $values.collector.enabled)) -}}
{{- else if eq $component "database" -}}
{{- $has = or $values.collector.enabled (include "telemetry.has" (list (index . 0) "api")) (include "telemetry.has" (list (index . 0) "exporter")) -}}
{{- else if eq $component "migrations" -}}
{{- $has = and $values.migrations.enabled (include "telemetry.has" (list (index . 0) "database")) -}}
{{- else if eq $component "postgresql" -}}
{{- $has = and (not $values.externalPostgresql.enabled) (include "telemetry.has" (list (index . 0) "database")) -}}
{{- else if eq $component "redis" -}}
{{- $enabled := $values.redis.enabled | toString -}}
{{- $has = and (not $values.externalRedis.enabled) (or (eq $enabled "true") (and (eq $enabled "auto") $values.collector.enabled)) -}}
{{- else if eq $component "uploads" -}}
{{- $has = and $values.uploads.enabled (include "telemetry.has" (list (index . 0) "api")) -}}
{{- else if eq $component "smoke" -}}
{{- $has = true -}}
{{- else if eq $component "beat" -}}
{{- $has = and $values.streamer.enabled (include "telemetry.streamer.shared" (index . 0)) -}}
{{- else -}}
{{- $has = (get $values $component).enabled -}}
{{- end -}}
{{- if $has -}}true{{- end -}}
{{- end -}}

{{/* A number as a person wrote it: those of values files are floating point to Helm, and 123456789 would read 1.23456789e+08. */}}
{{- define "telemetry.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{/* A map whose values are text, as Kubernetes wants them where `--set` makes true and 1 of what was typed; as YAML. */}}
{{- define "telemetry.words" -}}
{{- include "telemetry.words.of" . | fromJson | dig "it" dict | toYaml -}}
{{- end -}}

{{/* The same of anything, as {"it": …}; numbers stay numbers where Kubernetes has some. */}}
{{- define "telemetry.words.of" -}}
{{- $it := . -}}
{{- if kindIs "map" . -}}
{{- $it = dict -}}
{{- range $key, $value := . -}}
{{- $number := has $key (list "weight" "maxSkew" "minDomains" "tolerationSeconds") -}}
{{- $_ := set $it $key (ternary $value (include "telemetry.words.of" $value | fromJson).it $number) -}}
{{- end -}}
{{- else if kindIs "slice" . -}}
{{- $it = list -}}
{{- range . -}}{{- $it = append $it (include "telemetry.words.of" . | fromJson).it -}}{{- end -}}
{{- else if not (kindIs "invalid" .) -}}
{{- $it = include "telemetry.text" . -}}
{{- end -}}
{{- dict "it" $it | toJson -}}
{{- end -}}

{{/* Whether all replicas of the streamer see the same files, and so are one edge. */}}
{{- define "telemetry.streamer.shared" -}}
{{- $volume := .Values.streamer.files.volume -}}
{{- $own := false -}}
{{- range list "hostPath" "emptyDir" "ephemeral" "csi" "image" -}}{{- $own = or $own (hasKey $volume .) -}}{{- end -}}
{{- if or .Values.streamer.files.existingClaim (and $volume (not $own)) -}}true{{- end -}}
{{- end -}}

{{/* Whether the streamer's files are those of its node. */}}
{{- define "telemetry.streamer.ofNode" -}}
{{- $files := .Values.streamer.files -}}
{{- if and (not $files.existingClaim) (or (not $files.volume) (hasKey $files.volume "hostPath")) -}}true{{- end -}}
{{- end -}}

{{- define "telemetry.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "telemetry.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image of the product; (list $ "edge"|"central"). */}}
{{- define "telemetry.image" -}}
{{- $image := (index . 0).Values.image -}}
{{- $target := index . 1 -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- get $image $target -}}
{{- $digest := get $image (printf "%sDigest" $target) -}}
{{- if $digest }}@{{ $digest }}{{ else }}:{{ default (index . 0).Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}
