{{/* Pieces that streamer and beat share, wherever beat runs; and the streamer of uploads, with a beat of its own. */}}

{{- define "telemetry.streamer.env" -}}
{{- $streamer := .Values.streamer -}}
{{- $patterns := list -}}
{{- range $streamer.files.patterns -}}{{- $patterns = append $patterns (printf "%s/%s" ($streamer.files.mountPath | trimSuffix "/") .) -}}{{- end -}}
{{- if include "telemetry.streamer.shared" . }}
- name: TELEMETRY_EDGE
  value: {{ printf "%s/%s" (include "telemetry.clusterName" .) (include "telemetry.fullname" .) | quote }}
# Its pods share their files, whatever node they are on.
- name: TELEMETRY_MACHINE_ID
  value: {{ printf "%s/%s" .Release.Namespace (include "telemetry.fullname" .) | quote }}
{{- else }}
- name: EDGE_NODE
  valueFrom: {fieldRef: {fieldPath: {{ ternary "spec.nodeName" "metadata.name" (ne (include "telemetry.streamer.ofNode" .) "") }}}}
- name: TELEMETRY_EDGE
  value: {{ include "telemetry.clusterName" . }}/$(EDGE_NODE)
{{- end }}
- name: TELEMETRY_SOURCES
  value: {{ join "," (ternary (append $patterns (printf "%s/gpus-*.csv" (include "telemetry.record.path" .))) $patterns $streamer.record.enabled) | quote }}
- name: TELEMETRY_BATCH_SIZE
  value: {{ int $streamer.config.batchSize | quote }}
- name: TELEMETRY_STREAM_INTERVAL_S
  value: {{ $streamer.config.streamInterval | quote }}
- name: TELEMETRY_LOOP_MODE
  value: {{ $streamer.config.loopMode | quote }}
{{- end -}}

{{/* What only the streamer has, not its beat: where its files are, and what is said of them. */}}
{{- define "telemetry.streamer.mounts" -}}
- {name: files, mountPath: {{ .Values.streamer.files.mountPath | quote }}, readOnly: true}
- {name: state, mountPath: {{ include "telemetry.streamer.state" . }}}
{{- if .Values.streamer.files.settings }}
- {name: settings, mountPath: /etc/telemetry, readOnly: true}
{{- end }}
{{- if .Values.streamer.record.enabled }}
- {name: recorded, mountPath: {{ include "telemetry.record.path" . }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "telemetry.record.path" -}}/recorded{{- end -}}

