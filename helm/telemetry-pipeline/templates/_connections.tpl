{{/* Where broker and database are, and the Secrets that open them. Passwords travel as mounted files, never in a variable. */}}

{{- define "telemetry.secrets.path" -}}/run/secrets/telemetry{{- end -}}

{{/* Secret and key of the broker's password, as {name, key}; {} where it has none. */}}
{{- define "telemetry.broker.password" -}}
{{- $external := .Values.externalRedis -}}
{{- $own := printf "%s-broker" (include "telemetry.fullname" .) -}}
{{- if and (not $external.enabled) (or $external.host $external.sentinel.hosts $external.brokers $external.auth.existingSecret) -}}
{{- fail "externalRedis.host, externalRedis.sentinel.hosts, externalRedis.brokers or externalRedis.auth.existingSecret is set, and externalRedis.enabled is false: set it to true" -}}
{{- else if and $external.brokers (or $external.host $external.sentinel.hosts) -}}
{{- fail "externalRedis.brokers is set beside externalRedis.host or externalRedis.sentinel.hosts: set those to nothing" -}}
{{- else if and $external.host $external.sentinel.hosts -}}
{{- fail "externalRedis.host and externalRedis.sentinel.hosts are both set: the sentinels say which host is the broker, so set externalRedis.host to nothing" -}}
{{- else if and $external.enabled $external.auth.existingSecret (not $external.auth.enabled) -}}
{{- fail "externalRedis.auth.existingSecret is set, and externalRedis.auth.enabled is false: set it to true" -}}
{{- else if and $external.enabled $external.tls.clientCertificate (not $external.tls.existingSecret) -}}
{{- fail "externalRedis.tls.clientCertificate is true: set externalRedis.tls.existingSecret, which holds tls.crt and tls.key" -}}
{{- else if not $external.enabled -}}
{{- if .Values.redis.existingSecret -}}
{{- dict "name" .Values.redis.existingSecret "key" .Values.redis.existingSecretPasswordKey | toJson -}}
{{- else if .Values.redis.password -}}
{{- dict "name" $own "key" "redis-password" | toJson -}}
{{- else -}}{}
{{- end -}}
{{- else if and $external.auth.enabled $external.auth.existingSecret -}}
{{- dict "name" $external.auth.existingSecret "key" $external.auth.existingSecretPasswordKey | toJson -}}
{{- else if $external.password -}}
{{- dict "name" $own "key" "redis-password" | toJson -}}
{{- else if $external.auth.enabled -}}
{{- fail "externalRedis.auth.enabled is true: set externalRedis.auth.existingSecret, or externalRedis.password" -}}
{{- else -}}{}
{{- end -}}
{{- end -}}

{{/* Secret and key of the database's password. */}}
{{- define "telemetry.database.password" -}}
{{- $own := printf "%s-database" (include "telemetry.fullname" .) -}}
{{- $external := .Values.externalPostgresql -}}
{{- $from := ternary $external .Values.postgresql.auth $external.enabled -}}
{{- if $from.existingSecret -}}
{{- dict "name" $from.existingSecret "key" $from.existingSecretPasswordKey | toJson -}}
{{- else -}}
{{- $_ := include "telemetry.database.own" . -}}
{{- dict "name" $own "key" "password" | toJson -}}
{{- end -}}
{{- end -}}

{{/* The password the release's own Secret holds. */}}
{{- define "telemetry.database.own" -}}
{{- if .Values.externalPostgresql.enabled -}}
{{- required "externalPostgresql.enabled is true: set externalPostgresql.existingSecret, or externalPostgresql.password" (default .Values.postgresql.auth.password .Values.externalPostgresql.password) -}}
{{- else -}}
{{- required "the Postgres of this release needs postgresql.auth.password or postgresql.auth.existingSecret; or set externalPostgresql.enabled" .Values.postgresql.auth.password -}}
{{- end -}}
{{- end -}}

