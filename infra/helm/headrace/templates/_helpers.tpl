{{- define "headrace.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "headrace.labels" -}}
app.kubernetes.io/name: headrace
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Labels that select the pods of a component: a list of the context and the component's name. */}}
{{- define "headrace.selector" -}}
app.kubernetes.io/name: headrace
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "headrace.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "headrace.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "headrace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A variable from the secret of passwords: a list of the context, the variable and the key. */}}
{{- define "headrace.secret" -}}
{name: {{ index . 1 }}, valueFrom: {secretKeyRef: {name: {{ (index . 0).Values.auth.secret | quote }}, key: {{ index . 2 }}}}}
{{- end }}

{{/* Settings that every container has. */}}
{{- define "headrace.environment" -}}
- {name: HEADRACE_HOME, value: /state}
- {name: HEADRACE_PROFILE, value: production}
- {name: PREFECT_HOME, value: /state/prefect}
- {name: PREFECT_API_URL, value: "http://{{ include "headrace.name" . }}-prefect:4200/api"}
- {name: MLFLOW_TRACKING_URI, value: "http://{{ include "headrace.name" . }}-mlflow:5000"}
- {name: MLFLOW_TRACKING_USERNAME, value: headrace}
- {{ include "headrace.secret" (list . "MLFLOW_TRACKING_PASSWORD" "mlflow_password") }}
- {{ include "headrace.secret" (list . "PREFECT_API_AUTH_STRING" "prefect_auth") }}
- {name: DO_NOT_TRACK, value: "1"}
- {name: MLFLOW_DISABLE_TELEMETRY, value: "true"}
- {name: HEADRACE_LOG_FORMAT, value: {{ .Values.observability.logFormat | quote }}}
- {name: HEADRACE_LOG_LEVEL, value: {{ .Values.observability.logLevel | quote }}}
{{- with .Values.database }}
- {name: PGSSLMODE, value: {{ .sslMode | quote }}}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ .passwordSecret.name | quote }}, key: {{ .passwordSecret.key | quote }}}}
{{- if .headrace }}
- {name: HEADRACE_DATABASE_URL, value: "postgresql://{{ .user }}@{{ .host }}:{{ .port }}/{{ .headrace }}"}
{{- end }}
{{- end }}
{{- with .Values.redis.urlSecret }}
{{- if .name }}
- name: HEADRACE_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .name | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}
{{- with .Values.observability }}
{{- if .otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .otlpEndpoint | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: {{ .sampler | quote }}}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ .samplerRatio | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Credentials and address of the artifacts' store. */}}
{{- define "headrace.artifactEnvironment" -}}
{{- with .Values.artifacts }}
{{- if .endpoint }}
- {name: MLFLOW_S3_ENDPOINT_URL, value: {{ .endpoint | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Address and credentials of the lake's store, for what reads the lake. */}}
{{- define "headrace.lakeEnvironment" -}}
{{- with .Values.lake }}
{{- if .address }}
- {name: HEADRACE_LAKE, value: {{ .address | quote }}}
{{- if .endpoint }}
- {name: AWS_ENDPOINT_URL, value: {{ .endpoint | quote }}}
{{- end }}
{{- if .region }}
- {name: AWS_REGION, value: {{ .region | quote }}}
{{- end }}
{{- with .credentialsSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What every pod mounts. */}}
{{- define "headrace.volumes" -}}
- name: state
  persistentVolumeClaim: {claimName: {{ .Values.state.claim | default (printf "%s-state" (include "headrace.name" .)) | quote }}}
- name: problem
{{- if .Values.problem.claim }}
  persistentVolumeClaim: {claimName: {{ .Values.problem.claim | quote }}, readOnly: true}
{{- else }}
  configMap: {name: {{ .Values.problem.configMap | quote }}}
{{- end }}
- name: scratch
  emptyDir: {}
{{- end }}

{{- define "headrace.volumeMounts" -}}
- {name: state, mountPath: /state}
- {name: problem, mountPath: /problem, readOnly: true}
- {name: scratch, mountPath: /tmp, subPath: tmp}
- {name: scratch, mountPath: /home/headrace, subPath: home}
{{- end }}

{{/* The part of a pod that all components share: service account, security, volumes, placement. */}}
{{- define "headrace.pod" -}}
serviceAccountName: {{ include "headrace.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "headrace.podSecurity" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . | quote }}}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  {{- include "headrace.volumes" . | nindent 2 }}
{{- end }}

{{/* A GET of a path on a port, with a Host header that the servers accept: a list of path and port. */}}
{{- define "headrace.probe" -}}
httpGet:
  path: {{ index . 0 }}
  port: {{ index . 1 }}
  httpHeaders:
    - {name: Host, value: localhost}
{{- end }}
