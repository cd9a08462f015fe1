{{/* Users of the broker: those of the Redis in this release, and which of them each part of the centre is. */}}

{{/*
The lines of the container's script that give Redis its users. The Secret holds them; a change comes with the file, and Redis
loads it. Who has lost a password loses the connections that were opened by it.
*/}}
{{- define "telemetry.redis.users" -}}
given=/run/secrets/redis-users/users.acl
administered() { REDISCLI_AUTH=$(cat /run/secrets/redis/password) redis-cli "$@"; }
write_users() {
  { cat "$given"; echo
    grep -q '^user default ' "$given" ||
      printf 'user default on #%s ~* &* +@all\n' "$(printf %s "$(cat /run/secrets/redis/password)" | sha256sum | cut -d ' ' -f 1)"
  } > /tmp/users.acl
}
load_users() {
  cp "$given" /tmp/users.next || return
  cp /tmp/users.acl /tmp/users.before
  write_users
  said=$(administered ACL LOAD)
  if [ "$said" != OK ]; then cp /tmp/users.before /tmp/users.acl; echo "users are as before: $said" >&2; return; fi
  mv /tmp/users.next /tmp/users.seen
  # Digests that stand there no more; a digest belongs to one user.
  awk 'NR == FNR { for (i = 3; i <= NF; i++) good[$i]; next } { for (i = 3; i <= NF; i++) if ($i ~ /^#/ && !($i in good)) print $2 }' \
    /tmp/users.acl /tmp/users.before | while read -r user; do administered CLIENT KILL USER "$user" > /dev/null; done
  echo "users were loaded anew" >&2
}
cp "$given" /tmp/users.seen
write_users
echo 'aclfile /tmp/users.acl' >> /tmp/redis.conf
while sleep 10; do cmp -s "$given" /tmp/users.seen || load_users; done &
{{- end -}}

{{/* Which user of the broker a container is, as the key of trust.roles.existingSecret; "" for that of the release; (list $ container). */}}
{{- define "telemetry.role.key" -}}
{{- if (index . 0).Values.trust.roles.existingSecret -}}
{{- $keys := dict "collector" "collector" "api" "api" "exporter" "exporter" "flower" "flower" "uploads" "uploads" "uploads-beat" "uploads" -}}
{{- get $keys (index . 1) -}}
{{- end -}}
{{- end -}}

{{/* The variables of such a container; they stand for those of the release; (list $ container). */}}
{{- define "telemetry.role.env" -}}
{{- $root := index . 0 -}}
{{- with include "telemetry.role.key" . }}
{{- range include "telemetry.broker.env" $root | fromYamlArray }}
{{- if hasPrefix "TELEMETRY_BROKER_URL" .name }}
- name: {{ .name }}
  value: {{ regexReplaceAll "://[^@,/ ]*@" .value "://" | quote }}
{{- end }}
{{- end }}
- name: TELEMETRY_BROKER_USERNAME
  value: {{ printf "%s.%s" $root.Values.keyPrefix (ternary "edge.central/uploads" . (eq . "uploads")) | quote }}
- name: TELEMETRY_BROKER_PASSWORD_FILE
  value: {{ printf "/run/secrets/roles/%s" . }}
{{- end }}
{{- end -}}

{{/* The volume of a pod that has such containers; (list $ component). */}}
{{- define "telemetry.role.volume" -}}
{{- $root := index . 0 -}}
{{- $keys := list (include "telemetry.role.key" .) -}}
{{- if and (eq (index . 1) "api") (include "telemetry.has" (list $root "uploads")) -}}{{- $keys = append $keys (include "telemetry.role.key" (list $root "uploads")) -}}{{- end -}}
{{- with compact $keys }}
- name: roles
  secret:
    secretName: {{ $root.Values.trust.roles.existingSecret | quote }}
    defaultMode: 0440
    items:
      {{- range . }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- end -}}