{{/* A host as it stands in a URL: an IPv6 address in brackets. */}}
{{- define "telemetry.urlHost" -}}
{{- if and (contains ":" .) (not (hasPrefix "[" .)) -}}[{{ . }}]{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/*
The brokers as a list of {name, host, port, hosts, service, cidrs}, of which `hosts` are sentinels; what an entry does not say is that
of externalRedis. One, whose name is "", where there are not several; as JSON.
*/}}
{{- define "telemetry.brokers" -}}
{{- $external := .Values.externalRedis -}}
{{- $names := list -}}
{{- $brokers := list -}}
{{- range $external.brokers -}}
{{- $hosts := default list (default dict .sentinel).hosts -}}
{{- if and .host $hosts -}}
{{- fail (printf "externalRedis.brokers: %s has a host and sentinel.hosts: the sentinels say which host is the broker" .name) -}}
{{- else if not (or .host $hosts) -}}
{{- fail (printf "externalRedis.brokers: %s has neither host nor sentinel.hosts: set one" .name) -}}
{{- else if has .name $names -}}
{{- fail (printf "externalRedis.brokers names %s twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $brokers = append $brokers (dict "name" .name "host" (default "" .host) "port" (default $external.port .port) "hosts" $hosts
      "service" (default $external.sentinel.service (default dict .sentinel).service) "cidrs" (default $external.cidrs .cidrs)) -}}
{{- end -}}
{{- range $key, $named := dict "externalRedis.brokerName" (list $external.brokerName) "flower.brokerName" (list .Values.flower.brokerName) "externalRedis.drained" $external.drained -}}
{{- range $named -}}
{{- if and . (not (has . $names)) -}}
{{- fail (printf "%s names %s, and externalRedis.brokers has %s" $key . (default "none" (join ", " $names))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $external.drained -}}{{- $names = without $names . -}}{{- end -}}
{{- if and $external.brokers (not $names) -}}
{{- fail "externalRedis.drained names all brokers: leave one for the edges" -}}
{{- end -}}
{{- if not $brokers -}}
{{- $brokers = list (dict "name" "" "host" $external.host "port" $external.port "hosts" $external.sentinel.hosts "service" $external.sentinel.service "cidrs" $external.cidrs) -}}
{{- end -}}
{{- toJson $brokers -}}
{{- end -}}

{{/* The first of several brokers that edges do not leave; nothing where there is one. */}}
{{- define "telemetry.broker.first" -}}
{{- $found := "" -}}
{{- range include "telemetry.brokers" . | fromJsonArray -}}
{{- if not (or $found (has .name $.Values.externalRedis.drained)) -}}{{- $found = .name -}}{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* Whether sentinels lead to a broker outside this release. */}}
{{- define "telemetry.broker.watched" -}}
{{- if .Values.externalRedis.enabled -}}
{{- range include "telemetry.brokers" . | fromJsonArray -}}{{- if .hosts -}}true{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The URL of such a broker; (list $ broker). */}}
{{- define "telemetry.broker.url" -}}
{{- $external := (index . 0).Values.externalRedis -}}
{{- $broker := index . 1 -}}
{{- $user := ternary (printf "%s@" (urlquery $external.username | replace "+" "%20")) "" (ne $external.username "") -}}
{{- if $broker.hosts -}}
{{- printf "%s://%s%s/%s/%v" (ternary "sentinels" "sentinel" $external.tls.enabled) $user (join "," $broker.hosts) $broker.service $external.database -}}
{{- else -}}
{{- $host := include "telemetry.urlHost" (required "externalRedis.enabled is true: set externalRedis.host, or externalRedis.sentinel.hosts" $broker.host) -}}
{{- printf "%s://%s%s:%v/%v" (ternary "rediss" "redis" $external.tls.enabled) $user $host $broker.port $external.database -}}
{{- end -}}
{{- end -}}

{{- define "telemetry.broker.host" -}}
{{- if include "telemetry.has" (list . "redis") -}}
{{- include "telemetry.fullname" . }}-redis
{{- else -}}
{{- /* Another release of this namespace brings it, before this one or after. */ -}}
{{- required "this release brings no Redis, and redis.serviceName names none: set redis.serviceName to that of the release that has one, or externalRedis.enabled=true and externalRedis.host" .Values.redis.serviceName -}}
{{- end -}}
{{- end -}}

{{/* Variables that lead to the broker, or to several. */}}
{{- define "telemetry.broker.env" -}}
{{- $external := .Values.externalRedis -}}
{{- $path := include "telemetry.secrets.path" . -}}
{{- $brokers := include "telemetry.brokers" . | fromJsonArray -}}
{{- $urls := list -}}
{{- if $external.brokers -}}
{{- range $brokers }}{{ $urls = append $urls (printf "%s=%s" .name (include "telemetry.broker.url" (list $ .))) }}{{ end -}}
- name: TELEMETRY_BROKER_URLS
  value: {{ join " " $urls | quote }}
{{- with $external.drained }}
- name: TELEMETRY_BROKER_DRAINED
  value: {{ join "," . | quote }}
{{- end }}
{{- else }}
- name: TELEMETRY_BROKER_URL
{{- if $external.enabled }}
  value: {{ include "telemetry.broker.url" (list . (first $brokers)) | quote }}
{{- else }}
  {{- $scheme := ternary "sentinel" "redis" .Values.redis.sentinel.enabled }}
  {{- $where := ternary (printf "%s/%s" (include "telemetry.sentinel.port" .) .Values.redis.sentinel.service) "6379" .Values.redis.sentinel.enabled }}
  value: {{ printf "%s://%s%s:%s/0" $scheme (ternary (printf "%s@" (urlquery .Values.redis.username | replace "+" "%20")) "" (ne .Values.redis.username "")) (include "telemetry.broker.host" .) $where | quote }}
{{- end }}
{{- end }}
{{- if include "telemetry.broker.password" . | fromJson }}
- name: TELEMETRY_BROKER_PASSWORD_FILE
  value: {{ $path }}/broker-password
{{- end }}
{{- if and $external.sentinel.existingSecret (include "telemetry.broker.watched" .) }}
- name: TELEMETRY_SENTINEL_PASSWORD_FILE
  value: {{ $path }}/sentinel-password
{{- end }}
{{- if and $external.enabled $external.tls.enabled }}
{{- if $external.tls.skipVerify }}
- name: TELEMETRY_BROKER_SKIP_VERIFY
  value: "true"
{{- else if or $external.tls.caCert $external.tls.existingSecret }}
- name: TELEMETRY_BROKER_CA
  value: {{ $path }}/broker-ca.crt
{{- end }}
{{- if and $external.tls.existingSecret $external.tls.clientCertificate }}
- name: TELEMETRY_BROKER_CERT
  value: {{ $path }}/broker-client.crt
