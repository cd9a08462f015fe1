{{/* Logins at the page by a provider: what the API's container gets for them, and nothing where there is no api.login.issuer. */}}

{{- define "telemetry.login.path" -}}/run/secrets/login{{- end -}}

{{- define "telemetry.login.env" -}}
{{- $login := .Values.api.login -}}
{{- $path := include "telemetry.login.path" . -}}
{{- if $login.issuer }}
- {name: TELEMETRY_OIDC_ISSUER, value: {{ $login.issuer | quote }}}
- {name: TELEMETRY_OIDC_CLIENT_ID, value: {{ required "api.login.issuer is set: set api.login.clientId" $login.clientId | quote }}}
- {name: TELEMETRY_OIDC_CLIENT_SECRET_FILE, value: {{ $path }}/client-secret}
- {name: TELEMETRY_OIDC_GROUPS, value: {{ $path }}/groups.toml}
- {name: TELEMETRY_OIDC_CLAIM, value: {{ $login.claim | quote }}}
- {name: TELEMETRY_OIDC_SCOPES, value: {{ join "," $login.scopes | quote }}}
- {name: TELEMETRY_OIDC_SESSION_S, value: {{ $login.sessionSeconds | quote }}}
{{- with $login.pageUrl }}
- {name: TELEMETRY_PAGE_URL, value: {{ . | quote }}}
{{- end }}
{{- else if or $login.clientId $login.existingSecret $login.groups }}
{{- fail "api.login has values, and api.login.issuer is empty: set it, or leave all of api.login out" }}
{{- end }}
{{- end -}}

{{- define "telemetry.login.mount" -}}
{{- if .Values.api.login.issuer }}
- {name: login, mountPath: {{ include "telemetry.login.path" . }}, readOnly: true}
{{- end }}
{{- end -}}

{{/* The client's secret, and what groups may do. */}}
{{- define "telemetry.login.volume" -}}
{{- $login := .Values.api.login -}}
{{- if $login.issuer }}
- name: login
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ required "api.login.issuer is set: set api.login.existingSecret, which holds the client's secret" $login.existingSecret | quote }}
          items: [{key: {{ $login.existingSecretKey | quote }}, path: client-secret}]
      - configMap:
          name: {{ include "telemetry.fullname" . }}-login
          items: [{key: groups.toml, path: groups.toml}]
{{- end }}
{{- end -}}

{{/* The file of groups. JSON's texts and lists are TOML's, too. */}}
{{- define "telemetry.login.groups" -}}
{{- if not .Values.api.login.groups }}{{ fail "api.login.issuer is set: say in api.login.groups what a group may do" }}{{ end }}
{{- range $group, $rights := .Values.api.login.groups }}
[groups.{{ toJson $group }}]
scopes = {{ default (list "read") $rights.scopes | toJson }}
namespaces = {{ default list $rights.namespaces | toJson }}
{{ end }}
{{- end -}}