{{/* What writes files for the streamer beside it. It has nothing of the broker's. */}}
{{- define "telemetry.record" -}}
{{- $record := .Values.streamer.record -}}
{{- $command := list "telemetry" "record" (include "telemetry.record.path" .) "--host" "$(HOST)" "--interval" (toString $record.interval)
      "--keep-mib" (toString (int $record.keepMib)) -}}
{{- if $record.scrape -}}{{- $command = concat $command (list "--scrape" $record.scrape) -}}{{- end -}}
{{- if $record.tool -}}{{- $command = concat $command (list "--tool" $record.tool) -}}{{- end -}}
- name: record
  image: {{ include "telemetry.image" (list . "edge") | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: {{- toYaml $command | nindent 4 }}
  env:
    - {name: HOST, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    {{- if $record.scrape }}
    - {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    {{- else }}
    - {name: NVIDIA_VISIBLE_DEVICES, value: all}
    - {name: NVIDIA_DRIVER_CAPABILITIES, value: utility}
    {{- end }}
  resources: {{- toYaml $record.resources | nindent 4 }}
  securityContext: {{- toYaml .Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: recorded, mountPath: {{ include "telemetry.record.path" . }}}
{{- end -}}

{{/* Of a streamer alone: what it notes of its files is its own. */}}
{{- define "telemetry.streamer.state" -}}/var/lib/telemetry-state{{- end -}}

{{- define "telemetry.streamer.own.env" -}}
- {name: TELEMETRY_STATE_DIR, value: {{ include "telemetry.streamer.state" . }}}
{{- if .Values.streamer.files.settings }}
- {name: TELEMETRY_SOURCE_SETTINGS, value: /etc/telemetry/sources.toml}
{{- end }}
{{- end -}}

{{- define "telemetry.streamer.volume" -}}
{{- $files := .Values.streamer.files -}}
{{- with .Values.streamer.record -}}
{{- if .enabled }}
- name: recorded
  {{- toYaml (default (dict "emptyDir" (dict "sizeLimit" (printf "%dMi" (add .keepMib 128)))) .volume) | nindent 2 }}
{{ end -}}
{{- end -}}
- name: state
  {{- toYaml (.Values.streamer.state.volume | default (dict "emptyDir" dict)) | nindent 2 }}
{{- if $files.settings }}
- name: settings
  configMap: {name: {{ include "telemetry.fullname" . }}-files}
{{- end }}
- name: files
  {{- if $files.existingClaim }}
  persistentVolumeClaim: {claimName: {{ $files.existingClaim }}, readOnly: true}
  {{- else if $files.volume }}
  {{- toYaml $files.volume | nindent 2 }}
  {{- else }}
  hostPath: {path: {{ $files.hostPath | quote }}, type: DirectoryOrCreate}
  {{- end }}
{{- end -}}

{{- define "telemetry.uploads.path" -}}/spool{{- end -}}

{{- define "telemetry.uploads.env" -}}
- {name: TELEMETRY_EDGE, value: central/uploads}
- {name: TELEMETRY_MACHINE_ID, value: {{ printf "%s/%s" .Release.Namespace (include "telemetry.fullname" .) | quote }}}
- {name: TELEMETRY_SOURCES, value: "{{ include "telemetry.uploads.path" . }}/*.csv"}
- {name: TELEMETRY_SOURCES_FINAL, value: "true"}
{{- end -}}

{{- define "telemetry.uploads.mount" -}}
- {name: spool, mountPath: {{ include "telemetry.uploads.path" . }}}
{{- end -}}

{{/* The containers beside the API that read what was sent to it. */}}
{{- define "telemetry.uploads" -}}
{{- include "telemetry.container" (dict "root" . "name" "uploads" "target" "central" "values" "uploads" "role" "edge"
      "command" (list "celery" "--quiet" "-A" "telemetry" "worker" "--without-gossip" "--without-mingle" "-n" (printf "uploads@%%h.%s" (include "telemetry.clusterName" .)))
      "env" (printf "%s\n- {name: TELEMETRY_STATE_DIR, value: /tmp/state}" (include "telemetry.uploads.env" .)) "mounts" (include "telemetry.uploads.mount" .)
      "heartbeat" true "metricsPort" .Values.metrics.port "probes" (include "telemetry.heartbeat.probes" (list . "uploads"))) }}
{{ include "telemetry.container" (dict "root" . "name" "uploads-beat" "target" "central" "values" "uploads" "role" "edge"
      "command" (list "celery" "--quiet" "-A" "telemetry" "beat" "--pidfile=") "env" (include "telemetry.uploads.env" .)
      "resources" .Values.uploads.beatResources "heartbeat" true "metricsPort" (add1 .Values.metrics.port)
      "probes" (include "telemetry.heartbeat.probes" (list . "uploads-beat"))) -}}
{{- end -}}

{{- define "telemetry.beat" -}}
{{- include "telemetry.container" (dict "root" . "name" "beat" "target" "edge" "values" "streamer" "role" "edge"
      "command" (list "celery" "--quiet" "-A" "telemetry" "beat" "--pidfile=") "env" (include "telemetry.streamer.env" .)
      "resources" .Values.streamer.beatResources "heartbeat" true "metricsPort" (add1 .Values.metrics.port)
      "probes" (include "telemetry.heartbeat.probes" (list . "beat"))) -}}
{{- end -}}
