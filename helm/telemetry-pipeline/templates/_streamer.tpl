{{/* Pieces that streamer and beat share, wherever beat runs. */}}

{{- define "telemetry.streamer.env" -}}
{{- $streamer := .Values.streamer -}}
{{- $patterns := list -}}
{{- range $streamer.files.patterns -}}{{- $patterns = append $patterns (printf "%s/%s" ($streamer.files.mountPath | trimSuffix "/") .) -}}{{- end -}}
{{- if include "telemetry.streamer.shared" . }}
- name: TELEMETRY_EDGE
  value: {{ printf "%s/%s" .Values.clusterName (include "telemetry.fullname" .) | quote }}
{{- else }}
- name: EDGE_NODE
  valueFrom: {fieldRef: {fieldPath: {{ ternary "metadata.name" "spec.nodeName" (eq $streamer.kind "StatefulSet") }}}}
- name: TELEMETRY_EDGE
  value: {{ .Values.clusterName }}/$(EDGE_NODE)
{{- end }}
- name: TELEMETRY_SOURCES
  value: {{ join "," $patterns | quote }}
- name: TELEMETRY_BATCH_SIZE
  value: {{ int $streamer.config.batchSize | quote }}
- name: TELEMETRY_STREAM_INTERVAL_S
  value: {{ $streamer.config.streamInterval | quote }}
- name: TELEMETRY_LOOP_MODE
  value: {{ $streamer.config.loopMode | quote }}
{{- end -}}

{{- define "telemetry.streamer.volume" -}}
{{- $files := .Values.streamer.files -}}
- name: files
  {{- if $files.existingClaim }}
  persistentVolumeClaim: {claimName: {{ $files.existingClaim }}, readOnly: true}
  {{- else if $files.volume }}
  {{- toYaml $files.volume | nindent 2 }}
  {{- else }}
  hostPath: {path: {{ $files.hostPath | quote }}, type: DirectoryOrCreate}
  {{- end }}
{{- end -}}

{{- define "telemetry.beat" -}}
{{- include "telemetry.container" (dict "root" . "name" "beat" "target" "edge" "values" "streamer" "role" "edge"
      "command" (list "celery" "--quiet" "-A" "telemetry" "beat" "--pidfile=") "env" (include "telemetry.streamer.env" .)
      "resources" .Values.streamer.beatResources "heartbeat" true "metricsPort" (add1 .Values.metrics.port)
      "probes" (include "telemetry.heartbeat.probes" (list . "beat"))) -}}
{{- end -}}
