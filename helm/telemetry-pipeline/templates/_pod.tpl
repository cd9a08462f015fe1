{{/* What all pods share, so that no component misses a mount, a context or a probe. */}}

{{/*
Where pods of a component may run; (list $ values component). Beat goes where the streamer may, but not by what is said of
streamers among themselves.
*/}}
{{- define "telemetry.scheduling" -}}
{{- $root := index . 0 -}}
{{- $own := get $root.Values (index . 1) -}}
{{- $component := index . 2 -}}
{{- $common := include "telemetry.scheduling.common" (list $root $component) | fromYaml -}}
{{- with default $common.nodeSelector $own.nodeSelector }}
nodeSelector: {{- include "telemetry.words" . | nindent 2 }}
{{- end }}
{{- with default $common.tolerations $own.tolerations }}
tolerations:
  {{- range (include "telemetry.words.of" . | fromJson).it }}
  {{- /* Kubernetes takes a bare key as one with an empty value, which hardly any taint has. */}}
  {{- if and .key (not .operator) (not .value) }}
  - {{- toYaml (merge (dict "operator" "Exists") .) | nindent 4 }}
  {{- else }}
  - {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- $affinity := include "telemetry.affinity" (default $common.affinity $own.affinity) | fromYaml }}
{{- if eq $component "beat" }}{{ $affinity = pick $affinity "nodeAffinity" }}{{ end }}
{{- if and (eq $component "streamer") (ne $own.kind "DaemonSet") (include "telemetry.streamer.ofNode" $root) (gt (int $own.replicaCount) 1) }}
{{- /* Two on one node would be one edge with two beats. */}}
{{- $rule := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "telemetry.selector" (list $root $component) | fromYaml)) }}
{{- $apart := default dict $affinity.podAntiAffinity }}
{{- $rules := append (default list $apart.requiredDuringSchedulingIgnoredDuringExecution) $rule }}
{{- $_ := set $affinity "podAntiAffinity" (set $apart "requiredDuringSchedulingIgnoredDuringExecution" $rules) }}
{{- end }}
{{- with $affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if ne $component "beat" }}
{{- with $own.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range (include "telemetry.words.of" . | fromJson).it }}
  - {{- toYaml (merge . (dict "labelSelector" (dict "matchLabels" (include "telemetry.selector" (list $root $component) | fromYaml)))) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- with default $common.priorityClassName $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/*
What is said of nodes where a component says nothing: `scheduling`, and what that leaves open for the rest of the centre, the
collectors; (list $ component).
*/}}
{{- define "telemetry.scheduling.common" -}}
{{- $root := index . 0 -}}
{{- $common := deepCopy $root.Values.scheduling -}}
{{- $collector := $root.Values.collector -}}
{{- if and $collector.enabled (has (index . 1) (list "api" "flower" "exporter" "migrations" "allocations" "redis" "postgresql")) -}}
{{- range $key, $followed := dict "nodeSelector" $collector.nodeSelector "tolerations" $collector.tolerations "affinity" (pick $collector.affinity "nodeAffinity") -}}
{{- if not (get $common $key) -}}{{- $_ := set $common $key $followed -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $common -}}
{{- end -}}

