{{/*
What the schema cannot say of values: what must stand beside what, and what only the cluster knows. Each sentence names the mend.
What broker and database need is said where their addresses are made, in _connections.tpl.
*/}}

{{- define "telemetry.validate" -}}
{{- $collector := .Values.collector -}}
{{- $_ := include "telemetry.broker.env" . -}}
{{- if include "telemetry.has" (list . "database") -}}
{{- $_ := include "telemetry.database.env" . -}}
{{- $_ := include "telemetry.database.password" . -}}
{{- end -}}
{{- if and .Values.externalRedis.enabled (eq (.Values.redis.enabled | toString) "true") -}}
{{- fail "redis.enabled and externalRedis.enabled are both true, and a release has one broker: set redis.enabled=auto or externalRedis.enabled=false" -}}
{{- end -}}
{{- if and .Values.redis.sentinel.enabled (or .Values.redis.tls.existingSecret (ne .Values.redis.service.type "ClusterIP")) -}}
{{- fail "redis.sentinel.enabled is true, and other clusters cannot reach single pods of this Redis: leave redis.tls.existingSecret empty and redis.service.type ClusterIP, or run one elsewhere and set externalRedis.sentinel.hosts" -}}
{{- end -}}
{{- if and (ne .Values.redis.service.type "ClusterIP") (not (include "telemetry.broker.password" . | fromJson)) -}}
{{- fail (printf "redis.service.type is %s, and the Redis has no password: set redis.existingSecret or redis.password, or leave the type ClusterIP" .Values.redis.service.type) -}}
{{- end -}}
{{- if and .Values.redis.users.existingSecret (include "telemetry.has" (list . "redis")) (not (include "telemetry.broker.password" . | fromJson)) -}}
{{- fail "redis.users.existingSecret is set, and the default user, who administers them, has no password: set redis.existingSecret or redis.password" -}}
{{- end -}}
{{- if and $collector.autoscaling.enabled $collector.keda.enabled -}}
{{- fail "collector.autoscaling.enabled and collector.keda.enabled exclude each other: turn one off" -}}
{{- end -}}
{{- range list "autoscaling" "keda" -}}
{{- $scaling := get $collector . -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail (printf "collector.%s.minReplicas is %v, above collector.%s.maxReplicas, which is %v: lower the one or raise the other" . $scaling.minReplicas . $scaling.maxReplicas) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.streamer.record.enabled (include "telemetry.streamer.shared" .) -}}
{{- fail "streamer.record writes files that only its own pod reads, and replicas that share streamer.files are one edge: use files of the node, or record in a release of its own" -}}
{{- end -}}
{{- if and .Values.streamer.record.scrape .Values.streamer.record.tool -}}
{{- fail "streamer.record.scrape and streamer.record.tool exclude each other: a recording has one source" -}}
{{- end -}}
{{- range $path := list "streamer.resources" "streamer.beatResources" "allocations.resources" "allocations.beatResources" "allocations.recordResources" "collector.resources" "api.resources" "uploads.resources" "uploads.beatResources"
      "flower.resources" "exporter.resources" "migrations.resources" "redis.resources" "redis.exporter.resources" "postgresql.resources" -}}
{{- $parts := splitList "." $path -}}
{{- $resources := get (get $.Values (first $parts)) (last $parts) -}}
{{- range $name, $request := $resources.requests -}}
{{- $limit := get (default dict $resources.limits) $name -}}
{{- if and $limit (gt (include "telemetry.quantity" $request | float64) (include "telemetry.quantity" $limit | float64)) -}}
{{- fail (printf "%s.requests.%s is %v, above %s.limits.%s, which is %v: lower the one or raise the other" $path $name $request $path $name $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.streamer.enabled (include "telemetry.streamer.ofNode" .) -}}
{{- $level := dig "metadata" "labels" "pod-security.kubernetes.io/enforce" "" (lookup "v1" "Namespace" "" .Release.Namespace | default dict) -}}
{{- if has $level (list "baseline" "restricted") -}}
{{- fail (printf "the namespace %s enforces the Pod Security level %s, which allows no hostPath, so no streamer would start: give it the level privileged (kubectl label --overwrite namespace %s pod-security.kubernetes.io/enforce=privileged), or set streamer.files.existingClaim" .Release.Namespace $level .Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity of Kubernetes as a number of its unit. */}}
{{- define "telemetry.quantity" -}}
{{- $text := include "telemetry.text" . -}}
{{- $factors := dict "n" 1e-9 "u" 1e-6 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
      "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- $unit := regexFind "[A-Za-z]+$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (default 1.0 (get $factors $unit)) -}}
{{- end -}}
