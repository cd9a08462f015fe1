{{/* What records which pods have which GPUs, and the streamer of its files, which has a beat of its own. */}}

{{- define "telemetry.allocations.env" -}}
- name: TELEMETRY_EDGE
  value: {{ include "telemetry.clusterName" . }}/allocations
- {name: TELEMETRY_MACHINE_ID, value: {{ printf "%s/%s-allocations" .Release.Namespace (include "telemetry.fullname" .) | quote }}}
- {name: TELEMETRY_SOURCES, value: "{{ include "telemetry.record.path" . }}/pods-*.csv"}
{{- end -}}

{{/* It alone has the account's token, and nothing of the broker's. */}}
{{- define "telemetry.allocations.record" -}}
{{- $own := .Values.allocations -}}
- name: record
  image: {{ include "telemetry.image" (list . "edge") | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [telemetry, record, {{ include "telemetry.record.path" . }}, --pods, --interval, {{ $own.interval | toString | quote }}, --keep-mib, {{ int $own.keepMib | toString | quote }}]
  resources: {{- toYaml $own.recordResources | nindent 4 }}
  securityContext: {{- toYaml .Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: recorded, mountPath: {{ include "telemetry.record.path" . }}}
    - {name: account, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end -}}

{{- define "telemetry.allocations.volumes" -}}
- name: recorded
  emptyDir: {sizeLimit: {{ add .Values.allocations.keepMib 128 }}Mi}
- name: account
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
{{- end -}}
