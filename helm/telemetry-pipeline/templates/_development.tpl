{{/* Containers of the Redis and the Postgres in this release, which are for development only. */}}

{{- define "telemetry.claim" -}}
- metadata: {name: data}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ .size }}}}
{{- end -}}

{{- define "telemetry.redis.container" -}}
{{- $password := include "telemetry.broker.password" . | fromJson -}}
- name: redis
  image: {{ .Values.redis.image | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  # The password is written into a file of its own: an argument could be read by every process of the node.
  command:
    - sh
    - -c
    - |
      umask 077
      printf 'maxmemory %s\nmaxmemory-policy noeviction\nappendonly %s\nsave ""\ndir /data\nbind * -::*\nprotected-mode no\n' "$0" "$1" > /tmp/redis.conf
      {{- if .Values.redis.users.existingSecret }}
      {{- include "telemetry.redis.users" . | nindent 6 }}
      {{- end }}
      if [ -e /run/secrets/redis/password ]; then
        printf 'requirepass "%s"\n' "$(sed 's/[\\"]/\\&/g' /run/secrets/redis/password)" >> /tmp/redis.conf
      fi
      if [ -e /run/secrets/redis-tls/tls.crt ]; then
        printf 'tls-port 6380\ntls-auth-clients no\ntls-cert-file %s/tls.crt\ntls-key-file %s/tls.key\n' \
          /run/secrets/redis-tls /run/secrets/redis-tls >> /tmp/redis.conf
      fi
      {{- if .Values.redis.sentinel.enabled }}
      {{- include "telemetry.sentinel.follow" . | nindent 6 }}
      {{- end }}
      exec redis-server /tmp/redis.conf
    - {{ .Values.redis.maxmemory | quote }}
    - {{ ternary "yes" "no" .Values.redis.persistence.enabled | quote }}
  ports:
    - {name: redis, containerPort: 6379}
    {{- if .Values.redis.tls.existingSecret }}
    - {name: redis-tls, containerPort: 6380}
    {{- end }}
  startupProbe:
    tcpSocket: {port: 6379}
    periodSeconds: 2
    failureThreshold: 60
  livenessProbe:
    tcpSocket: {port: 6379}
    periodSeconds: 15
  readinessProbe:
    tcpSocket: {port: 6379}
    periodSeconds: 5
  resources: {{- toYaml .Values.redis.resources | nindent 4 }}
  securityContext: {{- toYaml .Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: data, mountPath: /data}
    {{- if $password }}
    - {name: password, mountPath: /run/secrets/redis, readOnly: true}
    {{- end }}
    {{- if .Values.redis.users.existingSecret }}
    - {name: users, mountPath: /run/secrets/redis-users, readOnly: true}
    {{- end }}
    {{- if .Values.redis.tls.existingSecret }}
    - {name: tls, mountPath: /run/secrets/redis-tls, readOnly: true}
    {{- end }}
{{- with .Values.redis.exporter }}
{{- if .enabled }}
- name: exporter
  image: {{ .image | quote }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  command:
    - sh
    - -c
    - |
      if [ -e /run/secrets/redis/password ]; then REDIS_PASSWORD=$(cat /run/secrets/redis/password); export REDIS_PASSWORD; fi
      exec /redis_exporter --redis.addr=redis://127.0.0.1:6379 --web.listen-address=":$0"
    - {{ .port | quote }}
  ports:
    - {name: redis-exporter, containerPort: {{ .port }}}
  startupProbe:
    tcpSocket: {port: {{ .port }}}
    periodSeconds: 2
    failureThreshold: 60
  livenessProbe:
    tcpSocket: {port: {{ .port }}}
    periodSeconds: 30
  readinessProbe:
    tcpSocket: {port: {{ .port }}}
    periodSeconds: 15
  resources: {{- toYaml .resources | nindent 4 }}
  securityContext: {{- toYaml $.Values.containerSecurityContext | nindent 4 }}
  {{- if $password }}
  volumeMounts:
    - {name: password, mountPath: /run/secrets/redis, readOnly: true}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "telemetry.redis.volumes" -}}
{{- if not .Values.redis.persistence.enabled }}
- name: data
  emptyDir: {}
{{- end }}
{{- with include "telemetry.broker.password" . | fromJson }}
- name: password
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items: [{key: {{ .key | quote }}, path: password}]
{{- end }}
{{- with .Values.redis.users }}
{{- if .existingSecret }}
- name: users
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .existingSecretKey | quote }}, path: users.acl}]
{{- end }}
{{- end }}
{{- with .Values.redis.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- end }}
{{- end -}}

{{- define "telemetry.postgresql.container" -}}
- name: postgresql
  image: {{ .Values.postgresql.image | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- with .Values.postgresql.settings }}
  args:
    {{- range $name, $value := . }}
    - -c
    - {{ printf "%s=%v" $name $value | quote }}
    {{- end }}
  {{- end }}
  env:
    - {name: POSTGRES_USER, value: {{ .Values.postgresql.auth.username | quote }}}
    - {name: POSTGRES_DB, value: {{ .Values.postgresql.auth.database | quote }}}
    - {name: POSTGRES_PASSWORD_FILE, value: /run/secrets/postgresql/password}
    - {name: PGDATA, value: /data/pgdata}
  ports:
    - {name: postgresql, containerPort: 5432}
  startupProbe:
    # The volume knows the password of the first start; that of now is set at each. 127.0.0.1 needs none, and answers after the first set-up only.
    exec:
      command:
        - sh
        - -c
        - |
          pg_isready -q -h 127.0.0.1 && psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'END'
          \set role `echo "$POSTGRES_USER"`
          \set password `cat "$POSTGRES_PASSWORD_FILE"`
          SET log_statement = 'none';
          SET log_min_duration_statement = -1;
          SET log_min_error_statement = 'panic';
          ALTER ROLE :"role" PASSWORD :'password';
          END
    periodSeconds: 3
    timeoutSeconds: 10
    failureThreshold: 200
  livenessProbe:
    exec: {command: [pg_isready, -h, 127.0.0.1]}
    periodSeconds: 20
    timeoutSeconds: 5
    failureThreshold: 6
  readinessProbe:
    exec: {command: [pg_isready, -h, 127.0.0.1]}
    periodSeconds: 5
    timeoutSeconds: 5
  resources: {{- toYaml .Values.postgresql.resources | nindent 4 }}
  securityContext: {{- toYaml .Values.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: socket, mountPath: /var/run/postgresql}
    - {name: shm, mountPath: /dev/shm}
    - {name: data, mountPath: /data}
    - {name: password, mountPath: /run/secrets/postgresql, readOnly: true}
{{- end -}}

{{- define "telemetry.postgresql.volumes" -}}
- name: socket
  emptyDir: {}
- name: shm
  emptyDir: {medium: Memory, sizeLimit: 256Mi}
{{- if not .Values.postgresql.persistence.enabled }}
- name: data
  emptyDir: {}
{{- end }}
{{- with include "telemetry.database.password" . | fromJson }}
- name: password
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items: [{key: {{ .key | quote }}, path: password}]
{{- end }}
{{- end -}}
