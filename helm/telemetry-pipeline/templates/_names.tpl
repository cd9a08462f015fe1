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

{{/* What selects a component's pods; (list $ component). */}}
{{- define "telemetry.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of an object; (list $ component). */}}
{{- define "telemetry.labels" -}}
{{- $root := index . 0 -}}
{{ include "telemetry.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Metadata of an object; (list $ component suffix). */}}
{{- define "telemetry.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "telemetry.fullname" $root }}-{{ index . 2 }}
namespace: {{ $root.Release.Namespace }}
labels: {{- include "telemetry.labels" . | nindent 2 }}
{{- with $root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
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
{{- $has = not $values.externalRedis.enabled -}}
{{- else if eq $component "beat" -}}
{{- $has = and $values.streamer.enabled (include "telemetry.streamer.shared" (index . 0)) -}}
{{- else -}}
{{- $has = (get $values $component).enabled -}}
{{- end -}}
{{- if $has -}}true{{- end -}}
{{- end -}}

{{/* Whether all replicas of the streamer see the same files, and so are one edge. */}}
{{- define "telemetry.streamer.shared" -}}
{{- if and (eq .Values.streamer.kind "Deployment") (or .Values.streamer.files.existingClaim .Values.streamer.files.volume) -}}true{{- end -}}
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
