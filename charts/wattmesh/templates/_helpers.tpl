{{- define "wattmesh.fullname" -}}
{{- if .Values.naming.fullname -}}
{{ .Values.naming.fullname }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "wattmesh.operator" -}}
{{ include "wattmesh.fullname" . }}-operator
{{- end -}}

{{/* Cluster-scoped objects carry the namespace too, so that releases of one name in two namespaces do not meet. */}}
{{- define "wattmesh.clusterName" -}}
{{ include "wattmesh.operator" . }}-{{ .Release.Namespace }}
{{- end -}}

{{- define "wattmesh.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "wattmesh.operator" .) }}
{{- else -}}
{{ required "serviceAccount.name: name the ServiceAccount to use, or set serviceAccount.create to true" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* That account as the API server names it. */}}
{{- define "wattmesh.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "wattmesh.serviceAccount" . }}
{{- end -}}

{{/* What a selector needs: a Deployment's cannot change, so it has nothing that may. */}}
{{- define "wattmesh.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "wattmesh.labelsWithoutComponent" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: wattmesh
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "wattmesh.labels" -}}
{{ include "wattmesh.labelsWithoutComponent" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* The reference of .image, with the chart's appVersion as default tag. */}}
{{- define "wattmesh.imageReference" -}}
{{ .image.repository }}:{{ .image.tag | default .appVersion }}{{ with .image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{- define "wattmesh.operatorImage" -}}
{{ include "wattmesh.imageReference" (dict "image" .Values.image "appVersion" .Chart.AppVersion) }}
{{- end -}}

{{- define "wattmesh.runtimeImage" -}}
{{ include "wattmesh.imageReference" (dict "image" .Values.runtimeImage "appVersion" .Chart.AppVersion) }}
{{- end -}}

{{/* Restricted Pod Security. Not a value: nothing here needs more, and a value could only weaken it. */}}
{{- define "wattmesh.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "wattmesh.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The namespaces that are watched, as YAML list; empty: all. */}}
{{- define "wattmesh.namespaces" -}}
{{- if .Values.watch.allNamespaces -}}
{{- if .Values.watch.namespaces -}}
{{- fail "watch.allNamespaces: true leaves nothing to watch.namespaces; set one of them" -}}
{{- end -}}
[]
{{- else -}}
{{ .Values.watch.namespaces | default (list .Release.Namespace) | toYaml }}
{{- end -}}
{{- end -}}

{{/* What selects them. */}}
{{- define "wattmesh.namespaceSelector" -}}
{{- with include "wattmesh.namespaces" . | fromYamlArray -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values:
      {{- toYaml . | nindent 6 }}
{{- else -}}
{}
{{- end -}}
{{- end -}}