- name: TELEMETRY_BROKER_KEY
  value: {{ $path }}/broker-client.key
{{- end }}
{{- end }}
{{- end -}}

{{/* Variables that lead to the database. */}}
{{- define "telemetry.database.env" -}}
{{- $external := .Values.externalPostgresql -}}
{{- $path := include "telemetry.secrets.path" . -}}
{{- if and (not $external.enabled) (or $external.host $external.existingSecret) -}}
{{- fail "externalPostgresql.host or externalPostgresql.existingSecret is set, and externalPostgresql.enabled is false: set it to true" -}}
{{- else if and $external.enabled (hasPrefix "verify-" $external.sslMode) (not $external.caCert) -}}
{{- fail (printf "externalPostgresql.sslMode is %s: set externalPostgresql.caCert, or sslMode=require" $external.sslMode) -}}
{{- end -}}
- name: TELEMETRY_DATABASE_URL
{{- if $external.enabled }}
  {{- $user := urlquery $external.username | replace "+" "%20" }}
  {{- $rest := printf "%s?sslmode=%s%s" (urlquery $external.database | replace "+" "%20") $external.sslMode (ternary (printf "&sslrootcert=%s/database-ca.crt" $path) "" (ne $external.caCert "")) }}
  {{- $hosts := list }}
  {{- range prepend $external.otherHosts (required "externalPostgresql.enabled is true: set externalPostgresql.host" $external.host) }}
  {{- $hosts = append $hosts (printf "%s:%v" (include "telemetry.urlHost" .) $external.port) }}
  {{- end }}
  value: {{ printf "postgresql://%s@%s/%s" $user (join "," $hosts) $rest | quote }}
{{- if $external.readHost }}
- name: TELEMETRY_DATABASE_READ_URL
  value: {{ printf "postgresql://%s@%s:%v/%s" $user (include "telemetry.urlHost" $external.readHost) $external.port $rest | quote }}
{{- end }}
{{- else }}
  value: {{ printf "postgresql://%s@%s-postgresql:5432/%s" (urlquery .Values.postgresql.auth.username | replace "+" "%20") (include "telemetry.fullname" .) (urlquery .Values.postgresql.auth.database | replace "+" "%20") | quote }}
{{- end }}
- name: TELEMETRY_DATABASE_PASSWORD_FILE
  value: {{ $path }}/database-password
{{- end -}}

{{/* What of the Secret of trust.existingSecret a container reads, "" for nothing; (list $ container). */}}
{{- define "telemetry.trust.item" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.trust.existingSecret -}}
{{- if eq (index . 1) "streamer" -}}signing-key{{- else if has (index . 1) (list "collector" "uploads") -}}trust-secret{{- end -}}
{{- end -}}
{{- end -}}

{{- define "telemetry.trust.path" -}}/run/secrets/trust{{- end -}}

{{/* The variables of such a container. */}}
{{- define "telemetry.trust.env" -}}
{{- $item := include "telemetry.trust.item" . -}}
{{- $path := include "telemetry.trust.path" . -}}
{{- if eq $item "signing-key" }}
- name: TELEMETRY_SIGNING_KEY_FILE
  value: {{ $path }}/signing-key
{{- else if eq $item "trust-secret" }}
- name: TELEMETRY_TRUST_SECRET_FILE
  value: {{ $path }}/trust-secret
- name: TELEMETRY_SIGNATURES
  value: {{ (index . 0).Values.trust.signatures }}
{{- end }}
{{- end -}}