{{/* Affinity; a node's match expression that gives values alone is about zones. */}}
{{- define "telemetry.affinity" -}}
{{- $affinity := (include "telemetry.words.of" . | fromJson).it -}}
{{- $required := (($affinity.nodeAffinity).requiredDuringSchedulingIgnoredDuringExecution).nodeSelectorTerms -}}
{{- range $required -}}
{{- range .matchExpressions -}}
{{- if not .key -}}{{- $_ := set . "key" "topology.kubernetes.io/zone" -}}{{- end -}}
{{- if not .operator -}}{{- $_ := set . "operator" "In" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

{{/*
The template of a pod; a dict of root, component (of the labels), broker (that it serves, of several), values (name of the component's values), containers,
init, database (whether it needs one), volumes, account (of the service, if it has one of its own), restartPolicy, product (false for Redis and Postgres), uid.
*/}}
{{- define "telemetry.pod" -}}
{{- $root := .root -}}
{{- $own := get $root.Values .values -}}
{{- $product := not (hasKey . "uid") -}}
metadata:
  labels: {{- merge (include "telemetry.labels" (list $root .component) | fromYaml) (include "telemetry.broker.label" .broker | fromYaml) (include "telemetry.words" $own.podLabels | fromYaml) | toYaml | nindent 4 }}
  {{- $annotations := dict }}
  {{- with $own.podAnnotations }}{{ $annotations = tpl (include "telemetry.words" .) $root | fromYaml }}{{ end }}
  {{- with include "telemetry.secrets.checksum" . }}{{ $_ := set $annotations "checksum/secrets" . }}{{ end }}
  {{- if and (eq .component "streamer") $root.Values.streamer.files.settings }}
  {{- $_ := set $annotations "checksum/files" (sha256sum $root.Values.streamer.files.settings) }}
  {{- end }}
  {{- if and (eq .component "api") $root.Values.api.login.issuer }}
  {{- $_ := set $annotations "checksum/login" (include "telemetry.login.groups" $root | sha256sum) }}
  {{- end }}
  {{- if and $product $root.Values.restartToken }}
  {{- $_ := set $annotations "telemetry/restart-token" (include "telemetry.text" $root.Values.restartToken) }}
  {{- end }}
  {{- with $annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ default (include "telemetry.serviceAccountName" $root) .account | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ ternary (add $own.terminationGracePeriodSeconds $root.Values.drainSeconds) $own.terminationGracePeriodSeconds (has .component (list "api" "flower" "exporter")) }}
  {{- with .activeDeadlineSeconds }}
  activeDeadlineSeconds: {{ . }}
  {{- end }}
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- if eq .component "streamer" }}
  {{- with $root.Values.streamer.record }}
  {{- if and .enabled (not .scrape) .runtimeClassName }}
  runtimeClassName: {{ .runtimeClassName }}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $context := deepCopy $root.Values.podSecurityContext }}
  {{- if not $product }}
  {{- $context = merge (dict "runAsUser" .uid "runAsGroup" .uid "fsGroup" .uid) $context }}
  {{- end }}
  {{- with .supplementalGroups }}
  {{- $context = merge (dict "supplementalGroups" .) $context }}
  {{- end }}
  securityContext: {{- toYaml $context | nindent 4 }}
  {{- with include "telemetry.scheduling" (list $root .values .component) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .init }}
  initContainers: {{- . | trim | nindent 4 }}
  {{- end }}
  containers: {{- .containers | trim | nindent 4 }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- if $product }}
    - name: run
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
    {{- with include "telemetry.secrets.sources" (list $root .database) | trim }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources: {{- . | nindent 10 }}
    {{- end }}
    {{- with include "telemetry.trust.volume" (list $root .component) | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with include "telemetry.role.volume" (list $root .component) | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $root.Values.extraVolumes }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- with .volumes }}
    {{- . | trim | nindent 4 }}
    {{- end }}
{{- end -}}

