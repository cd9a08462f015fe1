{{/* How processes are watched: the one place that knows of heartbeat files and metrics ports. */}}

{{- define "telemetry.heartbeat.file" -}}/run/telemetry/{{ . }}.heartbeat{{- end -}}

{{/* Variables; the dict of telemetry.container. */}}
{{- define "telemetry.monitoring.env" -}}
{{- if .heartbeat }}
- name: TELEMETRY_HEARTBEAT_FILE
  value: {{ include "telemetry.heartbeat.file" .name }}
{{- end }}
{{- if and .metricsPort .root.Values.metrics.enabled }}
- name: TELEMETRY_METRICS_PORT
  value: {{ .metricsPort | quote }}
- name: TELEMETRY_METRICS_HOST
  value: 0.0.0.0
{{- end }}
{{- end -}}

{{/* Probes of a worker or beat, by the files that telemetry/monitoring/port/heartbeat.py tells of; (list $ container). Asking
over the broker would cost seconds of processor time each, and passes while nothing is consumed. */}}
{{- define "telemetry.heartbeat.probes" -}}
{{- $root := index . 0 -}}
{{- $probes := $root.Values.probes -}}
{{- $file := include "telemetry.heartbeat.file" (index . 1) -}}
startupProbe:
  exec: {command: [test, -e, {{ $file }}]}
  periodSeconds: 3
  failureThreshold: {{ div (add $probes.startupTimeoutSeconds 2) 3 }}
livenessProbe:
  exec:
    command: [sh, -c, 'test $(($(date +%s) - $(stat -c %Y "$0"))) -lt "$1"', {{ $file }}, {{ $probes.heartbeatTimeoutSeconds | quote }}]
  periodSeconds: {{ $probes.periodSeconds }}
  timeoutSeconds: 5
  failureThreshold: 2
readinessProbe:
  exec: {command: [test, -e, {{ $file }}.ready]}
  periodSeconds: {{ $probes.periodSeconds }}
{{- end -}}

{{/* Probes of a server; (list $ port readyPath livePath). Where livePath is empty, an open port is life enough. */}}
{{- define "telemetry.http.probes" -}}
{{- $probes := (index . 0).Values.probes -}}
startupProbe:
  tcpSocket: {port: {{ index . 1 }}}
  periodSeconds: 3
  failureThreshold: {{ div (add $probes.startupTimeoutSeconds 2) 3 }}
livenessProbe:
  {{- with index . 3 }}
  httpGet: {path: {{ . }}, port: {{ index $ 1 }}}
  {{- else }}
  tcpSocket: {port: {{ index . 1 }}}
  {{- end }}
  periodSeconds: {{ $probes.periodSeconds }}
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: {{ index . 2 }}, port: {{ index . 1 }}}
  periodSeconds: {{ $probes.periodSeconds }}
  timeoutSeconds: 5
{{- end -}}

{{/* How a Prometheus of the operator reads what is stored: entries of `spec.remoteRead`. */}}
{{- define "telemetry.remoteRead" -}}
{{- $read := .Values.metrics.remoteRead -}}
{{- $fetches := and .Values.metrics.podMonitor.enabled .Values.exporter.gpus (include "telemetry.has" (list . "exporter")) -}}
- url: http://{{ include "telemetry.fullname" . }}-api.{{ .Release.Namespace }}.svc:{{ .Values.api.service.port }}/api/v1/prometheus/read
  authorization:
    credentials: {name: {{ $read.existingSecret }}, key: {{ $read.existingSecretKey }}}
  # The series here do not have the labels of that Prometheus.
  filterExternalLabels: false
  readRecent: {{ ternary (not $fetches) $read.readRecent (eq (toString $read.readRecent) "auto") }}
{{- end -}}