{{/* The volume of a pod that has such a container; (list $ component). */}}
{{- define "telemetry.trust.volume" -}}
{{- $root := index . 0 -}}
{{- $component := ternary "streamer" (index . 1) (eq (index . 1) "allocations") -}}
{{- $container := ternary "uploads" $component (and (eq (index . 1) "api") (ne (include "telemetry.has" (list $root "uploads")) "")) -}}
{{- with include "telemetry.trust.item" (list $root $container) }}
- name: trust
  secret:
    secretName: {{ $root.Values.trust.existingSecret | quote }}
    defaultMode: 0440
    items: [{key: {{ ternary $root.Values.trust.signingKey $root.Values.trust.centreSecret (eq . "signing-key") | quote }}, path: {{ . }}}]
{{- end }}
{{- end -}}

{{/* Secrets that a pod mounts, as sources of a projected volume; (list $ needsDatabase). */}}
{{- define "telemetry.secrets.sources" -}}
{{- $root := index . 0 -}}
{{- $own := include "telemetry.fullname" $root -}}
{{- with include "telemetry.broker.password" $root | fromJson }}
- secret:
    name: {{ .name }}
    items: [{key: {{ .key | quote }}, path: broker-password}]
{{- end }}
{{- with $root.Values.externalRedis }}
{{- if and .sentinel.existingSecret (include "telemetry.broker.watched" $root) }}
- secret:
    name: {{ .sentinel.existingSecret }}
    items: [{key: {{ .sentinel.existingSecretPasswordKey | quote }}, path: sentinel-password}]
{{- end }}
{{- if and .enabled .tls.enabled }}
{{- if .tls.existingSecret }}
- secret:
    name: {{ .tls.existingSecret }}
    items:
      {{- if not .tls.skipVerify }}
      - {key: ca.crt, path: broker-ca.crt}
      {{- end }}
      {{- if .tls.clientCertificate }}
      - {key: tls.crt, path: broker-client.crt}
      - {key: tls.key, path: broker-client.key}
      {{- end }}
{{- else if and .tls.caCert (not .tls.skipVerify) }}
- secret:
    name: {{ $own }}-broker
    items: [{key: ca.crt, path: broker-ca.crt}]
{{- end }}
{{- end }}
{{- end }}
{{- if index . 1 }}
{{- with include "telemetry.database.password" $root | fromJson }}
- secret:
    name: {{ .name }}
    items: [{key: {{ .key | quote }}, path: database-password}]
{{- end }}
{{- if and $root.Values.externalPostgresql.enabled $root.Values.externalPostgresql.caCert }}
- secret:
    name: {{ $own }}-database
    items: [{key: ca.crt, path: database-ca.crt}]
{{- end }}
{{- end }}
{{- end -}}

{{/* What the Secret of the broker, made by this release, holds; as YAML, {} for none. */}}
{{- define "telemetry.secrets.broker" -}}
{{- $data := dict -}}
{{- $external := .Values.externalRedis -}}
{{- if $external.enabled -}}
{{- if and $external.password (not (and $external.auth.enabled $external.auth.existingSecret)) -}}
{{- $_ := set $data "redis-password" $external.password -}}
{{- end -}}
{{- if and $external.tls.enabled $external.tls.caCert (not $external.tls.existingSecret) -}}
{{- $_ := set $data "ca.crt" $external.tls.caCert -}}
{{- end -}}
{{- else if and .Values.redis.password (not .Values.redis.existingSecret) -}}
{{- $_ := set $data "redis-password" .Values.redis.password -}}
{{- end -}}
{{- toYaml $data -}}
{{- end -}}

{{/* The same of the database. */}}
{{- define "telemetry.secrets.database" -}}
{{- $data := dict -}}
{{- if include "telemetry.has" (list . "database") -}}
{{- $from := ternary .Values.externalPostgresql .Values.postgresql.auth .Values.externalPostgresql.enabled -}}
{{- if not $from.existingSecret -}}
{{- $_ := set $data "password" (include "telemetry.database.own" .) -}}
{{- end -}}
{{- if and .Values.externalPostgresql.enabled .Values.externalPostgresql.caCert -}}
{{- $_ := set $data "ca.crt" .Values.externalPostgresql.caCert -}}
{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end -}}

{{/* Checksum of what a pod mounts of these Secrets, so that it is replaced when that changes and not otherwise; the dict of telemetry.pod. */}}
{{- define "telemetry.secrets.checksum" -}}
{{- $mounted := dict -}}
{{- if ne .component "postgresql" -}}
{{- range $key, $value := include "telemetry.secrets.broker" .root | fromYaml -}}{{- $_ := set $mounted (printf "broker/%s" $key) $value -}}{{- end -}}
{{- end -}}
{{- if or .database (eq .component "postgresql") -}}
{{- range $key, $value := include "telemetry.secrets.database" .root | fromYaml -}}{{- $_ := set $mounted (printf "database/%s" $key) $value -}}{{- end -}}
{{- end -}}
{{- with $mounted -}}{{- toJson . | sha256sum -}}{{- end -}}
{{- end -}}
