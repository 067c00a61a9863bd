{{- /* On every object. The names of most are fixed: a cluster has one Borealis, and the operator knows its policies by name. */ -}}
{{- define "borealis.labels" -}}
{{ include "borealis.selector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "borealis.selector" -}}
app.kubernetes.io/name: borealis
{{- end }}

{{- /* Who the operator is to the API server. */ -}}
{{- define "borealis.account" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ .Values.serviceAccount.name }}
{{- end }}

{{- /* A digest says which image it is; the tag beside it is for people. */ -}}
{{- define "borealis.image" -}}
{{- with .Values.image }}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{- /* on and off are true and false to YAML where they have no quotes. */ -}}
{{- define "borealis.preemption" -}}
{{- $mode := toString .Values.operator.preemption -}}
{{- if eq $mode "true" }}on{{ else if eq $mode "false" }}off{{ else }}{{ $mode }}{{ end }}
{{- end }}

{{- /* All settings but those that are the Pod's own name and namespace, which come by its environment. */ -}}
{{- define "borealis.args" -}}
{{- with .Values.operator }}
- --cluster-name={{ .clusterName }}
- --workers={{ int64 .workers }}
- --in-flight={{ int64 .inFlight }}
- --call-timeout={{ .callTimeout }}
- --resync={{ .resync }}
- --secret-interval={{ .secretInterval }}
- --kept-cap={{ int64 .keptCap }}
{{- with .checkHosts }}
- {{ printf "--check-hosts=%s" (join "," .) | quote }}
{{- end }}
- --preemption={{ include "borealis.preemption" $ }}
- --slot-hold={{ .slotHold }}
- --victims-per-minute={{ int64 .victimsPerMinute }}
{{- end }}
{{- with .Values.lease }}
- --lease-name={{ .name }}
- --lease-duration={{ .duration }}
- --lease-renew-deadline={{ .renewDeadline }}
- --lease-retry-period={{ .retryPeriod }}
{{- end }}
- {{ printf "--listen=%s:%d" .Values.http.address (int64 .Values.http.port) | quote }}
{{- with .Values.traces.endpoint }}
- {{ printf "--otlp-endpoint=%s" . | quote }}
{{- end }}
- --trace-ratio={{ .Values.traces.ratio }}
- --log-format={{ .Values.log.format }}
- {{ printf "--log=%s" .Values.log.filter | quote }}
{{- end }}

{{- /* What the standard "restricted" asks of every Pod: the operator's and that of the test. */ -}}
{{- define "borealis.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "borealis.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* An uninstall leaves these: Pods that run go by them. */ -}}
{{- define "borealis.keep" -}}
{{- if .Values.keepOnUninstall -}}
helm.sh/resource-policy: keep
{{- end }}
{{- end }}

{{- /* The Pod of `helm test` is not among those by which the operator's are found. */ -}}
{{- define "borealis.testSelector" -}}
app.kubernetes.io/name: borealis-test
{{- end }}

{{- define "borealis.testLabels" -}}
{{ include "borealis.testSelector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Made for a test in the order of these weights, and taken away after it. */ -}}
{{- define "borealis.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