{{/*
A container of the product; a dict of root, name, target (of the image), values (name of the component's values), role, command, env,
broker (the one of several that it uses), database, mounts, resources, probes, ports, metricsPort.
*/}}
{{- define "telemetry.container" -}}
{{- $root := .root -}}
{{- $own := get $root.Values .values -}}
- name: {{ .name }}
  image: {{ include "telemetry.image" (list $root .target) | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: {{- toYaml .command | nindent 4 }}
  env: {{- include "telemetry.env" . | nindent 4 }}
  {{- $ports := list }}
  {{- with .ports }}{{ $ports = . }}{{ end }}
  {{- if and .metricsPort $root.Values.metrics.enabled }}
  {{- $ports = append $ports (dict "name" (ternary "metrics" "beat-metrics" (eq (int .metricsPort) (int $root.Values.metrics.port))) "containerPort" (int .metricsPort)) }}
  {{- end }}
  {{- with $ports }}
  ports: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .probes }}
  {{- . | trim | nindent 2 }}
  {{- end }}
  {{- if and (has .name (list "api" "flower" "exporter")) $root.Values.drainSeconds }}
  # It goes on answering until no Service leads to it any more. The field `sleep` is not in every Kubernetes from 1.29 on.
  lifecycle:
    preStop:
      exec: {command: [sleep, {{ $root.Values.drainSeconds | quote }}]}
  {{- end }}
  resources: {{- toYaml (default $own.resources .resources) | nindent 4 }}
  securityContext: {{- toYaml $root.Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: run, mountPath: /run/telemetry}
    {{- if include "telemetry.secrets.sources" (list $root .database) | trim }}
    - {name: secrets, mountPath: {{ include "telemetry.secrets.path" $root }}, readOnly: true}
    {{- end }}
    {{- if include "telemetry.trust.item" (list $root .name) }}
    - {name: trust, mountPath: {{ include "telemetry.trust.path" $root }}, readOnly: true}
    {{- end }}
    {{- if include "telemetry.role.key" (list $root .name) }}
    - {name: roles, mountPath: /run/secrets/roles, readOnly: true}
    {{- end }}
    {{- with $root.Values.extraVolumeMounts }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
    {{- with .mounts }}
    {{- . | trim | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The environment of such a container. What extraEnv names again has the value it has there. */}}
{{- define "telemetry.env" -}}
{{- $given := dict -}}
{{- $variables := include "telemetry.env.given" . | fromYamlArray -}}
{{- range $variables -}}
{{- if hasKey . "value" -}}{{- $_ := set . "value" (include "telemetry.text" .value) -}}{{- end -}}
{{- $_ := set $given .name . -}}
{{- end -}}
{{- $env := list -}}
{{- range $variables -}}
{{- with get $given .name -}}{{- $env = append $env . -}}{{- end -}}
{{- $_ := unset $given .name -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{- define "telemetry.env.given" -}}
{{- $root := .root -}}
- name: TELEMETRY_ROLE
  value: {{ .role }}
- name: TELEMETRY_KEY_PREFIX
  value: {{ $root.Values.keyPrefix | quote }}
- name: TELEMETRY_DATA_DIR
  value: /tmp/telemetry
{{- if ne .role "edge" }}
- name: TELEMETRY_EDGE
  value: {{ printf "%s/centre" (include "telemetry.clusterName" $root) | quote }}
- name: TELEMETRY_CLUSTER
  value: {{ include "telemetry.clusterName" $root | quote }}
{{- end }}
{{- include "telemetry.broker.env" $root | nindent 0 }}
{{- with default (ternary $root.Values.externalRedis.brokerName "" (eq .role "edge")) .broker }}
- name: TELEMETRY_BROKER_NAME
  value: {{ . }}
{{- end }}
{{- if .database }}
{{- include "telemetry.database.env" $root | nindent 0 }}
{{- end }}
{{- with include "telemetry.trust.env" (list $root .name) | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- with include "telemetry.role.env" (list $root .name) | trim }}
{{- . | nindent 0 }}
{{- end }}
{{- include "telemetry.monitoring.env" . | trim | nindent 0 }}
{{- with .env }}
{{- . | trim | nindent 0 }}
{{- end }}
{{- range list $root.Values.extraEnv (get $root.Values .values).extraEnv }}
{{- with . }}
{{- tpl (toYaml .) $root | nindent 0 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Waits until the schema is the one this version needs, or a later one; a dict of root and values. */}}
{{- define "telemetry.wait" -}}
{{- include "telemetry.container" (dict "root" .root "name" "wait-for-schema" "target" "central" "values" .values "role" "central" "database" true
      "command" (list "telemetry" "db" "current" "--wait")) -}}
{{- end -}}
