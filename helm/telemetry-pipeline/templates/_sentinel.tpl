{{/* Three servers of Redis in place of one, of which three sentinels choose the primary: for the releases of one cluster. */}}

{{- define "telemetry.sentinel.port" -}}26379{{- end -}}

{{/* The name of the StatefulSet, and of the Service that gives each of its pods a name. One server cannot be made three. */}}
{{- define "telemetry.redis.name" -}}
{{- include "telemetry.fullname" . }}-redis{{ if .Values.redis.sentinel.enabled }}-nodes{{ end -}}
{{- end -}}

{{/* The lines of a container's script that find the primary: as a sentinel says, or the first pod where none answers. */}}
{{- define "telemetry.sentinel.find" -}}
{{- $service := printf "%s.%s.svc" (include "telemetry.redis.name" .) .Release.Namespace -}}
me=$HOSTNAME.{{ $service }}
primary=
for number in 0 1 2; do
  said=$(timeout 3 redis-cli -h {{ include "telemetry.redis.name" . }}-$number.{{ $service }} -p {{ include "telemetry.sentinel.port" . }} \
    SENTINEL GET-MASTER-ADDR-BY-NAME {{ .Values.redis.sentinel.service }} 2>/dev/null | head -n 1) || true
  case $said in *.{{ $service }}) primary=$said; break ;; esac
done
primary=${primary:-{{ include "telemetry.redis.name" . }}-0.{{ $service }}}
{{- end -}}

{{/* The lines of a server's script: whom it follows, and how others reach it. */}}
{{- define "telemetry.sentinel.follow" -}}
{{ include "telemetry.sentinel.find" . }}
printf 'replica-announce-ip %s\n' "$me" >> /tmp/redis.conf
if [ "$primary" != "$me" ]; then printf 'replicaof %s 6379\n' "$primary" >> /tmp/redis.conf; fi
if [ -e /run/secrets/redis/password ]; then
  printf 'masterauth "%s"\n' "$(sed 's/[\\"]/\\&/g' /run/secrets/redis/password)" >> /tmp/redis.conf
fi
{{- end -}}

{{- define "telemetry.sentinel.container" -}}
{{- $sentinel := .Values.redis.sentinel -}}
- name: sentinel
  image: {{ .Values.redis.image | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
    - sh
    - -c
    - |
      umask 077
      {{- include "telemetry.sentinel.find" . | nindent 6 }}
      {
        printf 'port %s\ndir /tmp\nbind * -::*\nprotected-mode no\nsentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n' "$0"
        printf 'sentinel announce-ip %s\nsentinel monitor %s %s 6379 2\n' "$me" "$1" "$primary"
        printf 'sentinel down-after-milliseconds %s %s\nsentinel failover-timeout %s 30000\n' "$1" "$2" "$1"
        if [ -e /run/secrets/redis/password ]; then
          printf 'sentinel auth-pass %s "%s"\n' "$1" "$(sed 's/[\\"]/\\&/g' /run/secrets/redis/password)"
        fi
      } > /tmp/sentinel.conf
      exec redis-server /tmp/sentinel.conf --sentinel
    - {{ include "telemetry.sentinel.port" . | quote }}
    - {{ $sentinel.service | quote }}
    - {{ $sentinel.downAfterMs | toString | quote }}
  ports:
    - {name: sentinel, containerPort: {{ include "telemetry.sentinel.port" . }}}
  startupProbe:
    tcpSocket: {port: sentinel}
    periodSeconds: 2
    failureThreshold: 60
  livenessProbe:
    tcpSocket: {port: sentinel}
    periodSeconds: 15
  readinessProbe:
    tcpSocket: {port: sentinel}
    periodSeconds: 5
  resources: {{- toYaml $sentinel.resources | nindent 4 }}
  securityContext: {{- toYaml .Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- if include "telemetry.broker.password" . | fromJson }}
    - {name: password, mountPath: /run/secrets/redis, readOnly: true}
    {{- end }}
{{- end -}}
