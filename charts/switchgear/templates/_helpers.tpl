{{/* The name of all objects: the release's, with the chart's unless it is in there. */}}
{{- define "switchgear.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What tells this release's pods from all others. A Deployment's selector never changes. */}}
{{- define "switchgear.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Without versions: a new chart alone is no reason to start a new pod. */}}
{{- define "switchgear.podLabels" -}}
{{ include "switchgear.selectorLabels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "switchgear.labels" -}}
{{ include "switchgear.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "switchgear.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "switchgear.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "switchgear.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/* The operator's flags, a list item each. */}}
{{- define "switchgear.flags" -}}
{{- if gt (float64 .Values.scrape.timeout) (float64 .Values.scrape.interval) -}}
{{- fail (printf "scrape.timeout (%v) is longer than scrape.interval (%v): lower the timeout or raise the interval" .Values.scrape.timeout .Values.scrape.interval) -}}
{{- end -}}
{{- with .Values.namespaces }}
- {{ printf "--namespaces=%s" (join "," .) | quote }}
{{- end }}
- {{ printf "--address=%s" .Values.http.address | quote }}
- {{ printf "--port=%v" .Values.http.port | quote }}
- {{ printf "--workers=%v" .Values.workers | quote }}
- {{ printf "--scrape-interval=%v" .Values.scrape.interval | quote }}
- {{ printf "--scrape-timeout=%v" .Values.scrape.timeout | quote }}
- {{ printf "--scrape-concurrency=%v" .Values.scrape.concurrency | quote }}
- {{ printf "--allow-host-network=%s" (ternary "yes" "no" .Values.scrape.allowHostNetwork) | quote }}
- {{ printf "--log-format=%s" .Values.log.format | quote }}
- {{ printf "--log-level=%s" .Values.log.level | quote }}
{{- end -}}

{{/* All that the operator may do. The tests take away one permission after the other, and see what breaks. */}}
{{- define "switchgear.rules" -}}
# the policies: what is to be
- apiGroups: [switchgear.dev]
  resources: [circuitbreakerpolicies]
  verbs: [list, watch]
# ... and what is, of each policy nothing but its status
- apiGroups: [switchgear.dev]
  resources: [circuitbreakerpolicies/status]
  verbs: [patch]
# what workloads read: one ConfigMap of this name per namespace, and no other
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [switchgear-policies]
  verbs: [list, watch, create, patch, delete]
# where workloads report
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# what people are told of transitions
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
